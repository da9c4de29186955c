//! A runner that was taken over: whatever it sends, the conversation ends, and nothing is published.

use std::io::Write;

use domain::protocol::{MAX_HEAD, MAX_PAYLOAD};
use proptest::prelude::*;

use super::*;

fn frame(message: &FromRunner, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, message, payload).unwrap();
    bytes
}

fn head_only(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [&length.to_le_bytes()[..], &[0; 4], text.as_bytes()].concat()
}

/// Sends bytes, takes whatever comes, and closes.
fn sending(bytes: Vec<u8>) -> impl FnOnce(UnixStream) + Send {
    move |socket| {
        let mut sender = socket.try_clone().unwrap();
        let taking = std::thread::spawn(move || std::io::copy(&mut &socket, &mut std::io::sink()));
        let _ = sender.write_all(&bytes);
        let _ = sender.shutdown(std::net::Shutdown::Write);
        let _ = taking.join();
    }
}

fn after_greeting(bytes: &[u8]) -> (Scene, Result<Outcome, SessionError>) {
    let scene = Scene::sync();
    let greeting = frame(&FromRunner::Ready { missing: vec![] }, &[]);
    let result = scene.play_raw(sending([&greeting, bytes].concat()));
    (scene, result)
}

#[test]
fn what_does_not_fit_the_protocol_ends_the_run() {
    let call = |call| FromRunner::Call(call);
    let log = || Call::Log {
        level: Level::Info,
        message: String::new(),
    };
    for (what, bytes) in [
        ("no message", head_only("{}")),
        (
            "an unknown message",
            head_only(r#"{"type":"reply","reply":"done"}"#),
        ),
        (
            "an unknown call",
            head_only(r#"{"type":"call","call":"exec"}"#),
        ),
        ("deep nesting", head_only(&"[".repeat(1 << 20))),
        (
            "a table name that is none",
            head_only(r#"{"type":"call","call":"close-table","table":"../x"}"#),
        ),
        ("a huge head", [u32::MAX.to_le_bytes(), [0; 4]].concat()),
        (
            "a huge payload",
            [
                [0; 4],
                u32::try_from(MAX_PAYLOAD + 1).unwrap().to_le_bytes(),
            ]
            .concat(),
        ),
        (
            "ready again",
            frame(&FromRunner::Ready { missing: vec![] }, &[]),
        ),
        ("a piece", frame(&FromRunner::Piece { last: true }, &[])),
        ("a payload where none belongs", frame(&call(log()), b"x")),
        (
            "a body that was not announced",
            frame(&call(get("https://a.org/")), b"x"),
        ),
        (
            "an end with a payload",
            frame(&FromRunner::End(End::Done), b"x"),
        ),
    ] {
        let (scene, result) = after_greeting(&bytes);
        assert!(
            matches!(result, Err(SessionError::Violation(_))),
            "{what}: {result:?}"
        );
        assert!(scene.stage.calls().is_empty(), "{what}");
    }
}

#[test]
fn a_runner_that_speaks_before_it_is_ready_is_not_listened_to() {
    for message in [
        FromRunner::End(End::Done),
        FromRunner::Call(Call::Checkpoint),
    ] {
        let scene = Scene::sync();
        let result = scene.play_raw(sending(frame(&message, &[])));
        assert!(
            matches!(result, Err(SessionError::Violation(_))),
            "{result:?}"
        );
        assert!(scene.stage.calls().is_empty());
    }
}

#[test]
fn a_runner_that_closes_in_the_middle_is_lost() {
    for bytes in [
        &b""[..],
        &[7, 0],
        &frame(&FromRunner::End(End::Done), &[])[..20],
    ] {
        let (scene, result) = after_greeting(bytes);
        assert!(matches!(result, Err(SessionError::Lost(_))), "{result:?}");
        assert!(scene.stage.calls().is_empty());
    }
}

#[test]
fn a_head_at_its_limit_is_read() {
    let text = "x".repeat(MAX_HEAD - 100);
    let log = FromRunner::Call(Call::Log {
        level: Level::Info,
        message: text,
    });
    let (scene, _) = after_greeting(&frame(&log, &[]));
    assert_eq!(scene.heard.lines()[0].len(), crate::journal::MAX_LINE);
}

/// Calls as a fuzzer would make them: real shapes, odd contents.
fn odd_call() -> impl Strategy<Value = (FromRunner, Vec<u8>)> {
    let table = "[a-zA-Z_]{1,3}";
    let call = prop_oneof![
        table.prop_map(|t| open(&t)),
        table.prop_map(|t| json(&t)),
        table.prop_map(|t| Call::AppendArrow { table: name(&t) }),
        table.prop_map(|t| Call::CloseTable { table: name(&t) }),
        any::<u32>().prop_map(|response| Call::Close { response }),
        any::<(u32, u32)>().prop_map(|(response, max_bytes)| Call::Read {
            response,
            max_bytes
        }),
        any::<String>().prop_map(|table| Call::SetCursor { table }),
        any::<String>().prop_map(|table| Call::GetCursor { table }),
        any::<String>().prop_map(|url| get(&url)),
        any::<String>().prop_map(|message| Call::Log {
            level: Level::Error,
            message
        }),
        any::<(String, u64, Option<u64>)>().prop_map(|(message, done, total)| Call::Report {
            message,
            done,
            total
        }),
        Just(Call::Checkpoint),
    ];
    let payload = proptest::collection::vec(any::<u8>(), 0..20);
    (call, payload, any::<bool>()).prop_map(|(call, payload, with)| {
        let payload = if with && takes_payload(&call) {
            payload
        } else {
            vec![]
        };
        (FromRunner::Call(call), payload)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic_and_always_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let scene = Scene::sync();
        prop_assert!(scene.play_raw(sending(bytes)).is_err());
        prop_assert!(scene.stage.calls().is_empty());
    }

    #[test]
    fn random_heads_never_panic_and_always_end(text in "\\{\"type\":\"[a-z]{0,5}\".{0,40}\\}") {
        let (scene, result) = after_greeting(&head_only(&text));
        prop_assert!(result.is_err());
        prop_assert!(scene.stage.calls().is_empty());
    }

    #[test]
    fn a_harmed_conversation_never_panics_and_always_ends(
        calls in proptest::collection::vec(odd_call(), 1..6),
        harms in proptest::collection::vec(any::<(proptest::sample::Index, u8)>(), 1..4),
    ) {
        let mut bytes = frame(&FromRunner::Ready { missing: vec![] }, &[]);
        for (message, payload) in calls {
            bytes.extend(frame(&message, &payload));
        }
        for (at, with) in harms {
            let length = bytes.len();
            bytes[at.index(length)] ^= with;
        }
        // It never says that it is done, so nothing may be published as if it had.
        prop_assert!(Scene::sync().play_raw(sending(bytes)).is_err());
    }

    #[test]
    fn random_calls_are_all_answered(calls in proptest::collection::vec(odd_call(), 0..20)) {
        let scene = Scene::sync();
        let result = scene.play(|runner| {
            for (message, payload) in calls {
                runner.say(&message, &payload);
                let reply = read_frame::<ToRunner>(&mut runner.socket).unwrap().message;
                assert!(matches!(reply, ToRunner::Reply(_)), "{reply:?}");
            }
            runner.end(End::Done);
        });
        prop_assert!(result.is_ok(), "{:?}", result);
    }
}
