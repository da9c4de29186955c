//! Users who ask for tables, and admins who say yes or no.

use integration_tests::Client;
use serde_json::{Value, json};

use crate::shop::Shop;

/// A server with two tables, and somebody who may read neither.
fn stage() -> (Shop, Client) {
    let shop = Shop::with_orders();
    assert_eq!(
        shop.publish("salaries", "name,amount\nAda,7\n"),
        "succeeded"
    );
    let ada = shop.newcomer("ada@example.com");
    (shop, ada)
}

fn ask(client: &Client, table: &str) -> integration_tests::Response {
    let request = json!({"table_id": table, "reason": "for the report"});
    client.post("/api/access-requests", &request)
}

#[track_caller]
fn asked(client: &Client, table: &str) -> String {
    let asked = ask(client, table);
    assert_eq!(asked.status, 201, "{}", asked.json());
    asked.json()["id"].as_str().unwrap().to_owned()
}

fn decide(shop: &Shop, id: &str, word: &str) -> integration_tests::Response {
    shop.post(&format!("/api/access-requests/{id}/{word}"), &json!({}))
}

#[test]
fn who_is_approved_reads_that_table_at_once_and_after_a_restart() {
    let (mut shop, ada) = stage();
    let id = asked(&ada, "Orders");
    let pending = shop.get("/api/access-requests/pending").ok();
    assert_eq!(pending["count"], 1);
    let request = &pending["requests"][0];
    assert_eq!(request["user_email"], "ada@example.com");
    assert_eq!(request["reason"], "for the report");
    assert_eq!(ada.tables(), [""; 0]);

    let approved = decide(&shop, &id, "approve").ok();
    assert_eq!(approved, json!({"status": "approved", "id": id}));
    assert_eq!(ada.tables(), ["orders"]);
    assert_eq!(ada.rows("SELECT count(*) FROM orders"), json!([[3]]));
    let access = ada.get("/api/me/effective-access").ok();
    let item = &access["items"][0];
    assert_eq!(item["via_groups"][0]["group_name"], "access:orders");

    shop.app().restart();
    let mine = shop
        .sign_in("ada@example.com")
        .get("/api/access-requests/my");
    let mine = mine.ok()["requests"][0].clone();
    assert_eq!(mine["status"], "approved");
    assert!(mine["reviewed_by"].is_string() && mine["reviewed_at"].is_string());
    let again = decide(&shop, &id, "deny").detail();
    assert_eq!(again, "404 Request not found or already processed");
}

#[test]
fn a_request_waits_once_and_may_be_made_again_after_it_was_denied() {
    let (shop, ada) = stage();
    let id = asked(&ada, "orders");
    let twice = ask(&ada, "ORDERS").detail();
    assert_eq!(
        twice,
        "409 You already have a pending request for this table"
    );
    decide(&shop, &id, "deny").ok();
    assert_eq!(ada.tables(), [""; 0]);
    let id = asked(&ada, "orders");
    decide(&shop, &id, "approve").ok();
    assert_eq!(ask(&ada, "orders").status, 409, "it may be read");
    let grace = shop.newcomer("grace@example.com");
    assert_eq!(
        grace.get("/api/access-requests/my").ok()["requests"],
        json!([])
    );
    let id = asked(&grace, "orders");
    decide(&shop, &id, "approve").ok();
    assert_eq!(grace.tables(), ["orders"]);
    let grants = shop.get("/api/admin/grants").ok();
    assert_eq!(grants.as_array().unwrap().len(), 1, "one group for both");
}

#[test]
fn asking_tells_nobody_what_is_there() {
    let (shop, ada) = stage();
    let shape = |table: &str| {
        let mut answer = ask(&ada, table);
        let status = std::mem::take(&mut answer.status);
        (status, answer.json()["status"].clone())
    };
    assert_eq!(shape("salaries"), shape("nothing"));
    let mine = ada.get("/api/access-requests/my").ok();
    for request in mine["requests"].as_array().unwrap() {
        let id = request["id"].as_str().unwrap();
        let approved = decide(&shop, id, "approve");
        let expected = if request["table_id"] == "nothing" {
            409
        } else {
            200
        };
        assert_eq!(approved.status, expected, "{request}");
    }
    assert_eq!(ada.tables(), ["salaries"]);
    for table in ["", "a b", "orders; DROP TABLE users", "../x"] {
        assert_eq!(ask(&ada, table).status, 422, "{table}");
    }
    let long = json!({"table_id": "orders", "reason": "x".repeat(3000)});
    assert_eq!(ada.post("/api/access-requests", &long).status, 422);
}

#[test]
fn nobody_fills_the_list_of_the_admins() {
    let (shop, ada) = stage();
    for number in 0..50 {
        asked(&ada, &format!("table_{number}"));
    }
    assert_eq!(ask(&ada, "orders").status, 409);
    let pending: Value = shop.get("/api/access-requests/pending").ok();
    assert_eq!(pending["count"], 50);
}
