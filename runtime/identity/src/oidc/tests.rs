//! What a provider may say, and what is believed of it. The keys are made of fixed bytes.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openidconnect::core::CoreEdDsaPrivateSigningKey;
use openidconnect::{JsonWebKeyId, PrivateSigningKey as _};
use serde_json::{Value, json};

use super::*;
use crate::fake::{Fake, answer};

/// The head of an Ed25519 key in PKCS #8 (RFC 8410); the key's 32 bytes follow.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key that is known by a name.
#[derive(Clone, Copy)]
struct Key(u8, &'static str);

impl Key {
    fn der(self) -> Vec<u8> {
        [&PKCS8[..], &[self.0; 32]].concat()
    }

    fn public(self) -> Value {
        let text = STANDARD.encode(self.der());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let id = JsonWebKeyId::new(self.1.to_owned());
        let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(id)).unwrap();
        serde_json::to_value(key.as_verification_key()).unwrap()
    }

    fn sign(self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.1.to_owned());
        let key = EncodingKey::from_ed_der(&self.der());
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

const FIRST: Key = Key(1, "first");
const SECOND: Key = Key(2, "second");

/// What the fake provider says; tests change it while it runs.
#[derive(Clone)]
struct Says {
    discovery: Value,
    keys: Vec<Value>,
    token: Option<String>,
}

struct FakeProvider {
    fake: Fake,
    says: Arc<Mutex<Says>>,
    provider: Provider,
}

fn settings(issuer: &str) -> Settings {
    Settings {
        name: "test".into(),
        issuer: issuer.into(),
        client_id: "sluice".into(),
        client_secret: Some(Secret::new("s")),
        scopes: vec!["email".into()],
        groups_claim: Some("groups".into()),
    }
}

impl FakeProvider {
    fn start() -> Self {
        let says = Arc::new(Mutex::new(Says {
            discovery: json!({}),
            keys: vec![FIRST.public()],
            token: None,
        }));
        let told = says.clone();
        let fake = Fake::start(move |request| {
            let says = told.lock().unwrap().clone();
            let body = match request.split(' ').nth(1).unwrap() {
                "/.well-known/openid-configuration" => says.discovery,
                "/jwks" => json!({"keys": says.keys}),
                "/token" => json!({
                    "access_token": "access", "token_type": "Bearer", "id_token": says.token,
                }),
                other => panic!("nobody asks for {other}"),
            };
            answer(&body.to_string())
        });
        let url = &fake.url;
        says.lock().unwrap().discovery = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/auth"),
            "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        });
        let provider = Provider::new(settings(url)).unwrap();
        Self {
            fake,
            says,
            provider,
        }
    }

    async fn begin(&self) -> Begun {
        self.provider.begin("http://127.0.0.1/back").await.unwrap()
    }

    /// Claims that are all right.
    fn claims(&self, begun: &Begun) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.fake.url, "sub": "42", "aud": "sluice", "iat": now, "exp": now + 60,
            "nonce": begun.flow.nonce.secret(), "email": "ada@example.com",
            "email_verified": true, "name": "Ada", "groups": ["dev"],
        })
    }

    async fn finish(&self, begun: Begun, token: String) -> Result<Person, OidcError> {
        self.says.lock().unwrap().token = Some(token);
        self.provider.finish("code", begun.flow).await
    }

    /// Ends a sign-in whose claims were changed.
    async fn with(&self, change: impl FnOnce(&mut Value)) -> Result<Person, OidcError> {
        let begun = self.begin().await;
        let mut claims = self.claims(&begun);
        change(&mut claims);
        self.finish(begun, FIRST.sign(&claims)).await
    }

    fn asked_for(&self, path: &str) -> usize {
        let requests = self.fake.requests();
        requests.iter().filter(|one| one.contains(path)).count()
    }
}

#[track_caller]
fn is_invalid(result: &Result<Person, OidcError>, what: &str) {
    assert!(
        matches!(result, Err(OidcError::Invalid(_))),
        "{what}: {result:?}"
    );
}

#[tokio::test]
async fn a_person_is_who_the_signed_token_says() {
    let provider = FakeProvider::start();
    let person = provider.with(|_| {}).await.unwrap();
    let expected = Person {
        issuer: provider.fake.url.clone(),
        subject: "42".into(),
        email: Some("ada@example.com".into()),
        email_verified: true,
        name: "Ada".into(),
        groups: Some(vec!["dev".into()]),
    };
    assert_eq!(person, expected);
}

#[tokio::test]
async fn the_browser_takes_along_a_state_a_nonce_and_a_challenge() {
    let provider = FakeProvider::start();
    let (one, two) = (provider.begin().await, provider.begin().await);
    let value = |begun: &Begun, name: &str| {
        let mut pairs = begun.url.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap()
    };
    assert_eq!(value(&one, "code_challenge_method"), "S256");
    assert_eq!(value(&one, "response_type"), "code");
    assert_eq!(value(&one, "scope"), "openid email");
    assert_eq!(value(&one, "redirect_uri"), "http://127.0.0.1/back");
    for name in ["state", "nonce", "code_challenge"] {
        assert!(value(&one, name).len() >= 43, "{name}");
        assert_ne!(value(&one, name), value(&two, name), "{name}");
    }
    assert!(one.flow.is_answered_by(&value(&one, "state")));
    assert!(!one.flow.is_answered_by(&value(&two, "state")) && !one.flow.is_answered_by(""));
    assert_eq!(provider.asked_for("/jwks"), 1, "what was fetched is kept");
}

#[tokio::test]
async fn a_token_whose_promises_do_not_hold_is_not_believed() {
    let provider = FakeProvider::start();
    for (claim, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("another client")),
        ("aud", json!(["sluice", "another client"])),
        ("aud", json!([])),
        ("exp", json!(Timestamp::now().as_second() - 1)),
        ("nonce", json!("of another sign-in")),
        ("nonce", Value::Null),
        ("at_hash", json!("of another access token")),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("sub", json!("a\nb")),
    ] {
        let result = provider.with(|claims| claims[claim] = value.clone()).await;
        is_invalid(&result, &format!("{claim}: {value}"));
    }
}

#[tokio::test]
async fn only_the_keys_of_the_provider_sign() {
    let provider = FakeProvider::start();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());

    let begun = provider.begin().await;
    let forged = Key(9, "first").sign(&provider.claims(&begun));
    is_invalid(
        &provider.finish(begun, forged).await,
        "another key of the same name",
    );

    let begun = provider.begin().await;
    let claims = part(provider.claims(&begun));
    let unsigned = format!("{}.{claims}.", part(json!({"alg": "none"})));
    is_invalid(&provider.finish(begun, unsigned).await, "no signature");

    let begun = provider.begin().await;
    let by_secret = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &provider.claims(&begun),
        &EncodingKey::from_secret(b"s"),
    );
    is_invalid(
        &provider.finish(begun, by_secret.unwrap()).await,
        "the client's secret",
    );
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched() {
    let provider = FakeProvider::start();
    let begun = provider.begin().await;
    provider.says.lock().unwrap().keys = vec![SECOND.public()];
    let token = SECOND.sign(&provider.claims(&begun));
    assert_eq!(provider.finish(begun, token).await.unwrap().subject, "42");
    assert_eq!(provider.asked_for("/jwks"), 2);

    let begun = provider.begin().await;
    let token = FIRST.sign(&provider.claims(&begun));
    is_invalid(
        &provider.finish(begun, token).await,
        "a key that was taken back",
    );
}

#[tokio::test]
async fn a_provider_that_is_somebody_else_is_not_asked() {
    for (key, value) in [
        ("issuer", "https://evil.example"),
        ("authorization_endpoint", "http://evil.example/auth"),
        ("jwks_uri", "http://evil.example/jwks"),
    ] {
        let provider = FakeProvider::start();
        provider.says.lock().unwrap().discovery[key] = json!(value);
        let begun = provider.provider.begin("http://127.0.0.1/back").await;
        assert!(begun.is_err(), "{key}");
        let again = provider.provider.begin("http://127.0.0.1/back").await;
        assert!(matches!(again, Err(OidcError::Unreachable(_))), "{key}");
        assert_eq!(
            provider.asked_for("/.well-known"),
            1,
            "it is left alone for a while"
        );
    }
}

#[tokio::test]
async fn the_words_for_a_person_tell_nothing_of_the_inside() {
    let provider = FakeProvider::start();
    let error = provider.with(|claims| claims["aud"] = json!("other")).await;
    let words = error.unwrap_err().to_string();
    assert!(
        !words.contains("other") && !words.contains("127.0.0.1"),
        "{words}"
    );
}

#[test]
fn an_issuer_in_the_clear_is_only_taken_on_this_machine() {
    for (issuer, taken) in [
        ("https://accounts.google.com", true),
        ("http://127.0.0.1:9", true),
        ("http://accounts.google.com", false),
        ("accounts.google.com", false),
    ] {
        let provider = Provider::new(settings(issuer));
        assert_eq!(provider.is_ok(), taken, "{issuer}: {provider:?}");
    }
}

#[test]
fn a_domain_is_allowed_as_a_whole_and_in_any_case() {
    let allowed = ["Example.com".to_owned(), "example.org".to_owned()];
    for email in ["ada@example.com", "ADA@EXAMPLE.COM", "\"a@b\"@example.org"] {
        assert!(domain_allowed(email, &allowed), "{email}");
    }
    for email in [
        "ada@sub.example.com",
        "ada@notexample.com",
        "ada@example.com.evil.org",
        "ada@example.com@evil.org",
        "@example.com",
        "example.com",
        "ada@",
        "",
    ] {
        assert!(!domain_allowed(email, &allowed), "{email}");
    }
    assert!(!domain_allowed("ada@example.com", &[]));
}
