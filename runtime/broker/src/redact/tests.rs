//! No form of a credential survives, however a body is cut.

use super::*;
use base64::Engine as _;
use proptest::prelude::*;

const CANARY: &str = "cAn4ry-5f/e1+8b~02";

fn redactor(values: &[&str]) -> Redactor {
    let secrets: Vec<Secret> = values.iter().map(|value| Secret::new(*value)).collect();
    Redactor::new(&secrets).unwrap()
}

fn streamed(redactor: &Redactor, body: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = redactor.stream();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    let mut out = Vec::new();
    for pair in cuts.windows(2) {
        out.extend(stream.push(Bytes::copy_from_slice(&body[pair[0]..pair[1]])));
    }
    out.extend(stream.finish());
    out
}

#[test]
fn without_credentials_a_piece_passes_as_it_is() {
    let mut stream = redactor(&[]).stream();
    let piece = Bytes::from_static(b"abc");
    assert_eq!(stream.push(piece.clone()).as_ptr(), piece.as_ptr());
    assert!(stream.finish().is_empty());
}

#[test]
fn a_longer_form_goes_as_a_whole() {
    let redactor = redactor(&["secret", "secret-and-more"]);
    assert_eq!(redactor.text("a secret-and-more b"), "a [redacted] b");
    assert_eq!(redactor.text("a secret-and b"), "a [redacted]-and b");
    assert_eq!(
        streamed(&redactor, b"secret-and-more", &[6, 10]),
        b"***************"
    );
    assert_eq!(
        streamed(&redactor, b"secret-and-less", &[6, 10]),
        b"******-and-less"
    );
}

#[test]
fn a_failure_is_cleaned_and_keeps_its_kind() {
    let failure = Failure::auth(format!("401 for token {CANARY}!"));
    let clean = redactor(&[CANARY]).failure(failure);
    assert_eq!(clean, Failure::auth("401 for token [redacted]!"));
}

proptest! {
    #[test]
    fn no_form_survives_any_split(
        head in proptest::collection::vec(any::<u8>(), 0..40),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
        which in any::<prop::sample::Index>(),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let forms: Vec<Vec<u8>> = forms::of(CANARY.as_bytes()).into_iter().collect();
        let form = which.get(&forms);
        let body = [head.as_slice(), form, &tail].concat();
        let clean = streamed(&redactor(&[CANARY]), &body, &cuts);
        prop_assert_eq!(clean.len(), body.len());
        prop_assert!(!clean.windows(form.len()).any(|window| window == form.as_slice()));
    }

    #[test]
    fn what_holds_no_credential_is_left_alone(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        prop_assert_eq!(streamed(&redactor(&[CANARY]), &body, &cuts), body);
    }

    #[test]
    fn a_stream_is_blanked_the_same_however_it_is_cut(
        body in "[ab]{0,60}",
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let redactor = redactor(&["abab", "ababba", "bbbb"]);
        let whole = streamed(&redactor, body.as_bytes(), &[]);
        prop_assert_eq!(streamed(&redactor, body.as_bytes(), &cuts), whole);
    }
}

/// The ways in which services show what they were sent, written without the code that looks for them.
fn shown(value: &[u8], way: usize, before: &[u8], after: &[u8]) -> (String, usize, usize) {
    let escaped = |upper: bool| {
        value.iter().fold(String::new(), |text, byte| match upper {
            true => text + &format!("%{byte:02X}"),
            false => text + &format!("%{byte:02x}"),
        })
    };
    let whole = |text: String| {
        let end = text.len();
        (text, 0, end)
    };
    let encoded = |engine: &base64::engine::GeneralPurpose| {
        let text = engine.encode([before, value, after].concat());
        // Digits that hold bits of the value alone.
        let first = (before.len() * 8).div_ceil(6);
        (text, first, (before.len() + value.len()) * 8 / 6)
    };
    match way {
        0 => whole(String::from_utf8_lossy(value).into_owned()),
        1 => whole(value.iter().map(|byte| format!("{byte:02x}")).collect()),
        2 => whole(value.iter().map(|byte| format!("{byte:02X}")).collect()),
        3 => whole(escaped(true)),
        4 => whole(escaped(false)),
        5 => whole(url::form_urlencoded::byte_serialize(value).collect()),
        6 => encoded(&base64::engine::general_purpose::STANDARD),
        7 => encoded(&base64::engine::general_purpose::URL_SAFE),
        8 => encoded(&base64::engine::general_purpose::STANDARD_NO_PAD),
        _ => encoded(&base64::engine::general_purpose::URL_SAFE_NO_PAD),
    }
}

proptest! {
    #[test]
    fn whatever_way_a_service_shows_it_nothing_of_it_is_left(
        value in "[!-~]{12,60}",
        way in 0..10_usize,
        before in proptest::collection::vec(any::<u8>(), 0..9),
        after in proptest::collection::vec(any::<u8>(), 0..9),
        cuts in proptest::collection::vec(any::<usize>(), 0..9),
    ) {
        let (text, first, last) = shown(value.as_bytes(), way, &before, &after);
        let body = format!("<{text}>");
        let clean = streamed(&redactor(&[&value]), body.as_bytes(), &cuts);
        let inner = &clean[first + 1..last + 1];
        prop_assert!(inner.iter().all(|byte| *byte == b'*'), "{}", String::from_utf8_lossy(&clean));
        let line = redactor(&[&value]).text(&body).into_owned();
        prop_assert!(!line.contains(&text[first..last]), "{line}");
    }
}

#[test]
fn what_is_learnt_later_is_blanked_in_a_body_that_flows_already() {
    let known = redactor(&["first-secret"]);
    let mut stream = known.clone().stream();
    let mut out = stream.push(Bytes::from_static(b"a first-sec")).to_vec();
    known
        .learn(&[Secret::new("second-and-longer-secret")])
        .unwrap();
    out.extend(stream.push(Bytes::from_static(b"ret b second-and-lon")));
    out.extend(stream.push(Bytes::from_static(b"ger-secret c")));
    out.extend(stream.finish());
    assert_eq!(
        out,
        format!("a {} b {} c", "*".repeat(12), "*".repeat(24)).as_bytes()
    );
    assert_eq!(known.text("second-and-longer-secret"), "[redacted]");
}
