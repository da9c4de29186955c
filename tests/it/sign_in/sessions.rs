//! Where people are signed in, how that ends, and how they change their password.

use integration_tests::people::PASSWORD;
use integration_tests::{App, Client};
use serde_json::{Value, json};
use ureq::http::Method;

use super::{cookie, login};

/// What a browser sends beside its cookie.
const OWN_PAGE: (&str, &str) = ("sec-fetch-site", "same-origin");

/// Another password that nobody guesses.
const OTHER: &str = "another correct battery";

fn methods(client: &Client) -> Vec<Value> {
    let listed = client.get("/auth/sessions").ok();
    let sessions = listed.as_array().unwrap();
    sessions
        .iter()
        .map(|session| json!([session["method"], session["current"]]))
        .collect()
}

#[test]
fn people_see_where_they_are_signed_in_and_end_what_is_not_theirs() {
    let app = App::start();
    app.add_user("ada@example.com");
    app.add_user("eve@example.com");
    let (here, there) = (
        app.sign_in("ada@example.com"),
        app.sign_in("ada@example.com"),
    );
    let eve = app.sign_in("eve@example.com");
    let pat = here.token_for(&["account"]);
    assert_eq!(
        methods(&here),
        [json!(["password", false]), json!(["password", true])]
    );
    let listed = here.get("/auth/sessions").ok();
    let id = listed[0]["id"].as_str().unwrap();
    let path = format!("/auth/sessions/{id}");
    assert_eq!(eve.delete(&path).detail(), "404 Session not found");
    assert_eq!(here.delete(&path).status, 204);
    assert_eq!(there.get("/api/me").detail(), "401 Token revoked");
    assert_eq!(here.delete(&path).detail(), "404 Session not found");
    let third = app.sign_in("ada@example.com");
    assert_eq!(here.delete("/auth/sessions").ok(), json!({"ended": 1}));
    assert_eq!(third.get("/api/me").status, 401);
    for alive in [&here, &pat, &eve] {
        assert_eq!(alive.get("/api/me").status, 200);
    }
}

#[test]
fn whoever_knows_the_present_password_changes_it_and_all_other_sessions_end() {
    let app = App::start();
    app.add_user("ada@example.com");
    let (here, there) = (
        app.sign_in("ada@example.com"),
        app.sign_in("ada@example.com"),
    );
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        here.post("/auth/password/change", &body)
    };
    assert_eq!(
        change("not it at all", OTHER).detail(),
        "401 Invalid email or password"
    );
    assert_eq!(
        change(PASSWORD, "liverpool1").detail(),
        "400 This password is guessed too easily; choose another"
    );
    assert_eq!(there.get("/api/me").status, 200, "nothing has changed");
    let changed = change(PASSWORD, OTHER).ok();
    for ended in [&here, &there] {
        assert_eq!(ended.get("/api/me").detail(), "401 Token revoked");
    }
    let now = app.with(changed["access_token"].as_str());
    assert_eq!(now.get("/api/me").ok()["email"], "ada@example.com");
    assert_eq!(app.ask_for_session("ada@example.com", PASSWORD).status, 401);
    app.ask_for_session("ada@example.com", OTHER).ok();
    // A token cannot take the account over.
    let program = now.token_for(&["account"]);
    let body = json!({"current_password": OTHER, "new_password": PASSWORD});
    assert_eq!(program.post("/auth/password/change", &body).status, 403);
}

#[test]
fn a_browser_that_signs_in_again_leaves_no_session_behind() {
    let app = App::start();
    app.add_user("ada@example.com");
    let first = cookie(&login(&app, "ada@example.com", PASSWORD, "/"));
    let me = |cookie: &str| {
        let headers = [("cookie", cookie)];
        app.anonymous().send(Method::GET, "/api/me", &headers, &[])
    };
    assert_eq!(me(&first).status, 200);
    let fields = format!(
        "email=ada@example.com&password={}",
        PASSWORD.replace(' ', "+")
    );
    let again = app.anonymous().form(
        "/auth/password/login/web",
        &fields,
        &[("cookie", &first), OWN_PAGE],
    );
    assert_eq!(me(&cookie(&again)).status, 200);
    assert_eq!(me(&first).detail(), "401 Token revoked");
}

#[test]
fn the_account_page_asks_to_sign_in_and_then_does_what_it_shows() {
    let app = App::start();
    app.add_user("ada@example.com");
    let browser = |method, path: &str, cookie: &str, body: &str| {
        let headers = [
            ("cookie", cookie),
            ("accept", "text/html"),
            ("content-type", "application/x-www-form-urlencoded"),
            OWN_PAGE,
        ];
        let client = app.anonymous();
        client.send(method, path, &headers, body.as_bytes())
    };
    let page = |answer: &integration_tests::Response| {
        String::from_utf8(answer.bytes.clone()).expect("a page")
    };
    let asked = browser(Method::GET, "/account", "", "");
    assert_eq!(asked.status, 303);
    assert_eq!(asked.header("location"), Some("/login?next=%2Faccount"));
    assert_eq!(app.anonymous().get("/account").status, 401, "a program");

    let mine = cookie(&login(&app, "ada@example.com", PASSWORD, "/account"));
    let other = app.sign_in("ada@example.com");
    let program = other.token_for(&["account"]);
    for path in ["/", "/docs", "/account"] {
        let shown = page(&browser(Method::GET, path, &mine, ""));
        assert!(shown.contains("action=\"/logout\""), "{path}: {shown}");
        assert!(!page(&browser(Method::GET, path, "", "")).contains("/logout"));
    }
    let shown = page(&browser(Method::GET, "/account", &mine, ""));
    let id = shown.split("name=\"id\" value=\"").nth(1).expect("a form");
    let id = &id[..36];
    let fields = format!("id={id}");
    let ended = browser(Method::POST, "/account/sessions/end", &mine, &fields);
    assert_eq!(ended.header("location"), Some("/account"));
    assert_eq!(other.get("/api/me").status, 401);

    let listed = app.anonymous();
    let listed = listed.send(Method::GET, "/auth/tokens", &[("cookie", &mine)], &[]);
    let fields = format!("id={}", listed.ok()[0]["id"].as_str().unwrap());
    browser(Method::POST, "/account/tokens/revoke", &mine, &fields);
    assert_eq!(program.get("/api/me").detail(), "401 Token revoked");

    let fields = |again: &str| {
        let text = format!("current_password={PASSWORD}&password={OTHER}&confirm_password={again}");
        text.replace(' ', "+")
    };
    let path = "/account/password";
    let refused = browser(Method::POST, path, &mine, &fields("something else"));
    assert!(page(&refused).contains("Passwords do not match."));
    let changed = browser(Method::POST, path, &mine, &fields(OTHER));
    assert_eq!(changed.status, 303);
    assert_eq!(
        browser(Method::GET, "/account", &cookie(&changed), "").status,
        200
    );
    assert_eq!(browser(Method::GET, "/account", &mine, "").status, 303);
    let foreign = [("cookie", mine.as_str()), ("sec-fetch-site", "cross-site")];
    let client = app.anonymous();
    let forged = client.send(Method::POST, "/account/sessions/end-others", &foreign, b"");
    assert_eq!(forged.status, 403);
}

#[test]
fn a_session_that_nobody_uses_ends_before_its_time() {
    let mut app = App::start();
    let users = ["ada@example.com", "eve@example.com"];
    let tokens = users.map(|email| app.newcomer(email).token);
    // Nobody has asked for anything for this long; a session that was never used counts from its beginning.
    let aged = |email: &str, column: &str, hours: u32| {
        format!(
            "UPDATE tokens SET {column} = now()::TIMESTAMP - INTERVAL {hours} HOURS \
             WHERE user_id = (SELECT id FROM users WHERE email = '{email}');"
        )
    };
    app.rewrite_state(
        &[
            aged(users[0], "created_at", 13),
            aged(users[1], "created_at", 20),
            aged(users[1], "last_used_at", 11),
        ]
        .concat(),
    );
    let status = |token: &Option<String>| app.with(token.as_deref()).get("/api/me").detail();
    assert_eq!(status(&tokens[0]), "401 Token expired");
    assert_eq!(app.with(tokens[1].as_deref()).get("/api/me").status, 200);
}
