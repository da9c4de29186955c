//! How a request is found in a recording. The redactor has blanked what was a credential when it was recorded; in the
//! replay there is other text in its place, such as the blank itself, encoded for a URL.

use std::collections::VecDeque;

use percent_encoding::percent_decode;
use sha2::{Digest as _, Sha256};

use super::format::Exchange;
use crate::redact::{BLANK, Redactor};

/// The digest of a request's body as it is compared: without credentials, and with every blank written alike.
pub(super) fn digest(body: Option<&[u8]>, redactor: &Redactor) -> Option<String> {
    let body = body.filter(|body| !body.is_empty())?;
    let text = redactor.bytes(body);
    Some(hex::encode(Sha256::digest(blanks_alike(&text))))
}

/// With `[redacted]` in the place of its percent-encoded form.
fn blanks_alike(body: &[u8]) -> Vec<u8> {
    let mut alike = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        let encoded = ["%5Bredacted%5D", "%5bredacted%5d"];
        let found = encoded
            .iter()
            .find(|form| rest.starts_with(form.as_bytes()));
        match found {
            Some(form) => {
                alike.extend_from_slice(BLANK.as_bytes());
                rest = rest.get(form.len()..).unwrap_or_default();
            }
            None => {
                alike.push(*first);
                rest = after;
            }
        }
    }
    alike
}

/// The answers to equal requests, in the order of the recording.
#[derive(Debug)]
pub(super) struct Answers {
    method: String,
    url: String,
    body_sha256: Option<String>,
    exchanges: VecDeque<Exchange>,
}

impl Answers {
    /// Sorts what was recorded.
    pub(super) fn sorted(exchanges: &[Exchange]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for exchange in exchanges {
            let key = (&exchange.method, &exchange.url, &exchange.body_sha256);
            let place = *places.entry(key).or_insert_with(|| {
                all.push(Self {
                    method: exchange.method.clone(),
                    url: exchange.url.clone(),
                    body_sha256: exchange.body_sha256.clone(),
                    exchanges: VecDeque::new(),
                });
                all.len() - 1
            });
            if let Some(answers) = all.get_mut(place) {
                answers.exchanges.push_back(exchange.clone());
            }
        }
        all
    }

    /// The next answer to a request: of one that was written the same, or else of one that differs from it only where the
    /// redactor left a blank.
    pub(super) fn next(
        all: &mut [Self],
        method: &str,
        url: &str,
        body_sha256: Option<&str>,
    ) -> Option<Exchange> {
        let is_it = |answers: &Self, same_url: &dyn Fn(&str) -> bool| {
            answers.method == method
                && answers.body_sha256.as_deref() == body_sha256
                && same_url(&answers.url)
        };
        let place = all
            .iter()
            .position(|answers| is_it(answers, &|known| known == url))
            .or_else(|| {
                all.iter()
                    .position(|answers| is_it(answers, &|known| fits(known, url)))
            })?;
        let exchanges = &mut all.get_mut(place)?.exchanges;
        match exchanges.len() {
            // The last one again, however often it is asked for.
            0 | 1 => exchanges.front().cloned(),
            _ => exchanges.pop_front(),
        }
    }
}

/// Whether a URL is the recorded one with something in the place of each blank. What stands for a blank ends where a part
/// of a URL ends, so that one parameter does not swallow the next.
fn fits(recorded: &str, url: &str) -> bool {
    let mut pieces = recorded.split(BLANK);
    let Some(mut rest) = pieces.next().and_then(|first| url.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return false;
    }
    while let Some(piece) = pieces.next() {
        let found = match pieces.peek() {
            Some(_) => rest.find(piece),
            None => rest.ends_with(piece).then(|| rest.len() - piece.len()),
        };
        let Some(at) = found else { return false };
        let (blank, after) = rest.split_at(at);
        if blank.contains(['/', '?', '&', '#', '=']) && !is_blank(blank) {
            return false;
        }
        rest = after.get(piece.len()..).unwrap_or_default();
    }
    rest.is_empty()
}

/// The blank, raw or encoded.
fn is_blank(text: &str) -> bool {
    percent_decode(text.as_bytes()).eq(BLANK.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_stands_for_any_text_within_its_part_of_the_url() {
        let recorded = "https://a.org/v1/[redacted]/x?key=[redacted]&page=2";
        for (url, fitting) in [
            ("https://a.org/v1/[redacted]/x?key=[redacted]&page=2", true),
            (
                "https://a.org/v1/%5Bredacted%5D/x?key=%5Bredacted%5D&page=2",
                true,
            ),
            ("https://a.org/v1/W3JlZGFjdGVkXQ/x?key=&page=2", true),
            ("https://a.org/v1/[redacted]/x?key=[redacted]&page=3", false),
            ("https://a.org/v1/[redacted]/x?key=a&other=b&page=2", false),
            ("https://a.org/v1/a/b/x?key=a&page=2", false),
            ("https://b.org/v1/a/x?key=a&page=2", false),
        ] {
            assert_eq!(fits(recorded, url), fitting, "{url}");
        }
        assert!(
            !fits("https://a.org/", "https://a.org/b"),
            "without a blank"
        );
    }

    #[test]
    fn bodies_are_the_same_whatever_form_their_blanks_have() {
        let redactor = Redactor::new(&[domain::Secret::new("c4nary/value")]).unwrap();
        let of = |body: &str| digest(Some(body.as_bytes()), &redactor);
        assert_eq!(of("k=c4nary/value&a=1"), of("k=%5Bredacted%5D&a=1"));
        assert_eq!(of("k=c4nary%2Fvalue&a=1"), of("k=[redacted]&a=1"));
        assert_ne!(of("k=[redacted]&a=1"), of("k=[redacted]&a=2"));
        assert_eq!(digest(Some(b""), &redactor), None);
    }
}
