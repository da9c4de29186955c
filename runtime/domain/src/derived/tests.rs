//! What is taken out of an answer, and what the component gets of it.

use serde_json::json;

use super::*;

const NOW: i64 = 1_700_000_000;

fn derivation(present: &Value) -> Derivation {
    let value = json!({"from": "token", "path": "/v2/storage/files/", "present": present,
        "expires_at": "/credentials/Expiration", "expires_in": "/gcs/expires_in"});
    let derivation: Derivation = serde_json::from_value(value).unwrap();
    derivation.check().unwrap();
    derivation
}

/// What one derivation takes, and what stays.
fn one(present: &Value, mut answer: Value) -> (One, Value) {
    let now = Timestamp::from_second(NOW).unwrap();
    let wanted = [(&derivation(present), "file-1".to_owned())];
    let mut taken = take(&wanted, &mut answer, now, "[redacted]");
    let found = taken.found.remove(0);
    let end = found.as_ref().and_then(|found| found.end);
    let one = One {
        secrets: taken.secrets,
        credential: found.map(|found| found.credential),
        end,
    };
    (one, answer)
}

#[derive(Debug)]
struct One {
    secrets: Vec<Secret>,
    credential: Option<Credential>,
    end: Option<Timestamp>,
}

fn secrets(taken: &One) -> Vec<String> {
    let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
    taken.secrets.iter().map(text).collect()
}

#[test]
fn a_token_is_taken_with_its_end_and_blanked_wherever_it_stands() {
    let (taken, left) = one(
        &json!({"as": "bearer", "token": "/gcs/access_token"}),
        json!({"id": 7, "gcs": {"access_token": "ya29.c4nary", "expires_in": "3599"},
            "upload": [{"access_token": "ya29.other"}]}),
    );
    assert_eq!(
        taken.credential,
        Some(Credential::Bearer(Secret::new("ya29.c4nary")))
    );
    assert_eq!(taken.end.unwrap().as_second(), NOW + 3_599);
    assert_eq!(secrets(&taken), ["ya29.c4nary", "ya29.other"]);
    assert_eq!(
        left,
        json!({"id": 7, "gcs": {"access_token": "[redacted]", "expires_in": "3599"},
            "upload": [{"access_token": "[redacted]"}]})
    );
}

#[test]
fn a_signed_address_is_replaced_by_one_with_a_handle() {
    let url = "https://files.example.com/a/b.csv?sig=abcdefghijklmnopqrstuvwx%3D&se=2026-01-01T00%3A00%3A00.000000Z&x=1";
    let (taken, left) = one(
        &json!({"as": "signed-url", "url": "/url"}),
        json!({"url": url, "self": {"url": "https://a.org/x"}, "list": [{"url": "https://a.org/y?sig=2"}]}),
    );
    assert_eq!(
        left,
        json!({"url": "https://files.example.com/a/b.csv?sluice-derived=file-1",
            "self": {"url": "https://a.org/x"}, "list": [{"url": "https://a.org/y"}]})
    );
    let Some(Credential::SignedUrl { handle, url: whole }) = &taken.credential else {
        panic!("{taken:?}")
    };
    assert_eq!(handle, left["url"].as_str().unwrap());
    assert_eq!(whole, &Secret::new(url));
    assert!(secrets(&taken).contains(&"abcdefghijklmnopqrstuvwx=".to_owned()));
    assert!(!secrets(&taken).iter().any(|s| s.starts_with("2026")));
    assert!(is_handle(&Url::parse(handle).unwrap()));
}

#[test]
fn a_signature_is_found_in_a_connection_string() {
    let (taken, left) = one(
        &json!({"as": "query-string", "text": "/abs/SAS", "after": "SharedAccessSignature="}),
        json!({"abs": {"SAS": "BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=2017&sig=abc%3D;X=1"}}),
    );
    let query = Secret::new("sv=2017&sig=abc%3D");
    let host = Some("a.blob.core.windows.net".to_owned());
    let expected = Credential::QueryString {
        query: query.clone(),
        host,
    };
    assert_eq!(taken.credential, Some(expected));
    assert!(taken.secrets.contains(&query));
    assert_eq!(left, json!({"abs": {"SAS": "[redacted]"}}));
}

#[test]
fn half_a_key_is_no_credential_and_blanked_all_the_same() {
    let present = json!({"as": "aws-sigv4", "access_key_id": "/credentials/Id",
        "secret_access_key": "/credentials/Key", "session_token": "/credentials/Session", "region": "/region"});
    let whole = json!({"region": "eu-central-1", "credentials":
        {"Id": "AKIAc4nary", "Key": "k3y", "Session": "s3ss", "Expiration": "2026-01-02T03:04:05+0100"}});
    let (taken, left) = one(&present, whole.clone());
    assert_eq!(
        taken.credential,
        Some(Credential::Aws(AwsKey {
            id: Secret::new("AKIAc4nary"),
            secret: Secret::new("k3y"),
            session: Some(Secret::new("s3ss")),
            region: "eu-central-1".into(),
        }))
    );
    assert_eq!(taken.end.unwrap().to_string(), "2026-01-02T02:04:05Z");
    assert_eq!(left["credentials"]["Key"], "[redacted]");

    let mut half = whole;
    half["region"] = Value::Null;
    let (taken, left) = one(&present, half);
    assert_eq!(taken.credential, None);
    assert_eq!(secrets(&taken), ["AKIAc4nary", "k3y", "s3ss"]);
    for field in ["Id", "Key", "Session"] {
        assert_eq!(left["credentials"][field], "[redacted]");
    }
}

#[test]
fn an_answer_without_credentials_stays_as_it_is() {
    for present in [
        json!({"as": "bearer", "token": "/a/token"}),
        json!({"as": "signed-url", "url": "/url"}),
        json!({"as": "query-string", "text": "/a/sas"}),
    ] {
        let answer = json!({"error": "none", "url": 7, "a": []});
        let (taken, left) = one(&present, answer.clone());
        assert!(taken.credential.is_none() && taken.secrets.is_empty());
        assert_eq!(left, answer);
    }
}

#[test]
fn a_path_is_known_however_it_is_written() {
    let derivation = derivation(&json!({"as": "bearer", "token": "/t"}));
    for (path, held) in [
        ("/v2/storage/files/7", true),
        ("/v2//storage///files/7", true),
        ("/V2/Storage/FILES/7", true),
        ("/v2\\storage\\files\\7", true),
        ("/v2/storage/jobs/7", false),
        ("/x/v2/storage/files/7", false),
    ] {
        assert_eq!(derivation.is_in(path), held, "{path}");
    }
}

#[test]
fn a_credential_is_not_used_up_to_its_very_end() {
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    assert!(is_good(None, at(0)));
    assert!(is_good(Some(at(100)), at(80)));
    assert!(!is_good(Some(at(100)), at(90)));
    assert!(!is_good(Some(at(100)), at(200)));
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_field() {
    for (change, word) in [
        (json!({"path": "files"}), "path"),
        (json!({"path": "/files/*"}), "path"),
        (
            json!({"present": {"as": "bearer", "token": "token"}}),
            "JSON pointer",
        ),
        (
            json!({"present": {"as": "cookie", "token": "/t"}}),
            "cookie",
        ),
        (
            json!({"present": {"as": "bearer", "token": "/t", "wish": 1}}),
            "wish",
        ),
        (json!({"expires_at": "at"}), "JSON pointer"),
        (json!({"wish": 1}), "wish"),
    ] {
        let mut value =
            json!({"from": "token", "path": "/files/", "present": {"as": "bearer", "token": "/t"}});
        for (key, changed) in change.as_object().unwrap() {
            value[key] = changed.clone();
        }
        let read: Result<Derivation, _> = serde_json::from_value(value);
        let error = match read {
            Err(error) => error.to_string(),
            Ok(derivation) => derivation.check().unwrap_err(),
        };
        assert!(error.contains(word), "{change}: {error}");
    }
}

#[test]
fn what_one_slot_hides_another_still_finds() {
    let bearer = |token: &str| derivation(&json!({"as": "bearer", "token": token}));
    let address = |url: &str| derivation(&json!({"as": "signed-url", "url": url}));
    let slots = [
        bearer("/a/t"),
        bearer("/b/t"),
        address("/a/url"),
        address("/b/url"),
    ];
    let wanted: Vec<_> = slots
        .iter()
        .zip(["1", "2", "3", "4"].map(String::from))
        .collect();
    let mut answer = json!({"a": {"t": "first", "url": "https://a.org/?k=first-key"},
        "b": {"t": "second", "url": "https://b.org/?k=second-key"}});
    let taken = take(&wanted, &mut answer, Timestamp::UNIX_EPOCH, "[redacted]");
    assert!(taken.found.iter().all(Option::is_some), "{taken:?}");
    assert_eq!(
        answer,
        json!({"a": {"t": "[redacted]", "url": "https://a.org/?sluice-derived=3"},
        "b": {"t": "[redacted]", "url": "https://b.org/?sluice-derived=4"}})
    );
    let known = ["first", "second", "k=first-key", "k=second-key"].map(Secret::new);
    assert_eq!(taken.secrets, known, "and the blank is no secret");
}
