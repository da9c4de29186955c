//! Which headers a component may send, and which it may see.

use domain::Failure;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};

use super::credentials::Credentials;
use crate::body::Coding;
use crate::redact::Redactor;

/// The most header lines of a request, and their bytes.
const MOST_LINES: usize = 64;
const MOST_BYTES: usize = 32 << 10;

/// Headers that frame the message or choose its route; wrong ones smuggle a second request.
const FRAMING: &[&str] = &[
    "host",
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Headers in which credentials travel.
const SECRET: &[&str] = &[
    "authorization",
    "cookie",
    "cookie2",
    "set-cookie",
    "set-cookie2",
];

/// Whether nobody but the HTTP library sets this header.
pub(super) fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(&name.as_str()) || name.as_str().starts_with("proxy-")
}

/// A component's header lines without those that are the host's. The interface promises that setting
/// these has no effect, so they are dropped without a word.
pub(super) fn from_component(
    lines: &[(String, String)],
    credentials: &Credentials,
) -> Result<HeaderMap, Failure> {
    let bytes: usize = lines
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if lines.len() > MOST_LINES || bytes > MOST_BYTES {
        return Err(Failure::bug(format!(
            "a request has at most {MOST_LINES} header lines and {MOST_BYTES} bytes of them; this one has {} and {bytes}",
            lines.len()
        )));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Failure::bug(format!("`{}` is not a header name", name.escape_debug())))?;
        let value = HeaderValue::from_str(value).map_err(|_| {
            Failure::bug(format!(
                "the value of the header `{name}` holds a character that is not allowed there"
            ))
        })?;
        if !is_framing(&name) && !SECRET.contains(&name.as_str()) && !credentials.own(&name) {
            headers.append(name, value);
        }
    }
    headers.extend(of_the_host());
    Ok(headers)
}

/// What the host says in every request.
pub(super) fn of_the_host() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))])
}

/// A response's header lines as a component may see them: no cookies, which are credentials that the
/// service made, and nothing about a coding that was undone.
pub(super) fn for_component(
    headers: &HeaderMap,
    coding: Coding,
    redactor: &Redactor,
) -> Vec<(String, String)> {
    let undone = |name: &HeaderName| {
        coding == Coding::Gzip && matches!(name.as_str(), "content-encoding" | "content-length")
    };
    headers
        .iter()
        .filter(|(name, _)| !SECRET.contains(&name.as_str()) && !undone(name))
        .map(|(name, value)| {
            (
                redactor.text(name.as_str()).into_owned(),
                redactor.bytes_as_text(value.as_bytes()),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Secret;
    use std::collections::BTreeMap;

    fn cleaned(lines: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
        let lines: Vec<_> = lines
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        let none = Credentials::new(&[], &BTreeMap::new()).unwrap();
        let headers = from_component(&lines, &none)?;
        Ok(headers
            .iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect())
    }

    #[test]
    fn the_hosts_headers_are_dropped_in_any_case_of_letters() {
        for name in [
            "Host",
            "AUTHORIZATION",
            "Proxy-Authorization",
            "proxy-connection",
            "Cookie",
            "Accept-Encoding",
            "Connection",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Keep-Alive",
            "Expect",
        ] {
            assert_eq!(
                cleaned(&[(name, "x"), ("accept", "a/b")]).unwrap(),
                ["accept: a/b", "accept-encoding: gzip"],
                "{name}"
            );
        }
    }

    #[test]
    fn lines_that_would_break_out_of_a_header_are_refused() {
        for (name, value) in [
            ("a", "x\r\nHost: evil"),
            ("a\r\nb", "x"),
            ("", "x"),
            ("a b", "x"),
            ("a", "\0"),
            ("a:", "x"),
        ] {
            assert!(cleaned(&[(name, value)]).is_err(), "{name:?} {value:?}");
        }
        assert!(cleaned(&vec![("a", "b"); 65]).is_err());
        assert!(cleaned(&[("a", &"b".repeat(40_000))]).is_err());
    }

    #[test]
    fn a_component_sees_no_cookie_no_credential_and_no_coding_that_was_undone() {
        let headers: HeaderMap = [
            ("set-cookie", "session=1"),
            ("x-echo", "Token canary-7"),
            ("content-encoding", "gzip"),
            ("content-length", "9"),
            ("etag", "\"a\""),
        ]
        .into_iter()
        .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
        .collect();
        let redactor = Redactor::new(&[Secret::new("canary-7")]).unwrap();
        let mut seen = for_component(&headers, Coding::Gzip, &redactor);
        seen.sort();
        let line = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(
            seen,
            [line("etag", "\"a\""), line("x-echo", "Token [redacted]")]
        );
    }
}
