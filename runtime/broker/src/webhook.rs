//! Whether a webhook was signed by who knows the slot's key, and lately.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Secret;
use domain::scheme::{Algorithm, Encoding, Signature};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};
use thiserror::Error;

/// The most bytes of a header that is looked at, and the most signatures in it: a sender that changes
/// its key signs with both for a while.
const MAX_HEADER: usize = 4 << 10;
const MOST_SIGNATURES: usize = 8;

/// Why a webhook is not believed. Says nothing that helps to forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebhookError {
    /// There is no signature.
    #[error("the header of the signature is missing, empty or too long")]
    Unsigned,
    /// There is no time, or it cannot be read.
    #[error("the time of sending is missing or cannot be read")]
    Untimed,
    /// It is older than allowed, or of the future: perhaps somebody sends it again.
    #[error("the time of sending is off by more than is allowed")]
    Stale,
    /// No signature is right.
    #[error("the signature is wrong: the sender has another key, or the body was altered")]
    Forged,
}

/// Verifies a webhook.
///
/// `header` gives a header's value by its name, in any case of letters, and `now` is in seconds since
/// 1970.
///
/// # Errors
/// [`WebhookError`], whichever lock held first.
pub fn verify<'a>(
    scheme: &Signature,
    key: &Secret,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now: i64,
) -> Result<(), WebhookError> {
    let timestamp = match &scheme.timestamp_header {
        None => None,
        Some(name) => Some(time(
            header(name),
            &scheme.timestamp_prefix,
            scheme.tolerance_seconds,
            now,
        )?),
    };
    let value = header(&scheme.header).filter(|value| value.len() <= MAX_HEADER);
    let value = value.ok_or(WebhookError::Unsigned)?;
    let message = message(&scheme.message, timestamp.unwrap_or_default(), body);
    let mut signed = parts(value, &scheme.prefix)
        .take(MOST_SIGNATURES)
        .peekable();
    if signed.peek().is_none() {
        return Err(WebhookError::Unsigned);
    }
    let fits = |text: &str| {
        decode(scheme.encoding, text).is_some_and(|tag| fits(scheme.algorithm, key, &message, &tag))
    };
    // All are tried, so that the time taken does not say which one was near.
    match signed.fold(false, |found, text| fits(text) | found) {
        true => Ok(()),
        false => Err(WebhookError::Forged),
    }
}

/// The time of sending that was signed, where the scheme has one. Says something of what was verified only.
pub fn sent_at<'a>(
    scheme: &Signature,
    header: impl Fn(&str) -> Option<&'a str>,
) -> Option<&'a str> {
    let value = header(scheme.timestamp_header.as_ref()?)?;
    parts(value, &scheme.timestamp_prefix).next()
}

/// The pieces between commas that begin with the prefix, without it.
fn parts<'a>(value: &'a str, prefix: &str) -> impl Iterator<Item = &'a str> {
    let pieces = value.split(',').map(str::trim);
    pieces
        .filter_map(move |piece| piece.strip_prefix(prefix))
        .filter(|piece| !piece.is_empty())
}

/// The time as it was signed, if it is near enough to now.
fn time<'a>(
    value: Option<&'a str>,
    prefix: &str,
    tolerance: u32,
    now: i64,
) -> Result<&'a str, WebhookError> {
    let value = value.filter(|value| value.len() <= MAX_HEADER);
    let text = value
        .and_then(|value| parts(value, prefix).next())
        .ok_or(WebhookError::Untimed)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let sent: i64 = text
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or(WebhookError::Untimed)?;
    match now.abs_diff(sent) <= tolerance.into() {
        true => Ok(text),
        false => Err(WebhookError::Stale),
    }
}

/// What was signed. The body is put in last, so that nothing in it is taken for a placeholder.
fn message(template: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    let (before, after) = template.split_once("{body}").unwrap_or((template, ""));
    let before = before.replace("{timestamp}", timestamp);
    let after = after.replace("{timestamp}", timestamp);
    [before.as_bytes(), body, after.as_bytes()].concat()
}

fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => hex::decode(text).ok(),
        Encoding::Base64 => STANDARD.decode(text).ok(),
    }
}

/// In constant time: the comparison is the library's.
fn fits(algorithm: Algorithm, key: &Secret, message: &[u8], tag: &[u8]) -> bool {
    // A key of any length is one.
    match algorithm {
        Algorithm::Sha256 => Hmac::<Sha256>::new_from_slice(key.expose())
            .is_ok_and(|mac| mac.chain_update(message).verify_slice(tag).is_ok()),
        Algorithm::Sha512 => Hmac::<Sha512>::new_from_slice(key.expose())
            .is_ok_and(|mac| mac.chain_update(message).verify_slice(tag).is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn scheme(value: Value) -> Signature {
        serde_json::from_value(value).unwrap()
    }

    fn judged(
        scheme: &Signature,
        key: &str,
        headers: &[(&str, &str)],
        body: &str,
        now: i64,
    ) -> Result<(), WebhookError> {
        let find = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, v)| *v)
        };
        verify(scheme, &Secret::new(key), find, body.as_bytes(), now)
    }

    /// The example of GitHub's documentation.
    #[test]
    fn a_signature_over_the_body_is_verified() {
        let github = scheme(json!({"header": "X-Hub-Signature-256", "prefix": "sha256="}));
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let key = "It's a Secret to Everybody";
        let sent = [("x-hub-signature-256", signature)];
        assert_eq!(judged(&github, key, &sent, "Hello, World!", 0), Ok(()));
        assert_eq!(
            judged(&github, key, &sent, "Hello, World?", 0),
            Err(WebhookError::Forged)
        );
        assert_eq!(
            judged(&github, "another", &sent, "Hello, World!", 0),
            Err(WebhookError::Forged)
        );
        let cut = [("x-hub-signature-256", &signature[..60])];
        assert_eq!(
            judged(&github, key, &cut, "Hello, World!", 0),
            Err(WebhookError::Forged)
        );
        for unsigned in ["", "757107ea", "sha1=757107ea", "sha256="] {
            let sent = [("x-hub-signature-256", unsigned)];
            assert_eq!(
                judged(&github, key, &sent, "", 0),
                Err(WebhookError::Unsigned),
                "{unsigned}"
            );
        }
        assert_eq!(
            judged(&github, key, &[], "", 0),
            Err(WebhookError::Unsigned)
        );
    }

    /// The example of Slack's documentation.
    #[test]
    fn a_time_that_is_signed_keeps_old_ones_from_being_sent_again() {
        let slack = scheme(json!({
            "header": "X-Slack-Signature", "prefix": "v0=", "message": "v0:{timestamp}:{body}",
            "timestamp_header": "X-Slack-Request-Timestamp",
        }));
        let key = "8f742231b10e8888abcd99yyyzzz85a5";
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let at = 1_531_420_618;
        let sent = |time| {
            [
                ("X-Slack-Signature", signature),
                ("X-Slack-Request-Timestamp", time),
            ]
        };
        for now in [at, at + 300, at - 300] {
            assert_eq!(
                judged(&slack, key, &sent("1531420618"), body, now),
                Ok(()),
                "{now}"
            );
        }
        for now in [at + 301, at - 301, i64::MAX, i64::MIN] {
            let stale = judged(&slack, key, &sent("1531420618"), body, now);
            assert_eq!(stale, Err(WebhookError::Stale), "{now}");
        }
        assert_eq!(
            judged(&slack, key, &sent("1531420619"), body, at),
            Err(WebhookError::Forged)
        );
        for odd in ["", "soon", "-1", "+1531420618", "99999999999999999999"] {
            assert_eq!(
                judged(&slack, key, &sent(odd), body, at),
                Err(WebhookError::Untimed),
                "{odd}"
            );
        }
    }

    #[test]
    fn one_of_several_signatures_in_a_header_is_enough() {
        let stripe = scheme(json!({
            "header": "Stripe-Signature", "prefix": "v1=", "message": "{timestamp}.{body}", "encoding": "base64",
            "algorithm": "sha512", "timestamp_header": "Stripe-Signature", "timestamp_prefix": "t=",
        }));
        let mac = Hmac::<Sha512>::new_from_slice(b"k").unwrap();
        let tag = mac
            .chain_update(b"12.{timestamp}{body}")
            .finalize()
            .into_bytes();
        let header = format!("t=12, v0=x,v1=AAAA, v1={}", STANDARD.encode(tag));
        let sent = [("stripe-signature", header.as_str())];
        // What stands in the body is no placeholder.
        assert_eq!(judged(&stripe, "k", &sent, "{timestamp}{body}", 12), Ok(()));
        let many = format!(
            "t=12{},v1={}",
            ",v1=AAAA".repeat(MOST_SIGNATURES),
            STANDARD.encode(tag)
        );
        let sent = [("stripe-signature", many.as_str())];
        assert_eq!(
            judged(&stripe, "k", &sent, "{timestamp}{body}", 12),
            Err(WebhookError::Forged)
        );
    }
}
