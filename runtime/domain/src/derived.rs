//! Credentials that a service hands out in the middle of a run, such as the signed address of an export: which
//! answers hold them, where in these, and how the host presents them.
//!
//! The component sees such an answer without them. So what a service lends for an hour stays as far from it as what
//! an admin entered.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::names::SlotName;
use crate::secret::Secret;

mod take;
mod text;

pub use take::{Found, Taken, take};

/// The parameter of an address that stands for a signed one.
pub const HANDLE: &str = "sluice-derived";

/// How long before its end a credential is not used any more: a request takes time to arrive.
const MARGIN_SECONDS: i64 = 10;

/// How a credential is had from an answer, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    /// The slot that the request was made with.
    pub from: SlotName,
    /// Answers to requests whose path begins so hold it.
    pub path: String,
    /// Where in the answer it is, and how it is presented.
    pub present: Presentation,
    /// A JSON pointer to when it ends: a point in time, or seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// A JSON pointer to how many seconds it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

/// Where in an answer a credential is, as JSON pointers, and how the host presents it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "as", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Presentation {
    /// As `Authorization: Bearer VALUE`.
    Bearer {
        /// The token.
        token: String,
    },
    /// As the query of an address that is signed by itself. The component gets the address with a handle in its
    /// place, and asks for that.
    SignedUrl {
        /// The address.
        url: String,
    },
    /// As a text that is put behind the query of every request.
    QueryString {
        /// The text.
        text: String,
        /// Where it is a part of a list such as `Endpoint=…;Signature=…`: what stands before it. It is sent to the host
        /// of the first address in such a list only.
        #[serde(default)]
        after: String,
    },
    /// As a signature of the request to S3 (AWS Signature Version 4, in the query).
    AwsSigv4 {
        /// The id of the key.
        access_key_id: String,
        /// The key.
        secret_access_key: String,
        /// What proves that the key was lent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_token: Option<String>,
        /// The region.
        region: String,
    },
}

/// A credential that an answer held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A bearer token.
    Bearer(Secret),
    /// A signed address, under the address that the component has in its place.
    SignedUrl {
        /// What the component asks for.
        handle: String,
        /// What is asked for.
        url: Secret,
    },
    /// A part of a query.
    QueryString {
        /// The text.
        query: Secret,
        /// The one host that it is for, where the answer named it.
        host: Option<String>,
    },
    /// What requests to S3 are signed with.
    Aws(AwsKey),
}

/// A key of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKey {
    /// Its id.
    pub id: Secret,
    /// The key.
    pub secret: Secret,
    /// What proves that it was lent.
    pub session: Option<Secret>,
    /// Where it is used.
    pub region: String,
}

impl Presentation {
    /// Pointers to what nobody may see.
    fn secrets(&self) -> Vec<&str> {
        match self {
            Self::Bearer { token } => vec![token],
            Self::SignedUrl { url } => vec![url],
            Self::QueryString { text, .. } => vec![text],
            Self::AwsSigv4 {
                access_key_id,
                secret_access_key,
                session_token,
                ..
            } => [
                Some(access_key_id),
                Some(secret_access_key),
                session_token.as_ref(),
            ]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect(),
        }
    }
}

impl Derivation {
    /// Whether answers to requests for this path hold the credential. A server may read a path otherwise than it is
    /// written, so letters and repeated slashes do not tell paths apart; escapes are undone by whoever asks.
    pub fn is_in(&self, path: &str) -> bool {
        let mut plain = String::with_capacity(path.len());
        for c in path.chars().map(|c| if c == '\\' { '/' } else { c }) {
            if !(c == '/' && plain.ends_with('/')) {
                plain.push(c.to_ascii_lowercase());
            }
        }
        plain.starts_with(&self.path.to_ascii_lowercase())
    }

    /// What the admin should know: where it comes from.
    pub fn told(&self) -> String {
        let Self { from, path, .. } = self;
        format!("taken by the host from answers to requests with `{from}` below {path}")
    }

    /// Whether it keeps the rules; else the field that breaks one, and why.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.path.starts_with('/') || self.path.contains(['?', '#', '%', '*', '\\', ' ']) {
            return Err(format!(
                "`path` `{}` is not the beginning of a path such as /v2/files/",
                self.path.escape_debug()
            ));
        }
        text::limited("path", &self.path)?;
        for pointer in self.present.secrets() {
            text::pointer(pointer)?;
        }
        for pointer in [&self.expires_at, &self.expires_in].into_iter().flatten() {
            text::pointer(pointer)?;
        }
        match &self.present {
            Presentation::AwsSigv4 { region, .. } => text::pointer(region),
            Presentation::QueryString { after, .. } => text::limited("after", after),
            _ => Ok(()),
        }
    }

    /// When a credential of this answer ends, as far as it says.
    fn end(&self, answer: &Value, now: Timestamp) -> Option<Timestamp> {
        let at = |pointer: &Option<String>| answer.pointer(pointer.as_deref()?);
        let seconds = at(&self.expires_in).and_then(text::seconds);
        let lasts = seconds.and_then(|seconds| {
            let seconds = seconds.clamp(0, 366 * 86_400);
            now.checked_add(jiff::SignedDuration::from_secs(seconds))
                .ok()
        });
        lasts.or_else(|| at(&self.expires_at).and_then(text::time))
    }
}

/// Whether a credential with this end is of use now.
pub fn is_good(end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_none_or(|end| end.as_second().saturating_sub(MARGIN_SECONDS) > now.as_second())
}

/// Whether an address is one that stands for a signed one.
pub fn is_handle(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == HANDLE)
}

#[cfg(test)]
mod tests;
