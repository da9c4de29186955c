//! Tokens: had once for all who wait, renewed in time and on refusal, and seen by nobody.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::FailureKind;

use super::*;
use crate::testing::server::{Say, Server, page};

const REFRESH: &str =
    r#"{"client_id":"sluice","client_secret":"cl1ent-cAnary","refresh_token":"r3fresh-cAnary"}"#;

/// A service whose token endpoint gives `t0ken-cAnary-N`, good for so many seconds, and whose API takes
/// whatever `accepts`.
async fn service(seconds: u64, accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    let given = AtomicUsize::new(0);
    Server::start(move |_, request| {
        if request.starts_with("POST /token ") {
            let number = given.fetch_add(1, Ordering::SeqCst);
            let token = json!({"access_token": format!("t0ken-cAnary-{number}"), "token_type": "Bearer", "expires_in": seconds});
            return page(200, "", token.to_string());
        }
        match accepts(request) {
            true => page(200, "", request),
            false => page(401, "", "no"),
        }
    })
    .await
}

fn client_of(server: &Server) -> Setup {
    let scheme = json!({"scheme": "oauth2-client-credentials", "token_url": server.url("/token")});
    let rule = server.url("");
    // The token endpoint itself is no place where the component may send requests.
    let mut setup = Setup::new(&[&format!("{rule}/api")]).private(server.address);
    setup = setup.credential(scheme, &[&rule], "sluice:cl1ent-cAnary");
    setup
}

fn exchanges(server: &Server) -> usize {
    server
        .seen()
        .iter()
        .filter(|request| request.starts_with("post /token "))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_had_once_for_all_requests_of_all_runs_and_is_seen_by_nobody() {
    let server = service(3_600, |request| request.contains("Bearer t0ken-cAnary-0")).await;
    let (one, two) = (client_of(&server), client_of(&server));
    let tokens = one.tokens.clone();
    let (one, two) = (one.build(), Setup { tokens, ..two }.build());
    let url = server.url("/api");
    let answers = tokio::join!(one.get(&url), one.get(&url), two.get(&url), two.get(&url));
    let answers: [_; 4] = answers.into();
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200);
        let body = String::from_utf8(whole(answer).await.unwrap()).unwrap();
        assert!(
            body.contains("Bearer ****") && !body.contains("cAnary"),
            "{body}"
        );
    }
    assert_eq!(exchanges(&server), 1, "{:?}", server.seen());
    for run in [one, two] {
        assert!(
            !run.heard.everything().contains("cAnary"),
            "{}",
            run.heard.everything()
        );
        let rows = run.heard.egress();
        assert!(
            rows.iter().all(|row| row.address == Some(server.address)),
            "{rows:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_renewed_before_the_next_request() {
    let server = service(0, |_| true).await;
    let run = client_of(&server).build();
    for number in 0..3 {
        run.get(&server.url("/api")).await.unwrap();
        let last = server.seen().pop().unwrap();
        assert!(
            last.contains(&format!("bearer t0ken-canary-{number}")),
            "{last}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_service_refuses_is_renewed_once() {
    let server = service(3_600, |request| request.contains("t0ken-cAnary-1")).await;
    let run = client_of(&server).build();
    let sent = run
        .send(Method::POST, &server.url("/api"), &[], Some("body"))
        .await
        .unwrap();
    assert_eq!((sent.status, exchanges(&server)), (200, 2));
    assert!(
        server.seen().last().unwrap().ends_with("body"),
        "the body goes along again"
    );

    let server = service(3_600, |_| false).await;
    let run = client_of(&server).build();
    assert_eq!(run.get(&server.url("/api")).await.unwrap().status, 401);
    assert_eq!(
        exchanges(&server),
        2,
        "a service that refuses all gets no flood"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_value_gets_another_token() {
    let server = service(3_600, |_| true).await;
    let old = client_of(&server);
    let tokens = old.tokens.clone();
    old.build().get(&server.url("/api")).await.unwrap();
    let mut new = Setup {
        tokens,
        ..client_of(&server)
    };
    new.entered.insert(
        SlotName::parse("key").unwrap(),
        Secret::new("sluice:entered-anew"),
    );
    new.build().get(&server.url("/api")).await.unwrap();
    assert_eq!(exchanges(&server), 2);
}

/// A service that takes each refresh token once.
async fn rotating() -> Server {
    let given = AtomicUsize::new(0);
    Server::start(move |_, request| {
        if !request.starts_with("POST /token ") {
            return page(200, "", "");
        }
        let number = given.load(Ordering::SeqCst);
        let wanted = match number {
            0 => "refresh_token=r3fresh-cAnary".to_owned(),
            _ => format!("refresh_token=r0tated-cAnary-{number}"),
        };
        if !request.ends_with(&wanted) {
            return page(400, "", r#"{"error":"invalid_grant"}"#);
        }
        given.store(number + 1, Ordering::SeqCst);
        let next = format!("r0tated-cAnary-{}", number + 1);
        let token = json!({"access_token": format!("t0ken-cAnary-{number}"), "expires_in": 0, "refresh_token": next});
        page(200, "", token.to_string())
    })
    .await
}

fn refreshing(server: &Server) -> Setup {
    let scheme = json!({"scheme": "oauth2-refresh", "token_url": server.url("/token")});
    let rule = server.url("");
    Setup::to(server.address).credential(scheme, &[&rule], REFRESH)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_refresh_token_is_used_and_stored() {
    let server = rotating().await;
    let first = refreshing(&server);
    let tokens = first.tokens.clone();
    let first = first.build();
    for _ in 0..2 {
        assert_eq!(first.get(&server.url("/api")).await.unwrap().status, 200);
    }
    let kept = first.kept.0.lock().unwrap().clone();
    let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
    assert_eq!(
        text(&kept[0].0),
        REFRESH,
        "it takes the place of what was entered"
    );
    assert!(text(&kept[0].1).contains("r0tated-cAnary-1") && text(&kept[0].1).contains("cl1ent"));
    assert_eq!(
        kept[1].0, kept[0].1,
        "each takes the place of the one before"
    );
    assert!(
        !first.heard.everything().contains("cAnary"),
        "{}",
        first.heard.everything()
    );

    // A run that began before still has the first one, one that begins now what was stored.
    let before = Setup {
        tokens: tokens.clone(),
        ..refreshing(&server)
    }
    .build();
    assert_eq!(before.get(&server.url("/api")).await.unwrap().status, 200);
    let mut after = Setup {
        tokens,
        ..refreshing(&server)
    };
    after
        .entered
        .insert(SlotName::parse("key").unwrap(), kept[1].1.clone());
    assert_eq!(
        after.build().get(&server.url("/api")).await.unwrap().status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotated_refresh_token_is_stored_although_its_run_was_cancelled_before_it_came() {
    let (open, gate) = std::sync::mpsc::channel();
    let gate = std::sync::Mutex::new(gate);
    let server = Server::start(move |_, _| {
        let () = gate.lock().unwrap().recv().unwrap();
        let token = json!({"access_token": "t0ken-cAnary", "refresh_token": "r0tated-cAnary-1"});
        page(200, "", token.to_string())
    })
    .await;
    let setup = refreshing(&server);
    let tokens = setup.tokens.clone();
    let run = setup.build();
    let url = server.url("/api");
    let (asked, ()) = tokio::join!(run.get(&url), async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        run.cancel.cancel();
    });
    assert!(asked.unwrap_err().message.contains("cancelled"));
    let kept = run.kept.clone();
    assert!(kept.0.lock().unwrap().is_empty(), "nothing came yet");
    drop(run);
    open.send(()).unwrap();
    tokens.settled().await;
    let kept = kept.0.lock().unwrap().clone();
    let [(_, new)] = kept.as_slice() else {
        panic!("{} values were stored", kept.len())
    };
    let new = String::from_utf8(new.expose().to_vec()).unwrap();
    assert!(
        new.contains("r0tated-cAnary-1") && new.contains("cl1ent"),
        "{new}"
    );
    assert_eq!(server.seen().len(), 1, "the request itself was never sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_token_endpoint_is_an_auth_failure_and_nothing_is_sent() {
    let server = Server::start(|_, request| match request.starts_with("POST /token ") {
        true => page(
            401,
            "",
            json!({"error": "invalid_client", "error_description": request}).to_string(),
        ),
        false => page(200, "", ""),
    })
    .await;
    let run = client_of(&server).build();
    let failure = run.get(&server.url("/api")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Auth);
    let shown = crate::journal::clean_failure(run.egress.journal.redactor(), failure);
    assert!(!shown.message.contains("cAnary"), "{shown}");
    assert_eq!(run.decisions(), ["sent", "failed: there is no token"]);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_is_vetted_like_every_destination() {
    let server = service(3_600, |_| true).await;
    let port = server.address.port();
    for (token_url, reason) in [
        (
            "http://169.254.169.254/token".to_owned(),
            "not globally routable",
        ),
        (
            format!("http://localhost:{port}/token"),
            "not globally routable",
        ),
        (
            format!("http://[::ffff:127.0.0.1]:{port}/token"),
            "not globally routable",
        ),
        (
            "https://inner.example.com/token".to_owned(),
            "not globally routable",
        ),
    ] {
        let scheme = json!({"scheme": "oauth2-client-credentials", "token_url": token_url});
        let rule = server.url("");
        let run = Setup::to(server.address)
            .name("inner.example.com", &[&["10.0.0.1"]])
            .name("localhost", &[&["127.0.0.2"]])
            .credential(scheme, &[&rule], "sluice:cl1ent-cAnary")
            .build();
        let failure = run.get(&server.url("/api")).await.unwrap_err();
        assert!(failure.message.contains(reason), "{token_url}: {failure}");
        assert!(run.decisions()[0].starts_with("refused: "), "{token_url}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_redirects_or_floods_gives_no_token() {
    let target = Server::start(|_, _| page(200, "", "")).await;
    let there = format!("Location: {}\r\n", target.url("/token"));
    for (answer, word) in [
        (page(307, &there, ""), "307"),
        (page(200, "", "x".repeat(100 << 10)), "too large"),
        (page(200, "", r#"{"access_token": 7}"#), "no token"),
    ] {
        let Say::Bytes(bytes) = answer else {
            panic!("a page")
        };
        let server = Server::start(move |_, _| Say::Bytes(bytes.clone())).await;
        let mut setup = client_of(&server);
        setup.capabilities.private_addresses.push(target.address);
        let failure = setup.build().get(&server.url("/api")).await.unwrap_err();
        assert!(failure.message.contains(word), "{failure}");
    }
    assert!(target.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_is_busy_is_asked_again() {
    let server =
        Server::start(
            |number, request| match (number, request.starts_with("POST /token ")) {
                (0 | 1, true) => page(503, "", ""),
                (_, true) => page(200, "", r#"{"access_token":"t0ken","expires_in":60}"#),
                _ => page(200, "", ""),
            },
        )
        .await;
    let run = client_of(&server).build();
    assert_eq!(run.get(&server.url("/api")).await.unwrap().status, 200);
    assert_eq!(exchanges(&server), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_to_its_hosts_only() {
    let server = service(3_600, |_| true).await;
    let other = Server::start(|_, _| page(200, "", "")).await;
    let mut setup = client_of(&server).private(other.address);
    setup
        .capabilities
        .egress
        .push(HostRule::parse(&other.url("")).unwrap());
    let run = setup.build();
    run.get(&other.url("/")).await.unwrap();
    assert_eq!(exchanges(&server), 0, "nobody needs one yet");
    run.get(&server.url("/api")).await.unwrap();
    run.get(&other.url("/")).await.unwrap();
    assert!(
        other
            .seen()
            .iter()
            .all(|request| !request.contains("authorization"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_places_wait_until_a_body_is_done_with() {
    let server = Server::start(|number, _| match number {
        0 => Say::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok".to_vec()),
        _ => page(200, "", "ok"),
    })
    .await;
    let mut setup = Setup::to(server.address);
    setup.capabilities.limits.requests_at_once = 1;
    setup.timing.headers = Duration::from_secs(60);
    setup.timing.idle = Duration::from_secs(60);
    let run = setup.build();
    let held = run.get(&server.url("/1")).await.unwrap();
    let url = server.url("/2");
    let second = async {
        let answer = run.get(&url).await.unwrap();
        assert_eq!(server.seen().len(), 2);
        drop(answer);
    };
    let first = async {
        // The second cannot leave while this one flows.
        assert_eq!(server.seen().len(), 1);
        drop(held);
    };
    tokio::join!(second, first);
}
