//! The session cookie, and the check that keeps other sites from using it.

use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;

/// Where a browser keeps a session: the prefix makes browsers refuse one that another host has set.
const SECURE_NAME: &str = "__Host-sluice";
/// The same over plain http, as on one's own machine, where the prefix is not allowed.
const PLAIN_NAME: &str = "sluice";
/// The same of a sign-in that has begun at a provider.
const SECURE_FLOW: &str = "__Host-sluice-flow";
const PLAIN_FLOW: &str = "sluice-flow";

fn name(https: bool) -> &'static str {
    if https { SECURE_NAME } else { PLAIN_NAME }
}

fn flow_name(https: bool) -> &'static str {
    if https { SECURE_FLOW } else { PLAIN_FLOW }
}

/// The session's token, if the request carries one.
pub(crate) fn read(headers: &HeaderMap, https: bool) -> Option<&str> {
    value(headers, name(https))
}

/// By what a sign-in is known that this browser has begun at a provider.
pub(crate) fn read_flow(headers: &HeaderMap, https: bool) -> Option<&str> {
    value(headers, flow_name(https))
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers
        .get_all(COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) if !value.is_empty() => Some(value),
        // Two of one name are an attempt to plant one.
        _ => None,
    }
}

/// The header that makes a browser keep a session until its end.
pub(crate) fn set(text: &str, until: Timestamp, https: bool) -> Option<HeaderValue> {
    let seconds = until.as_second() - Timestamp::now().as_second();
    cookie(name(https), text, seconds.max(0), https)
}

/// The header that makes a browser remember a sign-in that it has begun at a provider.
pub(crate) fn set_flow(id: &str, seconds: i64, https: bool) -> Option<HeaderValue> {
    cookie(flow_name(https), id, seconds, https)
}

/// The header that makes a browser forget that.
pub(crate) fn clear_flow(https: bool) -> Option<HeaderValue> {
    cookie(flow_name(https), "", 0, https)
}

/// The header that makes a browser forget it.
pub(crate) fn clear(https: bool) -> Option<HeaderValue> {
    cookie(name(https), "", 0, https)
}

fn cookie(name: &str, text: &str, seconds: i64, https: bool) -> Option<HeaderValue> {
    let secure = if https { "; Secure" } else { "" };
    let value = format!("{name}={text}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&value).ok()
}

/// Whether a request that a browser sent with a cookie comes from our own pages. Browsers say so in
/// `Sec-Fetch-Site`, older ones in `Origin`; one that says neither is not believed.
pub(crate) fn is_same_origin(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return true;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let (Some(origin), Some(host)) = (text(ORIGIN), text(HOST)) else {
        return false;
    };
    origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// Whether a request says of itself that another site's page makes it. Programs say nothing, and are
/// none; but another site's page must not sign its visitor in as somebody else either.
pub(crate) fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    let tells = headers.contains_key("sec-fetch-site") || headers.contains_key(ORIGIN);
    tells && !is_same_origin(method, headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn one_cookie_of_the_right_name_is_read() {
        for (sent, https, found) in [
            ("sluice=abc", false, Some("abc")),
            ("a=b; sluice=abc; c=d", false, Some("abc")),
            ("__Host-sluice=abc", true, Some("abc")),
            ("sluice=abc", true, None),
            ("sluice=", false, None),
            ("sluice=a; sluice=b", false, None),
            ("xsluice=abc", false, None),
        ] {
            assert_eq!(read(&headers(&[("cookie", sent)]), https), found, "{sent}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let until = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let value = set("abc", until, true).unwrap();
        let value = value.to_str().unwrap();
        assert!(
            value.starts_with("__Host-sluice=abc; Path=/; Max-Age=3"),
            "{value}"
        );
        for word in ["; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(value.contains(word), "{value}");
        }
        assert!(!value.contains("Domain"), "{value}");
        let plain = set("abc", until, false).unwrap();
        assert!(!plain.to_str().unwrap().contains("Secure"), "{plain:?}");
    }

    #[test]
    fn another_site_cannot_write_with_the_cookie() {
        let post = |pairs: &[(&str, &str)]| is_same_origin(&Method::POST, &headers(pairs));
        let host = ("host", "sluice.example.com");
        assert!(post(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(post(&[host, ("origin", "https://sluice.example.com")]));
        for told in [
            vec![host],
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![host, ("sec-fetch-site", "same-site")],
            vec![
                host,
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://sluice.example.com"),
            ],
            vec![host, ("origin", "https://evil.example.com")],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "https://sluice.example.com.evil.org")],
            vec![("origin", "https://sluice.example.com")],
        ] {
            assert!(!post(&told), "{told:?}");
        }
        assert!(is_same_origin(&Method::GET, &headers(&[host])));
        let foreign = |pairs: &[(&str, &str)]| is_foreign(&Method::POST, &headers(pairs));
        assert!(!foreign(&[host]), "a program");
        assert!(foreign(&[host, ("origin", "https://evil.example.com")]));
        assert!(foreign(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!foreign(&[host, ("sec-fetch-site", "same-origin")]));
    }
}
