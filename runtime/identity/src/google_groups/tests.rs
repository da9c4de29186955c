//! The client of Google's API against a fake that is written from Google's documentation.

use jsonwebtoken::{DecodingKey, Validation};
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};

use super::*;
use crate::fake::{Fake, answer};

/// The key of a service account and the public half of it, both as PEM.
fn key() -> (String, String) {
    let key = RsaPrivateKey::new(&mut OsRng, 2_048).unwrap();
    let public = RsaPublicKey::from(&key);
    let public = public.to_public_key_pem(LineEnding::LF).unwrap();
    (
        key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string(),
        public,
    )
}

/// A client of this server, with everything that can be configured.
fn client(key: &str, url: &str) -> GoogleGroups {
    let file = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "key-1",
        "private_key": key, "client_email": "sluice@p.iam.gserviceaccount.com",
        "token_uri": format!("{url}/token"),
    });
    GoogleGroups::new(Settings {
        key_file: Secret::new(file.to_string()),
        subject: Some("admin@example.com".into()),
        prefix: Some("Data-".into()),
        endpoint: format!("{url}/"),
    })
    .unwrap()
}

fn membership(address: &str) -> Value {
    json!({
        "memberKey": {"id": "ada@example.com"}, "group": "groups/0184mhaj2", "displayName": "A",
        "groupKey": {"id": address}, "relationType": "DIRECT",
        "labels": {LABEL: ""}, "roles": [{"role": "MEMBER"}],
    })
}

/// Google as it documents itself: two pages of groups.
fn google(request: &str) -> String {
    if request.starts_with("POST /token ") {
        let token = json!({"access_token": "ya29.t", "expires_in": 3599, "token_type": "Bearer"});
        return answer(&token.to_string());
    }
    let page = match request.contains("pageToken=second") {
        false => json!({
            "memberships": [membership("data-eng@example.com"), membership("all@example.com")],
            "nextPageToken": "second",
        }),
        true => json!({"memberships": [membership("Data-Ops@example.com")]}),
    };
    answer(&page.to_string())
}

fn status(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

/// What a request asks for, decoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.into_owned().collect()
}

#[tokio::test]
async fn all_pages_are_read_and_other_groups_left_out() {
    let (key, public) = key();
    let fake = Fake::start(google);
    let groups = client(&key, &fake.url);
    let found = groups.of("o'brien@example.com").await.unwrap();
    assert_eq!(found, ["data-eng@example.com", "data-ops@example.com"]);

    let requests = fake.requests();
    let form = pairs(requests[0].split("\r\n\r\n").nth(1).unwrap());
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[format!("{}/token", fake.url)]);
    let public = DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
    let assertion = jsonwebtoken::decode::<Value>(&form[1].1, &public, &rules).unwrap();
    assert_eq!(assertion.header.kid.as_deref(), Some("key-1"));
    assert_eq!(assertion.claims["iss"], "sluice@p.iam.gserviceaccount.com");
    assert_eq!(assertion.claims["sub"], "admin@example.com");
    assert_eq!(assertion.claims["scope"], SCOPE);

    let target = requests[1].split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap();
    assert_eq!(path, "/v1/groups/-/memberships:searchTransitiveGroups");
    let wanted = "member_key_id == 'o\\'brien@example.com' && \
        'cloudidentity.googleapis.com/groups.discussion_forum' in labels";
    assert!(
        pairs(query).contains(&("query".into(), wanted.into())),
        "{query}"
    );
    assert!(
        requests[1].contains("authorization: Bearer ya29.t\r\n"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn a_token_is_used_while_it_lives() {
    let fake = Fake::start(google);
    let groups = client(&key().0, &fake.url);
    groups.of("ada@example.com").await.unwrap();
    groups.of("bob@example.com").await.unwrap();
    let requests = fake.requests();
    let tokens = requests.iter().filter(|one| one.starts_with("POST /token"));
    assert_eq!(tokens.count(), 1);
}

#[tokio::test]
async fn a_failure_anywhere_is_not_an_empty_list() {
    type Respond = fn(&str) -> String;
    let cases: [(Respond, &str); 4] = [
        (|_| status("403 Forbidden"), "token service answers 403"),
        (
            |request| match request.starts_with("POST") {
                true => google(request),
                false => status("403 Forbidden"),
            },
            "Cloud Identity API answers 403",
        ),
        (
            // The second page of two.
            |request| match request.contains("pageToken=") {
                true => answer(r#"{"memberships": 7}"#),
                false => google(request),
            },
            "Cloud Identity API cannot be read",
        ),
        (
            |request| match request.starts_with("POST") {
                true => google(request),
                false => answer(r#"{"nextPageToken": "again"}"#),
            },
            "more than 20 pages",
        ),
    ];
    let (key, _) = key();
    for (respond, words) in cases {
        let fake = Fake::start(respond);
        let error = client(&key, &fake.url)
            .of("ada@example.com")
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}: {words}");
    }
}

#[test]
fn a_key_file_of_something_else_is_told() {
    let settings = |file: &str| Settings {
        key_file: Secret::new(file),
        subject: None,
        prefix: None,
        endpoint: "https://cloudidentity.googleapis.com".into(),
    };
    let error = GoogleGroups::new(settings("{}")).unwrap_err();
    assert!(matches!(error, GoogleError::KeyFile(_)), "{error:?}");
    let no_key = r#"{"client_email": "a", "private_key": "b", "token_uri": "https://c"}"#;
    let error = GoogleGroups::new(settings(no_key)).unwrap_err();
    assert!(matches!(error, GoogleError::Key(_)), "{error:?}");
}
