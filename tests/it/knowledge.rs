//! What people know: written by users, reviewed by admins, seen by its audience.

use integration_tests::Client;
use serde_json::{Value, json};

use crate::shop::Shop;

#[track_caller]
fn add(client: &Client, title: &str) -> String {
    let item = json!({"title": title, "content": "MRR is net of refunds",
        "category": "business_logic", "tags": ["metrics"], "domain": "finance"});
    let added = client.post("/api/memory", &item);
    assert_eq!(added.status, 201);
    let added = added.json();
    assert_eq!(added["status"], "pending");
    added["id"].as_str().unwrap().to_owned()
}

fn review(client: &Client, what: &str, id: &str, words: &Value) -> integration_tests::Response {
    client.post(&format!("/api/memory/admin/{what}?item_id={id}"), words)
}

#[track_caller]
fn titles(client: &Client, query: &str) -> Vec<String> {
    let page = client.get(&format!("/api/memory{query}")).ok();
    let items = page["items"].as_array().unwrap();
    assert_eq!(page["count"], items.len());
    let titles = items.iter().map(|item| item["title"].as_str().unwrap());
    titles.map(str::to_owned).collect()
}

#[test]
fn an_item_is_written_found_voted_on_and_reviewed() {
    let mut shop = Shop::open();
    let ada = shop.newcomer("ada@example.com");
    let id = add(&ada, "What MRR is");
    add(&ada, "What churn is");
    assert_eq!(
        titles(&ada, "?search=mrr%20is&per_page=1&page=2"),
        ["What MRR is"]
    );
    assert_eq!(titles(&ada, "?search=churn"), ["What churn is"]);
    assert_eq!(titles(&ada, "?domain=sales"), [""; 0]);

    let vote = |vote: i64| ada.post(&format!("/api/memory/{id}/vote"), &json!({"vote": vote}));
    vote(-1).ok();
    assert_eq!(vote(1).ok(), json!({"upvotes": 1, "downvotes": 0}));
    assert_eq!(vote(2).detail(), "400 Vote must be 1, -1, or 0 (retract)");
    assert_eq!(ada.get("/api/memory/my-votes").ok()[&id], 1);

    assert_eq!(review(&ada, "approve", &id, &json!({})).status, 403);
    assert_eq!(review(&shop, "revoke", &id, &json!({})).status, 409);
    assert_eq!(
        review(&shop, "approve", &id, &json!({})).ok()["status"],
        "approved"
    );
    assert_eq!(review(&shop, "reject", &id, &json!({})).status, 409);
    let edit = json!({"title": "What net MRR is"});
    assert_eq!(
        review(&shop, "edit", &id, &edit).ok()["updated"],
        json!(["title"])
    );
    shop.app().restart();
    let ada = Client::new(&shop.url, ada.token);
    assert_eq!(titles(&ada, "?status_filter=approved"), ["What net MRR is"]);
    let stats = ada.get("/api/memory/stats").ok();
    assert_eq!(stats["by_status"], json!({"approved": 1, "pending": 1}));
    assert_eq!(ada.get("/api/memory/my-contributions").ok()["count"], 2);
}

#[test]
fn an_item_for_a_group_is_for_its_members_only() {
    let shop = Shop::open();
    let (ada, eve) = (
        shop.newcomer("ada@example.com"),
        shop.newcomer("eve@example.com"),
    );
    let group = shop.add_group("Finance");
    shop.join(&group, "ada@example.com");
    let id = add(&ada, "What MRR is");
    let words = json!({"audience": "group:Finance", "reason": "law"});
    assert_eq!(
        review(&shop, "mandate", &id, &words).ok()["status"],
        "mandatory"
    );
    assert_eq!(titles(&ada, ""), ["What MRR is"]);
    assert_eq!(titles(&eve, ""), [""; 0]);
    let vote = eve.post(&format!("/api/memory/{id}/vote"), &json!({"vote": 1}));
    assert_eq!(vote.detail(), "404 Knowledge item not found");
    let nobody = "00000000-0000-0000-0000-000000000000";
    let batch = json!({"item_ids": [id, nobody], "action": "revoke"});
    let done = shop.post("/api/memory/admin/batch", &batch).ok();
    assert_eq!(
        done,
        json!({"success": [id], "not_found": [nobody], "refused": []})
    );
}
