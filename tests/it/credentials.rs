//! A credential is used by the host for the hosts that it is bound to, and is to be found nowhere.

use std::path::Path;

use axum::response::IntoResponse;
use base64::Engine;
use integration_tests::{App, Internet, component, files, outcome, wasm};
use serde_json::json;

use crate::shop::Shop;

const CANARY: &str = "c4n4ry-Value_that/must+not.be=seen";

/// A server whose connector `files` has a slot `token`, bound to one internet.
fn with_slot(internet: &Internet) -> App {
    let app = App::start();
    let files = std::fs::read(component("files")).unwrap();
    let slot = json!([{
        "name": "token", "title": "The token of the shop", "required": true,
        "hosts": [internet.url("")],
        "scheme": "header", "header": "X-Shop-Token", "prefix": "Token "
    }]);
    app.install_bytes(&wasm::with_manifest(&files, |m| m["credentials"] = slot));
    app
}

fn enter(app: &App, value: &str) -> u16 {
    app.put(
        "/api/sources/shop/credentials/token",
        &json!({"value": value}),
    )
    .status
}

#[test]
fn the_host_adds_it_to_requests_to_the_hosts_it_is_bound_to_and_to_no_other() {
    let (bound, other) = (Internet::start(), Internet::start());
    bound.page("/a.csv", "text/csv", "x\n1\n");
    other.page("/b.csv", "text/csv", "x\n1\n");
    let app = with_slot(&bound);
    let tables = [
        files::csv("a", &bound.url("/a.csv")),
        files::csv("b", &other.url("/b.csv")),
    ];
    let private = [bound.exception(), other.exception()];
    let private = private.each_ref().map(String::as_str);
    app.add_source("shop", "files", &files::settings(tables), &private);

    insta::assert_snapshot!(outcome(&app.run("shop")), @"failed (config): the credential `token` (The token of the shop) is missing; enter it with `sluice source credential shop token`");
    assert!(
        bound.seen().is_empty(),
        "nothing is asked for without the credential"
    );

    assert_eq!(enter(&app, CANARY), 204);
    assert_eq!(outcome(&app.run("shop")), "succeeded");
    let sent = format!("Token {CANARY}");
    assert_eq!(bound.seen()[0].header("x-shop-token"), Some(sent.as_str()));
    assert_eq!(other.seen()[0].header("x-shop-token"), None);

    assert_eq!(enter(&app, "the-next-one"), 204);
    assert_eq!(outcome(&app.run("shop")), "succeeded");
    assert_eq!(
        bound.seen()[1].header("x-shop-token"),
        Some("Token the-next-one")
    );
}

#[test]
fn it_does_not_follow_a_redirect_to_another_host() {
    let (bound, other) = (Internet::start(), Internet::start());
    let target = other.url("/b.csv");
    bound.handle("/a.csv", move |_| {
        (
            axum::http::StatusCode::FOUND,
            [("location", target.clone())],
        )
            .into_response()
    });
    other.page("/b.csv", "text/csv", "x\n1\n");
    let app = with_slot(&bound);
    let tables = [
        files::csv("a", &bound.url("/a.csv")),
        files::csv("b", &other.url("/b.csv")),
    ];
    let private = [bound.exception(), other.exception()];
    let private = private.each_ref().map(String::as_str);
    app.add_source("shop", "files", &files::settings(tables), &private);
    assert_eq!(enter(&app, CANARY), 204);

    assert_eq!(outcome(&app.run("shop")), "succeeded");
    assert!(bound.seen()[0].header("x-shop-token").is_some());
    assert_eq!(other.seen().len(), 2);
    for seen in other.seen() {
        assert!(!format!("{seen:?}").contains(CANARY), "{seen:?}");
    }
}

#[test]
fn it_is_nowhere_even_if_the_service_echoes_it() {
    let internet = Internet::start();
    internet.handle("/a.csv", |seen| {
        let token = seen.header("x-shop-token").unwrap_or_default();
        let body = format!("x,echo\n1,{token}\n");
        (
            [
                ("x-echo", token.to_owned()),
                ("content-type", "text/csv".into()),
            ],
            body,
        )
            .into_response()
    });
    internet.handle("/error.json", |seen| {
        let body = format!("you sent {:?}", seen.header("x-shop-token"));
        (axum::http::StatusCode::BAD_REQUEST, body).into_response()
    });
    internet.handle("/garbage.json", |seen| {
        format!(
            "[{{\"a\": {}",
            seen.header("x-shop-token").unwrap_or_default()
        )
        .into_response()
    });
    let mut shop = Shop {
        app: with_slot(&internet),
        internet,
    };
    let url = |path| shop.internet.url(path);
    let tables = [
        files::csv("a", &url("/a.csv")),
        files::pages("error", &url("/error.json")),
        files::pages("garbage", &url("/garbage.json")),
    ];
    shop.source("shop", tables);
    assert_eq!(enter(&shop, CANARY), 204);
    for table in ["a", "error", "garbage"] {
        let run = shop.start_as("shop", &json!({"tables": [table]}));
        shop.wait(&run);
        assert_unseen(&shop.log(&run), "the run's log");
        for path in ["", "/log", "/egress"] {
            let answer = shop.get(&format!("/api/runs/{run}{path}"));
            assert_unseen(&String::from_utf8_lossy(&answer.bytes), path);
        }
    }
    assert_eq!(shop.internet.seen().len(), 3);
    for path in [
        "/api/sources",
        "/api/sources/shop",
        "/api/connectors",
        "/api/runs",
    ] {
        assert_unseen(&String::from_utf8_lossy(&shop.get(path).bytes), path);
    }
    assert_unseen(
        &shop.rows("SELECT * FROM a").to_string(),
        "the published rows",
    );
    assert_unseen(&shop.output(), "what the server printed");
    shop.app.stop();
    assert_unseen(&shop.output(), "what the server printed");
    assert_no_file_holds_it(&shop.data);
}

/// The value as it is, in base64 at any offset, and in hexadecimal digits.
fn forms() -> Vec<Vec<u8>> {
    let mut forms = vec![CANARY.as_bytes().to_vec()];
    for engine in [
        base64::engine::general_purpose::STANDARD,
        base64::engine::general_purpose::URL_SAFE,
    ] {
        for offset in 0..3 {
            let text = engine.encode([vec![0; offset], CANARY.into()].concat());
            // The first and last digits depend on the neighbours.
            forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
        }
    }
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.push(hex.to_uppercase().into());
    forms.push(hex.into());
    forms
}

fn is_in(bytes: &[u8]) -> bool {
    let holds = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form);
    forms().iter().any(holds)
}

#[track_caller]
fn assert_unseen(text: &str, place: &str) {
    assert!(
        !is_in(text.as_bytes()),
        "{place} shows the credential: {text}"
    );
}

fn assert_no_file_holds_it(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_file_holds_it(&path);
        } else {
            assert!(
                !is_in(&std::fs::read(&path).unwrap()),
                "{} holds the credential",
                path.display()
            );
        }
    }
}

#[test]
fn the_search_for_it_finds_it() {
    assert!(is_in(format!("x{CANARY}y").as_bytes()));
    let encoded =
        base64::engine::general_purpose::STANDARD.encode(format!("Token {CANARY} and more"));
    assert!(is_in(encoded.as_bytes()));
    assert!(!is_in(b"something else"));
}

#[test]
fn a_connector_can_neither_see_it_nor_put_its_own_in_its_place() {
    let internet = Internet::start();
    internet.handle("/echo", |seen| {
        let key = seen.header("x-api-key").unwrap_or_default().to_owned();
        let body = format!("your key is {key}, your headers are {:?}", seen.headers);
        ([("x-echo", key.clone()), ("set-cookie", key)], body).into_response()
    });
    let app = App::start();
    app.install("fixtures");
    let settings = json!({"behaviour": "echo_credential", "url": internet.url("/echo")});
    app.add_source("shop", "fixtures", &settings, &[&internet.exception()]);
    let put = app.put(
        "/api/sources/shop/credentials/api-key",
        &json!({"value": CANARY}),
    );
    assert_eq!(put.status, 204);

    let run = app.run("shop");
    assert_eq!(outcome(&run), "succeeded");
    assert_eq!(internet.seen()[0].header("x-api-key"), Some(CANARY));
    assert_eq!(internet.seen()[0].header("authorization"), None);
    let log = app.log(run["id"].as_str().unwrap());
    assert!(log.contains("body: your key is"), "{log}");
    assert_unseen(&log, "what the connector saw");
}

#[test]
fn a_wrong_slot_or_value_is_refused() {
    let internet = Internet::start();
    let app = with_slot(&internet);
    app.add_source(
        "shop",
        "files",
        &files::settings([files::csv("a", &internet.url("/a"))]),
        &[],
    );
    let put = |slot: &str, body| app.put(&format!("/api/sources/shop/credentials/{slot}"), &body);
    insta::assert_snapshot!(put("other", json!({"value": "x"})).detail(), @"404 Connector `files` has no credential slot `other`; it has: token");
    insta::assert_snapshot!(put("token", json!({"value": ""})).detail(), @"422 `value` does not fit the scheme `header`: it is empty, or holds a line break or another control character");
    insta::assert_snapshot!(put("token", json!({"value": "line\r\nbreak"})).detail(), @"422 `value` does not fit the scheme `header`: it is empty, or holds a line break or another control character");
    let elsewhere = app.put(
        "/api/sources/nobody/credentials/token",
        &json!({"value": "x"}),
    );
    insta::assert_snapshot!(elsewhere.detail(), @"404 there is no source `nobody`; `sluice source list` shows what there is");
}
