//! A part of a table: rows that a grant leaves out and values that it masks are not to be had in any way.

use arrow::ipc::reader::StreamReader;
use integration_tests::{Client, Response};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::shop::Shop;

/// A shop, its analyst who sees the paid orders without the customers' names, and the grant for that.
fn stage() -> (Shop, Client, String) {
    let shop = Shop::with_orders();
    let (analyst, group) = shop.analyst("ann@example.com");
    let masks = json!({"customer": "hash", "shipped_at": "null", "amount": {"constant": 0}});
    let grant = shop.grant_part(&group, "Orders", "paid AND id < 3", &masks);
    (shop, analyst, grant)
}

fn ask(client: &Client, sql: &str) -> Response {
    client.post("/api/query", &json!({"sql": sql}))
}

fn refusal(shop: &Shop, change: &Value) -> String {
    let group = shop.add_group("others");
    let mut grant = json!({"group_id": group, "resource_type": "table", "resource_id": "orders"});
    for (key, value) in change.as_object().unwrap() {
        grant[key] = value.clone();
    }
    let refused = shop.post("/api/admin/grants", &grant).detail();
    shop.delete(&format!("/api/admin/groups/{group}"));
    refused
}

#[test]
fn every_way_to_the_rows_shows_the_part_that_was_granted() {
    let (_shop, analyst, _) = stage();
    let seen = ask(
        &analyst,
        "SELECT id, length(customer), amount, paid, shipped_at FROM orders",
    )
    .ok();
    assert_eq!(seen["rows"], json!([[1, 64, 0.0, true, null]]));
    let sample = analyst.get("/api/v2/sample/orders").ok();
    assert_eq!(sample["rows"].as_array().unwrap().len(), 1);
    assert_eq!(sample["rows"][0]["shipped_at"], json!(null));
    let scan = json!({"table_id": "orders", "where": "id > 0"});
    let scan = analyst.post("/api/v2/scan", &scan);
    let batches = StreamReader::try_new(scan.bytes.as_slice(), None).unwrap();
    let rows: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 1);
    let csv = analyst.send(
        Method::POST,
        "/api/query",
        &[("content-type", "application/json"), ("accept", "text/csv")],
        br#"{"sql": "SELECT id, customer FROM orders"}"#,
    );
    let csv = String::from_utf8(csv.bytes).unwrap();
    assert!(csv.lines().count() == 2 && !csv.contains("Ada"), "{csv}");
}

#[test]
fn what_shows_all_rows_is_refused() {
    let (shop, analyst, _) = stage();
    for path in [
        "/api/data/orders/download",
        "/api/data/orders/parts",
        "/api/data/orders/parts/0/download",
        "/api/catalog/profile/orders",
    ] {
        let answer = analyst.get(path);
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.json()["code"], "table-filtered", "{path}");
        assert_eq!(shop.get(path).status, 200, "{path}");
    }
    let refresh = analyst.post("/api/catalog/profile/orders/refresh", &json!({}));
    assert_eq!(refresh.status, 403);
}

#[test]
fn the_catalogue_says_that_a_part_is_left_out() {
    let (shop, analyst, _) = stage();
    let of =
        |client: &Client| client.get("/api/catalog/tables").ok()["tables"][0]["filtered"].take();
    assert_eq!((of(&analyst), of(&shop)), (json!(true), json!(false)));
    let v2 = analyst.get("/api/v2/catalog").ok();
    assert_eq!(v2["tables"][0]["filtered"], true);
    let schema = analyst.get("/api/v2/schema/orders").ok();
    let columns = schema["columns"].as_array().unwrap().iter();
    let shown: Vec<_> = columns
        .map(|column| json!([column["name"], column["type"], column["masked"]]))
        .collect();
    insta::assert_snapshot!(json!(shown), @r#"[["id","BIGINT",null],["customer","VARCHAR","hash"],["amount","DOUBLE","constant"],["paid","BOOLEAN",null],["ordered_on","DATE",null],["shipped_at","TIMESTAMP","null"]]"#);
    let manifest = analyst.get("/api/sync/manifest").ok();
    let orders = &manifest["tables"]["orders"];
    let told = ["hash", "size_bytes", "rows", "query_mode", "filtered"].map(|key| &orders[key]);
    assert_eq!(json!(told), json!(["", 0, 0, "remote", true]));
    let access = analyst.get("/api/me/effective-access").ok();
    assert_eq!(
        access["items"][0]["via_groups"][0]["row_filter"],
        "paid AND id < 3"
    );
}

#[test]
fn a_grant_of_all_of_it_shows_all_and_its_end_leaves_the_part() {
    let (shop, analyst, part) = stage();
    let group = shop.add_group("auditors");
    shop.join(&group, "ann@example.com");
    let count = || ask(&analyst, "SELECT count(*), max(amount) FROM orders").ok()["rows"].take();
    assert_eq!(count(), json!([[1, 0.0]]));
    let whole = shop.grant(&group, "read", "source", "shop");
    assert_eq!(count(), json!([[3, 100.25]]));
    assert_eq!(analyst.get("/api/data/orders/download").status, 200);
    shop.delete(&format!("/api/admin/grants/{whole}"));
    assert_eq!(count(), json!([[1, 0.0]]));
    shop.delete(&format!("/api/admin/grants/{part}"));
    assert_eq!(ask(&analyst, "SELECT 1 FROM orders").status, 400);
    assert_eq!(analyst.tables(), Vec::<String>::new());
}

#[test]
fn a_part_is_limited_by_the_scope_of_a_token_too() {
    let (_shop, analyst, _) = stage();
    let narrow = analyst.token_for(&["runs"]);
    assert_eq!(ask(&narrow, "SELECT 1 FROM orders").status, 403);
    let data = analyst.token_for(&["data"]);
    assert_eq!(
        ask(&data, "SELECT count(*) FROM orders").ok()["rows"],
        json!([[1]])
    );
}

#[test]
fn a_restriction_that_does_not_fit_is_refused_with_the_reason() {
    let shop = Shop::with_orders();
    insta::assert_snapshot!(refusal(&shop, &json!({"row_filter": "country = 'CZ'"})), @"400 row_filter: the table has no column `country`");
    insta::assert_snapshot!(refusal(&shop, &json!({"row_filter": "id IN (SELECT 1)"})), @"400 row_filter: the predicate holds a SELECT");
    insta::assert_snapshot!(refusal(&shop, &json!({"row_filter": "read_text('/etc/passwd') = ''"})), @"400 row_filter: the predicate calls `read_text`, which is not allowed");
    insta::assert_snapshot!(refusal(&shop, &json!({"row_filter": "ordered_on + paid"})), @"400 it cannot be computed over the table; its columns are: id BIGINT, customer VARCHAR, amount DOUBLE, paid BOOLEAN, ordered_on DATE, shipped_at TIMESTAMP");
    insta::assert_snapshot!(refusal(&shop, &json!({"column_masks": {"phone": "null"}})), @"400 column_masks: the table has no column `phone`");
    insta::assert_snapshot!(refusal(&shop, &json!({"column_masks": {"id": "md5"}})), @"422 Failed to deserialize the JSON body into the target type: column_masks.id: unknown variant `md5`, expected one of `null`, `hash`, `constant` at line 1 column 124");
    insta::assert_snapshot!(refusal(&shop, &json!({"row_filter": "id = 1", "resource_type": "source", "resource_id": "shop"})), @"400 row_filter and column_masks are for grants on a table");
    insta::assert_snapshot!(refusal(&shop, &json!({"row_filter": "id = 1", "resource_id": "nothing"})), @"400 there is no such table yet, so that row_filter and column_masks cannot be tried; run its source first");
    assert_eq!(shop.get("/api/admin/grants").ok(), json!([]));
}
