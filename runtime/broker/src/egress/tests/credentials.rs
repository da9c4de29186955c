//! The canary: it reaches the service, and nobody else sees it in any form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;
use crate::testing::server::{Server, page};

/// The forms in which a service echoes what it got.
fn echoes() -> Vec<String> {
    vec![
        CANARY.to_owned(),
        STANDARD.encode(CANARY),
        STANDARD.encode(format!("user:{CANARY}")),
        utf8_percent_encode(CANARY, NON_ALPHANUMERIC).to_string(),
        hex::encode(CANARY),
    ]
}

fn assert_unseen(what: &str, text: &str) {
    let inner = &STANDARD.encode(format!("user:{CANARY}"))[8..20];
    for form in echoes().iter().map(String::as_str).chain([inner]) {
        assert!(
            !text.contains(form),
            "{what} shows the credential as {form}"
        );
    }
}

async fn echo() -> Server {
    Server::start(|_, _| {
        let lines: String = echoes()
            .iter()
            .map(|form| format!("X-Echo: {form}\r\n"))
            .collect();
        page(
            200,
            &format!("Set-Cookie: s={CANARY}\r\n{lines}"),
            echoes().join(" and "),
        )
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_a_service_echoes_is_seen_by_nobody() {
    let server = echo().await;
    let rule = format!("http://{}", server.address);
    let run = Setup::to(server.address).canary(&[&rule]).build();
    let url = server.url(&format!("/{CANARY}"));
    let answer = run.get(&url).await.unwrap();
    assert!(server.seen()[0].contains(&format!("authorization: token {}", CANARY.to_lowercase())));
    assert_unseen("a header", &format!("{:?}", answer.headers));
    let body = whole(answer).await.unwrap();
    assert_eq!(
        body.len(),
        echoes().join(" and ").len(),
        "lengths stay true"
    );
    assert_unseen("the body", &String::from_utf8(body).unwrap());
    assert_unseen("the observer", &run.heard.everything());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_cannot_set_the_header_of_a_credential() {
    let server = Server::start(|_, _| page(200, "", "")).await;
    let run = Setup::to(server.address)
        .canary(&["elsewhere.example"])
        .build();
    let headers = [
        ("authorization", "Token forged"),
        ("Cookie", "forged"),
        ("Host", "forged"),
        ("Content-Length", "999"),
        ("Transfer-Encoding", "chunked"),
        ("X-Fine", "kept"),
    ];
    run.send(Method::POST, &server.url("/"), &headers, Some("body"))
        .await
        .unwrap();
    let seen = &server.seen()[0];
    assert!(
        !seen.contains("forged") && !seen.contains("999") && !seen.contains("chunked"),
        "{seen}"
    );
    assert!(
        seen.contains("x-fine: kept") && seen.contains("content-length: 4"),
        "{seen}"
    );
    assert!(seen.contains("user-agent: sluice-test") && seen.contains("accept-encoding: gzip"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_does_not_follow_a_redirect_to_a_host_it_is_not_bound_to() {
    let other = Server::start(|_, _| page(200, "", "")).await;
    let there = other.url("/");
    let server = Server::start(move |_, _| page(302, &format!("Location: {there}\r\n"), "")).await;
    let mut setup = Setup::to(server.address).private(other.address);
    setup
        .capabilities
        .egress
        .push(HostRule::parse(&other.url("")).unwrap());
    let run = setup.canary(&[&server.url("")]).build();
    run.get(&server.url("/")).await.unwrap();
    assert!(server.seen()[0].contains("authorization: token"));
    assert!(!other.seen()[0].contains("authorization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_repeats_the_credential_is_clean() {
    let server =
        Server::start(|_, _| page(200, &format!("Content-Encoding: {CANARY}\r\n"), "")).await;
    let run = Setup::to(server.address).canary(&[&server.url("")]).build();
    let failure = run.get(&server.url("/")).await.unwrap_err();
    let shown = crate::journal::clean_failure(run.egress.journal.redactor(), failure);
    assert!(shown.message.contains("[redacted]"), "{shown}");
    assert_unseen("the failure", &shown.message);
}
