//! What Storage lends for a file, and the clouds that take it.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::sigv4::{self, Key};
use super::{Cloud, Mood, State, page, parameters};
use crate::internet::Seen;

const HOUR: i64 = 3_600;

/// What was lent with one answer.
#[derive(Debug)]
pub(crate) struct Lent {
    cloud: Cloud,
    number: usize,
    file: usize,
    lasts: i64,
    /// How many slices it is still good for.
    left: Option<u32>,
}

impl Lent {
    pub(super) fn new(cloud: Cloud, mood: &Mood, before: usize, file: usize) -> Self {
        let first = before == 0;
        Self {
            cloud,
            number: before + 1,
            file,
            lasts: mood.first_lasts.filter(|_| first).unwrap_or(HOUR),
            left: mood.first_slices.filter(|_| first),
        }
    }

    fn key(&self) -> Key {
        Key {
            id: format!("ASIAC4NARY{:06}", self.number),
            secret: format!("c4nary/secret+key/of/aws/{}", self.number),
            session: format!("c4naryFwoGZXIvYXdzEL//session/token=={}", self.number),
        }
    }

    fn token(&self) -> String {
        format!("ya29.c4nary-token-of-google-{}", self.number)
    }

    /// The parameter that proves a signed address.
    fn signature(&self) -> String {
        format!("c4nary/signature+of-an-address/{}", self.number)
    }

    fn sas(&self) -> String {
        format!(
            "sv=2017-11-09&sr=c&sp=rl&sig=c4nary%2Fshared%2Baccess%2Fsignature{}%3D",
            self.number
        )
    }

    /// Everything that is secret by itself.
    pub(super) fn secrets(&self) -> Vec<String> {
        match self.cloud {
            Cloud::Google => vec![self.token(), self.signature()],
            Cloud::Aws => {
                let key = self.key();
                vec![key.id, key.secret, key.session]
            }
            Cloud::Azure => vec![
                self.sas(),
                format!("c4nary/shared+access/signature{}=", self.number),
                self.signature(),
            ],
        }
    }

    fn manifest(&self) -> String {
        format!("/kbc/exp-{}/all.csvmanifest", self.file)
    }

    /// The fields of "File Detail" that lend.
    pub(super) fn fields(&self, endpoint: &str) -> Value {
        let path = format!("exp-{}/all.csv", self.file);
        let signed = |name: &str| {
            let signature = self.signature().replace('/', "%2F").replace('+', "%2B");
            format!("{endpoint}{}?{name}={signature}", self.manifest())
        };
        match self.cloud {
            Cloud::Google => json!({
                "provider": "gcp", "url": signed("Signature"), "gcsPath": {"bucket": "kbc", "key": path},
                "gcsCredentials": {"access_token": self.token(), "expires_in": self.lasts, "token_type": "Bearer"}
            }),
            Cloud::Aws => {
                let key = self.key();
                let host = endpoint.trim_start_matches("http://");
                let query = sigv4::presign(&key, host, &self.manifest());
                json!({
                    "provider": "aws", "url": format!("{endpoint}{}?{query}", self.manifest()),
                    "s3Path": {"bucket": "kbc", "key": path},
                    "credentials": {"AccessKeyId": key.id, "SecretAccessKey": key.secret,
                        "SessionToken": key.session, "Expiration": now() + self.lasts}
                })
            }
            Cloud::Azure => json!({
                "provider": "azure", "url": signed("sig"), "absPath": {"container": "kbc", "name": path},
                "absCredentials": {"expiration": now() + self.lasts, "SASConnectionString":
                    format!("BlobEndpoint={endpoint};SharedAccessSignature={}", self.sas())}
            }),
        }
    }

    /// Whether a request proves that it may have a slice.
    fn lets_in(&self, seen: &Seen) -> bool {
        match self.cloud {
            Cloud::Google => {
                seen.header("authorization") == Some(&format!("Bearer {}", self.token()))
            }
            Cloud::Aws => sigv4::is_signed(&self.key(), seen),
            Cloud::Azure => seen
                .target
                .split_once('?')
                .is_some_and(|(_, query)| query == self.sas()),
        }
    }

    /// Whether a request for the list of slices has the address that was signed.
    fn lets_read_list(&self, seen: &Seen) -> bool {
        let name = match self.cloud {
            Cloud::Aws => return sigv4::is_signed(&self.key(), seen),
            Cloud::Google => "Signature",
            Cloud::Azure => "sig",
        };
        let alone = parameters(seen).get(name) == Some(&self.signature());
        alone && seen.header("authorization").is_none()
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("it fits")
}

/// The storage of the files: lists and slices, for who may have them. What it refuses, it repeats.
pub(super) fn give(state: &mut State, seen: &Seen) -> Response {
    assert!(
        seen.header("x-storageapi-token").is_none(),
        "the master token went elsewhere: {seen:?}"
    );
    let path = seen.path();
    let known = path
        .strip_prefix("/kbc/exp-")
        .and_then(|rest| rest.split_once('/'));
    let Some((file, name)) =
        known.and_then(|(file, name)| Some((file.parse::<usize>().ok()?, name)))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let refused = || (StatusCode::FORBIDDEN, format!("refused: {seen:?}")).into_response();
    let cloud = state.cloud;
    let mut lent = state.lent.iter_mut().filter(|lent| lent.file == file);
    if name == "all.csvmanifest" {
        let may = lent.any(|lent| lent.lets_read_list(seen));
        let count = state.files[file - 1].len();
        return if may {
            page(&list(cloud, file, count))
        } else {
            refused()
        };
    }
    let Some(lent) = lent.find(|lent| lent.lets_in(seen)) else {
        return refused();
    };
    if let Some(left) = &mut lent.left {
        let Some(less) = left.checked_sub(1) else {
            return refused();
        };
        *left = less;
    }
    let slice = name
        .strip_prefix("slice%20")
        .and_then(|number| number.parse::<usize>().ok());
    match slice.and_then(|number| state.files[file - 1].get(number)) {
        Some(slice) => (
            [("content-type", "application/octet-stream")],
            slice.clone(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn list(cloud: Cloud, file: usize, count: usize) -> Value {
    let entry = |number: usize| {
        let path = format!("kbc/exp-{file}/slice {number}");
        let url = match cloud {
            Cloud::Google => format!("gs://{path}"),
            Cloud::Aws => format!("s3://{path}"),
            Cloud::Azure => format!("azure://account.blob.core.windows.net/{path}"),
        };
        json!({"url": url, "mandatory": true})
    };
    json!({"entries": (0..count).map(entry).collect::<Vec<_>>()})
}
