//! Requests to where none may go, and headers that would make two requests of one.

use axum::response::IntoResponse as _;
use integration_tests::outcome;
use serde_json::{Value, json};

use super::world::{Case, World};

const CANARY: &str = "c4n4ry-Of_the/hostile+guest=1";

fn dials(url: &str) -> Value {
    json!({"behaviour": "dials", "url": url})
}

#[test]
fn a_request_to_where_none_may_go_is_refused() {
    let world = World::start();
    let ungranted = "was refused: no egress rule in effect";
    let cases = [
        (
            "a host that was not granted",
            "https://evil.example/x",
            ungranted,
        ),
        (
            "the metadata service",
            "http://169.254.169.254/latest/meta-data/",
            "",
        ),
        ("a private address", "http://10.0.0.1/", ""),
        ("a loopback address", "http://127.0.0.1:9/", ""),
        ("a name of the loopback", "http://localhost:9/", ""),
        ("an address in decimal", "http://2130706433:9/", ""),
        ("an address in octal", "http://0177.0.0.1:9/", ""),
        ("an address in hex", "http://0x7f.1:9/", ""),
        ("an IPv6 loopback", "http://[::1]:9/", ungranted),
        (
            "a mapped IPv4 address",
            "http://[::ffff:127.0.0.1]:9/",
            ungranted,
        ),
        ("another port", "http://192.168.1.1:8081/", ungranted),
        ("a user in the URL", "http://10.0.0.1@evil.example/", ""),
        (
            "a file",
            "file:///etc/passwd",
            "requests go to https or http, not to `file:`",
        ),
        (
            "another protocol",
            "ftp://10.0.0.1/x",
            "requests go to https or http, not to `ftp:`",
        ),
        (
            "a Unix socket",
            "unix:///var/run/docker.sock",
            "requests go to https or http, not to `unix:`",
        ),
        (
            "data",
            "data:text/plain,x",
            "requests go to https or http, not to `data:`",
        ),
        ("no URL", "http://", ""),
        (
            "a line break in the URL",
            "http://10.0.0.1/\r\nHost: evil",
            "",
        ),
    ];
    let mut wrong = Vec::new();
    let neighbour = world.neighbour();
    for (what, url, part) in cases {
        let told = world.obeys("sync", &dials(url));
        world.is_well_after(what);
        let refused = told.starts_with("failed (limit)") || told.starts_with("failed (config)");
        if !refused || !told.contains(part) {
            wrong.push(format!("{what}: {told}"));
        }
    }
    world.lets_go(&neighbour);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sends(url: &str, name: &str, value: &str) -> Value {
    json!({"behaviour": "sends_headers", "url": url, "headers": [[name, value]]})
}

#[test]
fn one_request_stays_one_and_has_the_host_s_own_headers() {
    let world = World::start();
    let page = world.serves("/page", "hello");
    let sent = "failed (upstream): answered with status 200";
    world.suffers(&[
        Case::new(
            "a line break in a value",
            sends(&page, "x-a", "1\r\nx-injected: 1"),
            "failed (bug): ",
        ),
        Case::new(
            "a line break in a name",
            sends(&page, "x-a\r\nx-injected", "1"),
            "failed (bug): ",
        ),
        Case::new(
            "a zero in a value",
            sends(&page, "x-a", "1\u{0}2"),
            "failed (bug): ",
        ),
        Case::new(
            "a name with a space",
            sends(&page, "x a", "1"),
            "failed (bug): ",
        ),
        Case::new(
            "another transfer encoding",
            sends(&page, "Transfer-Encoding", "chunked"),
            sent,
        ),
        Case::new(
            "another length",
            sends(&page, "Content-Length", "1000"),
            sent,
        ),
        Case::new("another host", sends(&page, "Host", "evil.example"), sent),
        Case::new("an upgrade", sends(&page, "Upgrade", "h2c"), sent),
        Case::new(
            "a proxy's credential",
            sends(&page, "Proxy-Authorization", "Basic eDp5"),
            sent,
        ),
        Case::new(
            "a hundred headers",
            json!({"behaviour": "sends_headers", "url": page,
                "headers": (0..100).map(|n| json!([format!("x-{n}"), "1"])).collect::<Vec<_>>()}),
            "failed (bug): ",
        ),
        Case::new(
            "requests without an end",
            json!({"behaviour": "slow_rows", "url": page, "rows": 1}),
            "failed (limit): the run sent 40 requests, which is its limit `requests`",
        ),
    ]);
    let own = world.internet.address.to_string();
    for request in world.internet.seen_at("/page") {
        assert_eq!(request.header("host"), Some(own.as_str()));
        for name in [
            "x-injected",
            "transfer-encoding",
            "content-length",
            "upgrade",
            "proxy-authorization",
        ] {
            assert_eq!(request.header(name), None, "{request:?}");
        }
    }
}

#[test]
fn a_credential_that_a_service_echoes_is_not_seen() {
    let world = World::start();
    let key = json!({"value": CANARY});
    let slot = world.app.put("/api/sources/prey/credentials/api-key", &key);
    assert_eq!(slot.status, 204);
    world.internet.handle("/echo", |seen| {
        let key = seen.header("x-api-key").unwrap_or_default().to_owned();
        let body = format!("you sent {key}, twice: {key}");
        ([("x-echo", key)], body).into_response()
    });
    let order = json!({"behaviour": "echo_credential", "url": world.internet.url("/echo")});
    world
        .internet
        .page("/order", "application/json", order.to_string());
    let check = json!({"operation": "check"});
    let run = world.app.start_as("prey", &check);
    assert_eq!(outcome(&world.app.wait(&run)), "succeeded");
    let echoed = &world.internet.seen_at("/echo")[0];
    assert_eq!(echoed.header("x-api-key"), Some(CANARY));
    let log = world.app.log(&run);
    assert!(log.contains("you sent") && !log.contains(CANARY), "{log}");
}
