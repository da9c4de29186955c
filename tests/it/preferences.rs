//! What users want to have on their own machines.

use serde_json::{Value, json};

use crate::shop::Shop;

#[test]
fn choices_are_taken_for_what_one_may_read_and_stay() {
    let mut shop = Shop::with_orders();
    assert_eq!(
        shop.publish("salaries", "name,amount\nAda,7\n"),
        "succeeded"
    );
    let ada = shop.newcomer("ada@example.com");
    let group = shop.add_group("Team");
    shop.join(&group, "ada@example.com");
    shop.grant(&group, "read", "source", "shop");

    let wanted = json!({"datasets": {"shop": true, "salaries": true, "nothing": true}});
    let updated = ada.post("/api/sync/settings", &wanted).ok();
    let refused = json!({"error": "no permission"});
    assert_eq!(
        updated["updated"],
        json!({"shop": {"enabled": true}, "salaries": refused, "nothing": refused})
    );
    let tables = json!({"table_mode": "explicit", "tables": {"ORDERS": false, "salaries": true}});
    let updated = ada.post("/api/sync/table-subscriptions", &tables).ok();
    assert_eq!(updated, json!({"table_mode": "explicit", "updated": 1}));

    shop.app().restart();
    let ada = shop.sign_in("ada@example.com");
    let settings = ada.get("/api/sync/settings").ok();
    assert_eq!(settings["enabled_datasets"], json!(["shop"]));
    let tables = ada.get("/api/sync/table-subscriptions").ok();
    assert_eq!(tables["subscriptions"][0]["dataset"], "orders");
    assert_eq!(tables["subscriptions"][0]["enabled"], false);
    assert_eq!(tables["subscriptions"].as_array().unwrap().len(), 1);

    let off = json!({"dataset": "shop", "enabled": false});
    assert_eq!(ada.put("/api/settings/dataset", &off).ok(), off);
    let settings = ada.get("/api/settings").ok();
    assert_eq!(settings["sync_settings"][0]["enabled"], false);
    let hidden = json!({"dataset": "salaries", "enabled": true});
    let hidden = ada.put("/api/settings/dataset", &hidden).detail();
    assert_eq!(hidden, "403 No access to dataset 'salaries'");
    let mine: Value = shop.get("/api/sync/settings").ok();
    assert_eq!(mine["settings"], json!([]), "each user has their own");
}
