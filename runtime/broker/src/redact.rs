//! Blanks the current credentials wherever a component, a log or a person could see them: services
//! echo what they are sent, in bodies, headers and error texts.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use bytes::{Bytes, BytesMut};
use domain::{Digest, Failure, Secret};

mod forms;

/// What stands for a credential in texts. Says nothing of its length.
pub(crate) const BLANK: &str = "[redacted]";

/// Knows the credentials of one run in every form in which they usually come back, and the tokens that
/// the host gets for them while the run goes on. Clones know what any of them learns; free of cost where
/// the run has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    secrets: HashSet<Digest>,
    patterns: BTreeSet<Vec<u8>>,
    matcher: Option<Arc<Matcher>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known(…)")
    }
}

struct Matcher {
    automaton: AhoCorasick,
    longest: usize,
}

impl Redactor {
    /// For these credentials.
    pub(crate) fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
    ) -> Result<Self, BuildError> {
        let redactor = Self::default();
        redactor.learn(secrets)?;
        Ok(redactor)
    }

    /// From now on these are blanked too, also in bodies that flow already.
    pub(crate) fn learn<'a>(
        &self,
        secrets: impl IntoIterator<Item = &'a Secret>,
    ) -> Result<(), BuildError> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.patterns.len();
        for secret in secrets {
            if known.secrets.insert(Digest::of(secret.expose())) {
                known.patterns.extend(forms::of(secret.expose()));
            }
        }
        if known.patterns.len() > before {
            known.matcher = Some(Arc::new(Matcher::new(&known.patterns)?));
        }
        Ok(())
    }

    fn matcher(&self) -> Option<Arc<Matcher>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.matcher.clone()
    }

    /// A text without credentials.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        }
    }

    /// Bytes without credentials.
    pub(crate) fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(matcher) = self.matcher() else {
            return Cow::Borrowed(bytes);
        };
        if !matcher.automaton.is_match(bytes) {
            return Cow::Borrowed(bytes);
        }
        let mut clean = Vec::with_capacity(bytes.len());
        matcher
            .automaton
            .replace_all_with_bytes(bytes, &mut clean, |_, _, out| {
                out.extend_from_slice(BLANK.as_bytes());
                true
            });
        Cow::Owned(clean)
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
            redactor: self.clone(),
            held: BytesMut::new(),
        }
    }
}

/// Blanks credentials in a body, also where the border between two pieces cuts one. A credential is
/// overwritten byte by byte, so that lengths and offsets in the body stay true.
#[derive(Debug)]
pub(crate) struct StreamRedactor {
    redactor: Redactor,
    /// The end of what came so far, where a credential may have begun.
    held: BytesMut,
}

impl Matcher {
    fn new(patterns: &BTreeSet<Vec<u8>>) -> Result<Self, BuildError> {
        // Where one form holds another, the longer one must go as a whole.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns)?;
        Ok(Self {
            automaton,
            longest: patterns.iter().map(Vec::len).max().unwrap_or(1),
        })
    }
}

impl StreamRedactor {
    /// Takes the next piece; returns what is known to be clean by now, perhaps nothing.
    pub(crate) fn push(&mut self, piece: Bytes) -> Bytes {
        let Some(matcher) = &self.redactor.matcher() else {
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
        if let Some(matcher) = &self.redactor.matcher() {
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
mod tests;
