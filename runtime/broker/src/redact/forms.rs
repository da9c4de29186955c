//! The forms in which a credential comes back from a service.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Shorter values would blank ordinary words, and protect nothing: they can be guessed.
const SHORTEST: usize = 4;
/// A part of base64 that is shorter stands in ordinary data by chance.
const SHORTEST_INNER: usize = 6;

/// What RFC 3986 leaves as it is beside letters and digits.
const RESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What `encodeURIComponent` leaves as it is.
const COMPONENT: AsciiSet = RESERVED
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What `encodeURI` leaves as it is, which URLs and logs of URLs have.
const WHOLE_URL: AsciiSet = COMPONENT
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'#');
/// What forms leave as it is (application/x-www-form-urlencoded).
const FORM: AsciiSet = NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');
/// What a URL's path leaves as it is.
const PATH: AsciiSet = WHOLE_URL.add(b'?').add(b'#');

/// Every form of a value that is looked for; none where the value is too short.
pub(super) fn of(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    if value.len() < SHORTEST {
        return forms;
    }
    forms.insert(value.to_vec());
    forms.insert(hex::encode(value).into_bytes());
    forms.insert(hex::encode_upper(value).into_bytes());
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        forms.insert(engine.encode(value).into_bytes());
    }
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        forms.extend((0..=2).filter_map(|before| inside_base64(&engine, value, before)));
    }
    for set in [
        &RESERVED,
        &COMPONENT,
        &WHOLE_URL,
        &FORM,
        &PATH,
        NON_ALPHANUMERIC,
    ] {
        let upper = percent_encode(value, set).to_string();
        forms.insert(lower_escapes(&upper).into_bytes());
        forms.insert(upper.replace("%20", "+").into_bytes());
        forms.insert(upper.into_bytes());
    }
    let every: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
    forms.insert(every.to_ascii_lowercase().into_bytes());
    forms.insert(every.into_bytes());
    // Base64 in a query or a form has its `+`, `/` and `=` escaped.
    let escaped = forms
        .iter()
        .filter_map(|form| in_query(form))
        .collect::<Vec<_>>();
    forms.extend(escaped.into_iter().flatten());
    if let Some(json) = std::str::from_utf8(value).ok().and_then(json_text) {
        forms.insert(json.replace('/', "\\/").into_bytes());
        forms.insert(json.into_bytes());
    }
    forms
}

/// The part of a longer text's base64 that this value alone decides, when `before` bytes (modulo 3)
/// stand before it, as the user name does in `Basic`.
fn inside_base64(engine: &impl Engine, value: &[u8], before: usize) -> Option<Vec<u8>> {
    let padded = [&[0; 2][..before.min(2)], value].concat();
    let encoded = engine.encode(&padded).into_bytes();
    // Characters that share bits with what stands before, and with what may follow.
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    let inner = encoded.get(first..last)?;
    (inner.len() >= SHORTEST_INNER).then(|| inner.to_vec())
}

/// Base64 as a query has it, with escapes in both cases; nothing where there is nothing to escape.
fn in_query(form: &[u8]) -> Option<[Vec<u8>; 2]> {
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let text = std::str::from_utf8(form).ok()?;
    if !form.iter().all(base64) || !text.contains(['+', '/', '=']) {
        return None;
    }
    let upper = percent_encode(form, NON_ALPHANUMERIC).to_string();
    Some([lower_escapes(&upper).into_bytes(), upper.into_bytes()])
}

/// The same escapes with lower-case digits.
fn lower_escapes(text: &str) -> String {
    let mut digits = 0;
    text.chars()
        .map(|c| match c {
            '%' => {
                digits = 2;
                c
            }
            _ if digits > 0 => {
                digits -= 1;
                c.to_ascii_lowercase()
            }
            _ => c,
        })
        .collect()
}

fn json_text(text: &str) -> Option<String> {
    let quoted = serde_json::to_string(text).ok()?;
    Some(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str, text: &str) -> bool {
        of(value.as_bytes()).iter().any(|form| {
            text.as_bytes()
                .windows(form.len())
                .any(|window| window == form.as_slice())
        })
    }

    #[test]
    fn usual_forms_are_known() {
        let value = "pa/ss wörd+\"1";
        for text in [
            "pa/ss wörd+\"1",
            "pa%2Fss%20w%C3%B6rd%2B%221",
            "pa%2fss%20w%c3%b6rd%2b%221",
            "pa%2Fss+w%C3%B6rd%2B%221",
            r#"pa/ss wörd+\"1"#,
            r#"pa\/ss wörd+\"1"#,
            &hex::encode(value),
            &hex::encode_upper(value),
        ] {
            assert!(found(value, &format!("<{text}>")), "{text}");
        }
        assert!(!found(value, "pa/ss wörd"));
    }

    #[test]
    fn base64_of_a_text_that_holds_the_value_is_known_at_every_offset() {
        let value = "s3cr3t-t0ken";
        for before in ["", "u", "us", "use", "user:", "longer-user:"] {
            for after in ["", ":", "ab", "abc"] {
                for engine in [STANDARD, URL_SAFE_NO_PAD] {
                    let text = engine.encode(format!("{before}{value}{after}"));
                    assert!(found(value, &text), "{before} {after} {text}");
                }
            }
        }
    }

    #[test]
    fn a_value_that_is_too_short_blanks_nothing() {
        assert!(of(b"abc").is_empty());
    }
}
