//! What a source is granted: shown, stored, and asked for anew by a version that wants more.

use integration_tests::{App, outcome, shown, without_digests};
use serde_json::{Value, json};

use crate::lifecycle::install;

/// A server with a source at a version, and a newer version that asks for one host more.
fn stage() -> (App, String, String) {
    let app = App::start();
    let first = install(&app, "1.0.0", |_| {});
    let settings = json!({"behaviour": "resumes", "rows": 3});
    app.add_source("shop", "fixtures", &settings, &["127.0.0.1:9"]);
    let second = install(&app, "2.0.0", |m| {
        m["egress"] = json!(["{settings.url}", "api.example.com"]);
        m["credentials"][0]["hosts"] = json!(["api.example.com"]);
    });
    (app, first, second)
}

fn version(app: &App) -> Value {
    app.get("/api/sources/shop").ok()["version"].take()
}

#[test]
fn a_version_that_wants_more_waits_for_a_grant_while_the_old_one_runs() {
    let (app, first, second) = stage();
    let asked = app.post("/api/sources/shop/upgrade", &json!({}));
    assert_eq!(asked.status, 202);
    let asked = asked.json();
    assert_eq!(asked["state"], "waiting");
    let missing = json!([
        "egress to api.example.com",
        "credential `api-key` sent to api.example.com"
    ]);
    assert_eq!(asked["missing"], missing);
    assert_eq!(version(&app), first.as_str());
    assert_eq!(outcome(&app.run("shop")), "succeeded");

    let grant = app.get("/api/sources/shop/grant").ok();
    assert_eq!(
        (&grant["waiting"], &grant["missing"]),
        (&json!(true), &missing)
    );
    assert_eq!(grant["version"], second.as_str());
    assert_eq!(grant["requested"]["egress"], json!(["api.example.com"]));
    assert_eq!(grant["granted"]["egress"], json!([]));

    let little = json!({"grant": {"egress": ["other.example.com"]}});
    insta::assert_snapshot!(app.post("/api/sources/shop/grant", &little).detail(), @"422 the connector asks for more than was granted: egress to api.example.com; credential `api-key` sent to api.example.com");
    let granted = app.post("/api/sources/shop/grant", &json!({})).ok();
    assert_eq!(
        (&granted["state"], &granted["version"]),
        (&json!("done"), &json!(second))
    );
    assert_eq!(version(&app), second.as_str());
    let after = app.get("/api/sources/shop/grant").ok();
    assert_eq!(
        (&after["waiting"], &after["missing"]),
        (&json!(false), &json!([]))
    );
    assert_eq!(after["granted"]["egress"], json!(["api.example.com"]));
    // What the admin had granted beyond the manifest stays.
    assert_eq!(
        after["granted"]["private_addresses"],
        json!(["127.0.0.1:9"])
    );
    assert_eq!(outcome(&app.run("shop")), "succeeded");
}

#[test]
fn a_refused_upgrade_leaves_the_source_where_it_is() {
    let (app, first, _) = stage();
    app.post("/api/sources/shop/upgrade", &json!({})).ok();
    assert_eq!(app.delete("/api/sources/shop/upgrade").status, 204);
    insta::assert_snapshot!(app.delete("/api/sources/shop/upgrade").detail(), @"404 there is no waiting upgrade of source `shop`");
    let grant = app.get("/api/sources/shop/grant").ok();
    assert_eq!(
        (&grant["waiting"], &grant["missing"]),
        (&json!(false), &json!([]))
    );
    assert_eq!(version(&app), first.as_str());
}

#[test]
fn a_version_that_was_revoked_while_it_waited_is_not_let_in_by_the_grant() {
    let (app, first, second) = stage();
    app.post("/api/sources/shop/upgrade", &json!({})).ok();
    app.delete(&format!("/api/connectors/{second}/trust")).ok();
    assert_eq!(app.post("/api/sources/shop/grant", &json!({})).status, 409);
    assert_eq!(version(&app), first.as_str());
    let grant = app.get("/api/sources/shop/grant").ok();
    assert_eq!(grant["granted"]["egress"], json!([]), "nothing was granted");
}

#[test]
fn a_source_whose_version_asks_for_more_than_is_granted_waits_for_a_grant() {
    let app = App::start();
    install(&app, "1.0.0", |m| {
        m["egress"] = json!(["api.example.com"]);
        m["credentials"] = json!([]);
    });
    let settings = json!({"behaviour": "resumes", "rows": 3});
    app.add_source("shop", "fixtures", &settings, &[]);
    install(&app, "2.0.0", |m| {
        m["egress"] = json!([]);
        m["credentials"] = json!([]);
    });
    app.post("/api/sources/shop/upgrade", &json!({})).ok();
    // The new version needs nothing of it, so the admin takes it back; the old one needs it again.
    app.post("/api/sources/shop/grant", &json!({"grant": {}}))
        .ok();
    assert_eq!(outcome(&app.run("shop")), "succeeded");
    app.post("/api/sources/shop/rollback", &json!({})).ok();
    let run = app.post("/api/sources/shop/runs", &json!({}));
    insta::assert_snapshot!(run.detail(), @"409 source `shop` waits for a grant: its connector asks for egress to api.example.com; see `sluice source grant shop`");
    let grant = app.get("/api/sources/shop/grant").ok();
    assert_eq!(grant["missing"], json!(["egress to api.example.com"]));
    app.post("/api/sources/shop/grant", &json!({})).ok();
    assert_eq!(outcome(&app.run("shop")), "succeeded");
}

#[test]
fn the_command_line_shows_the_difference_and_needs_a_yes() {
    let (app, _, _) = stage();
    let cli = |words: &str| {
        let output = app.cli().args(words.split(' ')).output().unwrap();
        let told = without_digests(&shown(&output));
        let told = told.lines().map(|line| match line.split_once("of a run:") {
            Some((head, _)) => format!("{head}of a run"),
            None => line.to_owned(),
        });
        told.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(cli("source grant shop"), @r"
    exit status: 0
    --- stdout
    Its version asks for nothing more.
    --- stderr
    Source `shop` is granted:
      • the inner address 127.0.0.1:9
      • limits of a run
    ");
    insta::assert_snapshot!(cli("source upgrade shop"), @r"
    exit status: 0
    --- stdout
    Source `shop` stays where it is: version DIGEST waits for a grant of
      + egress to api.example.com
      + credential `api-key` sent to api.example.com
    Grant it: sluice source grant shop; or refuse it: sluice source grant shop --refuse
    --- stderr
    ");
    insta::assert_snapshot!(cli("source grant shop"), @r"
    exit status: 1
    --- stdout
    --- stderr
    Source `shop` is granted:
      • the inner address 127.0.0.1:9
      • limits of a run
    Version DIGEST asks for more:
      + egress to api.example.com
      + credential `api-key` sent to api.example.com
    error: nobody is there to grant this
    hint: pass --yes to grant what is asked for
    ");
    insta::assert_snapshot!(cli("source grant shop --refuse"), @r"
    exit status: 0
    --- stdout
    Refused. Source `shop` stays at its version.
    --- stderr
    ");
    insta::assert_snapshot!(cli("source upgrade shop"), @r"
    exit status: 0
    --- stdout
    Source `shop` stays where it is: version DIGEST waits for a grant of
      + egress to api.example.com
      + credential `api-key` sent to api.example.com
    Grant it: sluice source grant shop; or refuse it: sluice source grant shop --refuse
    --- stderr
    ");
    insta::assert_snapshot!(cli("source grant shop --yes"), @r"
    exit status: 0
    --- stdout
    Granted. Source `shop` is at version DIGEST.
    --- stderr
    Source `shop` is granted:
      • the inner address 127.0.0.1:9
      • limits of a run
    Version DIGEST asks for more:
      + egress to api.example.com
      + credential `api-key` sent to api.example.com
    ");
}

#[test]
fn an_admin_may_grant_less_than_a_connector_asks_for_and_that_is_what_a_run_gets() {
    let app = App::start();
    install(&app, "1.0.0", |m| m["limits"] = json!({"rows": 100}));
    let settings = json!({"behaviour": "rows", "rows": 50});
    let source = |name: &str, rows: u64| {
        let grant = json!({"limits": {"rows": rows}});
        json!({"name": name, "connector": "fixtures", "settings": settings, "grant": grant})
    };
    app.post("/api/sources", &source("enough", 50)).ok();
    assert_eq!(outcome(&app.run("enough")), "succeeded");
    app.post("/api/sources", &source("little", 49)).ok();
    let told = outcome(&app.run("little"));
    assert!(told.starts_with("failed (limit): "), "{told}");
    // As much as the admin saw and did not give does not wait; more than that does.
    install(&app, "1.1.0", |m| m["limits"] = json!({"rows": 100}));
    assert_eq!(
        app.post("/api/sources/little/upgrade", &json!({})).status,
        200
    );
    install(&app, "1.2.0", |m| m["limits"] = json!({"rows": 101}));
    let asked = app.post("/api/sources/little/upgrade", &json!({}));
    assert_eq!(asked.status, 202);
    assert_eq!(asked.json()["missing"], json!(["101 rows (granted: 49)"]));
}
