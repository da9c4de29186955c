//! The file's form, and what a recorder keeps.

use super::*;
use domain::Operation;
use serde_json::json;

const FILE: &str = concat!(
    r#"{"sluice_recording":1,"settings":{"url":"https://a.org"},"cursors":{"t":"7"}}"#,
    "\n\n",
    r#"{"url":"https://a.org/1","status":200,"body":{"json":{"items":[]}}}"#,
    "\n",
    r#"{"method":"POST","url":"https://a.org/2","status":200,"headers":[["x","y"]],"body":{"base64":"/w=="}}"#,
    "\n",
    r#"{"url":"https://a.org/3","failure":{"kind":"upstream","message":"gone"}}"#,
);

#[test]
fn a_recording_that_was_written_by_hand_can_be_read_and_written() {
    let recording = Recording::parse(FILE.as_bytes()).unwrap();
    assert_eq!(recording.head.operation, Operation::Sync);
    assert_eq!(recording.head.settings, json!({"url": "https://a.org"}));
    assert_eq!(recording.head.cursors()["t"], b"7");
    let bodies: Vec<_> = recording
        .exchanges
        .iter()
        .map(|exchange| match &exchange.answer {
            Answered::Response { body, .. } => body.bytes(),
            Answered::Failed { failure } => failure.message.clone().into_bytes(),
        })
        .collect();
    assert_eq!(bodies, [&b"{\"items\":[]}"[..], b"\xff", b"gone"]);
    let again = Recording::parse(recording.to_text().as_bytes()).unwrap();
    assert_eq!(again, recording);
}

#[test]
fn a_recording_that_cannot_be_used_says_where_and_why() {
    let error = |text: &str| Recording::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error("").contains("empty"));
    assert!(error(r#"{"sluice_recording":2}"#).contains("version 2"));
    assert!(error("{\"sluice_recording\":1}\n\n{\"status\":200}").starts_with("line 3 "));
    assert!(error("no").starts_with("line 1 "));
    let head = r#"{"sluice_recording":1}"#;
    for (line, named) in [
        (r#"{"url":"https://a.org","statsu":200}"#, "`statsu`"),
        (
            r#"{"url":"https://a.org","status":200,"boddy":"x"}"#,
            "`boddy`",
        ),
        (
            r#"{"url":"https://a.org","status":200,"body":{"jsn":1}}"#,
            "Content",
        ),
        (
            r#"{"url":"https://a.org","status":200,"body":{"json":1,"base64":""}}"#,
            "Content",
        ),
        (r#"{"url":"https://a.org"}"#, "`status`"),
        (
            r#"{"url":"https://a.org","status":200,"failure":{"kind":"bug","message":"x"}}"#,
            "both",
        ),
        (
            r#"{"url":"https://a.org","cut":true,"failure":{"kind":"bug","message":"x"}}"#,
            "`cut`",
        ),
    ] {
        let told = error(&format!("{head}\n\n{line}"));
        assert!(
            told.starts_with("line 3 ") && told.contains(named),
            "{line}: {told}"
        );
    }
    assert!(error(r#"{"sluice_recording":1,"setings":{}}"#).contains("`setings`"));
    assert!(error(r#"{"sluice_recording":1,"random_seed":"7"}"#).contains("`random_seed`"));
}

#[test]
fn a_body_beyond_the_cap_is_cut_and_says_so() {
    let recorder = Recorder::new();
    recorder.starts(Head::new(Operation::Sync, json!({})));
    let redactor = crate::redact::Redactor::new(&[domain::Secret::new("canary-1")]).unwrap();
    let request = crate::egress::Request {
        method: reqwest::Method::GET,
        url: "https://a.org/?q=canary-1".into(),
        headers: Vec::new(),
        body: None,
        timeout: None,
    };
    let copy = recorder.asked(&request, &redactor).answered(200, &[]);
    for _ in 0..9 {
        copy.push(&vec![b'x'; 1 << 20]);
    }
    let recording = recorder.finish().unwrap();
    let [exchange] = recording.exchanges.as_slice() else {
        panic!("{recording:?}")
    };
    assert_eq!(exchange.url, "https://a.org/?q=[redacted]");
    let Answered::Response { body, cut, .. } = &exchange.answer else {
        panic!("{exchange:?}")
    };
    assert!(*cut);
    assert_eq!(body.bytes().len(), 8 << 20);
}

#[test]
fn a_body_whose_end_nobody_saw_is_not_taken_for_a_whole_one() {
    let recorder = Recorder::new();
    recorder.starts(Head::new(Operation::Sync, json!({})));
    let redactor = crate::redact::Redactor::new(&[]).unwrap();
    let ask = |url: &str| {
        let request = crate::egress::Request {
            method: reqwest::Method::GET,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
        };
        let copy = recorder.asked(&request, &redactor).answered(200, &[]);
        copy.push(b"[1,");
        copy
    };
    let (left, read) = (ask("https://a.org/left"), ask("https://a.org/read"));
    drop(left);
    read.push(b"2]");
    read.end();
    let cuts = recorder.finish().unwrap().exchanges.into_iter();
    let cuts: Vec<_> = cuts
        .map(|exchange| matches!(exchange.answer, Answered::Response { cut: true, .. }))
        .collect();
    assert_eq!(cuts, [true, false]);
}
