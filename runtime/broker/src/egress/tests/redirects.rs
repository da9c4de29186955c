//! Redirects: each is a request of its own.

use domain::FailureKind;

use super::*;
use crate::testing::server::{Server, page};

async fn redirecting(target: String) -> Server {
    Server::start(move |_, request| {
        if request.contains(" /start") {
            page(302, &format!("Location: {target}\r\n"), "")
        } else {
            page(200, "", "arrived")
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_without_any_header_of_the_first_request() {
    let server = redirecting("/end?q#f".into()).await;
    let run = Setup::to(server.address).build();
    let headers = [("X-Session", "private"), ("Accept", "text/csv")];
    let answer = run
        .send(Method::GET, &server.url("/start"), &headers, None)
        .await
        .unwrap();
    assert_eq!(whole(answer).await.unwrap(), b"arrived");
    let seen = server.seen();
    assert!(seen[0].contains("x-session: private") && seen[0].contains("accept: text/csv"));
    assert!(seen[1].starts_with("get /end?q http/1.1"), "{}", seen[1]);
    assert!(
        !seen[1].contains("x-session") && !seen[1].contains("text/csv"),
        "{}",
        seen[1]
    );
    assert_eq!(run.decisions(), ["sent", "sent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_anything_that_is_not_allowed_is_refused() {
    for target in [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://2130706433/",
        "http://localhost/",
        "https://inner.example.com/",
        "https://evil.example/",
        "//evil.example/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://user:word@127.0.0.1/",
        "data:text/plain,x",
    ] {
        let server = redirecting(target.into()).await;
        let run = Setup::to(server.address).build();
        let failure = run.get(&server.url("/start")).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Limit, "{target}: {failure}");
        assert_eq!(server.connections(), 1, "{target}");
        assert!(run.decisions()[1].starts_with("refused: "), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_name_that_redirects_inside_is_refused_by_the_address() {
    let server = redirecting("https://inner.example.com/".into()).await;
    let mut setup = Setup::to(server.address).name("inner.example.com", &[&["10.0.0.1"]]);
    setup
        .capabilities
        .egress
        .push(HostRule::parse("inner.example.com").unwrap());
    let run = setup.build();
    run.get(&server.url("/start")).await.unwrap_err();
    assert_eq!(
        run.decisions(),
        ["sent", "refused: an address that is not globally routable"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_of_redirects_ends() {
    let server = redirecting("/start".into()).await;
    let run = Setup::to(server.address).build();
    let failure = run.get(&server.url("/start")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert_eq!(server.seen().len(), redirect::MOST + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_follows_to_the_same_origin_only() {
    let other = Server::start(|_, _| page(200, "", "stolen")).await;
    let there = other.url("/");
    let server = Server::start(move |_, request| match request.split(' ').nth(1) {
        Some("/here") => page(307, "Location: /end\r\n", ""),
        Some("/there") => page(307, &format!("Location: {there}\r\n"), ""),
        _ => page(200, "", "arrived"),
    })
    .await;
    let mut setup = Setup::to(server.address).private(other.address);
    setup
        .capabilities
        .egress
        .push(HostRule::parse(&other.url("")).unwrap());
    let run = setup.build();
    let answer = run
        .send(Method::POST, &server.url("/here"), &[], Some("payload"))
        .await;
    assert_eq!(whole(answer.unwrap()).await.unwrap(), b"arrived");
    assert!(server.seen()[1].ends_with("payload"));
    let refused = run
        .send(Method::POST, &server.url("/there"), &[], Some("payload"))
        .await;
    assert_eq!(refused.unwrap_err().kind, FailureKind::Limit);
    assert_eq!(other.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_count_as_requests() {
    let server = redirecting("/start".into()).await;
    let mut setup = Setup::to(server.address);
    setup.capabilities.limits.requests = 3;
    let run = setup.build();
    let failure = run.get(&server.url("/start")).await.unwrap_err();
    assert!(failure.message.contains("`requests`"), "{failure}");
    assert_eq!(server.seen().len(), 3);
}
