//! The attempts to get out of a query that `tests/escapes.json` lists, over the API: by somebody who was granted one
//! table, and by an agent with a token of hers.

use serde_json::Value;

use crate::shop::{Shop, count};

/// A row of the table that was not granted.
const SECRET: &str = "7f3a-nobody";

/// All attempts, with whether the answer must be a refusal.
fn attempts() -> Vec<(bool, String)> {
    let all: Value = serde_json::from_str(include_str!("../escapes.json")).unwrap();
    let text = |sql: &Value| sql.as_str().unwrap().to_owned();
    let refused = all["refused"].as_object().unwrap().values();
    let refused = refused.flat_map(|kind| kind.as_array().unwrap());
    let harmless = all["harmless"].as_array().unwrap().iter();
    // What only a limit of time ends is tried beside the engine, with a short one.
    let quick = harmless.filter(|sql| !sql.to_string().contains("0000"));
    let refused = refused.map(|sql| (true, text(sql)));
    refused.chain(quick.map(|sql| (false, text(sql)))).collect()
}

#[test]
fn no_attempt_gets_out_of_a_grant_over_the_api() {
    let mut shop = Shop::with_orders();
    assert_eq!(
        shop.publish("salaries", &format!("who,amount\n{SECRET},1\n")),
        "succeeded"
    );
    let ada = shop.newcomer("ada@example.com");
    let readers = shop.add_group("readers");
    shop.join(&readers, "ada@example.com");
    shop.grant(&readers, "read", "table", "orders");
    let agent = ada.token_for(&["data"]);
    let root = shop.app.data.display().to_string();
    for (number, (refused, sql)) in attempts().into_iter().enumerate() {
        let who = if number % 2 == 0 { &ada } else { &agent };
        let answer = who.query(&sql);
        let told = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(answer.status < 500, "{sql}: {told}");
        assert!(!refused || answer.status >= 400, "{sql}: {told}");
        assert!(
            !told.contains(SECRET) && !told.contains(&root),
            "{sql}: {told}"
        );
        let named = sql.to_lowercase().contains("salaries");
        assert!(named || !told.contains("salaries"), "{sql}: {told}");
    }
    assert_eq!(ada.rows("SELECT count(*) FROM orders"), count(3));
    shop.app().restart();
    assert_eq!(shop.orders(), count(3));
}
