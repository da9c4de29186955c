//! Which headers of a delivery a component sees: a few that say what it is, and never what proves it.

use axum::http::HeaderMap;
use domain::Secret;
use domain::scheme::Signature;

/// The most headers that are kept, and the most bytes of one.
const MOST: usize = 32;
const MOST_BYTES: usize = 1 << 10;

const NAMES: &[&str] = &["content-type", "user-agent"];

/// Of CloudEvents, of Standard Webhooks, and of everybody.
const PREFIXES: &[&str] = &["ce-", "webhook-", "x-"];

/// Words in the names of headers that carry what opens something, or what proxies say of the sender.
const NEVER: &[&str] = &[
    "signature",
    "hmac",
    "token",
    "auth",
    "secret",
    "key",
    "cookie",
    "session",
    "forward",
    "real-ip",
    "client-ip",
];

/// The headers that a component may see, names in lower case.
pub(super) fn allowed(
    headers: &HeaderMap,
    scheme: &Signature,
    key: &Secret,
) -> Vec<(String, String)> {
    let proves = [Some(&scheme.header), scheme.timestamp_header.as_ref()];
    let is_proof = |name: &str| {
        proves
            .iter()
            .flatten()
            .any(|proof| proof.eq_ignore_ascii_case(name))
    };
    let lines = headers.iter().filter_map(|(name, value)| {
        let (name, value) = (name.as_str(), value.to_str().ok()?);
        let is_told =
            NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let is_kept = is_told && !is_proof(name) && !NEVER.iter().any(|word| name.contains(word));
        // A sender that shows its key somewhere must not show it to the component.
        let is_fine = value.len() <= MOST_BYTES && !holds(value.as_bytes(), key.expose());
        (is_kept && is_fine).then(|| (name.to_owned(), value.to_owned()))
    });
    lines.take(MOST).collect()
}

fn holds(text: &[u8], key: &[u8]) -> bool {
    !key.is_empty() && text.windows(key.len()).any(|part| part == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_proves_or_opens_anything_is_not_passed_on() {
        let scheme = json!({"header": "X-Hub-Signature-256", "timestamp_header": "X-Sent-At", "message": "{timestamp}{body}"});
        let scheme = serde_json::from_value(scheme).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-github-event", "push"),
            ("ce-type", "paid"),
            ("x-hub-signature-256", "sha256=aa"),
            ("x-sent-at", "12"),
            ("x-other-signature", "aa"),
            ("authorization", "Bearer a"),
            ("cookie", "a=b"),
            ("x-api-key", "a"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-echo", "it is canary-9, really"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let mut kept = allowed(&headers, &scheme, &Secret::new("canary-9"));
        kept.sort();
        let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ce-type", "content-type", "x-github-event"]);
    }

    #[test]
    fn many_and_long_headers_are_left_out() {
        let scheme = serde_json::from_value(json!({"header": "X-S"})).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-long", "a".repeat(MOST_BYTES + 1).parse().unwrap());
        assert!(allowed(&headers, &scheme, &Secret::new("k")).is_empty());
        for n in 0..100 {
            let name = format!("x-{n}").parse::<axum::http::HeaderName>().unwrap();
            headers.insert(name, "a".parse().unwrap());
        }
        assert_eq!(allowed(&headers, &scheme, &Secret::new("k")).len(), MOST);
    }
}
