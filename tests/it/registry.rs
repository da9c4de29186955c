//! The register of tables: fed by publishes, failures and admins.

use serde_json::{Value, json};

use crate::shop::{ORDERS, Shop};

#[track_caller]
fn entry(shop: &Shop, id: &str) -> Value {
    let registry = shop.get("/api/admin/registry").ok();
    let tables = registry["tables"].as_array().unwrap();
    assert_eq!(registry["count"], tables.len());
    let found = tables.iter().find(|table| table["id"] == id);
    found.cloned().unwrap_or(Value::Null)
}

#[track_caller]
fn history(shop: &Shop, id: &str) -> Vec<(String, u64)> {
    let path = format!("/api/admin/registry/{id}/history");
    let events = shop.get(&path).ok();
    let events = events.as_array().unwrap().iter();
    let events = events.map(|event| {
        let status = event["status"].as_str().unwrap().to_owned();
        (status, event["rows"].as_u64().unwrap())
    });
    events.collect()
}

#[test]
fn a_publish_feeds_the_register_and_a_failed_run_is_told_there() {
    let mut shop = Shop::with_orders();
    let table = entry(&shop, "orders");
    assert_eq!(table["source"], "shop");
    assert_eq!(table["source_type"], "files");
    assert_eq!(table["published"], true);
    let manifest = shop.get("/api/sync/manifest").ok();
    let orders = &manifest["tables"]["orders"];
    let sync = &table["sync"];
    assert_eq!(sync["hash"], orders["hash"]);
    assert_eq!(sync["file_size_bytes"], orders["size_bytes"]);
    assert_eq!((&sync["rows"], &sync["columns"]), (&json!(3), &json!(6)));

    shop.internet
        .page("/orders.csv", "text/csv", "id,\"broken\n1");
    let failed = shop.outcome("shop");
    assert!(failed.starts_with("failed"), "{failed}");
    let sync = entry(&shop, "orders")["sync"].clone();
    assert_eq!(
        (&sync["status"], &sync["rows"]),
        (&json!("error"), &json!(3))
    );
    assert!(!sync["error"].as_str().unwrap().is_empty());

    shop.internet.page("/orders.csv", "text/csv", ORDERS);
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(entry(&shop, "orders")["sync"]["error"], Value::Null);
    let all = ["ok", "error", "ok"].map(|status| (status.to_owned(), 3));
    assert_eq!(history(&shop, "orders"), all);
    shop.app().restart();
    assert_eq!(history(&shop, "orders"), all, "nothing is told twice");
}

#[test]
fn a_publish_that_a_server_did_not_live_to_write_down_is_written_down_at_the_next_start() {
    let mut shop = Shop::with_orders();
    let before = entry(&shop, "orders")["sync"].clone();
    shop.app()
        .rewrite_state("DELETE FROM sync_state; DELETE FROM sync_history;");
    assert_eq!(entry(&shop, "orders")["sync"], before);
    assert_eq!(history(&shop, "orders"), [("ok".to_owned(), 3)]);
    // One that is older than what is published is not taken for it.
    shop.app()
        .rewrite_state("UPDATE sync_state SET last_sync = last_sync - INTERVAL 1 DAY, rows = 1;");
    assert_eq!(entry(&shop, "orders")["sync"], before);
}

#[test]
fn an_admin_describes_tables_and_registers_what_is_not_published_yet() {
    let shop = Shop::with_orders();
    let new = json!({"name": " Big Sales ", "primary_key": "id", "folder": "Sales"});
    let added = shop.post("/api/admin/register-table", &new).ok();
    assert_eq!(
        added,
        json!({"id": "big_sales", "name": "Big Sales", "status": "registered"})
    );
    let again = shop.post("/api/admin/register-table", &new);
    assert_eq!(again.detail(), "409 Table 'big_sales' already registered");
    let table = entry(&shop, "big_sales");
    assert_eq!(
        (&table["published"], &table["sync"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(table["primary_key"], json!(["id"]));

    let change = json!({"description": "All orders", "folder": "Sales", "bucket": null});
    let changed = shop.put("/api/admin/registry/orders", &change).ok();
    assert_eq!(changed["updated"], json!(["description", "folder"]));
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(entry(&shop, "orders")["description"], "All orders");

    for name in ["  ", "a/b", "orders; DROP TABLE users"] {
        let refused = shop.post("/api/admin/register-table", &json!({"name": name}));
        assert_eq!(refused.status, 422, "{name}");
    }
    let refused = shop.put("/api/admin/registry/orders", &json!({"query_mode": "both"}));
    assert_eq!(refused.status, 422);
    assert_eq!(shop.delete("/api/admin/registry/big_sales").status, 204);
    let gone = shop.delete("/api/admin/registry/big_sales").detail();
    assert_eq!(gone, "404 Table not found");
    assert_eq!(entry(&shop, "big_sales"), Value::Null);
}
