//! What every answer has in common: headers, limits, compression, and what is told about it elsewhere.

mod watching;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use integration_tests::{App, Client, Options, Response};
use ureq::http::Method;

use crate::shop::Shop;

/// A fresh server with this configuration.
#[track_caller]
fn configured(text: &str) -> (App, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sluice.yaml");
    std::fs::write(&file, format!("config_version: 1\n{text}")).unwrap();
    let arguments = vec!["--config".into(), file.display().to_string()];
    let app = App::with(Options {
        arguments,
        ..Options::default()
    });
    (app, dir)
}

fn with(client: &Client, path: &str, headers: &[(&str, &str)]) -> Response {
    client.send(Method::GET, path, headers, &[])
}

/// Every kind of answer: pages, API, errors of each layer, files.
const PATHS: [&str; 12] = [
    "/",
    "/setup",
    "/docs",
    "/openapi.json",
    "/static/app.css",
    "/api/health",
    "/api/version",
    "/api/sources",
    "/api/sources/none",
    "/api/nowhere",
    "/metrics",
    "/api/data/none/download",
];

#[test]
fn every_answer_carries_the_security_headers() {
    let app = App::start();
    for client in [&*app, &app.anonymous()] {
        for path in PATHS {
            let answer = client.get(path);
            let policy = answer.header("content-security-policy").expect(path);
            assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{path}");
            }
            let permissions = answer.header("permissions-policy").expect(path);
            assert!(permissions.contains("camera=()"), "{path}");
            assert!(answer.header("x-request-id").is_some(), "{path}");
            assert!(answer.header("cache-control").is_some(), "{path}");
            assert_eq!(
                answer.header("strict-transport-security"),
                None,
                "{path}: not by TLS"
            );
        }
    }
}

#[test]
fn browsers_are_told_to_insist_on_tls_where_people_come_by_it() {
    let app = App::unclaimed(Options {
        environment: vec![("SERVER_URL".into(), "https://sluice.example.com".into())],
        ..Options::default()
    });
    assert_eq!(app.url, "https://sluice.example.com", "what it prints");
    // Behind the proxy that would stand there.
    let line = app.line(&["listening on"]);
    let address = line.rsplit("listening on ").next().unwrap();
    let address = address.split_whitespace().next().unwrap();
    let client = Client::new(&format!("http://{address}"), None);
    for path in PATHS {
        let answer = client.get(path);
        let insists = answer.header("strict-transport-security");
        assert_eq!(insists, Some("max-age=31536000"), "{path}");
    }
}

#[test]
fn other_origins_are_refused_unless_they_are_named() {
    const HERE: &str = "https://app.example.com";
    let preflight = |app: &App, origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ];
        app.anonymous()
            .send(Method::OPTIONS, "/api/query", &headers, &[])
    };
    let allowed = |answer: Response| {
        answer
            .header("access-control-allow-origin")
            .map(str::to_owned)
    };
    let closed = App::start();
    assert_eq!(allowed(preflight(&closed, HERE)), None);
    assert_eq!(
        allowed(with(&closed, "/api/health", &[("origin", HERE)])),
        None
    );

    let (app, _dir) = configured("http: {cors_origins: ['https://app.example.com']}");
    let answer = preflight(&app, HERE);
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("access-control-allow-headers")
            .unwrap()
            .contains("authorization")
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        None,
        "cookies stay at home"
    );
    assert_eq!(allowed(answer).as_deref(), Some(HERE));
    assert_eq!(
        allowed(with(&app, "/api/health", &[("origin", HERE)])).as_deref(),
        Some(HERE)
    );
    for stranger in [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "null",
    ] {
        assert_eq!(allowed(preflight(&app, stranger)), None, "{stranger}");
        assert_eq!(
            allowed(with(&app, "/api/sources", &[("origin", stranger)])),
            None,
            "{stranger}"
        );
    }
}

#[test]
fn long_texts_are_compressed_and_what_holds_secrets_or_files_is_not() {
    let shop = Shop::with_orders();
    let ask = |path: &str, encoding: &str| with(&shop, path, &[("accept-encoding", encoding)]);
    let encoding = |answer: &Response| answer.header("content-encoding").map(str::to_owned);
    let zstd = ask("/openapi.json", "zstd");
    assert_eq!(encoding(&zstd).as_deref(), Some("zstd"));
    assert_eq!(zstd.bytes[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert!(
        zstd.header("vary")
            .is_some_and(|vary| vary.contains("accept-encoding"))
    );
    let plain = ask("/openapi.json", "identity");
    assert_eq!(encoding(&plain), None);
    assert!(plain.bytes.len() > 3 * zstd.bytes.len());
    let gzip = raw(
        &shop,
        "GET /openapi.json HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n",
    );
    assert!(
        head(&gzip).contains("content-encoding: gzip"),
        "{}",
        head(&gzip)
    );

    assert_eq!(encoding(&ask("/api/health", "zstd")), None, "too short");
    let download = ask("/api/data/orders/download", "zstd");
    assert_eq!(download.status, 200);
    assert_eq!(encoding(&download), None);
    assert_eq!(download.bytes[..4], *b"PAR1");

    let app = App::unclaimed(Options::default());
    let path = format!("/setup?code={}", "x".repeat(2000));
    let setup = with(&app, &path, &[("accept-encoding", "zstd")]);
    assert!(setup.bytes.len() > 2000);
    assert_eq!(encoding(&setup), None, "it shows a code, and later a token");
}

/// Sends bytes as they are and reads until the server closes.
#[track_caller]
fn raw(client: &Client, request: &str) -> Vec<u8> {
    let mut stream = connect(client);
    stream.write_all(request.as_bytes()).unwrap();
    rest(&mut stream)
}

fn connect(client: &Client) -> TcpStream {
    let address = client.url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A connection that is reset has ended as well.
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn head(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    text.split("\r\n\r\n").next().unwrap().to_owned()
}

#[test]
fn whoever_sends_a_head_too_slowly_loses_the_connection() {
    let (app, _dir) = configured("http: {header_read_timeout_seconds: 1}");
    let mut stream = connect(&app);
    stream
        .write_all(b"GET /api/health HTTP/1.1\r\nhost: x\r\n")
        .unwrap();
    let began = Instant::now();
    let answer = rest(&mut stream);
    assert!(!head(&answer).contains("200 ok"), "{}", head(&answer));
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(30),
        "the limit and not the default: {took:?}"
    );
    // Over a connection of its own: the ones that the harness keeps are as old as the limit, and close while they are used.
    let answer = raw(&app, "GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(head(&answer).contains("200 ok"), "{}", head(&answer));
}

#[test]
fn a_connection_serves_on_whenever_the_body_of_a_request_arrives_that_no_handler_reads() {
    let app = App::start();
    let mut stream = connect(&app);
    let token = app.token.as_deref().unwrap();
    let head = format!(
        "POST /api/admin/rebuild HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Time for an answer to overtake the body, which none must do: the connection would have to be closed.
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let early = stream.read(&mut [0; 16]);
    assert!(
        early.is_err(),
        "answered before the body was there: {early:?}"
    );
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream.write_all(b"{}").unwrap();
    stream
        .write_all(b"GET /api/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let answers = String::from_utf8(rest(&mut stream)).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

#[test]
fn a_connection_that_stays_idle_is_closed() {
    let (app, _dir) = configured("http: {header_read_timeout_seconds: 1}");
    let mut silent = connect(&app);
    assert_eq!(rest(&mut silent), b"", "not a word was said");
    let answer = raw(&app, "GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(head(&answer).contains("200 ok"), "{}", head(&answer));
}

#[test]
fn a_request_that_takes_too_long_is_given_up() {
    let (app, _dir) = configured("http: {request_timeout_seconds: 1}");
    let endless = "SELECT count(*) FROM range(1000000000000) a, range(1000000000000) b";
    let answer = app.query(endless);
    assert_eq!(
        answer.detail(),
        "504 The request took too long and was given up"
    );
    assert_eq!(app.get("/api/health").status, 200);
}

#[test]
fn a_body_that_stands_still_is_given_up() {
    let (app, _dir) = configured("http: {body_read_timeout_seconds: 1}");
    let token = app.token.clone().unwrap();
    let mut stream = connect(&app);
    let request = format!(
        "POST /api/query HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let answer = rest(&mut stream);
    assert!(
        head(&answer).starts_with("http/1.1 408"),
        "{}",
        head(&answer)
    );
    assert!(String::from_utf8_lossy(&answer).contains("stopped coming"));
}
