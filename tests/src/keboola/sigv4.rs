//! AWS Signature Version 4 in a query, made and checked after Amazon's documentation, apart from what the host uses.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::parameters;
use crate::internet::Seen;

/// A key that was lent.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) session: String,
}

const DATE: &str = "20260201T000000Z";
const REGION: &str = "eu-central-1";

/// The query of an address that was signed for a GET.
pub(super) fn presign(key: &Key, host: &str, path: &str) -> String {
    let scope = format!("{}/{REGION}/s3/aws4_request", &DATE[..8]);
    let mut query: BTreeMap<String, String> = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", key.id)),
        ("X-Amz-Date", DATE.to_owned()),
        ("X-Amz-Expires", "3600".to_owned()),
        ("X-Amz-Security-Token", key.session.clone()),
        ("X-Amz-SignedHeaders", "host".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let signature = signature(key, host, path, &query);
    query.insert("X-Amz-Signature".into(), signature);
    canonical(&query)
}

/// Whether a request was signed with this key.
pub(super) fn is_signed(key: &Key, seen: &Seen) -> bool {
    let mut query = parameters(seen);
    let Some(found) = query.remove("X-Amz-Signature") else {
        return false;
    };
    let host = seen.header("host").unwrap_or_default();
    let same_session = query.get("X-Amz-Security-Token") == Some(&key.session);
    let has_scope = query.get("X-Amz-Credential").is_some_and(|scope| {
        scope.starts_with(&format!("{}/", key.id))
            && scope.ends_with(&format!("/{REGION}/s3/aws4_request"))
    });
    let alone = seen.header("authorization").is_none();
    same_session
        && has_scope
        && alone
        && seen.method == "GET"
        && found == signature(key, host, seen.path(), &query)
}

fn signature(key: &Key, host: &str, path: &str, query: &BTreeMap<String, String>) -> String {
    let request = format!(
        "GET\n{path}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
        canonical(query)
    );
    let date = &query["X-Amz-Date"];
    let scope = format!("{}/{REGION}/s3/aws4_request", &date[..8]);
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex::encode(Sha256::digest(request))
    );
    let mut signing = format!("AWS4{}", key.secret).into_bytes();
    for part in [&date[..8], REGION, "s3", "aws4_request", &text] {
        signing = keyed(&signing, part);
    }
    hex::encode(signing)
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Sorted by name, all but RFC 3986's unreserved characters escaped.
fn canonical(query: &BTreeMap<String, String>) -> String {
    let escaped = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(byte.into())
                }
                _ => write!(out, "%{byte:02X}").expect("a string takes all"),
            }
        }
        out
    };
    let pairs = query
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_derived_as_amazon_has_it() {
        // "Examples of how to derive a signing key for Signature Version 4".
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20120215", "us-east-1", "iam", "aws4_request"] {
            key = keyed(&key, part);
        }
        let told = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d";
        assert_eq!(hex::encode(key), told);
    }
}
