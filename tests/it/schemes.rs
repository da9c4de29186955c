//! Every scheme of credentials, performed by a whole server against services that are played here after
//! RFC 6749, RFC 7523 and Google's documentation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use integration_tests::{App, Internet, Options, component, files, outcome, wasm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};

/// A source `shop` whose slot has this scheme.
#[track_caller]
fn shop(internet: &Internet, options: Options, scheme: Value) -> App {
    let app = App::with(options);
    let files = std::fs::read(component("files")).unwrap();
    let mut slot =
        json!({"name": "token", "title": "A token", "required": true, "hosts": [internet.url("")]});
    slot.as_object_mut()
        .unwrap()
        .extend(scheme.as_object().unwrap().clone());
    app.install_bytes(&wasm::with_manifest(&files, |m| {
        m["credentials"] = json!([slot])
    }));
    let settings = files::settings([files::csv("orders", &internet.url("/orders.csv"))]);
    app.add_source("shop", "files", &settings, &[&internet.exception()]);
    app
}

fn enter(app: &App, value: &Value) -> String {
    let put = app.put("/api/sources/shop/credentials/token", value);
    match put.status {
        204 => "entered".into(),
        _ => put.detail(),
    }
}

fn value(text: &str) -> Value {
    json!({"value": text})
}

#[track_caller]
fn works(app: &App) {
    assert_eq!(outcome(&app.run("shop")), "succeeded");
}

fn json_page(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

#[test]
fn bearer_basic_and_query_are_sent_as_their_standards_say() {
    for (scheme, entered, header, sent, target) in [
        (
            json!({"scheme": "bearer"}),
            "c4nary.bearer-91",
            "authorization",
            Some("Bearer c4nary.bearer-91"),
            "/orders.csv",
        ),
        // The example of RFC 7617.
        (
            json!({"scheme": "basic"}),
            "Aladdin:open sesame",
            "authorization",
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            "/orders.csv",
        ),
        (
            json!({"scheme": "query", "parameter": "key"}),
            "c4nary/query+91",
            "authorization",
            None,
            "/orders.csv?key=c4nary%2Fquery%2B91",
        ),
    ] {
        let internet = Internet::start();
        internet.page("/orders.csv", "text/csv", "id\n1\n");
        let app = shop(&internet, Options::default(), scheme);
        assert_eq!(enter(&app, &value(entered)), "entered");
        works(&app);
        let seen = &internet.seen()[0];
        assert_eq!((seen.header(header), seen.target.as_str()), (sent, target));
    }
}

#[test]
fn a_client_gets_one_token_and_a_new_one_where_it_is_refused() {
    let internet = Internet::start();
    let given = Arc::new(AtomicUsize::new(0));
    let count = given.clone();
    internet.handle("/token", move |seen| {
        // `sluice:c4nary-secret`, as RFC 6749 wants it.
        if seen.header("authorization") != Some("Basic c2x1aWNlOmM0bmFyeS1zZWNyZXQ=") {
            return (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).into_response();
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        json_page(&json!({"access_token": format!("c4nary-access-{number}"), "token_type": "Bearer", "expires_in": 3600}))
    });
    internet.page("/orders.csv", "text/csv", "id\n1\n");
    let scheme = json!({"scheme": "oauth2-client-credentials", "token_url": internet.url("/token"), "scopes": ["orders"]});
    let app = shop(&internet, Options::default(), scheme);
    for number in 0..4 {
        app.leaks.guard(&format!("c4nary-access-{number}"));
    }
    assert_eq!(
        enter(&app, &value("no pair")),
        "422 `value` does not fit the scheme `oauth2-client-credentials`: write `client_id:client_secret`, or JSON with `client_id` and `client_secret`"
    );
    assert_eq!(enter(&app, &value("sluice:wrong-canary")), "entered");
    insta::assert_snapshot!(internet.named(&outcome(&app.run("shop"))), @"failed (auth): table `orders`, http://internet/orders.csv: the token endpoint `127.0.0.1` refused the credential `token`: 401 (invalid_client); enter the credential again, or ask who gave it out");

    assert_eq!(enter(&app, &value("sluice:c4nary-secret")), "entered");
    works(&app);
    works(&app);
    assert_eq!(
        given.load(Ordering::SeqCst),
        1,
        "the second run uses the token of the first"
    );
    internet.handle("/orders.csv", |seen| match seen.header("authorization") {
        Some("Bearer c4nary-access-1") => {
            ([("content-type", "text/csv")], "id\n1\n").into_response()
        }
        other => (StatusCode::UNAUTHORIZED, format!("you sent {other:?}")).into_response(),
    });
    works(&app);
    assert_eq!(given.load(Ordering::SeqCst), 2);
}

#[test]
fn a_grant_names_the_token_endpoint_and_no_other_is_asked() {
    let internet = Internet::start();
    let scheme = json!({"scheme": "oauth2-refresh", "token_url": internet.url("/token")});
    let app = shop(&internet, Options::default(), scheme);
    let settings = files::settings([files::csv("orders", &internet.url("/orders.csv"))]);
    let plan = app
        .post(
            "/api/sources/plan",
            &json!({"connector": "files", "settings": settings}),
        )
        .ok();
    let lines = internet.named(&plan["requested_lines"].to_string());
    assert!(
        lines.contains("credential `token` exchanged for a token at http://internet/token"),
        "{lines}"
    );
    let mut grant = plan["requested"].clone();
    grant["credentials"][0]["token_url"] = "https://evil.example/token".into();
    let body = json!({"name": "other", "connector": "files", "settings": settings, "grant": grant});
    let refused = app.post("/api/sources", &body);
    assert_eq!(refused.status, 422);
}

#[test]
fn a_rotated_refresh_token_outlives_the_server() {
    let internet = Internet::start();
    let given = Arc::new(AtomicUsize::new(0));
    let count = given.clone();
    internet.handle("/token", move |seen| {
        let number = count.load(Ordering::SeqCst);
        let wanted = format!("refresh_token=c4nary-refresh-{number}");
        if !seen.body().contains(&wanted) {
            return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response();
        }
        count.store(number + 1, Ordering::SeqCst);
        let next = format!("c4nary-refresh-{}", number + 1);
        json_page(&json!({"access_token": format!("c4nary-access-{number}"), "expires_in": 3600, "refresh_token": next}))
    });
    internet.page("/orders.csv", "text/csv", "id\n1\n");
    let scheme = json!({"scheme": "oauth2-refresh", "token_url": internet.url("/token")});
    let mut app = shop(&internet, Options::default(), scheme);
    let grant = json!({"client_id": "sluice", "client_secret": "c4nary-client", "refresh_token": "c4nary-refresh-0"});
    assert_eq!(enter(&app, &value(&grant.to_string())), "entered");
    for number in 0..3 {
        app.leaks.guard(&format!("c4nary-refresh-{number}"));
        app.leaks.guard(&format!("c4nary-access-{number}"));
    }
    works(&app);
    app.restart();
    works(&app);
    assert_eq!(
        given.load(Ordering::SeqCst),
        2,
        "each refresh token was used once"
    );
    insta::assert_snapshot!(enter(&app, &json!({"env": "SLUICE_CREDENTIAL_X"})), @"422 a refresh token cannot stay in a variable: the service may replace it at each use; enter it");
}

#[test]
fn a_service_account_signs_for_its_token() {
    let internet = Internet::start();
    let key = RsaPrivateKey::new(&mut OsRng, 2_048).unwrap();
    let public = RsaPublicKey::from(&key)
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let audience = internet.url("/token");
    internet.handle("/token", move |seen| {
        let body = seen.body();
        let assertion = body.split("assertion=").nth(1).unwrap_or_default();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&audience]);
        let decoding = DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
        match decode::<Value>(assertion, &decoding, &validation) {
            Ok(token) if token.claims["scope"] == "orders.readonly" => json_page(
                &json!({"access_token": "ya29.c4nary", "expires_in": 3599, "token_type": "Bearer"}),
            ),
            _ => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response(),
        }
    });
    internet.page("/orders.csv", "text/csv", "id\n1\n");
    let token_url = internet.url("/token");
    let scheme = json!({"scheme": "google-service-account", "token_url": token_url, "scopes": ["orders.readonly"]});
    let app = shop(&internet, Options::default(), scheme);
    app.leaks.guard("ya29.c4nary");
    let file = json!({
        "type": "service_account", "private_key_id": "k1", "client_email": "s@p.iam.gserviceaccount.com",
        "private_key": key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string(), "token_uri": token_url,
    });
    let pretty = serde_json::to_string_pretty(&file).unwrap();
    assert_eq!(enter(&app, &value(&pretty)), "entered");
    works(&app);
    let seen = internet.seen_at("/orders.csv");
    assert_eq!(seen[0].header("authorization"), Some("Bearer ya29.c4nary"));
}

#[test]
fn a_slot_is_filled_by_a_variable_that_is_meant_for_it_and_listed_without_its_value() {
    let internet = Internet::start();
    internet.page("/orders.csv", "text/csv", "id\n1\n");
    let options = Options {
        environment: vec![(
            "SLUICE_CREDENTIAL_SHOP".into(),
            "c4nary-of-the-environment".into(),
        )],
        ..Options::default()
    };
    let app = shop(&internet, options, json!({"scheme": "bearer"}));
    app.leaks.guard("c4nary-of-the-environment");
    let listed = || app.get("/api/sources/shop/credentials").ok()["credentials"][0].take();
    assert_eq!(listed()["filled"], Value::Null);
    insta::assert_snapshot!(enter(&app, &json!({"env": "SLUICE_MASTER_KEY"})), @"422 credentials are taken only from variables that begin with `SLUICE_CREDENTIAL_`, letters, digits and underscores; `SLUICE_MASTER_KEY` is none; `credentials.variable_prefix` in the configuration sets how they begin");
    insta::assert_snapshot!(enter(&app, &json!({"env": "SLUICE_CREDENTIAL_OTHER"})), @"422 the environment variable `SLUICE_CREDENTIAL_OTHER` is not set for the server; set it and restart the server");
    insta::assert_snapshot!(enter(&app, &json!({"env": "X", "value": "y"})), @"422 give either `value` or `env`");

    let bind = [
        "source",
        "credential",
        "shop",
        "token",
        "--env",
        "SLUICE_CREDENTIAL_SHOP",
    ];
    assert!(app.cli().args(bind).status().unwrap().success());
    works(&app);
    assert_eq!(
        internet.seen()[0].header("authorization"),
        Some("Bearer c4nary-of-the-environment")
    );
    let slot = listed();
    assert_eq!(
        (&slot["filled"], &slot["variable"]),
        (&json!("variable"), &json!("SLUICE_CREDENTIAL_SHOP"))
    );
    assert_eq!(slot["entered_by_email"], "admin@example.com");
    assert!(slot["entered_at"].is_string());

    assert_eq!(enter(&app, &value("c4nary-entered-later")), "entered");
    assert_eq!(
        (&listed()["filled"], &listed()["variable"]),
        (&json!("entered"), &Value::Null)
    );
    let output = app
        .cli()
        .args(["source", "credentials", "shop"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("bearer") && !printed.contains("c4nary"),
        "{printed}"
    );
    assert_eq!(
        app.delete("/api/sources/shop/credentials/token").status,
        204
    );
    assert_eq!(listed()["filled"], Value::Null);
}
