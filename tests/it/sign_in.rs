//! How people come in, and how nobody else does.

mod links;
mod passwords;
mod sessions;

use std::time::Instant;

use integration_tests::people::{PASSWORD, field, link};
use integration_tests::{App, Client, Options, Response};
use serde_json::{Value, json};
use ureq::http::Method;

/// A server with a configuration file.
fn configured(yaml: &str) -> (tempfile::TempDir, App) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sluice.yaml");
    std::fs::write(&file, yaml).unwrap();
    let options = Options {
        arguments: vec!["--config".into(), file.to_str().unwrap().into()],
        ..Options::default()
    };
    (folder, App::with(options))
}

/// The pair of a `Set-Cookie` header, as a browser sends it back.
fn cookie(answer: &Response) -> String {
    let header = answer.header("set-cookie").expect("a cookie");
    header.split(';').next().unwrap().to_owned()
}

fn login(app: &App, email: &str, password: &str, next: &str) -> Response {
    let fields = format!(
        "email={email}&password={}&next={next}",
        password.replace(' ', "+")
    );
    app.anonymous()
        .form("/auth/password/login/web", &fields, &[])
}

#[test]
fn a_password_opens_a_session_that_ends_when_told() {
    let app = App::start();
    app.add_user("ada@example.com");
    let session = app.ask_for_session("Ada@Example.com", PASSWORD).ok();
    assert_eq!(session["token_type"], "bearer");
    assert_eq!(session["role"], "user");
    let ada = app.with(session["access_token"].as_str());
    assert_eq!(ada.get("/api/me").ok()["means"], "session");
    assert_eq!(ada.post("/auth/logout", &Value::Null).status, 204);
    assert_eq!(ada.get("/api/me").detail(), "401 Token revoked");
}

#[test]
fn another_password_ends_the_sessions_and_not_the_tokens() {
    let app = App::start();
    let id = app.add_user("ada@example.com");
    let ada = app.sign_in("ada@example.com");
    let program = ada.token_for(&["account"]);
    let path = format!("/api/users/{id}/set-password");
    insta::assert_snapshot!(app.post(&path, &json!({"password": "short"})).detail(), @"400 Password must be at least 8 characters");
    insta::assert_snapshot!(app.post(&path, &json!({"password": "Password123"})).detail(), @"400 This password is guessed too easily; choose another");
    app.set_password(&id);
    assert_eq!(ada.get("/api/me").detail(), "401 Token revoked");
    assert_eq!(program.get("/api/me").status, 200);
}

#[test]
fn nobody_learns_who_has_an_account() {
    let app = App::start();
    app.add_user("ada@example.com");
    let off = app.add_user("off@example.com");
    app.post(&format!("/api/users/{off}/deactivate"), &json!({}))
        .ok();
    app.post("/api/users", &json!({"email": "invited@example.com"}))
        .ok();
    let ask = |email: &str| {
        let began = Instant::now();
        let answer = app.ask_for_session(email, "not the password");
        (answer.detail(), began.elapsed().as_millis())
    };
    let mut times = Vec::new();
    for email in [
        "ada@example.com",
        "off@example.com",
        "invited@example.com",
        "nobody@example.com",
    ] {
        let (detail, time) = ask(email);
        assert_eq!(detail, "401 Invalid email or password", "{email}");
        times.push(time);
    }
    // Each waits for the same moment, which is later than any hash takes.
    assert!(times.iter().all(|time| *time >= 500), "{times:?}");
    let send = |email: &str| {
        let sent = app
            .anonymous()
            .post("/auth/email/send-link", &json!({"email": email}));
        sent.ok()["message"].clone()
    };
    assert_eq!(send("ada@example.com"), send("nobody@example.com"));
}

#[test]
fn guessing_locks_the_account_and_not_the_others() {
    let (_folder, app) = configured("auth:\n  lockout:\n    failures: 3\n");
    app.add_user("ada@example.com");
    for _ in 0..3 {
        assert_eq!(app.ask_for_session("ada@example.com", "wrong").status, 401);
        assert_eq!(
            app.ask_for_session("nobody@example.com", "wrong").status,
            401
        );
    }
    for email in ["ada@example.com", "nobody@example.com"] {
        let locked = app.ask_for_session(email, PASSWORD);
        assert_eq!(locked.status, 429, "{email}");
        let wait: u64 = locked.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=900).contains(&wait), "{wait}");
    }
    app.newcomer("eve@example.com");
}

#[test]
fn an_address_has_so_many_attempts_a_minute() {
    let (_folder, app) = configured("auth:\n  rate:\n    per_address_per_minute: 5\n");
    // One was used to claim the server.
    let statuses: Vec<_> = (0..6)
        .map(|number| {
            app.ask_for_session(&format!("{number}@example.com"), "wrong")
                .status
        })
        .collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
}

#[test]
fn a_browser_signs_in_and_out_with_a_cookie_that_scripts_cannot_read() {
    let app = App::start();
    app.add_user("ada@example.com");
    let refused = login(&app, "ada@example.com", "wrong", "/");
    assert_eq!(
        refused.header("location"),
        Some("/login?error=invalid&next=%2F")
    );
    let page = app.anonymous().get("/login?error=invalid");
    assert!(String::from_utf8_lossy(&page.bytes).contains("Invalid email or password"));

    let entered = login(&app, "ada@example.com", PASSWORD, "/docs");
    assert_eq!(
        (entered.status, entered.header("location")),
        (303, Some("/docs"))
    );
    let header = entered.header("set-cookie").unwrap();
    for word in ["; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(header.contains(word), "{header}");
    }
    let cookie = cookie(&entered);
    let me = |cookie: &str| {
        app.anonymous()
            .send(Method::GET, "/api/me", &[("cookie", cookie)], &[])
    };
    assert_eq!(me(&cookie).ok()["email"], "ada@example.com");

    let same = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    let out = app.anonymous().form("/logout", "", &same);
    assert_eq!(out.header("location"), Some("/login"));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(me(&cookie).detail(), "401 Token revoked");
}

#[test]
fn each_sign_in_is_a_new_session_whatever_the_browser_sent() {
    let app = App::start();
    app.add_user("ada@example.com");
    let planted = cookie(&login(&app, "ada@example.com", PASSWORD, "/"));
    let fields = format!(
        "email=ada%40example.com&password={}",
        PASSWORD.replace(' ', "+")
    );
    let again = app
        .anonymous()
        .form("/auth/password/login/web", &fields, &[("cookie", &planted)]);
    assert_ne!(cookie(&again), planted);
}

#[test]
fn another_site_cannot_write_with_the_cookie_of_a_visitor() {
    let app = App::start();
    app.add_user("ada@example.com");
    let cookie = cookie(&login(&app, "ada@example.com", PASSWORD, "/"));
    let write = |headers: &[(&str, &str)]| {
        let mut all = vec![
            ("cookie", cookie.as_str()),
            ("content-type", "application/json"),
        ];
        all.extend_from_slice(headers);
        app.anonymous()
            .send(Method::POST, "/auth/tokens", &all, br#"{"name": "x"}"#)
    };
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example.com")],
        &[("origin", "null")],
    ] {
        assert_eq!(write(headers).status, 403, "{headers:?}");
    }
    assert_eq!(write(&[("sec-fetch-site", "same-origin")]).status, 201);
    let word = PASSWORD.replace(' ', "+");
    let fields = format!("email=ada%40example.com&password={word}");
    let foreign = [("sec-fetch-site", "cross-site")];
    let stranger = app.anonymous();
    let planted = stranger.form("/auth/password/login/web", &fields, &foreign);
    assert_eq!(planted.status, 403, "nor sign a visitor in");
    assert_eq!(write(&[("origin", &app.url)]).status, 201);
}

#[test]
fn nobody_is_sent_to_another_site_after_signing_in() {
    let app = App::start();
    app.add_user("ada@example.com");
    for next in [
        "//evil.org",
        "/%5Cevil.org",
        "https://evil.org",
        "%2F%09%2Fevil.org",
        "javascript:x",
    ] {
        let entered = login(&app, "ada@example.com", PASSWORD, next);
        assert_eq!(entered.header("location"), Some("/"), "{next}");
    }
}

#[test]
fn over_https_the_cookie_is_for_https_alone() {
    let app = App::unclaimed(Options {
        environment: vec![("SERVER_URL".into(), "https://sluice.example.com".into())],
        ..Options::default()
    });
    // The address that is printed for people is the public one.
    let line = app.line(&["listening on "]);
    let address = line.split("listening on ").nth(1).unwrap();
    let address = address.split_whitespace().next().unwrap();
    let near = Client::new(&format!("http://{address}"), None);
    let claim = json!({"email": "root@example.com", "code": app.code()});
    let claimed = near.post("/auth/bootstrap", &claim).ok();
    let near = near.with(claimed["access_token"].as_str());
    near.add_user("ada@example.com");
    let fields = format!(
        "email=ada%40example.com&password={}",
        PASSWORD.replace(' ', "+")
    );
    let entered = near
        .with(None)
        .form("/auth/password/login/web", &fields, &[]);
    let header = entered.header("set-cookie").unwrap();
    assert!(
        header.starts_with("__Host-sluice=") && header.contains("; Secure"),
        "{header}"
    );
}

#[test]
fn tokens_are_shown_once_limited_and_revoked_at_once() {
    let app = App::start();
    let ada = app.newcomer("ada@example.com");
    let make = |body: Value| ada.post("/auth/tokens", &body);
    insta::assert_snapshot!(make(json!({"name": " "})).detail(), @"400 name is required");
    insta::assert_snapshot!(make(json!({"name": "x", "expires_in_days": 0})).detail(), @"400 expires_in_days must be a positive integer");
    insta::assert_snapshot!(make(json!({"name": "x", "expires_in_days": 366})).detail(), @"400 expires_in_days must not exceed 365, as auth.token_max_days of the configuration says");
    insta::assert_snapshot!(make(json!({"name": "x", "scopes": ["everything"]})).detail(), @"400 There is no scope 'everything'. Scopes: data, runs, account, admin");
    let made = make(json!({"name": "script", "scopes": ["account"]})).ok();
    let text = made["token"].as_str().unwrap();
    let script = app.with(Some(text));
    let listed = script.get("/auth/tokens").ok();
    assert!(!listed.to_string().contains(text), "{listed}");
    assert_eq!(listed[0]["name"], "script");
    assert_eq!(listed[0]["prefix"], made["prefix"]);
    insta::assert_snapshot!(script.post("/auth/tokens", &json!({"name": "more"})).detail(), @"403 This endpoint requires an interactive session, not a PAT");
    insta::assert_snapshot!(script.query("SELECT 1").detail(), @"403 This token lacks the scope `data`");

    let path = format!("/auth/tokens/{}", made["id"].as_str().unwrap());
    let eve = app.newcomer("eve@example.com");
    assert_eq!(eve.delete(&path).detail(), "404 Token not found");
    assert_eq!(script.delete(&path).status, 204);
    assert_eq!(script.get("/auth/tokens").detail(), "401 Token revoked");
}

#[test]
fn a_desktop_program_gets_a_token_of_minutes_that_makes_no_other() {
    let app = App::start();
    let ada = app.newcomer("ada@example.com");
    let token = ada.post("/auth/desktop", &Value::Null).ok();
    let desktop = app.with(token["access_token"].as_str());
    assert_eq!(desktop.get("/api/catalog/tables").status, 200);
    assert_eq!(desktop.post("/auth/desktop", &Value::Null).status, 403);
    assert_eq!(desktop.get("/api/me").status, 403);
}

#[test]
fn a_server_that_is_open_is_claimed_once_by_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sluice.yaml");
    std::fs::write(&file, "config_version: 1\nauth:\n  bootstrap: open\n").unwrap();
    let mut app = App::unclaimed(Options {
        arguments: vec!["--config".into(), file.to_str().unwrap().into()],
        ..Options::default()
    });
    app.line(&["WARN", "auth.bootstrap"]);
    let claim = |app: &App, password: &str| {
        let body = json!({"email": "root@example.com", "password": password});
        app.anonymous().post("/auth/bootstrap", &body)
    };
    insta::assert_snapshot!(claim(&app, "").detail(), @"400 Without a code a password is needed, which ends this way of claiming");
    assert_eq!(claim(&app, PASSWORD).ok()["role"], "admin");
    insta::assert_snapshot!(claim(&app, PASSWORD).detail(), @"403 Bootstrap disabled — a user with a password already exists. Use /auth/password/login.");
    app.restart();
    assert!(!app.output().contains("WARN"), "{}", app.output());
    app.sign_in("root@example.com");
}

#[test]
fn the_configured_admin_is_one_and_comes_in_by_the_code() {
    let app = App::unclaimed(Options {
        environment: vec![("SEED_ADMIN_EMAIL".into(), "root@example.com".into())],
        ..Options::default()
    });
    let body = json!({"email": "Root@example.com", "code": app.code(), "password": PASSWORD});
    app.post("/auth/bootstrap", &body).ok();
    let root = app.sign_in("root@example.com");
    let users = root.get("/api/users").ok();
    assert_eq!(users.as_array().unwrap().len(), 1, "{users}");
    assert_eq!(users[0]["is_admin"], true);
}

#[test]
fn an_operator_lets_an_admin_back_in_and_gives_the_tokens_a_new_key() {
    let mut app = App::start();
    let admin = |app: &App, words: &[&str]| {
        let mut all = vec!["admin", "--data-dir", app.data.to_str().unwrap()];
        all.extend_from_slice(words);
        integration_tests::artifacts::sluice_ok(all)
    };
    let told = admin(&app, &["break-glass", "lost@example.com"]);
    let link = link(&told, "/auth/password/reset").expect("a link");
    let word = PASSWORD.replace(' ', "+");
    let token = field(&link, "token");
    let fields =
        format!("email=lost%40example.com&token={token}&password={word}&confirm_password={word}");
    let set = app
        .anonymous()
        .form("/auth/password/reset/confirm", &fields, &[]);
    assert_eq!(set.status, 303);
    let lost = app.sign_in("lost@example.com");
    assert_eq!(lost.get("/api/users").status, 200);

    admin(&app, &["rotate-token-key"]);
    assert_eq!(
        lost.get("/api/users").status,
        200,
        "signed by the key before"
    );
    let fresh = app.sign_in("lost@example.com");
    app.kill();
    admin(&app, &["rotate-token-key"]);
    app.restart();
    let at = |client: &Client| Client::new(&app.url, client.token.clone());
    assert_eq!(at(&lost).get("/api/users").status, 401);
    assert_eq!(at(&fresh).get("/api/users").status, 200);
}
