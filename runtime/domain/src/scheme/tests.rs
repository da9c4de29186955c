//! What a manifest may say about a slot's scheme, and what it must not.

use serde_json::{Value, json};

use super::*;

fn read(scheme: Value) -> Result<Scheme, String> {
    let scheme: Scheme = serde_json::from_value(scheme).map_err(|error| error.to_string())?;
    scheme.check().map(|()| scheme)
}

#[test]
fn every_scheme_is_read_and_survives_its_own_text() {
    for scheme in [
        json!({"scheme": "bearer"}),
        json!({"scheme": "basic"}),
        json!({"scheme": "header", "header": "X-Key", "prefix": "Token "}),
        json!({"scheme": "query", "parameter": "key"}),
        json!({"scheme": "oauth2-client-credentials", "token_url": "https://id.example.com/t", "scopes": ["a", "b:c"]}),
        json!({"scheme": "oauth2-refresh", "token_url": "https://{settings.tenant}.example.com/t", "client_authentication": "body"}),
        json!({"scheme": "google-service-account", "scopes": ["https://www.googleapis.com/auth/bigquery"]}),
        json!({"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256="}),
        json!({"scheme": "hmac", "header": "Stripe-Signature", "prefix": "v1=", "timestamp_header": "Stripe-Signature",
            "timestamp_prefix": "t=", "message": "{timestamp}.{body}", "tolerance_seconds": 60}),
    ] {
        let read = read(scheme.clone()).unwrap_or_else(|error| panic!("{scheme}: {error}"));
        assert_eq!(scheme["scheme"], read.as_str());
        let again = serde_json::to_value(&read).unwrap();
        assert_eq!(serde_json::from_value::<Scheme>(again).unwrap(), read);
    }
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_field() {
    for (scheme, word) in [
        (json!({"scheme": "bearer", "wish": 1}), "wish"),
        (json!({"scheme": "kerberos"}), "kerberos"),
        (
            json!({"scheme": "header", "header": "X Key"}),
            "header name",
        ),
        (json!({"scheme": "query", "parameter": ""}), "parameter"),
        (
            json!({"scheme": "oauth2-refresh", "token_url": "file:///etc/passwd"}),
            "token_url",
        ),
        (
            json!({"scheme": "oauth2-refresh", "token_url": "https://me@example.com/"}),
            "user name",
        ),
        (
            json!({"scheme": "oauth2-refresh", "token_url": "https://example.com/#x"}),
            "fragment",
        ),
        (
            json!({"scheme": "oauth2-refresh", "token_url": "https://example.com/", "wish": 1}),
            "wish",
        ),
        (
            json!({"scheme": "oauth2-client-credentials", "token_url": "https://example.com/", "scopes": ["a b"]}),
            "scope",
        ),
        (
            json!({"scheme": "google-service-account", "scopes": []}),
            "scopes",
        ),
        (
            json!({"scheme": "hmac", "header": "X", "message": "nothing"}),
            "{body}",
        ),
        (
            json!({"scheme": "hmac", "header": "X", "message": "{timestamp}{body}"}),
            "timestamp_header",
        ),
        (
            json!({"scheme": "hmac", "header": "X", "timestamp_header": "Y"}),
            "not signed",
        ),
        (
            json!({"scheme": "hmac", "header": "X", "tolerance_seconds": 0}),
            "tolerance",
        ),
    ] {
        let error = read(scheme.clone()).expect_err(&scheme.to_string());
        assert!(error.contains(word), "{scheme}: {error}");
    }
}

#[test]
fn the_admin_is_told_where_a_token_is_had() {
    let scheme = read(json!({"scheme": "google-service-account", "scopes": ["a", "b"]})).unwrap();
    assert_eq!(
        scheme.told().unwrap(),
        "exchanged for a token for a b at https://oauth2.googleapis.com/token"
    );
    assert_eq!(Scheme::Bearer {}.told(), None);
}
