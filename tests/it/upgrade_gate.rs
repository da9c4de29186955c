//! Versions compared by the server over what it recorded, and sources that move only when they agree.

use std::process::Output;

use integration_tests::wasm::with_manifest;
use integration_tests::{App, component, files, shown, until, without_digests};
use serde_json::{Value, json};

use crate::shop::Shop;

/// A shop whose source was recorded twice, at version 1 of its connector.
fn recorded() -> Shop {
    let shop = Shop::of(App::start());
    let orders = files::csv("orders", &shop.internet.url("/orders.csv"));
    shop.source("shop", [orders]);
    decide(&shop, &json!({"recordings": 2}));
    for _ in 0..3 {
        assert_eq!(shop.outcome("shop"), "succeeded");
    }
    shop
}

#[track_caller]
fn decide(shop: &Shop, policy: &Value) -> Value {
    shop.put("/api/sources/shop/policy", policy).ok()
}

/// The connector with another manifest: another version.
fn other(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let files = std::fs::read(component("files")).unwrap();
    with_manifest(&files, |manifest| {
        manifest["version"] = json!("2.0.0");
        change(manifest);
    })
}

/// One that does the same.
fn same() -> Vec<u8> {
    other(|_| {})
}

/// One that gets through fewer rows than the source has.
fn narrower() -> Vec<u8> {
    other(|manifest| manifest["limits"] = json!({"rows": 2}))
}

fn version(shop: &Shop) -> String {
    let source = shop.get("/api/sources/shop").ok();
    source["version"].as_str().unwrap().to_owned()
}

/// The last comparison, once it is done.
#[track_caller]
fn compared(shop: &Shop, with: &str) -> Value {
    let mut last = Value::Null;
    until("the versions are compared", || {
        last = shop.get("/api/sources/shop/policy").ok()["last_comparison"].take();
        last["new"] == with && last["state"] != "running"
    });
    last
}

fn compare(shop: &Shop, new: &str) -> Output {
    let mut command = shop.cli();
    command.args(["connector", "compare", "--source", "shop", "--runs", "2"]);
    command.args([&version(shop), new]).output().unwrap()
}

#[test]
fn a_server_replays_its_recordings_on_both_versions_before_anybody_trusts_the_new_one() {
    let shop = recorded();
    let asked = shop.internet.seen().len();
    let upload = |bytes: &[u8]| {
        let version = shop.upload(&shop.key.sign_bytes(bytes)).ok();
        version["digest"].as_str().unwrap().to_owned()
    };
    let (same, narrower) = (upload(&same()), upload(&narrower()));
    let agreed = compare(&shop, &same);
    assert!(agreed.status.success(), "{}", shown(&agreed));
    let told = String::from_utf8(agreed.stdout).unwrap();
    assert_eq!(
        told.matches("the same, 3 rows by 1 request,").count(),
        2,
        "{told}"
    );

    let differ = compare(&shop, &narrower[..12]);
    assert_eq!(differ.status.code(), Some(1), "{}", shown(&differ));
    let told = String::from_utf8(differ.stdout).unwrap();
    for part in [
        "outcome: succeeded → it failed",
        "rows: orders: 3 gone, 0 new",
    ] {
        assert_eq!(told.matches(part).count(), 2, "{part}: {told}");
    }
    assert_eq!(
        shop.internet.seen().len(),
        asked,
        "nothing was asked of the service"
    );
    assert_eq!(
        shop.orders(),
        json!([[3]]),
        "what was published is as it was"
    );
    let left = std::fs::read_dir(shop.data.join("recordings/.trials")).unwrap();
    assert_eq!(left.count(), 0, "what was replayed is thrown away");
}

#[test]
fn a_source_that_waits_for_agreement_moves_when_the_versions_agree() {
    let shop = recorded();
    let old = version(&shop);
    decide(&shop, &json!({"upgrade": "when-agreed", "recordings": 2}));
    let new = shop.install_bytes(&same());
    until("the source is moved", || version(&shop) == new);
    let comparison = compared(&shop, &new);
    assert_eq!(
        (&comparison["state"], &comparison["old"]),
        (&json!("agree"), &json!(old))
    );
    assert_eq!(comparison["runs"].as_array().unwrap().len(), 2);
    assert_eq!(shop.outcome("shop"), "succeeded");
    let back = shop.post("/api/sources/shop/rollback", &json!({})).ok();
    assert_eq!(back["version"], old);
}

#[test]
fn a_source_that_waits_for_agreement_stays_when_the_versions_differ_and_says_where() {
    let shop = recorded();
    let old = version(&shop);
    decide(&shop, &json!({"upgrade": "when-agreed", "recordings": 2}));
    let new = shop.install_bytes(&narrower());
    let comparison = compared(&shop, &new);
    assert_eq!(comparison["state"], "differ");
    assert_eq!(version(&shop), old);
    let shown = shop
        .cli()
        .args(["source", "policy", "shop"])
        .output()
        .unwrap();
    let shown = without_digests(&String::from_utf8(shown.stdout).unwrap());
    assert!(shown.contains("DIGEST and DIGEST: differ"), "{shown}");
    assert!(shown.contains("rows: orders: 3 gone, 0 new"), "{shown}");
}

#[test]
fn a_source_stays_when_the_newer_version_asks_for_more_than_was_granted() {
    let shop = recorded();
    let old = version(&shop);
    decide(&shop, &json!({"upgrade": "when-agreed", "recordings": 2}));
    let greedy = other(|manifest| {
        let egress = manifest["egress"].as_array_mut().unwrap();
        egress.push(json!("api.example.com"));
    });
    let new = shop.install_bytes(&greedy);
    let comparison = compared(&shop, &new);
    assert_eq!(comparison["state"], "agree");
    assert_eq!(comparison["missing"], json!(["egress to api.example.com"]));
    assert_eq!(version(&shop), old);
}

#[test]
fn a_source_moves_by_hand_unless_it_was_decided_otherwise() {
    let shop = recorded();
    let old = version(&shop);
    let new = shop.install_bytes(&same());
    let policy = shop.get("/api/sources/shop/policy").ok();
    assert_eq!(
        (&policy["upgrade"], &policy["last_comparison"]),
        (&json!("manual"), &Value::Null)
    );
    assert_eq!(version(&shop), old);
    // What was trusted before the decision counts too.
    decide(&shop, &json!({"upgrade": "when-agreed", "recordings": 2}));
    until("the source is moved", || version(&shop) == new);
}

#[test]
fn a_policy_that_cannot_work_is_refused_and_one_against_recordings_removes_them() {
    let shop = recorded();
    let put = |policy: &Value| shop.put("/api/sources/shop/policy", policy);
    let none = put(&json!({"upgrade": "when-agreed", "recordings": 0}));
    insta::assert_snapshot!(none.detail(), @"422 nothing is recorded of this source over which versions could agree: set `recordings` to 1 or more");
    assert_eq!(put(&json!({"recordings": 101})).status, 422);
    assert_eq!(put(&json!({"compare_runs": 0})).status, 422);
    assert_eq!(put(&json!({"upgrades": "manual"})).status, 422);
    let recordings = shop.data.join("recordings/shop");
    assert_eq!(std::fs::read_dir(&recordings).unwrap().count(), 2);
    put(&json!({"recordings": 0})).ok();
    assert!(!recordings.exists());
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert!(!recordings.exists());

    let asked = shop.post("/api/sources/shop/comparisons", &json!({})).ok();
    let failed = compared(&shop, asked["new"].as_str().unwrap());
    insta::assert_snapshot!(failed["failure"].as_str().unwrap(), @"there is no recorded run of `shop`: have its runs recorded with `sluice source policy shop --recordings 5`");
}
