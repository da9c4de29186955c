//! Integers in JSON that no machine number holds. A parser would round them; in quotes they arrive as text, with all
//! their digits.

use std::borrow::Cow;

/// The least digits of a number that 64 bits may not hold.
const LONG: usize = 19;

/// The document with such integers in quotes. Most documents have none, which is seen from every nineteenth byte.
pub(super) fn quoted(document: &[u8]) -> Cow<'_, [u8]> {
    if !may_hold(document) {
        return Cow::Borrowed(document);
    }
    let mut quoted = Vec::with_capacity(document.len() + 64);
    let mut rest = document;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => text_length(rest),
            b'-' | b'0'..=b'9' => length_of(rest, |byte| {
                byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
            }),
            _ => length_of(rest, |byte| {
                !byte.is_ascii_digit() && !matches!(byte, b'"' | b'-')
            }),
        };
        let (token, after) = rest.split_at(length.clamp(1, rest.len()));
        match is_too_large(token) {
            true => quoted.extend([b"\"", token, b"\""].concat()),
            false => quoted.extend_from_slice(token),
        }
        rest = after;
    }
    Cow::Owned(quoted)
}

/// Whether there is a run of so many digits, be it in a text: one of them stands at a multiple of their number.
fn may_hold(document: &[u8]) -> bool {
    let mut places = document.chunks_exact(LONG).enumerate();
    places.any(|(chunk, bytes)| {
        bytes.last().is_some_and(u8::is_ascii_digit)
            && is_in_long_run(document, (chunk + 1) * LONG - 1)
    })
}

/// Whether the digit at a place has so many beside it that together they are a long run.
fn is_in_long_run(document: &[u8], at: usize) -> bool {
    let (before, after) = document.split_at(at);
    let earlier = before.iter().rev().take(LONG);
    let earlier = earlier.take_while(|byte| byte.is_ascii_digit()).count();
    let later = after.iter().take(LONG);
    earlier + later.take_while(|byte| byte.is_ascii_digit()).count() >= LONG
}

fn length_of(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> usize {
    let end = bytes.iter().position(|byte| !belongs(byte));
    end.unwrap_or(bytes.len())
}

/// Of a text with its quotes; to the end where it has none.
fn text_length(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |at| at + 2)
}

fn is_too_large(token: &[u8]) -> bool {
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    let is_integer = digits.len() >= LONG && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(token).ok();
    // What begins with a zero is no number, which the parser says.
    is_integer
        && digits.first() != Some(&b'0')
        && number.is_some_and(|number| number.parse::<i64>().is_err())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(document: &str) -> String {
        String::from_utf8(quoted(document.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn only_integers_beyond_64_bits_are_put_in_quotes() {
        for (before, after) in [
            ("[12345678901234567890123]", "[\"12345678901234567890123\"]"),
            ("-9223372036854775809", "\"-9223372036854775809\""),
            ("9223372036854775808", "\"9223372036854775808\""),
            (
                "{\"a\\\"\":99999999999999999999 }",
                "{\"a\\\"\":\"99999999999999999999\" }",
            ),
        ] {
            assert_eq!(text(before), after);
        }
        for same in [
            "9223372036854775807",
            "-9223372036854775808",
            "\"12345678901234567890123\"",
            "\"\\\"12345678901234567890123\"",
            "\"\\\\\\\"12345678901234567890123",
            "0.12345678901234567890123",
            "12345678901234567890123.5",
            "12345678901234567890123e5",
            "00000000000000000000000000",
            "1-12345678901234567890123",
        ] {
            assert_eq!(text(same), same);
        }
    }

    proptest! {
        #[test]
        fn a_document_says_the_same_but_for_its_long_integers(
            values in prop::collection::vec(prop_oneof!["[1-9][0-9]{0,30}", "\"[a-z0-9\\\\\"]{0,4}[0-9]{0,30}x\"", "[a-z :,]{0,9}"], 0..20)
        ) {
            // Texts with a quote in them are cut there, which makes the tokens only stranger.
            let document = values.join(" ");
            let changed = text(&document);
            prop_assert_eq!(changed.replace('"', ""), document.replace('"', ""));
            let long = |token: &str| token.parse::<u128>().is_ok_and(|n| n > i64::MAX as u128);
            if !document.contains('"') {
                let count = document.split([' ', ':', ',']).filter(|token| long(token)).count();
                prop_assert_eq!(changed.matches('"').count(), count * 2);
            }
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let changed = quoted(&bytes);
            prop_assert!(changed.len() >= bytes.len());
        }
    }
}
