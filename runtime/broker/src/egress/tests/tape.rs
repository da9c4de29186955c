//! Record and replay through the whole gate: what was recorded comes back without the network, and under the same rules.

use domain::{FailureKind, Operation};
use serde_json::json;

use super::*;
use crate::tape::{Fault, Head, Player, Recorder, Recording, Tape};
use crate::testing::server::{Server, page};

/// What a recorder keeps of these requests to a service that echoes the credential.
async fn recorded(paths: &[&str]) -> (Recording, String) {
    let server = Server::start(|number, _| {
        page(
            200,
            &format!("X-Echo: {CANARY}\r\nSet-Cookie: s={CANARY}\r\n"),
            format!("{number}: {CANARY}"),
        )
    })
    .await;
    let rule = format!("http://{}", server.address);
    let recorder = Recorder::new();
    recorder.starts(Head::new(Operation::Sync, json!({})));
    let mut run = Setup::to(server.address).canary(&[&rule]).build();
    run.egress = run.egress.with_tape(Tape::Record(recorder.clone()));
    for path in paths {
        let answer = run.get(&server.url(path)).await.unwrap();
        whole(answer).await.unwrap();
    }
    run.get("http://192.0.2.1/refused").await.unwrap_err();
    (recorder.finish().unwrap(), rule)
}

fn replaying(rule: &str, player: &Player) -> Run {
    // No address is granted, so nothing could be dialled.
    let mut run = Setup::new(&[rule]).build();
    run.egress = run.egress.with_tape(Tape::Replay(player.clone()));
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_holds_no_credential_and_is_played_without_the_network() {
    let (recording, rule) = recorded(&["/a", &format!("/b?k={CANARY}"), "/a"]).await;
    let text = recording.to_text();
    let encoded = percent_encoding::utf8_percent_encode(CANARY, percent_encoding::NON_ALPHANUMERIC);
    for form in [CANARY.to_owned(), encoded.to_string(), hex::encode(CANARY)] {
        assert!(!text.contains(&form), "{text}");
    }
    assert!(!text.contains("set-cookie"), "{text}");
    assert!(
        text.contains("192.0.2.1"),
        "what was refused is there: {text}"
    );

    let recording = Recording::parse(text.as_bytes()).unwrap();
    let player = Player::new(&recording);
    let run = replaying(&rule, &player);
    for first in ["0", "2", "2"] {
        let answer = run.get(&format!("{rule}/a")).await.unwrap();
        assert!(answer.headers.iter().any(|(name, _)| name == "x-echo"));
        let body = String::from_utf8(whole(answer).await.unwrap()).unwrap();
        assert!(body.starts_with(first), "equal requests in order: {body}");
    }
    // What the redactor took out of the recording is not what the component has in its place now.
    for value in ["[redacted]", "%5Bredacted%5D", "something"] {
        let answer = run.get(&format!("{rule}/b?k={value}")).await.unwrap();
        let body = String::from_utf8(whole(answer).await.unwrap()).unwrap();
        assert!(body.starts_with('1'), "{value}: {body}");
    }
    assert!(run.heard.egress().iter().all(|row| row.address.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_in_the_recording_fails_and_is_named() {
    let (recording, rule) = recorded(&["/a"]).await;
    let player = Player::new(&recording);
    let run = replaying(&rule, &player);
    for (method, body) in [(Method::POST, Some("x")), (Method::POST, None)] {
        let url = format!("{rule}/a");
        let failure = run.send(method, &url, &[], body).await.unwrap_err();
        assert!(
            failure.message.contains(&format!("`POST {url}`")),
            "{failure}"
        );
    }
    assert_eq!(player.missing().len(), 2);
    let refused = run.get("https://elsewhere.org/").await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Limit, "the grant still holds");
    assert_eq!(player.missing().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_misbehaves_is_tried_again_in_a_replay_too() {
    let (recording, rule) = recorded(&["/a"]).await;
    for (attempts, status, made) in [(1, 200, 2), (u32::MAX, 500, 4)] {
        let fault = Fault {
            status: 500,
            attempts,
        };
        let player = Player::new(&recording).with_fault(fault);
        let run = replaying(&rule, &player);
        let answer = run.get(&format!("{rule}/a")).await.unwrap();
        assert_eq!((answer.status, player.attempts()), (status, made));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_cancelled_at_a_request_never_answers_it() {
    let (recording, rule) = recorded(&["/a"]).await;
    let mut run = Setup::new(&[&rule]).build();
    let player = Player::new(&recording).cancelling(2, run.cancel.clone());
    run.egress = run.egress.with_tape(Tape::Replay(player));
    run.get(&format!("{rule}/a")).await.unwrap();
    let failure = run.get(&format!("{rule}/a")).await.unwrap_err();
    assert!(failure.message.contains("cancelled"), "{failure}");
}
