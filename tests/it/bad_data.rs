//! A source that does not answer as it should fails its run with one clear error, and what was
//! published before stays.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use flate2::{Compression, write::GzEncoder};
use integration_tests::{Internet, component, files, wasm};
use serde_json::json;

use crate::shop::{Shop, count};

/// Spoils the outside and runs again: how that ended. The orders that were published stay.
#[track_caller]
fn spoiled(shop: &Shop, spoil: impl FnOnce(&Internet)) -> String {
    spoil(&shop.internet);
    let told = shop.outcome("shop");
    assert!(told.starts_with("failed"), "{told}");
    assert_eq!(shop.orders(), count(3), "what was published stays");
    let entries = std::fs::read_dir(shop.data.join("extracts/shop")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "left over: {left:?}");
    told
}

#[track_caller]
fn spoiled_csv(shop: &Shop, body: impl Into<Vec<u8>>) -> String {
    spoiled(shop, |internet| {
        internet.page("/orders.csv", "text/csv", body)
    })
}

#[test]
fn a_service_that_says_no() {
    let shop = Shop::with_orders();
    let status = |status| spoiled(&shop, |internet| internet.status("/orders.csv", status));
    insta::assert_snapshot!(status(404), @"failed (config): table `orders`: http://internet/orders.csv answered with status 404");
    insta::assert_snapshot!(status(401), @"failed (auth): table `orders`: http://internet/orders.csv answered with status 401");
    insta::assert_snapshot!(status(403), @"failed (auth): table `orders`: http://internet/orders.csv answered with status 403");
    insta::assert_snapshot!(status(304), @"failed (upstream): table `orders`: http://internet/orders.csv answered with status 304");
}

#[test]
fn a_service_that_is_ill_is_asked_again_before_the_run_fails() {
    let shop = Shop::with_orders();
    let told = spoiled(&shop, |internet| internet.status("/orders.csv", 500));
    insta::assert_snapshot!(told, @"failed (upstream): table `orders`: http://internet/orders.csv answered with status 500");
    let asked = shop.internet.seen_at("/orders.csv").len() - 1;
    assert!((2..10).contains(&asked), "asked {asked} times");
}

#[test]
fn a_service_that_recovers_is_forgiven() {
    let shop = Shop::with_orders();
    shop.internet.handle("/orders.csv", {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        move |_| {
            use axum::response::IntoResponse;
            if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                axum::http::StatusCode::SERVICE_UNAVAILABLE.into_response()
            } else {
                "id\n1\n".into_response()
            }
        }
    });
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(shop.orders(), count(1));
}

/// The address of a service that answers each request with this, and hangs up.
fn hangs_up_after(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = request
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty());
            assert!(request.count() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

/// How a run ends that reads from this address, which is called `nobody`.
#[track_caller]
fn told_of(address: &str) -> String {
    let shop = Shop::open();
    let table = files::csv("orders", &format!("http://{address}/orders.csv"));
    shop.add_source("shop", "files", &files::settings([table]), &[address]);
    shop.outcome("shop").replace(address, "nobody")
}

#[test]
fn a_service_that_is_not_there() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    insta::assert_snapshot!(told_of(&address), @"failed (upstream): table `orders`, http://nobody/orders.csv: `127.0.0.1` could not be reached: Connection refused (os error 111)");
}

#[test]
fn a_service_that_does_not_speak_http() {
    insta::assert_snapshot!(told_of(&hangs_up_after("220 mail.example.com ESMTP\r\n")), @"failed (upstream): table `orders`, http://nobody/orders.csv: `127.0.0.1` could not be reached: invalid HTTP version parsed");
}

#[test]
fn a_connection_that_breaks_in_the_middle() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nid,customer\n1,Ada\n2,";
    insta::assert_snapshot!(told_of(&hangs_up_after(half)), @"failed (upstream): the connection broke after 20 bytes of the body: end of file before message length reached");
}

#[test]
fn something_else_than_csv() {
    let shop = Shop::with_orders();
    let garbage: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    insta::assert_snapshot!(spoiled_csv(&shop, garbage), @"failed (upstream): table `orders`, row 1: `����������` cannot name a column: at most 255 bytes and no control characters");
    let html = "<html><body>Please, log in</body></html>\n<p>a, b, c</p>\n";
    insta::assert_snapshot!(spoiled_csv(&shop, html), @"failed (upstream): table `orders`, row 1: it has more than the 2 fields of the header");
    insta::assert_snapshot!(spoiled_csv(&shop, ""), @"failed (upstream): table `orders`, the body is empty, where a first line should name the columns");
}

#[test]
fn csv_with_mistakes() {
    let shop = Shop::with_orders();
    insta::assert_snapshot!(spoiled_csv(&shop, "id,customer\n1,Ada\n2\n"), @"failed (upstream): table `orders`, row 2: it has 1 fields, and the header has 2");
    insta::assert_snapshot!(spoiled_csv(&shop, "id,customer\n1,Ada\n2,Grace,Murray\n"), @"failed (upstream): table `orders`, row 2: it has more than the 2 fields of the header");
    insta::assert_snapshot!(spoiled_csv(&shop, "id,customer\n1,\"Ada\n2,Grace\n"), @"failed (upstream): table `orders`, the body ends inside a quoted field");
    insta::assert_snapshot!(spoiled_csv(&shop, b"id,customer\n1,Ad\xe9\n"), @"failed (upstream): table `orders`, row 1: `Ad�` is not UTF-8");
}

#[test]
fn a_gzip_that_is_cut_or_lies() {
    let shop = Shop::with_orders();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all("id\n1\n".repeat(1000).as_bytes())
        .unwrap();
    let whole = encoder.finish().unwrap();
    insta::assert_snapshot!(spoiled_csv(&shop, &whole[..whole.len() - 6]), @"failed (upstream): table `orders`: the body broke off: unexpected end of file");
    let mut lying = whole.clone();
    let checksum = whole.len() - 8;
    lying[checksum] ^= 1;
    insta::assert_snapshot!(spoiled_csv(&shop, lying), @"failed (upstream): table `orders`: the body broke off: corrupt gzip stream does not have a matching checksum");
}

#[test]
fn json_with_mistakes() {
    let shop = Shop::open();
    let good = json!({"data": [{"id": 1}, {"id": 2}], "next": null});
    let page = |document: &str| shop.internet.page("/items", "application/json", document);
    page(&good.to_string());
    shop.source(
        "items",
        [files::pages("items", &shop.internet.url("/items"))],
    );
    assert_eq!(shop.outcome("items"), "succeeded");
    let spoiled = |document: &str| {
        page(document);
        let told = shop.outcome("items");
        assert_eq!(
            shop.rows("SELECT count(*) FROM items"),
            count(2),
            "{document}"
        );
        told
    };
    insta::assert_snapshot!(spoiled("<html>"), @"failed (upstream): table `items`, not valid JSON: expected value at line 1 column 1");
    insta::assert_snapshot!(spoiled(r#"{"data": [{"id": 1}, {"id": 2"#), @"failed (upstream): table `items`, row 2: not valid JSON: EOF while parsing an object at line 1 column 29");
    insta::assert_snapshot!(spoiled(""), @"failed (upstream): table `items`, not valid JSON: EOF while parsing a value at line 1 column 0");
    insta::assert_snapshot!(spoiled(r#"{"data": [{"id": 1}]} {"data": []}"#), @"failed (upstream): table `items`, not valid JSON: trailing characters at line 1 column 23");

    // Not what the pointer says.
    insta::assert_snapshot!(spoiled(r#"{"items": [{"id": 1}]}"#), @"failed (upstream): table `items`, the document has nothing at `/data`, where the records should be");
    insta::assert_snapshot!(spoiled(r#"{"data": "none"}"#), @r#"failed (upstream): table `items`, row 1: not valid JSON: invalid type: string "none", expected an array of objects, or one object at line 1 column 15"#);
    insta::assert_snapshot!(spoiled(r#"{"data": [1, 2, 3]}"#), @"failed (upstream): table `items`, row 1: not valid JSON: invalid type: integer `1`, expected a record, which is an object at line 1 column 11");
    insta::assert_snapshot!(spoiled(r#"[{"id": 1}]"#), @"failed (upstream): table `items`, the document has nothing at `/data`, where the records should be");
    insta::assert_snapshot!(spoiled(r#"{"data": [{"id": 1}], "next": 7}"#), @"failed (upstream): table `items`, http://internet/items: the next page's address is not a text");
    insta::assert_snapshot!(spoiled(r#"{"data": [{"id": 1}], "next": "file:///etc/passwd"}"#), @"failed (limit): table `items`, file:///etc/passwd: requests go to https or http, not to `file:`");

    let deep = format!(
        "{{\"data\": [{{\"id\": {}1{}}}]}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    insta::assert_snapshot!(spoiled(&deep), @"failed (upstream): table `items`, row 1: not valid JSON: recursion limit exceeded at line 1 column 142");
}

#[test]
fn more_than_was_granted() {
    let shop = Shop::open();
    let files = std::fs::read(component("files")).unwrap();
    shop.install_bytes(&wasm::with_manifest(&files, |manifest| {
        manifest["version"] = json!("9.0.0");
        manifest["limits"] = json!({"bytes_in": 2_000_000, "rows": 100_000, "requests": 20});
    }));
    shop.source(
        "shop",
        [files::csv("orders", &shop.internet.url("/orders.csv"))],
    );
    assert_eq!(shop.outcome("shop"), "succeeded");

    let endless = |piece| {
        spoiled(&shop, |internet| {
            internet.endless("/orders.csv", "text/csv", "id\n", piece)
        })
    };
    insta::assert_snapshot!(endless("1\n2\n3\n"), @"failed (limit): the run wrote more rows than its limit `rows` of 100000");
    insta::assert_snapshot!(endless("a row that is long enough to fill the bytes before the rows are full\n"), @"failed (limit): the run received more than 2000000 bytes, which is its limit `bytes_in`");

    shop.internet.handle("/items", |seen| {
        use axum::response::IntoResponse;
        let page: u64 = seen.target.rsplit('=').next().unwrap().parse().unwrap();
        let next = format!("/items?page={}", page + 1);
        axum::Json(json!({"data": [{"id": page}], "next": next})).into_response()
    });
    shop.source(
        "items",
        [files::pages("items", &shop.internet.url("/items?page=1"))],
    );
    insta::assert_snapshot!(shop.outcome("items"), @"failed (limit): table `items`, http://internet/items: the run sent 20 requests, which is its limit `requests`");
    assert_eq!(shop.internet.seen_at("/items").len(), 20);
}

#[test]
fn pages_that_go_round() {
    let shop = Shop::open();
    let page = json!({"data": [{"id": 1}], "next": "/items"}).to_string();
    shop.internet.page("/items", "application/json", page);
    shop.source(
        "items",
        [files::pages("items", &shop.internet.url("/items"))],
    );
    insta::assert_snapshot!(shop.outcome("items"), @"failed (upstream): table `items`, http://internet/items: the next page is one that was read before");
}

#[test]
fn a_single_row_that_does_not_end() {
    let shop = Shop::with_orders();
    let told = spoiled(&shop, |internet| {
        internet.endless(
            "/orders.csv",
            "text/csv",
            "id\n",
            "abcdefghijklmnopqrstuvwxyz",
        );
    });
    insta::assert_snapshot!(told, @"failed (limit): table `orders`: a CSV field is larger than 32 MiB; is a quote never closed?");
    let shop = Shop::open();
    shop.internet.endless(
        "/items",
        "application/json",
        "{\"data\": [{\"id\": \"",
        "abcdefgh",
    );
    shop.source(
        "items",
        [files::pages("items", &shop.internet.url("/items"))],
    );
    insta::assert_snapshot!(shop.outcome("items"), @"failed (limit): table `items`: the JSON document is larger than 256 MiB; fetch it in pages, or as NDJSON");
}

#[test]
fn a_broken_table_does_not_publish_the_whole_ones_of_its_run() {
    let shop = Shop::open();
    shop.internet.page("/b.csv", "text/csv", "id\n1\n");
    let [a, b] = ["/orders.csv", "/b.csv"].map(|path| shop.internet.url(path));
    shop.source("shop", [files::csv("orders", &a), files::csv("b", &b)]);
    assert_eq!(shop.outcome("shop"), "succeeded");
    spoiled(&shop, |internet| {
        internet.page("/orders.csv", "text/csv", "id\n1\n");
        internet.status("/b.csv", 404);
    });
    assert_eq!(shop.rows("SELECT count(*) FROM b"), count(1));
}
