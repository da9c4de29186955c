//! Who may ask for what, and what the answers look like.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integration_tests::{App, Client, Options, Response};
use serde_json::{Value, json};
use ureq::http::Method;

/// Every method and path that the server describes, with parameters filled in.
fn routes(app: &App) -> Vec<(Method, String)> {
    let document = app.anonymous().get("/openapi.json").ok();
    let paths = document["paths"].as_object().unwrap();
    let mut routes = Vec::new();
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            if let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) {
                routes.push((method, path.clone()));
            }
        }
    }
    assert!(routes.len() > 25, "{routes:?}");
    routes
}

fn filled(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn ask(client: &Client, method: &Method, path: &str) -> Response {
    let body: &[u8] = if *method == Method::GET { b"" } else { b"{}" };
    let headers = [("content-type", "application/json")];
    client.send(method.clone(), &filled(path), &headers, body)
}

#[test]
fn every_route_needs_a_token_but_the_public_ones() {
    let app = App::start();
    let stranger = app.anonymous();
    let mut public = BTreeSet::new();
    for (method, path) in routes(&app) {
        let answer = ask(&stranger, &method, &path);
        let asks_for_one = answer.status == 401
            && answer.detail() == "401 Missing or invalid Authorization header";
        if !asks_for_one {
            public.insert(format!("{method} {path}"));
        }
    }
    insta::assert_snapshot!(public.into_iter().collect::<Vec<_>>().join("\n"), @r"
    GET /api/health
    GET /api/version
    GET /cli/download
    GET /cli/install.sh
    GET /cli/latest
    POST /api/hooks/{source}
    POST /auth/bootstrap
    POST /auth/cli/token
    POST /auth/email/send-link
    POST /auth/email/verify
    POST /auth/password/login
    POST /auth/password/setup
    POST /auth/token
    ");
}

#[test]
fn what_the_interface_promises_is_described() {
    let app = App::start();
    let known = routes(&app);
    for (method, path) in [
        (Method::GET, "/api/health"),
        (Method::GET, "/api/version"),
        (Method::POST, "/auth/bootstrap"),
        (Method::POST, "/api/publishers"),
        (Method::POST, "/api/connectors"),
        (Method::DELETE, "/api/connectors/{digest}/trust"),
        (Method::POST, "/api/sources/plan"),
        (Method::PUT, "/api/sources/{name}/credentials/{slot}"),
        (Method::GET, "/api/runs/{id}/events"),
        (Method::POST, "/api/sync/trigger"),
        (Method::GET, "/api/sync/manifest"),
        (Method::GET, "/api/catalog/tables"),
        (Method::GET, "/api/data/{table}/download"),
        (Method::POST, "/api/query"),
    ] {
        assert!(
            known.contains(&(method.clone(), path.to_owned())),
            "{method} {path} of {known:?}"
        );
    }
}

#[test]
fn a_token_that_is_not_ours_is_refused() {
    let app = App::start();
    let detail = |token: String| {
        Client::new(&app.url, Some(token))
            .get("/api/sources")
            .detail()
    };
    let own = app.token.clone().unwrap();
    let [head, claims, signature] = own.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut other: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    other["sub"] = json!("somebody else");
    let other = URL_SAFE_NO_PAD.encode(other.to_string());
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let foreign = App::start().token.clone().unwrap();

    for token in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{head}.{other}.{signature}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{unsigned}.{claims}."),
        format!("{own}x"),
        foreign,
    ] {
        assert_eq!(
            detail(token.clone()),
            "401 Invalid or expired token",
            "{token}"
        );
    }
    let no_bearer = [("authorization", "Basic YTpi")];
    let answer = app
        .anonymous()
        .send(Method::GET, "/api/sources", &no_bearer, &[]);
    assert_eq!(
        answer.detail(),
        "401 Missing or invalid Authorization header"
    );
    assert_eq!(app.get("/api/sources").status, 200);
}

#[test]
fn a_token_that_is_well_signed_but_was_never_given_is_refused() {
    let first = App::start();
    let second = tempfile::tempdir().unwrap();
    let state = second.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::copy(
        first.data.join("state/.jwt_secret"),
        state.join(".jwt_secret"),
    )
    .unwrap();
    let second = App::on(second.path(), Options::default());
    let client = Client::new(&second.url, first.token.clone());
    let detail = client.get("/api/sources").detail();
    assert!(
        ["401 Token unknown", "401 User not found"].contains(&detail.as_str()),
        "{detail}"
    );
}

#[test]
fn the_code_of_the_first_start_works_once() {
    let app = App::unclaimed(Options::default());
    let claim = |code: &str| {
        let body = json!({"email": "admin@example.com", "code": code});
        app.post("/auth/bootstrap", &body)
    };
    let link = format!("Set up: {}/setup?code={}\n", app.url, app.code());
    assert!(app.output().contains(&link), "{}", app.output());

    insta::assert_snapshot!(claim("AAAA-BBBB-CCCC").detail(), @"403 The code is wrong or was used; the server prints a valid one at its start while nobody has claimed it");
    let mut granted = claim(app.code()).ok();
    let token = granted["access_token"].take();
    assert!(granted["user_id"].take().is_string());
    let expected = json!({
        "access_token": null, "token_type": "bearer", "user_id": null,
        "email": "admin@example.com", "role": "admin"
    });
    assert_eq!(granted, expected);
    let admin = Client::new(&app.url, token.as_str().map(str::to_owned));
    assert_eq!(admin.get("/api/sources").status, 200);

    insta::assert_snapshot!(claim(app.code()).detail(), @"403 The code is wrong or was used; the server prints a valid one at its start while nobody has claimed it");
    let nameless = json!({"code": app.code()});
    assert_eq!(app.post("/auth/bootstrap", &nameless).status, 422);
}

#[test]
fn a_server_can_be_claimed_in_a_browser() {
    let app = App::unclaimed(Options::default());
    let page = |response: Response| {
        let kind = response.header("content-type").map(str::to_owned);
        assert_eq!(kind.as_deref(), Some("text/html; charset=utf-8"));
        String::from_utf8(response.bytes).unwrap()
    };
    let code = app.code();
    let form = page(app.get(&format!("/setup?code={code}")));
    assert!(form.contains(&format!("value=\"{code}\"")), "{form}");
    let nasty = page(app.get("/setup?code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"));
    assert!(!nasty.contains("<script>alert"), "{nasty}");

    let body = format!("code={code}&email=admin%40example.com");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let done = page(app.send(Method::POST, "/setup", &headers, body.as_bytes()));
    let mut words = done.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let token = words.find(|word| word.split('.').count() == 3 && word.len() > 100);
    let admin = Client::new(&app.url, Some(token.expect("a token").to_owned()));
    assert_eq!(admin.get("/api/sources").status, 200);
    assert!(
        !page(app.get("/setup")).contains("name=\"code\""),
        "it is claimed now"
    );
}

#[test]
fn a_claimed_server_prints_no_code_when_it_starts_again() {
    let mut app = App::start();
    app.restart();
    assert!(!app.output().contains("Code:"), "{}", app.output());
    assert_eq!(app.get("/api/sources").status, 200);
}

#[test]
fn the_keys_are_for_the_server_alone() {
    use std::os::unix::fs::PermissionsExt;
    let app = App::start();
    let state = app.data.join("state");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for key in [".jwt_secret", "master.key"] {
        assert_eq!(mode(&state.join(key)), 0o600, "{key}");
    }
}

#[test]
fn an_error_is_a_problem_document() {
    let app = App::start();
    let answer = app.get("/api/sources/nothing");
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let mut body = answer.json();
    let id = body["request_id"].take();
    assert_eq!(id.as_str(), answer.header("x-request-id"));
    assert!(id.as_str().is_some_and(|id| id.len() >= 8), "{id}");
    insta::assert_json_snapshot!(body, @r#"
    {
      "detail": "there is no source `nothing`; `sluice source list` shows what there is",
      "type": "about:blank",
      "title": "Not Found",
      "status": 404,
      "code": "source-not-found",
      "request_id": null
    }
    "#);
}

#[test]
fn what_cannot_be_understood_is_told() {
    let app = App::start();
    let post = |path, body: &str| {
        app.send(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    };
    insta::assert_snapshot!(app.get("/api/nothing").detail(), @"404 Not Found");
    insta::assert_snapshot!(app.send(Method::PATCH, "/api/sources", &[], &[]).detail(), @"405 Method Not Allowed");
    insta::assert_snapshot!(post("/api/query", "{").detail(), @"400 Failed to parse the request body as JSON: EOF while parsing an object at line 1 column 1");
    insta::assert_snapshot!(post("/api/query", "{}").detail(), @"422 Failed to deserialize the JSON body into the target type: missing field `sql` at line 1 column 2");
    insta::assert_snapshot!(post("/api/query", r#"{"sql": 7}"#).detail(), @"422 Failed to deserialize the JSON body into the target type: sql: invalid type: integer `7`, expected a string at line 1 column 9");
    let plain = app.send(
        Method::POST,
        "/api/query",
        &[("content-type", "text/plain")],
        b"{}",
    );
    insta::assert_snapshot!(plain.detail(), @"415 Expected request with `Content-Type: application/json`");
    insta::assert_snapshot!(app.get("/api/runs/nothing").detail(), @"400 Invalid URL: Cannot parse `id` with value `nothing`: UUID parsing failed: invalid character: found `n` at 0");
    insta::assert_snapshot!(app.get("/api/runs/0190a000-0000-7000-8000-000000000000").detail(), @"404 There is no run 0190a000-0000-7000-8000-000000000000");
    insta::assert_snapshot!(app.get("/api/runs?limit=many").detail(), @"400 Failed to deserialize query string: limit: invalid digit found in string");
    insta::assert_snapshot!(app.get("/api/connectors/abc").detail(), @"400 Invalid URL: a digest has 64 hexadecimal digits, as in `sha256sum`");
    let publisher =
        |key: &str| app.post("/api/publishers", &json!({"name": "p", "public_key": key}));
    insta::assert_snapshot!(publisher("abc").detail(), @"422 `public_key`: this is not one ed25519 public key: give 64 hexadecimal digits, a line `ssh-ed25519 AAAA…`, or PEM that begins with `-----BEGIN PUBLIC KEY-----`");
    insta::assert_snapshot!(publisher(&"0".repeat(63)).detail(), @"422 `public_key`: this is not one ed25519 public key: give 64 hexadecimal digits, a line `ssh-ed25519 AAAA…`, or PEM that begins with `-----BEGIN PUBLIC KEY-----`");
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let app = App::start();
    let address = app.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let token = app.token.as_deref().unwrap();
    let head = format!(
        "POST /api/query HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 1000000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "HTTP/1.1 413 Payload Too Large\r\n");
}

#[test]
fn every_answer_carries_the_headers_that_protect_a_browser() {
    let app = App::start();
    for path in [
        "/",
        "/docs",
        "/setup",
        "/api/health",
        "/api/sources",
        "/api/nothing",
        "/openapi.json",
    ] {
        let answer = app.get(path);
        let header = |name| answer.header(name).unwrap_or("(missing)").to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(
            header("content-security-policy").contains("default-src 'none'"),
            "{path}"
        );
    }
    assert_eq!(
        app.get("/api/sources").header("cache-control"),
        Some("no-store")
    );
}

#[test]
fn the_pages_come_without_anything_from_elsewhere() {
    let app = App::start();
    let stranger = app.anonymous();
    for (path, word) in [
        ("/", "Sluice"),
        ("/docs", "run_query"),
        ("/setup", "Sluice"),
    ] {
        let answer = stranger.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        let page = String::from_utf8(answer.bytes).unwrap();
        assert!(page.contains(word), "{path}");
        for outside in ["src=\"http", "href=\"http://", "url(http", "//cdn"] {
            assert!(!page.contains(outside), "{path} has {outside}");
        }
        assert!(
            !page.contains(" style=") && !page.contains(" onclick="),
            "{path} is inline"
        );
    }
}

#[test]
fn health_and_version_are_for_everyone() {
    let app = App::start();
    let stranger = app.anonymous();
    let health = stranger.get("/api/health").ok();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["db_schema"], "ok");
    assert_eq!(health["current"], health["expected"]);
    let version = stranger.get("/api/version").ok();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["schema_version"], health["current"]);
}
