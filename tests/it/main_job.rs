//! The main job: a signed connector turns data of the outside into tables that answer SQL.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use integration_tests::{App, Internet, files, outcome};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::shop::{ORDERS, Shop, count};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Serves `/items?page=1` to `3`, each with the URL of the next one.
fn serve_items(internet: &Internet) {
    let base = internet.url("/items");
    internet.handle("/items", move |seen| {
        let page: u64 = seen.target.split_once("page=").unwrap().1.parse().unwrap();
        let items = [2 * page - 1, 2 * page].map(|id| json!({"id": id, "tags": ["a", "b"]}));
        let next = (page < 3).then(|| format!("{base}?page={}", page + 1));
        axum::response::IntoResponse::into_response(axum::Json(
            json!({"data": items, "next": next}),
        ))
    });
}

#[test]
fn csv_gzip_ndjson_and_paged_json_become_tables() {
    let shop = Shop::open();
    let internet = &shop.internet;
    internet.page("/zipped.csv.gz", "application/gzip", gzip(ORDERS));
    let lines =
        "{\"kind\":\"open\",\"at\":\"2026-01-31T10:00:00Z\"}\n{\"kind\":\"close\",\"n\":5}\n";
    internet.page("/events.ndjson", "application/x-ndjson", lines);
    serve_items(internet);
    shop.source(
        "shop",
        [
            files::csv("orders", &internet.url("/orders.csv")),
            files::csv("zipped", &internet.url("/zipped.csv.gz")),
            json!({"name": "twice", "format": "csv", "urls": [
                internet.url("/orders.csv"), internet.url("/zipped.csv.gz")
            ]}),
            files::ndjson("events", &internet.url("/events.ndjson")),
            files::pages("items", &internet.url("/items?page=1")),
        ],
    );

    let run = shop.run("shop");
    assert_eq!(outcome(&run), "succeeded");
    assert_eq!(run["counts"]["rows"], 3 + 3 + 6 + 2 + 6);
    assert_eq!(run["counts"]["requests"], 1 + 1 + 2 + 1 + 3);

    assert_eq!(
        shop.rows("SELECT * FROM orders ORDER BY id"),
        json!([
            [1, "Ada", 12.5, true, "2026-01-31", "2026-02-01 08:00:00"],
            [2, "Grace, née Murray", 7.0, false, "2026-02-01", null],
            [
                3,
                "two\nlines",
                100.25,
                true,
                "2026-02-02",
                "2026-02-03 07:30:00"
            ],
        ])
    );
    assert_eq!(
        shop.rows("SELECT count(*) FROM (FROM orders INTERSECT ALL FROM zipped)"),
        count(3)
    );
    assert_eq!(
        shop.rows("SELECT count(*), count(DISTINCT id) FROM twice"),
        json!([[6, 3]])
    );
    assert_eq!(
        shop.rows("SELECT kind, \"at\", n FROM events ORDER BY kind"),
        json!([["close", null, 5], ["open", "2026-01-31 10:00:00", null]])
    );
    assert_eq!(
        shop.rows("SELECT min(id), max(id), count(DISTINCT id) FROM items"),
        json!([[1, 6, 6]])
    );
}

#[test]
fn a_second_run_replaces_the_rows() {
    let shop = Shop::with_orders();
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(shop.orders(), count(3));

    shop.internet
        .page("/orders.csv", "text/csv", "id,customer\n9,Edsger\n");
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(
        shop.rows("SELECT id, customer FROM orders"),
        json!([[9, "Edsger"]])
    );
}

#[test]
fn check_and_discover_write_nothing() {
    let shop = Shop::open();
    shop.source(
        "shop",
        [files::csv("orders", &shop.internet.url("/orders.csv"))],
    );

    let check = shop.wait(&shop.start_as("shop", &json!({"operation": "check"})));
    assert_eq!(outcome(&check), "succeeded");
    let discover = shop.wait(&shop.start_as("shop", &json!({"operation": "discover"})));
    assert_eq!(outcome(&discover), "succeeded");
    assert_eq!(discover["tables"][0]["name"], "orders");
    assert_eq!(shop.get("/api/catalog/tables").ok()["count"], 0);
}

#[test]
fn a_run_may_bring_a_part_of_the_tables() {
    let shop = Shop::open();
    let url = shop.internet.url("/orders.csv");
    shop.source(
        "shop",
        [files::csv("orders", &url), files::csv("copies", &url)],
    );

    let run = shop.wait(&shop.start_as("shop", &json!({"tables": ["copies"]})));
    assert_eq!(outcome(&run), "succeeded");
    assert_eq!(shop.rows("SELECT count(*) FROM copies"), count(3));
    insta::assert_snapshot!(shop.query("SELECT count(*) FROM orders").detail(), @"400 there is no table `orders`, or you may not read it");

    let run = shop.wait(&shop.start_as("shop", &json!({"tables": ["nothing"]})));
    insta::assert_snapshot!(outcome(&run), @"failed (config): the settings have no table `nothing`");
    assert_eq!(shop.rows("SELECT count(*) FROM copies"), count(3));
}

#[test]
fn the_manifest_the_catalogue_and_the_download_agree() {
    let shop = Shop::with_orders();

    let file = shop.get("/api/data/orders/download");
    assert_eq!(file.status, 200);
    assert_eq!(
        file.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        file.header("content-disposition"),
        Some("attachment; filename=\"orders.parquet\"")
    );
    assert_eq!(&file.bytes[..4], b"PAR1");

    let entry = shop.get("/api/sync/manifest").ok()["tables"]["orders"].take();
    assert_eq!(entry["hash"], md5(&file.bytes));
    assert_eq!(entry["rows"], 3);
    assert_eq!(entry["size_bytes"], file.bytes.len());
    assert_eq!(entry["query_mode"], "local");
    assert_eq!(entry["source_type"], "files");

    let catalogue = shop.get("/api/catalog/tables").ok();
    assert_eq!(catalogue["count"], 1);
    assert_eq!(catalogue["tables"][0]["name"], "orders");
    assert_eq!(catalogue["tables"][0]["query_mode"], "local");
}

fn md5(bytes: &[u8]) -> String {
    use md5::Digest;
    let digest = md5::Md5::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_download_can_be_resumed_and_is_not_repeated() {
    let shop = Shop::with_orders();
    let path = "/api/data/orders/download";
    let whole = shop.get(path);
    let tag = whole.header("etag").unwrap();
    let get = |name: &str, value: &str| shop.send(Method::GET, path, &[(name, value)], &[]);

    let unchanged = get("if-none-match", tag);
    assert_eq!((unchanged.status, unchanged.bytes.len()), (304, 0));

    let part = get("range", "bytes=4-9");
    assert_eq!(part.status, 206);
    assert_eq!(part.bytes, whole.bytes[4..=9]);
    let length = whole.bytes.len();
    assert_eq!(
        part.header("content-range"),
        Some(format!("bytes 4-9/{length}").as_str())
    );
    let rest = get("range", &format!("bytes={}-", length - 4));
    assert_eq!(
        (rest.status, rest.bytes.as_slice()),
        (206, b"PAR1".as_slice())
    );
    assert_eq!(get("range", &format!("bytes={length}-")).status, 416);

    shop.internet.page("/orders.csv", "text/csv", "id\n1\n");
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(get("if-none-match", tag).status, 200);

    insta::assert_snapshot!(shop.get("/api/data/nothing/download").detail(), @"404 Table 'nothing' not found");
    insta::assert_snapshot!(shop.get("/api/data/..%2Fstate/download").detail(), @"404 Table not found");
}

#[test]
fn a_run_tells_its_story_while_it_happens_and_afterwards() {
    let shop = Shop::open();
    shop.source(
        "shop",
        [files::csv(
            "orders",
            &shop.internet.url("/orders.csv?key=hidden"),
        )],
    );
    let id = shop.start("shop");

    let mut states = Vec::new();
    let mut lines = Vec::new();
    shop.events(&id, |event, data| {
        match event {
            "state" => states.push(data["run"]["state"].as_str().unwrap().to_owned()),
            "log" => lines.push(data["line"]["message"].as_str().unwrap().to_owned()),
            _ => {}
        }
        true
    });
    states.dedup();
    assert_eq!(states.last().unwrap(), "succeeded");
    assert!(
        ["queued,running,succeeded", "running,succeeded", "succeeded"]
            .contains(&states.join(",").as_str()),
        "{states:?}"
    );
    let log = shop.log(&id);
    assert!(log.contains("info published `orders`: 3 rows"), "{log}");
    for line in lines {
        assert!(log.contains(&line), "{line} is not in {log}");
    }

    let egress = shop.get(&format!("/api/runs/{id}/egress")).ok();
    let rows = egress["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["host"], "127.0.0.1");
    assert_eq!(rows[0]["address"], shop.internet.exception());
    assert_eq!(rows[0]["method"], "GET");
    assert_eq!(rows[0]["path"], "/orders.csv");
    assert_eq!(rows[0]["status"], 200);

    let mut late = 0;
    shop.events(&id, |_, _| {
        late += 1;
        true
    });
    assert_eq!(late, 1, "after the end there is the final state alone");
}

#[test]
fn runs_are_listed_newest_first() {
    let shop = Shop::with_orders();
    let first = shop.get("/api/runs").ok()["runs"][0]["id"].take();
    let second = shop.start("shop");
    shop.wait(&second);
    assert_eq!(shop.publish("other", "a\n1\n"), "succeeded");

    let ids = |path: &str| {
        let runs = shop.get(path).ok()["runs"].take();
        let runs = runs.as_array().unwrap().iter();
        runs.map(|run| run["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("/api/runs").len(), 3);
    assert_eq!(ids("/api/runs?source=shop"), [json!(second), first]);
    assert_eq!(ids("/api/runs?source=shop&limit=1"), [json!(second)]);
    assert_eq!(
        shop.get("/api/sources").ok()["sources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|source| source["name"] == "shop")
            .unwrap()["last_run"]["id"],
        second.as_str()
    );
}

#[test]
fn a_trigger_runs_every_source_that_has_the_tables() {
    let shop = Shop::with_orders();
    assert_eq!(shop.publish("other", "a\n1\n"), "succeeded");

    let all = shop.send(Method::POST, "/api/sync/trigger", &[], &[]).ok();
    assert_eq!(all["status"], "triggered");
    assert_eq!(all["tables"], "all");
    assert_eq!(wait_for_all(&shop, &all), ["succeeded", "succeeded"]);

    let one = shop.post("/api/sync/trigger", &json!(["other"])).ok();
    assert_eq!(one["tables"], json!(["other"]));
    assert_eq!(wait_for_all(&shop, &one), ["succeeded"]);
    insta::assert_snapshot!(shop.post("/api/sync/trigger", &json!({})).detail(), @"422 Input should be a valid list");
}

fn wait_for_all(app: &App, trigger: &Value) -> Vec<String> {
    let runs = trigger["runs"].as_array().unwrap().iter();
    runs.map(|id| outcome(&app.wait(id.as_str().unwrap())))
        .collect()
}

#[test]
fn a_removed_source_takes_its_tables_along() {
    let shop = Shop::with_orders();
    assert_eq!(shop.delete("/api/sources/shop").status, 204);
    insta::assert_snapshot!(shop.get("/api/sources/shop").detail(), @"404 there is no source `shop`; `sluice source list` shows what there is");
    insta::assert_snapshot!(shop.query("SELECT * FROM orders").detail(), @"400 there is no table `orders`, or you may not read it");
    assert!(!shop.data.join("extracts/shop/extract.duckdb").exists());
}

#[test]
fn everything_is_still_there_after_a_restart() {
    let mut shop = Shop::with_orders();
    assert!(shop.app().stop().success());
    shop.app().restart();
    assert_eq!(shop.orders(), count(3));
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(
        shop.get("/api/runs").ok()["runs"].as_array().unwrap().len(),
        2
    );
}
