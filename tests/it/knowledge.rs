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

#[test]
fn a_bundle_has_what_holds_for_whoever_asks_and_a_personal_item_only_for_its_author() {
    let shop = Shop::open();
    let (ada, eve) = (
        shop.newcomer("ada@example.com"),
        shop.newcomer("eve@example.com"),
    );
    let (must, good) = (add(&ada, "What MRR is"), add(&ada, "What churn is"));
    add(&ada, "Nobody has looked at this");
    review(&shop, "mandate", &must, &json!({})).ok();
    review(&shop, "approve", &good, &json!({})).ok();
    let bundle = eve.get("/api/memory/bundle").ok();
    assert_eq!(bundle["mandatory"][0]["id"], must, "{bundle}");
    assert_eq!(bundle["approved"][0]["id"], good, "{bundle}");
    assert_eq!(bundle["approved"].as_array().unwrap().len(), 1);
    assert_eq!(bundle["token_budget"], 6_000);

    let flag = |client: &Client| {
        client.post(
            &format!("/api/memory/{good}/personal"),
            &json!({"is_personal": true}),
        )
    };
    assert_eq!(
        flag(&eve).detail(),
        "403 Only the contributor can flag personal items"
    );
    assert_eq!(flag(&ada).ok(), json!({"id": good, "is_personal": true}));
    assert_eq!(eve.get("/api/memory/bundle").ok()["approved"], json!([]));
    let origin = format!("/api/memory/{good}/provenance");
    assert_eq!(eve.get(&origin).status, 404);
    assert_eq!(ada.get(&origin).ok()["source_user"], "ada@example.com");
}

#[test]
fn what_others_say_for_an_item_makes_it_surer() {
    let shop = Shop::open();
    let ada = shop.newcomer("ada@example.com");
    let eve = shop.newcomer("eve@example.com");
    let id = add(&ada, "What MRR is");
    let back = |client: &Client, how: &str| {
        let words = json!({"detection_type": how, "user_quote": "it is so"});
        client.post(&format!("/api/memory/{id}/evidence"), &words)
    };
    assert_eq!(
        back(&eve, "hearsay").detail(),
        "422 `detection_type` is one of: correction, confirmation, unprompted_definition"
    );
    assert_eq!(back(&ada, "confirmation").json()["confidence"], 0.5);
    assert_eq!(back(&eve, "correction").json()["confidence"], 0.55);
    let origin = ada.get(&format!("/api/memory/{id}/provenance")).ok();
    assert_eq!(origin["confidence"], 0.55);
    assert_eq!(origin["evidence"][1]["user_quote"], "it is so");
    assert_eq!(origin["evidence"][1]["source_user"], "eve@example.com");
}

#[test]
fn admins_see_what_waits_and_settle_contradictions_once() {
    let mut shop = Shop::open();
    let ada = shop.newcomer("ada@example.com");
    let (net, gross) = (add(&ada, "MRR is net"), add(&ada, "MRR is gross"));
    let waiting = shop
        .get("/api/memory/admin/pending?category=business_logic")
        .ok();
    assert_eq!(waiting["count"], 2);
    assert_eq!(waiting["items"][0]["id"], net, "oldest first: {waiting}");
    assert_eq!(ada.get("/api/memory/admin/pending").status, 403);

    let path = "/api/memory/admin/contradictions";
    let clash = |a: &str, b: &str| {
        let found =
            json!({"item_a_id": a, "item_b_id": b, "explanation": "either or", "severity": "hard"});
        shop.post(path, &found)
    };
    let nobody = "00000000-0000-0000-0000-000000000000";
    assert_eq!(
        clash(&net, nobody).detail(),
        format!("404 Item B not found: {nobody}")
    );
    assert_eq!(clash(&net, &net).status, 422);
    let id = clash(&net, &gross).ok()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("kc_"), "{id}");
    let settle = |how: &str| {
        let verdict = json!({"resolution": how});
        shop.post(&format!("{path}/{id}/resolve"), &verdict)
    };
    assert_eq!(
        settle("merge").detail(),
        "400 Resolution must be one of: kept_a, kept_b, merged, both_valid"
    );
    assert_eq!(
        settle("kept_a").ok(),
        json!({"id": id, "resolved": true, "resolution": "kept_a"})
    );
    assert_eq!(
        settle("kept_b").detail(),
        "400 Contradiction already resolved"
    );
    shop.app().restart();
    let settled = shop.get(&format!("{path}?resolved=true")).ok();
    assert_eq!(settled["contradictions"][0]["resolution"], "kept_a");
    assert_eq!(settled["contradictions"][0]["item_b"]["id"], gross);
    assert_eq!(shop.get(&format!("{path}?resolved=false")).ok()["count"], 0);
    let done = shop.get("/api/memory/admin/audit").ok();
    assert_eq!(done["entries"][0]["action"], "km_resolve", "{done}");
}
