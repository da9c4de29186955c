//! Blanks the current credentials wherever a component, a log or a person could see them: services
//! echo what they are sent, in bodies, headers and error texts.

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use bytes::{Bytes, BytesMut};
use domain::{Failure, Secret};

mod forms;

/// What stands for a credential in texts. Says nothing of its length.
const BLANK: &str = "[redacted]";

/// Knows the credentials of one run in every form in which they usually come back. Cheap to clone,
/// and free of cost where the run has none.
#[derive(Clone, Debug)]
pub(crate) struct Redactor(Option<Arc<Matcher>>);

#[derive(Debug)]
struct Matcher {
    automaton: AhoCorasick,
    longest: usize,
}

impl Redactor {
    /// For these credentials.
    pub(crate) fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
    ) -> Result<Self, BuildError> {
        let mut patterns: Vec<Vec<u8>> = secrets
            .into_iter()
            .flat_map(|secret| forms::of(secret.expose()))
            .collect();
        patterns.sort();
        patterns.dedup();
        let Some(longest) = patterns.iter().map(Vec::len).max() else {
            return Ok(Self(None));
        };
        // Where one form holds another, the longer one must go as a whole.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)?;
        Ok(Self(Some(Arc::new(Matcher { automaton, longest }))))
    }

    /// A text without credentials.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(matcher) = &self.0 else {
            return Cow::Borrowed(text);
        };
        if !matcher.automaton.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut clean = Vec::with_capacity(text.len());
        matcher
            .automaton
            .replace_all_with_bytes(text.as_bytes(), &mut clean, |_, _, out| {
                out.extend_from_slice(BLANK.as_bytes());
                true
            });
        Cow::Owned(String::from_utf8_lossy(&clean).into_owned())
    }

    /// Bytes as a text without credentials.
    pub(crate) fn bytes_as_text(&self, bytes: &[u8]) -> String {
        self.text(&String::from_utf8_lossy(bytes)).into_owned()
    }

    /// A failure whose message has no credentials.
    pub(crate) fn failure(&self, failure: Failure) -> Failure {
        match self.text(&failure.message) {
            Cow::Borrowed(_) => failure,
            Cow::Owned(message) => Failure { message, ..failure },
        }
    }

    /// For a body that comes in pieces.
    pub(crate) fn stream(&self) -> StreamRedactor {
        StreamRedactor {
            matcher: self.0.clone(),
            held: BytesMut::new(),
        }
    }
}

/// Blanks credentials in a body, also where the border between two pieces cuts one. A credential is
/// overwritten byte by byte, so that lengths and offsets in the body stay true.
#[derive(Debug)]
pub(crate) struct StreamRedactor {
    matcher: Option<Arc<Matcher>>,
    /// The end of what came so far, where a credential may have begun.
    held: BytesMut,
}

impl StreamRedactor {
    /// Takes the next piece; returns what is known to be clean by now, perhaps nothing.
    pub(crate) fn push(&mut self, piece: Bytes) -> Bytes {
        let Some(matcher) = &self.matcher else {
            return piece;
        };
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(&piece);
        // A match that starts before `settled` lies in `bytes` with all that could make it longer.
        let settled = bytes.len().saturating_sub(matcher.longest - 1);
        let done = blank(matcher, &mut bytes, settled);
        self.held = bytes.split_off(done);
        bytes.freeze()
    }

    /// The rest, when the body is at its end.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut bytes = std::mem::take(&mut self.held);
        if let Some(matcher) = &self.matcher {
            let end = bytes.len();
            blank(matcher, &mut bytes, end);
        }
        bytes.freeze()
    }
}

/// Blanks the matches that start before `settled`; returns up to where the bytes are clean.
fn blank(matcher: &Matcher, bytes: &mut [u8], settled: usize) -> usize {
    let matches: Vec<_> = matcher
        .automaton
        .find_iter(&*bytes)
        .take_while(|found| found.start() < settled)
        .map(|found| found.range())
        .collect();
    let mut clean = settled;
    for range in matches {
        clean = clean.max(range.end);
        if let Some(secret) = bytes.get_mut(range) {
            secret.fill(b'*');
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
