//! Tables as files: one or part by part, resumed, verified, and never another file than was begun.

use std::io::{Read, Write};
use std::net::TcpStream;

use integration_tests::{App, Client, Internet, Response};
use md5::Digest as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use ureq::http::Method;

use crate::lifecycle::install;
use crate::shop::Shop;

fn md5(bytes: &[u8]) -> String {
    hex::encode(md5::Md5::digest(bytes))
}

fn download(client: &Client, path: &str, headers: &[(&str, &str)]) -> Response {
    client.send(Method::GET, &format!("/api/data/{path}"), headers, &[])
}

fn count_rows(bytes: &[u8]) -> usize {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader
        .build()
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum()
}

/// A server whose source `shop` has brought the table `rows` in several files.
fn several(tables: &Value, runs: &[Value]) -> (App, Internet) {
    let (app, internet) = (App::start(), Internet::start());
    install(&app, "1.0.0", |manifest| {
        manifest["tables"] = tables.clone()
    });
    let settings = json!({"behaviour": "merges", "url": internet.url("/rows"), "kind": ""});
    app.add_source("shop", "fixtures", &settings, &[&internet.exception()]);
    for rows in runs {
        internet.page("/rows", "application/json", rows.to_string());
        assert_eq!(app.run("shop")["state"], "succeeded");
    }
    (app, internet)
}

#[test]
fn a_download_that_was_cut_is_resumed_with_the_rest() {
    let shop = Shop::with_orders();
    let whole = download(&shop, "orders/download", &[]);
    let tag = whole.header("etag").unwrap();
    assert_eq!(tag, format!("\"{}\"", md5(&whole.bytes)));
    // The connection ends in the middle, as on a train.
    let mut first = vec![0; 2_000];
    let address = shop.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let token = shop.token.as_deref().unwrap();
    write!(stream, "GET /api/data/orders/download HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    stream.read_exact(&mut first).unwrap();
    drop(stream);
    let head = first
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap()
        + 4;
    let mut have = first.split_off(head);
    let range = format!("bytes={}-", have.len());
    let rest = download(
        &shop,
        "orders/download",
        &[("range", &range), ("if-range", tag)],
    );
    assert_eq!(rest.status, 206);
    have.extend(rest.bytes);
    assert_eq!(have, whole.bytes);
}

#[test]
fn whoever_resumes_a_file_that_is_another_by_now_gets_the_new_one() {
    let shop = Shop::with_orders();
    let old = download(&shop, "orders/download", &[]);
    let tag = old.header("etag").unwrap();
    shop.internet.page("/orders.csv", "text/csv", "id\n7\n");
    assert_eq!(shop.outcome("shop"), "succeeded");
    let asked = [("range", "bytes=100-"), ("if-range", tag)];
    let new = download(&shop, "orders/download", &asked);
    assert_eq!((new.status, count_rows(&new.bytes)), (200, 1));
    assert_ne!(new.header("etag"), Some(tag));
    let gone = download(&shop, "orders/parts/0/download", &[("if-match", tag)]);
    assert_eq!(gone.detail(), "412 The file is another one by now");
}

#[test]
fn a_download_that_has_begun_goes_on_with_its_file() {
    let shop = Shop::open();
    let mut csv = String::from("id,text\n");
    for id in 0..60_000_u64 {
        // Text that does not become small by compression.
        csv.push_str(&format!("{id},{}\n", md5(&id.to_le_bytes()).repeat(4)));
    }
    assert_eq!(shop.publish("large", &csv), "succeeded");
    let whole = download(&shop, "large/download", &[]).bytes;
    let address = shop.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let token = shop.token.as_deref().unwrap();
    write!(stream, "GET /api/data/large/download HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = vec![0; 1_000];
    stream.read_exact(&mut answer).unwrap();
    for id in 0..3 {
        shop.internet
            .page("/large.csv", "text/csv", format!("id,text\n{id},x\n"));
        assert_eq!(shop.outcome("large"), "succeeded");
    }
    stream.read_to_end(&mut answer).unwrap();
    let head = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(answer[head..] == whole, "the file changed on its way");
}

#[test]
fn a_table_of_several_files_is_one_file_with_the_rows_of_a_query() {
    let tables = json!({"*": {"partition_by": "name"}});
    let first = json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]);
    let second = json!([{"id": 3, "name": "a"}, {"id": 4, "name": "c", "note": "new"}]);
    let (app, _internet) = several(&tables, &[first, second]);
    let parts = app.get("/api/data/rows/parts").ok();
    let parts = parts["parts"].as_array().unwrap();
    assert!(parts.len() >= 3, "{parts:?}");
    let entry = || app.get("/api/sync/manifest").ok()["tables"]["rows"].take();
    assert_eq!(entry()["hash"], "");

    let whole = download(&app, "rows/download", &[]);
    assert_eq!(whole.status, 200);
    assert_eq!(entry()["hash"], md5(&whole.bytes));
    assert_eq!(entry()["size_bytes"], whole.bytes.len());
    assert_eq!(
        whole.header("etag"),
        Some(format!("\"{}\"", md5(&whole.bytes)).as_str())
    );
    assert_eq!(
        download(
            &app,
            "rows/download",
            &[("if-none-match", whole.header("etag").unwrap())]
        )
        .status,
        304
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.parquet");
    std::fs::write(&file, &whole.bytes).unwrap();
    let sql = "SELECT id, name, note FROM rows ORDER BY id";
    let expected = app.rows(sql);
    assert_eq!(expected.as_array().unwrap().len(), 4);
    assert_eq!(read(&file), expected);

    let mut rows = 0;
    for (n, part) in parts.iter().enumerate() {
        assert_eq!(part["n"], n);
        assert!(part["partition"].is_string());
        let file = download(&app, &format!("rows/parts/{n}/download"), &[]);
        assert_eq!(part["md5"], md5(&file.bytes));
        assert_eq!(part["size_bytes"], file.bytes.len());
        assert_eq!(part["rows"], count_rows(&file.bytes));
        rows += count_rows(&file.bytes);
    }
    assert_eq!(rows, 4);
    let beyond = download(&app, "rows/parts/99/download", &[]);
    assert!(
        beyond.detail().starts_with("404 the table has"),
        "{}",
        beyond.detail()
    );
}

/// Rows of id, name and note of a parquet file, by id.
fn read(file: &std::path::Path) -> Value {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::Int64Type;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap()).unwrap();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap().map(Result::unwrap) {
        let ids = batch
            .column_by_name("id")
            .unwrap()
            .as_primitive::<Int64Type>()
            .clone();
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name).unwrap().as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        for row in 0..batch.num_rows() {
            rows.push((ids.value(row), text("name", row), text("note", row)));
        }
    }
    rows.sort();
    json!(rows)
}

#[test]
fn a_table_put_together_follows_what_is_published() {
    let first = json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]);
    let (app, internet) = several(&json!({"*": {"partition_by": "name"}}), &[first]);
    let before = download(&app, "rows/download", &[]);
    internet.page(
        "/rows",
        "application/json",
        json!([{"id": 3, "name": "c"}]).to_string(),
    );
    assert_eq!(app.run("shop")["state"], "succeeded");
    assert_eq!(
        app.get("/api/sync/manifest").ok()["tables"]["rows"]["hash"],
        ""
    );
    let tag = before.header("etag").unwrap();
    let after = download(&app, "rows/download", &[("if-none-match", tag)]);
    assert_eq!((after.status, count_rows(&after.bytes)), (200, 3));
    assert_eq!(count_rows(&before.bytes), 2);
}

#[test]
fn parts_of_a_table_that_was_not_granted_are_not_there() {
    let shop = Shop::with_orders();
    let stranger = shop.newcomer("stranger@example.com");
    for path in ["orders/download", "orders/parts", "orders/parts/0/download"] {
        assert_eq!(
            download(&stranger, path, &[]).detail(),
            "404 Table 'orders' not found",
            "{path}"
        );
    }
}
