//! Chats that are linked by codes, and scripts that are kept and never run.

use integration_tests::App;
use serde_json::{Value, json};

/// Puts a code where the server looks for it.
fn show(app: &mut App, code: &str, chat: i64, when: &str) {
    app.rewrite_state(&format!(
        "INSERT INTO telegram_codes VALUES (sha256('{code}'), {chat}, now()::TIMESTAMP {when})"
    ));
}

#[test]
fn a_code_links_a_chat_once_and_in_time() {
    let mut app = App::start();
    show(&mut app, "123456", 42, "+ INTERVAL 10 MINUTES");
    show(&mut app, "654321", 43, "- INTERVAL 1 MINUTE");
    let verify = |app: &App, code: &str| app.post("/api/telegram/verify", &json!({"code": code}));
    let status = |app: &App| app.get("/api/telegram/status").ok();
    assert_eq!(status(&app), json!({"linked": false}));
    for code in ["000000", "654321"] {
        let refused = verify(&app, code).detail();
        assert_eq!(refused, "400 Invalid or expired code");
    }
    let linked = verify(&app, " 123456 ").ok();
    assert_eq!(linked, json!({"status": "linked", "chat_id": 42}));
    assert_eq!(verify(&app, "123456").status, 400, "a code works once");
    app.restart();
    let found = status(&app);
    assert_eq!(
        (&found["linked"], &found["chat_id"]),
        (&json!(true), &json!(42))
    );
    let other = app.newcomer("ada@example.com");
    assert_eq!(other.get("/api/telegram/status").ok()["linked"], false);
    let unlinked = app.post("/api/telegram/unlink", &json!({})).ok();
    assert_eq!(unlinked, json!({"status": "unlinked"}));
    assert_eq!(status(&app), json!({"linked": false}));
}

#[test]
fn guessing_codes_ends_soon() {
    let app = App::start();
    let tries = (0..100_000).map(|number| {
        let guess = json!({"code": format!("{number:06}")});
        app.post("/api/telegram/verify", &guess).status
    });
    let tries: Vec<_> = tries.take_while(|status| *status == 400).take(50).collect();
    assert!(tries.len() < 50, "{}", tries.len());
    assert_eq!(app.get("/api/me").status, 200, "the session goes on");
}

#[test]
fn a_script_is_kept_listed_and_removed() {
    let mut app = App::start();
    let script =
        json!({"name": "Report", "source": "raise SystemExit(1)\n", "schedule": "daily 07:00"});
    let deployed = app.post("/api/scripts/deploy", &script);
    assert_eq!(deployed.status, 201);
    let id = deployed.json()["id"].as_str().unwrap().to_owned();
    app.restart();
    let scripts = app.get("/api/scripts").ok();
    assert_eq!(scripts["count"], 1);
    let kept = &scripts["scripts"][0];
    assert_eq!(
        (&kept["source"], &kept["name"]),
        (&script["source"], &json!("Report"))
    );
    assert_eq!(kept["last_run"], Value::Null);
    for (key, value) in [
        ("name", ""),
        ("name", "a\nb"),
        ("source", " "),
        ("schedule", ""),
    ] {
        let mut broken = script.clone();
        broken[key] = json!(value);
        let refused = app.post("/api/scripts/deploy", &broken);
        assert_eq!(refused.status, 422, "{key} {value:?}");
    }
    let path = format!("/api/scripts/{id}");
    assert_eq!(app.delete(&path).status, 204);
    assert_eq!(app.delete(&path).detail(), "404 Script not found");
    assert_eq!(app.get("/api/scripts").ok()["count"], 0);
}
