//! What is known about tables beside their rows.

use serde_json::json;

use crate::shop::Shop;

#[test]
fn an_admin_says_what_columns_mean_one_by_one() {
    let mut shop = Shop::with_orders();
    let say = |shop: &Shop, columns| {
        shop.post("/api/admin/metadata/orders", &json!({"columns": columns}))
    };
    let both = json!([
        {"column_name": "amount", "basetype": "NUMERIC", "description": "in euros"},
        {"column_name": "paid", "confidence": "high"},
    ]);
    assert_eq!(say(&shop, both).ok(), json!({"status": "ok", "count": 2}));
    let one = json!([{"column_name": "Amount", "description": "in cents"}]);
    say(&shop, one).ok();
    shop.app().restart();
    let told = shop.get("/api/admin/metadata/Orders").ok();
    let columns = told["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 2);
    assert_eq!(columns[0]["description"], "in cents");
    assert_eq!(columns[0]["confidence"], "manual");
    assert_eq!(columns[1]["confidence"], "high");
    for name in ["", "a\nb", &"x".repeat(400)] {
        let refused = say(&shop, json!([{"column_name": name}]));
        assert_eq!(refused.status, 422, "{name}");
    }
    let long = json!([{"column_name": "paid", "description": "x".repeat(5000)}]);
    assert_eq!(say(&shop, long).status, 422);
}

#[test]
fn a_profile_is_made_once_for_each_version_for_those_who_may_read_its_table() {
    let mut shop = Shop::with_orders();
    // What was kept under an older version is not shown.
    shop.app().rewrite_state(
        "INSERT INTO table_profiles VALUES ('orders', '{\"row_count\": 300}', now()::TIMESTAMP)",
    );
    let profile = shop.get("/api/catalog/profile/Orders").ok();
    assert_eq!(profile["row_count"], 3);
    assert_eq!(profile["columns"][0]["name"], "id");
    assert_eq!(profile["used_by_metrics"], json!([]));
    let again = shop.get("/api/catalog/profile/orders").ok();
    assert_eq!(again, profile, "profiled_at too: it was not made again");
    let path = "/api/catalog/profile/orders/refresh";
    let made = shop.post(path, &json!({})).ok();
    assert_eq!(made["table"], "orders");
    let newer = shop.get("/api/catalog/profile/orders").ok();
    assert_ne!(newer["profiled_at"], profile["profiled_at"]);
    let ada = shop.newcomer("ada@example.com");
    let hidden = ada.get("/api/catalog/profile/orders").detail();
    let missing = ada.get("/api/catalog/profile/nothing").detail();
    assert_eq!(hidden, "404 Profile not found for 'orders'");
    assert_eq!(hidden.replace("orders", "nothing"), missing);
    assert_eq!(ada.post(path, &json!({})).status, 404);
}
