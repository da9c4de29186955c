//! Webhooks against a whole server: signed deliveries become rows once, whatever happens in between.

use std::fs;
use std::ops::{Deref, DerefMut};

use axum::http::Method;
use domain::Digest;
use integration_tests::{App, Options, Response, until};
use serde_json::{Value, json};

const KEY: &str = "c4n4ry+Key/of~the.sender";

/// HMAC-SHA256 in hexadecimal digits, as a sender makes it.
fn hmac(key: &str, body: &[u8]) -> String {
    let pad = |with: u8| {
        let mut pad = [with; 64];
        pad.iter_mut()
            .zip(key.bytes())
            .for_each(|(pad, key)| *pad ^= key);
        pad
    };
    let inner = Digest::of(&[&pad(0x36)[..], body].concat()).to_string();
    let inner: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&inner[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    Digest::of(&[&pad(0x5c)[..], &inner].concat()).to_string()
}

/// A server with its configuration.
struct Scene {
    app: App,
    _config: tempfile::TempDir,
}

impl Deref for Scene {
    type Target = App;
    fn deref(&self) -> &App {
        &self.app
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut App {
        &mut self.app
    }
}

/// A server with the source `shop`, which takes webhooks that are signed with the key.
fn receiving(config: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instance.yaml");
    fs::write(&file, format!("config_version: 1\nwebhooks:\n{config}\n")).unwrap();
    let options = Options {
        arguments: vec!["--config".into(), file.display().to_string()],
        ..Options::default()
    };
    let app = App::with(options);
    app.install("hooks");
    app.add_source("shop", "hooks", &json!({}), &[]);
    let path = "/api/sources/shop/credentials/signing-key";
    assert_eq!(app.put(path, &json!({"value": KEY})).status, 204);
    Scene {
        app,
        _config: folder,
    }
}

/// Batches at once, so that tests do not wait.
fn prompt() -> Scene {
    receiving("  batch_milliseconds: 0")
}

fn deliver_signed(app: &App, source: &str, id: &str, body: &[u8], signature: &str) -> Response {
    let headers = [
        ("content-type", "application/json"),
        ("x-delivery", id),
        ("x-event", "paid"),
        ("x-signature", signature),
    ];
    let path = format!("/api/hooks/{source}");
    app.anonymous().send(Method::POST, &path, &headers, body)
}

fn deliver(app: &App, id: &str, body: &[u8]) -> Response {
    let signature = format!("sha256={}", hmac(KEY, body));
    deliver_signed(app, "shop", id, body, &signature)
}

#[track_caller]
fn accepted(app: &App, id: &str, body: &[u8]) {
    let answer = deliver(app, id, body);
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({"duplicate": false}))
    );
}

fn inbox(app: &App) -> Value {
    app.get("/api/sources/shop/inbox").ok()
}

fn settled(app: &App) -> Value {
    until("nothing waits", || inbox(app)["waiting"] == 0);
    inbox(app)
}

#[test]
fn a_signed_delivery_becomes_a_row_and_a_run_that_is_seen() {
    let app = prompt();
    accepted(&app, "a-1", br#"{"order": 7}"#);
    let inbox = settled(&app);
    assert_eq!(inbox["dead"], json!([]));
    assert!(inbox["last_at"].is_string(), "{inbox}");
    let rows = app.rows("SELECT id, place_in_batch, body FROM deliveries");
    assert_eq!(rows, json!([["a-1", 1, r#"{"order":7}"#]]));
    let headers = app.rows("SELECT headers FROM deliveries")[0][0].to_string();
    assert!(headers.contains(r#"\"x-event\":\"paid\""#), "{headers}");
    assert!(!headers.contains("signature"), "{headers}");
    let runs = app.get("/api/runs").ok();
    let run = &runs["runs"][0];
    assert_eq!(
        (&run["operation"], &run["source"]),
        (&json!("receive"), &json!("shop"))
    );
    until("the run has ended", || {
        app.get("/api/runs").ok()["runs"][0]["state"] == "succeeded"
    });
    let log = app.log(run["id"].as_str().unwrap());
    assert!(
        log.contains("deliveries 1 to 1: 1 of them, 12 bytes"),
        "{log}"
    );
    let told = app.post("/api/sources/shop/runs", &json!({"operation": "receive"}));
    assert_eq!(told.status, 422, "{}", told.detail());
}

#[test]
fn one_runner_takes_batch_after_batch_and_nothing_of_one_reaches_the_next() {
    let app = prompt();
    accepted(&app, "1", b"[1]");
    settled(&app);
    let first = app.runners();
    assert_eq!(first.len(), 1, "it stays warm: {first:?}");
    accepted(&app, "2", b"[2]");
    settled(&app);
    assert_eq!(app.runners(), first);
    // The component counts in its memory; each batch found it as new.
    let rows = app.rows("SELECT id, place_in_batch FROM deliveries ORDER BY id");
    assert_eq!(rows, json!([["1", 1], ["2", 1]]));
}

#[test]
fn what_is_not_signed_by_the_sender_gets_one_answer_whatever_is_wrong() {
    let app = prompt();
    app.install("files");
    let tables = json!({"tables": [{"name": "a", "url": "https://a.org/a.csv", "format": "csv"}]});
    app.add_source("pulling", "files", &tables, &[]);
    let body = b"{}";
    let right = format!("sha256={}", hmac(KEY, body));
    let foreign = format!("sha256={}", hmac("another", body));
    let mut answers = Vec::new();
    for (source, signature) in [
        ("shop", foreign.as_str()),
        ("shop", "sha256=00"),
        ("shop", ""),
        ("nowhere", &right),
        ("pulling", &right),
        ("..%2Fshop", &right),
    ] {
        answers.push(deliver_signed(&app, source, "1", body, signature).detail());
    }
    let altered = deliver_signed(&app, "shop", "1", b"{ }", &right);
    answers.push(altered.detail());
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].starts_with("401 "), "{answers:?}");
    assert_eq!(inbox(&app)["waiting"], 0);
    assert_eq!(app.get("/api/runs").ok()["runs"], json!([]));
}

#[test]
fn one_that_is_sent_again_becomes_no_second_row_also_after_a_restart() {
    let mut app = prompt();
    accepted(&app, "a", b"[1]");
    settled(&app);
    assert_eq!(deliver(&app, "a", b"[1]").ok(), json!({"duplicate": true}));
    app.restart();
    assert_eq!(deliver(&app, "a", b"[1]").ok(), json!({"duplicate": true}));
    accepted(&app, "b", b"[1]");
    settled(&app);
    assert_eq!(
        app.rows("SELECT id FROM deliveries ORDER BY id"),
        json!([["a"], ["b"]])
    );
}

#[test]
fn what_was_acknowledged_is_rows_exactly_once_wherever_the_server_is_killed() {
    // The window keeps the first ones from being published before the first kill.
    let mut app = receiving("  batch_milliseconds: 300\n  batch_deliveries: 10");
    let mut sent = Vec::new();
    for round in 0..6 {
        for n in 0..7 {
            let id = format!("{round}-{n}");
            accepted(&app, &id, format!("[{round},{n}]").as_bytes());
            sent.push(json!([id]));
        }
        match round % 3 {
            // Between acknowledgement and publish.
            0 => {}
            1 => until("a runner is at work", || !app.runners().is_empty()),
            _ => until("something was published", || inbox(&app)["waiting"] != 7),
        }
        app.kill();
        app.restart();
    }
    settled(&app);
    let rows = app.rows("SELECT id FROM deliveries ORDER BY id");
    assert_eq!(rows, Value::Array(sent));
}

#[test]
fn one_that_cannot_be_handled_is_set_aside_and_can_be_tried_again_or_dropped() {
    let app = receiving("  batch_milliseconds: 500");
    accepted(&app, "good", b"[1]");
    accepted(&app, "bad", b"<xml>");
    accepted(&app, "fine", b"[2]");
    let dead = settled(&app)["dead"].take();
    assert_eq!(
        app.rows("SELECT id FROM deliveries ORDER BY id"),
        json!([["fine"], ["good"]])
    );
    assert_eq!(dead.as_array().unwrap().len(), 1, "{dead}");
    assert_eq!(
        (&dead[0]["delivery"], &dead[0]["kind"]),
        (&json!("bad"), &json!("bug"))
    );
    let why = dead[0]["failure"].as_str().unwrap();
    assert!(why.starts_with("delivery bad is not JSON"), "{why}");

    let id = dead[0]["id"].as_u64().unwrap();
    let letter = format!("/api/sources/shop/inbox/{id}");
    assert_eq!(app.post(&format!("{letter}/retry"), &json!({})).status, 204);
    until("it is set aside again", || {
        inbox(&app)["dead"].as_array().unwrap().len() == 1
    });
    let id = settled(&app)["dead"][0]["id"].as_u64().unwrap();
    let letter = format!("/api/sources/shop/inbox/{id}");
    assert_eq!(app.delete(&letter).status, 204);
    assert_eq!(app.delete(&letter).status, 404);
    assert_eq!(inbox(&app)["dead"], json!([]));
}

#[test]
fn too_many_too_large_and_unnamed_deliveries_are_refused_and_told_when_to_come_again() {
    let app =
        receiving("  max_body_bytes: 1024\n  deliveries_per_minute: 2\n  batch_milliseconds: 0");
    assert_eq!(deliver(&app, "large", &[b' '; 2_000]).status, 413);
    assert_eq!(deliver(&app, "", b"{}").status, 400);
    accepted(&app, "1", b"{}");
    let last = deliver(&app, "2", b"{}");
    assert_eq!(last.status, 429, "{}", last.detail());
    assert!(last.header("retry-after").is_some());
    assert_eq!(
        app.post("/api/sources/shop/disable", &json!({})).status / 100,
        2
    );
    let disabled = deliver(&app, "3", b"{}");
    assert_eq!(disabled.status, 503, "{}", disabled.detail());
    assert!(disabled.header("retry-after").is_some());
}

#[test]
fn reading_from_the_start_brings_no_delivery_again_and_a_removed_source_leaves_no_inbox() {
    let mut app = prompt();
    accepted(&app, "a", b"[1]");
    settled(&app);
    app.post("/api/sources/shop/reset-cursor", &json!({})).ok();
    app.restart();
    accepted(&app, "b", b"[2]");
    settled(&app);
    assert_eq!(
        app.rows("SELECT id FROM deliveries ORDER BY id"),
        json!([["a"], ["b"]])
    );
    until("the source is idle", || {
        app.delete("/api/sources/shop").status == 204
    });
    assert!(!app.data.join("inbox/shop").exists());
}
