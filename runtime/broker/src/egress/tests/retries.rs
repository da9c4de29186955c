//! Retries, and where they end.

use std::time::Instant;

use domain::FailureKind;

use super::*;
use crate::testing::server::{Say, Server, page};

async fn failing(times: usize, status: u16, headers: &'static str) -> Server {
    Server::start(move |number, _| {
        if number < times {
            page(status, headers, "no")
        } else {
            page(200, "", "yes")
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_be_sent_twice_is_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let server = failing(2, status, "").await;
        let run = Setup::to(server.address).build();
        let answer = run.get(&server.url("/")).await.unwrap();
        assert_eq!((answer.status, server.seen().len()), (200, 3), "{status}");
        assert_eq!(run.heard.egress().len(), 3, "each attempt is in the audit");
        assert_eq!(run.heard.egress()[0].status, Some(status));
        assert_eq!(
            run.egress.journal.counts().requests,
            1,
            "retries are not counted"
        );
        assert!(run.heard.lines()[0].contains(&format!("answered {status}; trying again in")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_statuses_are_not_tried_again() {
    for (method, status) in [
        (Method::POST, 503),
        (Method::PATCH, 429),
        (Method::GET, 404),
        (Method::GET, 501),
    ] {
        let server = failing(1, status, "").await;
        let run = Setup::to(server.address).build();
        let answer = run.send(method, &server.url("/"), &[], None).await.unwrap();
        assert_eq!((answer.status, server.seen().len()), (status, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_answer_is_given_to_the_component() {
    let server = failing(99, 503, "").await;
    let run = Setup::to(server.address).build();
    let answer = run.get(&server.url("/")).await.unwrap();
    assert_eq!((answer.status, server.seen().len()), (503, 4));
    assert_eq!(whole(answer).await.unwrap(), b"no");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_that_a_service_asks_for_is_kept_or_given_up() {
    let server = failing(1, 429, "Retry-After: 1\r\n").await;
    let run = Setup::to(server.address).build();
    let begun = Instant::now();
    assert_eq!(run.get(&server.url("/")).await.unwrap().status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let server = failing(1, 429, "Retry-After: 3600\r\n").await;
    let run = Setup::to(server.address).build();
    let answer = run.get(&server.url("/")).await.unwrap();
    assert_eq!(answer.status, 429);
    assert!(
        answer
            .headers
            .contains(&("retry-after".into(), "3600".into()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_tried_again() {
    let server = Server::start(|number, _| {
        if number < 2 {
            Say::Close(b"HTTP/1.1 200 OK\r\nConte".to_vec())
        } else {
            page(200, "", "yes")
        }
    })
    .await;
    let run = Setup::to(server.address).build();
    assert_eq!(
        whole(run.get(&server.url("/")).await.unwrap())
            .await
            .unwrap(),
        b"yes"
    );
    assert!(run.decisions()[0].starts_with("failed: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_named() {
    let gone = Server::start(|_, _| page(200, "", "")).await.address;
    let mut setup = Setup::to(gone);
    // The listener's task ends some time after its server; the port may still answer until then.
    setup.timing.headers = Duration::from_secs(5);
    let run = setup.build();
    let url = format!("http://{gone}/?token=x");
    let failure = loop {
        match run.get(&url).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert!(
        failure
            .message
            .starts_with("`127.0.0.1` could not be reached: "),
        "{failure}"
    );
    assert!(!failure.message.contains("token"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_says_nothing_is_left_at_the_deadline() {
    let server = Server::start(|_, _| Say::Hang(Vec::new())).await;
    let run = Setup::to(server.address).build();
    let request = Request {
        method: Method::GET,
        url: server.url("/"),
        headers: Vec::new(),
        body: None,
        timeout: Some(Duration::from_millis(50)),
    };
    let failure = run.egress.send(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert_eq!(run.decisions(), ["failed: no answer in time"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_request_and_a_wait_at_once() {
    let hanging = Server::start(|_, _| Say::Hang(Vec::new())).await;
    let busy = failing(9, 503, "Retry-After: 60\r\n").await;
    for server in [hanging, busy] {
        let mut setup = Setup::to(server.address);
        setup.timing.headers = Duration::from_secs(300);
        let run = setup.build();
        let cancel = run.cancel.clone();
        let url = server.url("/");
        let cancelling = async {
            while server.seen().is_empty() {
                tokio::task::yield_now().await;
            }
            cancel.cancel();
        };
        let begun = Instant::now();
        let (result, ()) = tokio::join!(run.get(&url), cancelling);
        assert_eq!(result.unwrap_err(), Failure::limit("the run was cancelled"));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
