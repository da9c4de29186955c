//! URLs and addresses that somebody inside must never be asked for.

use domain::FailureKind;
use url::Url;

use super::*;
use crate::testing::server::{Server, page};

/// Which lock must hold.
#[derive(Debug, PartialEq)]
enum Lock {
    /// The URL cannot be read.
    Url,
    /// The scheme, a user name, or no rule.
    Rule,
    /// A rule allows it, and an address does not pass.
    Address,
}
use Lock::{Address, Rule, Url as Unreadable};

const ROWS: &[(&str, Lock)] = &[
    // This machine, in every spelling of an IPv4 address.
    ("http://127.0.0.1/", Address),
    ("http://127.0.0.1./", Address),
    ("http://127.0.0.1:8080/", Address),
    ("http://127.1/", Address),
    ("http://127.0.1/", Address),
    ("http://2130706433/", Address),
    ("http://0x7f000001/", Address),
    ("http://0x7F.0.0.1/", Address),
    ("http://0177.0.0.1/", Address),
    ("http://017700000001/", Address),
    ("http://127.0.0.0x1/", Address),
    ("http://%31%32%37.0.0.1/", Address),
    ("http://１２７.0.0.1/", Address),
    ("http://127。0。0。1/", Address),
    ("http://①②⑦.0.0.1/", Address),
    ("http://127.9.8.7/", Address),
    ("http://0.0.0.0/", Address),
    ("http://0/", Address),
    ("http:/\\127.0.0.1/", Address),
    ("http:127.0.0.1/", Address),
    // Metadata services.
    ("http://169.254.169.254/latest/meta-data/", Address),
    ("http://2852039166/", Address),
    ("http://0xa9fea9fe/", Address),
    ("http://0251.0376.0251.0376/", Address),
    ("http://169.254.43518/", Address),
    ("http://100.100.100.200/", Address),
    ("http://192.0.0.192/", Address),
    ("http://[fd00:ec2::254]/", Address),
    ("http://metadata.google.internal/", Address),
    // Inner and special networks.
    ("https://10.0.0.1/", Address),
    ("https://172.16.0.1/", Address),
    ("https://172.31.255.255/", Address),
    ("https://192.168.1.1/", Address),
    ("https://100.64.0.1/", Address),
    ("https://198.18.0.1/", Address),
    ("https://192.0.2.1/", Address),
    ("https://203.0.113.1/", Address),
    ("https://224.0.0.1/", Address),
    ("https://240.0.0.1/", Address),
    ("https://255.255.255.255/", Address),
    // IPv6, and IPv4 inside of it.
    ("http://[::1]/", Address),
    ("http://[0:0:0:0:0:0:0:1]/", Address),
    ("http://[::]/", Address),
    ("http://[::ffff:127.0.0.1]/", Address),
    ("http://[::FFFF:7f00:1]/", Address),
    ("http://[::ffff:10.0.0.1]/", Address),
    ("http://[::127.0.0.1]/", Address),
    ("http://[64:ff9b::127.0.0.1]/", Address),
    ("http://[64:ff9b::a9fe:a9fe]/", Address),
    ("http://[64:ff9b:1::a00:1]/", Address),
    ("http://[2002:7f00:1::]/", Address),
    ("http://[2001:0:53aa:64c::1]/", Address),
    ("http://[fe80::1]/", Address),
    ("http://[fec0::1]/", Address),
    ("http://[fc00::1]/", Address),
    ("http://[ff02::1]/", Address),
    ("http://[2001:db8::1]/", Address),
    ("http://[100::1]/", Address),
    // Names that lead inside.
    ("http://localhost/", Address),
    ("http://LOCALHOST:80/", Address),
    ("http://localhost./", Address),
    ("http://localhost.localdomain/", Address),
    ("https://inner.example.com/", Address),
    ("https://mixed.example.com/", Address),
    ("https://mapped.example.com/", Address),
    ("https://nat64.example.com/", Address),
    ("http://127.0.0.1.nip.example/", Address),
    // Names that only look like the one that is allowed, which is https://api.example.com/v1/.
    ("https://api.example.com.evil.example/v1/", Rule),
    ("https://evil.example/api.example.com/v1/", Rule),
    ("https://apixexample.com/v1/", Rule),
    ("https://example.com/v1/", Rule),
    ("https://x.api.example.com/v1/", Rule),
    ("https://аpi.example.com/v1/", Rule),
    ("https://xn--pi-7ma.example.com/v1/", Rule),
    ("https://api.example.com:444/v1/", Rule),
    ("https://api.example.com:80/v1/", Rule),
    ("http://api.example.com/v1/", Rule),
    ("http://api.example.com:443/v1/", Rule),
    ("https://api.example.com@evil.example/v1/", Rule),
    ("https://api.example.com:x@evil.example/v1/", Rule),
    ("https://evil.example\\@api.example.com/v1/", Rule),
    ("https://evil.example#@api.example.com/v1/", Rule),
    ("https://evil.example?@api.example.com/v1/", Rule),
    ("https://user@api.example.com/v1/", Rule),
    ("https://user:word@api.example.com/v1/", Rule),
    ("https://:word@api.example.com/v1/", Rule),
    // The path, as it is written and as a server may read it.
    ("https://api.example.com/", Rule),
    ("https://api.example.com/v2/", Rule),
    ("https://api.example.com/v1/../v2/", Rule),
    ("https://api.example.com/v1/%2e%2e/v2/", Rule),
    ("https://api.example.com/v1/..%2fv2/", Rule),
    ("https://api.example.com/v1/%2E%2E%2Fv2/", Rule),
    ("https://api.example.com/v1/..%5cv2/", Rule),
    ("https://api.example.com/v1/%252e%252e%252fv2/", Rule),
    ("https://api.example.com/v1\\..\\v2/", Rule),
    // Other schemes.
    ("ftp://api.example.com/v1/", Rule),
    ("file:///etc/passwd", Rule),
    ("gopher://api.example.com/v1/", Rule),
    ("ws://api.example.com/v1/", Rule),
    ("unix:/run/docker.sock", Rule),
    ("data:text/plain,x", Rule),
    ("javascript:alert(1)", Rule),
    ("HTTPS+unix://api.example.com/", Rule),
    // What is no URL at all.
    ("", Unreadable),
    ("/v1/", Unreadable),
    ("//api.example.com/v1/", Unreadable),
    ("api.example.com/v1/", Unreadable),
    ("https://", Unreadable),
    ("https://api example.com/", Unreadable),
    ("https://[fe80::1%25eth0]/", Unreadable),
    ("https://[::1/", Unreadable),
    ("https://1.2.3.256/", Unreadable),
    ("https://api.example.com:99999/", Unreadable),
    ("https://api%00.example.com/", Unreadable),
    ("https://xn--/", Unreadable),
];

fn gate_for(url: &str) -> Run {
    setup_for(url).build()
}

fn setup_for(url: &str) -> Setup {
    let mut setup = Setup::new(&["api.example.com/v1/"]);
    // The address lock is tried with the rule lock open.
    if let Some(rule) = Url::parse(url)
        .ok()
        .and_then(|url| HostRule::for_url(&url).ok())
        && ROWS.contains(&(url, Address))
    {
        setup.capabilities.egress.push(rule);
    }
    let localhost: &[&[&str]] = &[&["127.0.0.1", "::1"]];
    setup
        .name("localhost", localhost)
        .name("localhost.", localhost)
        .name("localhost.localdomain", localhost)
        .name("127.0.0.1.nip.example", localhost)
        .name("metadata.google.internal", &[&["169.254.169.254"]])
        .name("inner.example.com", &[&["10.1.2.3"]])
        .name("mixed.example.com", &[&["1.1.1.1", "192.168.0.9"]])
        .name("mapped.example.com", &[&["::ffff:127.0.0.1"]])
        .name("nat64.example.com", &[&["64:ff9b::7f00:1"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_url_is_refused_by_the_lock_that_is_meant_for_it() {
    assert!(ROWS.len() >= 100);
    for (url, lock) in ROWS {
        let run = gate_for(url);
        let failure = run
            .get(url)
            .await
            .err()
            .unwrap_or_else(|| panic!("{url} was sent"));
        let kind = if *lock == Unreadable {
            FailureKind::Config
        } else {
            FailureKind::Limit
        };
        assert_eq!(failure.kind, kind, "{url}: {failure}");
        let decision = run.decisions();
        let held = match decision.as_slice() {
            [one] if one == "refused: the URL is malformed" => Unreadable,
            [one] if one == "refused: an address that is not globally routable" => Address,
            [one] if one.starts_with("refused: ") => Rule,
            other => panic!("{url}: {other:?}"),
        };
        assert_eq!(held, *lock, "{url}: {failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_url_is_refused_as_the_target_of_a_redirect() {
    for (url, _) in ROWS.iter().filter(|(_, lock)| *lock != Unreadable) {
        let location = format!("Location: {url}\r\n");
        let server = Server::start(move |_, _| page(302, &location, "")).await;
        let here = Url::parse(&server.url("/")).unwrap();
        // Some spellings mean a path of the same server where they stand in a redirect.
        if here.join(url).unwrap().origin() == here.origin() {
            continue;
        }
        let mut setup = setup_for(url).private(server.address);
        let rule = HostRule::parse(&server.url("")).unwrap();
        setup.capabilities.egress.push(rule);
        let run = setup.build();
        let failure = run.get(here.as_str()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Limit, "{url}: {failure}");
        let decisions = run.decisions();
        assert_eq!(decisions.len(), 2, "{url}: {decisions:?}");
        assert!(
            decisions[1].starts_with("refused: "),
            "{url}: {decisions:?}"
        );
    }
}

#[tokio::test]
async fn a_denial_names_what_was_denied_and_what_to_add() {
    let run = gate_for("");
    let failure = run
        .get("https://evil.example:8443/a?secret=1")
        .await
        .unwrap_err();
    assert_eq!(
        failure.message,
        "`https://evil.example:8443` was refused: no egress rule in effect for the source `shop` allows this request. A rule must be in what the connector asks for and in what the source was granted; add `evil.example:8443` to both"
    );
    let row = &run.heard.egress()[0];
    assert_eq!(
        (row.host.as_str(), row.path.as_str(), row.address),
        ("evil.example", "/a", None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_exception_is_exact_to_the_port() {
    let server = Server::start(|_, _| page(200, "", "ok")).await;
    let other = Server::start(|_, _| page(200, "", "ok")).await;
    let mut setup = Setup::to(server.address);
    setup
        .capabilities
        .egress
        .push(HostRule::parse(&format!("http://{}", other.address)).unwrap());
    let run = setup.build();
    assert!(run.get(&server.url("/")).await.is_ok());
    let failure = run.get(&other.url("/")).await.unwrap_err();
    assert!(
        failure
            .message
            .contains(&format!("not granted `{}`", other.address)),
        "{failure}"
    );
    assert_eq!((server.connections(), other.connections()), (1, 0));
    let rows = run.heard.egress();
    assert_eq!(rows[0].address, Some(server.address));
    assert_eq!(
        rows[1].address,
        Some(other.address),
        "the refused address is in the audit"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_dialled_at_the_address_that_was_vetted() {
    let server = Server::start(|_, _| page(200, "", "ok")).await;
    let port = server.address.port();
    let rule = format!("http://data.example.com:{port}");
    let run = Setup::new(&[&rule])
        .private(server.address)
        .name("data.example.com", &[&["127.0.0.1"], &["127.0.0.2"]])
        .build();
    let url = format!("{rule}/x");
    // One look-up serves further requests, and one connection.
    for _ in 0..3 {
        assert_eq!(whole(run.get(&url).await.unwrap()).await.unwrap(), b"ok");
    }
    assert_eq!(server.connections(), 1);
    assert!(server.seen()[0].contains(&format!("host: data.example.com:{port}")));
    // A name that changes between two look-ups is judged anew.
    run.egress.resolver.forget(&Url::parse(&url).unwrap());
    let failure = run.get(&url).await.unwrap_err();
    assert!(failure.message.contains("127.0.0.2"), "{failure}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_the_services_failure() {
    let run = Setup::new(&["nowhere.example"]).build();
    let failure = run.get("https://nowhere.example/").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert!(
        failure
            .message
            .contains("`nowhere.example` could not be resolved"),
        "{failure}"
    );
}
