//! Requests to token endpoints as the standards write them, and answers that are none.

use std::collections::BTreeMap;

use jsonwebtoken::{DecodingKey, Validation};
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};

use super::*;

fn exchange(scheme: &Value, value: impl Into<Vec<u8>>) -> Result<Exchange, Failure> {
    let scheme: Scheme = serde_json::from_value(scheme.clone()).unwrap();
    Exchange::new(
        &SlotName::parse("key").unwrap(),
        &scheme,
        &Secret::new(value),
    )
}

fn fields(asking: &Asking) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(asking.body.expose())
        .into_owned()
        .collect()
}

fn client(more: &Value) -> Value {
    let mut scheme =
        json!({"scheme": "oauth2-client-credentials", "token_url": "https://id.example.com/token"});
    scheme
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    scheme
}

#[test]
fn a_client_proves_who_it_is_in_either_way() {
    let asking = exchange(
        &client(&json!({"scopes": ["a", "b"], "audience": "api"})),
        "s6BhdRkqt3:gX1f BatV:x",
    )
    .unwrap()
    .ask(None)
    .unwrap();
    let sent = asking.authorization.as_ref().unwrap();
    // Encoded as in a form before it is joined.
    let expected = format!("Basic {}", STANDARD.encode("s6BhdRkqt3:gX1f+BatV%3Ax"));
    assert!(sent == expected.as_str() && sent.is_sensitive());
    assert!(
        asking
            .secrets
            .contains(&Secret::new("s6BhdRkqt3:gX1f+BatV%3Ax"))
    );
    let fields_sent = fields(&asking);
    assert_eq!(fields_sent["grant_type"], "client_credentials");
    assert_eq!(
        (
            fields_sent["scope"].as_str(),
            fields_sent["audience"].as_str()
        ),
        ("a b", "api")
    );
    assert!(!fields_sent.contains_key("client_secret"));

    let in_body = exchange(
        &client(&json!({"client_authentication": "body"})),
        "id:secret",
    )
    .unwrap();
    let asking = in_body.ask(None).unwrap();
    assert!(asking.authorization.is_none() && asking.again);
    assert_eq!(fields(&asking)["client_id"], "id");
    assert_eq!(fields(&asking)["client_secret"], "secret");
}

#[test]
fn the_newest_refresh_token_is_used_and_once_only() {
    let scheme = json!({"scheme": "oauth2-refresh", "token_url": "https://id.example.com/token"});
    let value = r#"{"client_id":"public","refresh_token":"first"}"#;
    let exchange = exchange(&scheme, value).unwrap();
    let asking = exchange.ask(None).unwrap();
    assert!(!asking.again, "it may be good for one use");
    assert_eq!(fields(&asking)["refresh_token"], "first");
    assert_eq!(fields(&asking)["client_id"], "public");
    let newer = exchange.rotated(None, Secret::new("second")).unwrap();
    assert_eq!(
        fields(&exchange.ask(Some(&newer)).unwrap())["refresh_token"],
        "second"
    );
    assert!(
        exchange
            .rotated(Some(&newer), Secret::new("second"))
            .is_none(),
        "the same is no news"
    );
}

#[test]
fn a_service_account_signs_what_google_documents() {
    let key = RsaPrivateKey::new(&mut OsRng, 2_048).unwrap();
    let public = RsaPublicKey::from(&key)
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    let mut file = json!({
        "type": "service_account", "private_key_id": "key-1", "private_key": pem,
        "client_email": "s@p.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    });
    let scheme = json!({"scheme": "google-service-account", "scopes": ["https://www.googleapis.com/auth/a", "b"]});
    let asking = exchange(&scheme, file.to_string())
        .unwrap()
        .ask(None)
        .unwrap();
    let sent = fields(&asking);
    assert_eq!(
        sent["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["https://oauth2.googleapis.com/token"]);
    let decoding = DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
    let token = jsonwebtoken::decode::<Value>(&sent["assertion"], &decoding, &validation).unwrap();
    assert_eq!(token.header.kid.as_deref(), Some("key-1"));
    assert_eq!(token.claims["iss"], "s@p.iam.gserviceaccount.com");
    assert_eq!(token.claims["scope"], "https://www.googleapis.com/auth/a b");
    let lives = token.claims["exp"].as_i64().unwrap() - token.claims["iat"].as_i64().unwrap();
    assert_eq!(lives, 3_600);
    assert_eq!(asking.secrets, [Secret::new(sent["assertion"].as_str())]);

    file["token_uri"] = "https://evil.example/token".into();
    let failure = exchange(&scheme, file.to_string()).err().unwrap();
    assert!(
        failure.message.contains("https://evil.example/token"),
        "{failure}"
    );
    file["token_uri"] = Value::Null;
    file["private_key"] = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----".into();
    let failure = exchange(&scheme, file.to_string()).err().unwrap();
    assert!(!failure.message.contains("canary"), "{failure}");
}

#[test]
fn answers_are_read_as_services_write_them() {
    let exchange = exchange(&client(&json!({})), "id:secret").unwrap();
    let read = |body: &str| exchange.read(StatusCode::OK, body.as_bytes());
    for (expires, seconds) in [
        ("3600", 3600),
        ("\"3599\"", 3599),
        ("-5", 0),
        ("1e300", u64::MAX),
        ("null", 300),
    ] {
        let given = read(&format!(
            r#"{{"access_token":"t","token_type":"bearer","expires_in":{expires}}}"#
        ));
        assert_eq!(given.unwrap().seconds, seconds, "{expires}");
    }
    for odd in [
        "",
        "[]",
        r#"{"access_token":""}"#,
        r#"{"access_token":"a\r\nb"}"#,
        r#"{"access_token":"canary","token_type":"mac"}"#,
        &json!({"access_token": "x".repeat(MAX_TOKEN + 1)}).to_string(),
    ] {
        let failure = read(odd).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Upstream);
        assert!(!failure.message.contains("canary"), "{failure}");
    }
}

#[test]
fn a_refusal_has_the_kind_that_decides_on_another_try() {
    let exchange = exchange(&client(&json!({})), "id:secret").unwrap();
    let refused = |status: u16, body: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        exchange.read(status, body.as_bytes()).unwrap_err()
    };
    let failure = refused(
        401,
        r#"{"error":"invalid_client","error_description":"no such client"}"#,
    );
    assert_eq!(failure.kind, FailureKind::Auth);
    assert_eq!(
        failure.message,
        "the token endpoint `id.example.com` refused the credential `key`: 401 (invalid_client no such client); enter the credential again, or ask who gave it out"
    );
    for (status, kind) in [
        (400, FailureKind::Auth),
        (302, FailureKind::Upstream),
        (404, FailureKind::Upstream),
        (429, FailureKind::RateLimited),
        (503, FailureKind::Upstream),
    ] {
        assert_eq!(refused(status, "<html>").kind, kind, "{status}");
    }
    assert!(
        refused(400, &json!({"error": "x".repeat(9_000)}).to_string())
            .message
            .len()
            < 600
    );
}
