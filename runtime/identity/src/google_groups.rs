//! The groups of Google Workspace that a person is in, directly or through others: Google's tokens
//! do not name them, the Cloud Identity API does, to a service account that may read groups.
//!
//! A failure here is never "in no group": whoever calls leaves memberships as they are.

use std::time::{Duration, Instant};

use domain::Secret;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openidconnect::http::{Request, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::fetch::{Fetch, FetchError, private_url};
use crate::oidc::group_names;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-identity.groups.readonly";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const PATH: &str = "/v1/groups/-/memberships:searchTransitiveGroups";
/// What makes a group of Workspace one for people, and not for machines.
const LABEL: &str = "cloudidentity.googleapis.com/groups.discussion_forum";
/// Of the 1,000 that a page could have: one of some 400 bytes each must stay below an answer's limit.
const PAGE: &str = "500";
/// 10,000 groups; a person in more is a mistake, or the API turns in circles.
const MOST_PAGES: usize = 20;
/// How long Google lets an assertion live at most.
const ASSERTION_SECONDS: i64 = 3_600;
/// A token is replaced that long before it ends.
const MARGIN: Duration = Duration::from_secs(60);

/// Why the groups are not known.
#[derive(Debug, Error)]
pub enum GoogleError {
    /// The key file is not what Google gives out.
    #[error("the key file of the service account is not the JSON that Google gives out for one")]
    KeyFile(#[source] serde_json::Error),
    /// Its private key cannot be used.
    #[error("the private key of the service account cannot be used")]
    Key(#[source] jsonwebtoken::errors::Error),
    /// A request failed.
    #[error("Google's {0} cannot be reached")]
    Request(&'static str, #[source] FetchError),
    /// Google refuses.
    #[error(
        "Google's {0} answers {1}; may the service account read groups, and is the API switched on?"
    )]
    Status(&'static str, u16),
    /// Google answers something else than it documents.
    #[error("the answer of Google's {0} cannot be read")]
    Answer(&'static str, #[source] serde_json::Error),
    /// There is no end to it.
    #[error("Google's list of groups has more than {MOST_PAGES} pages")]
    TooMany,
}

const TOKENS: &str = "token service";
const GROUPS: &str = "Cloud Identity API";

/// Where to ask, and in whose name.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The content of the service account's key file.
    pub key_file: Secret,
    /// The Workspace admin in whose name the service account asks.
    pub subject: Option<String>,
    /// Only groups whose address begins so.
    pub prefix: Option<String>,
    /// Where the API is.
    pub endpoint: String,
}

/// The key file of a service account, as far as it is used.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

/// What the service account signs to get a token.
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    memberships: Vec<Group>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    group_key: Key,
}

#[derive(Deserialize)]
struct Key {
    id: String,
}

/// A token, and until when it is used.
struct Token {
    text: String,
    until: Instant,
}

/// Asks for groups.
pub struct GoogleGroups {
    fetch: Fetch,
    key: EncodingKey,
    key_id: Option<String>,
    account: String,
    token_url: Url,
    groups_url: Url,
    subject: Option<String>,
    prefix: String,
    token: Mutex<Option<Token>>,
}

impl std::fmt::Debug for GoogleGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("GoogleGroups");
        shown.field("url", &self.groups_url.as_str());
        shown.finish_non_exhaustive()
    }
}

impl GoogleGroups {
    /// Reads the key; nobody is asked yet.
    ///
    /// # Errors
    /// [`GoogleError::KeyFile`], [`GoogleError::Key`], [`GoogleError::Request`] when an address would
    /// show the token to whoever listens.
    pub fn new(settings: Settings) -> Result<Self, GoogleError> {
        let file: KeyFile =
            serde_json::from_slice(settings.key_file.expose()).map_err(GoogleError::KeyFile)?;
        let key = EncodingKey::from_rsa_pem(file.private_key.as_bytes());
        let groups_url = format!("{}{PATH}", settings.endpoint.trim_end_matches('/'));
        let url =
            |what, text: &str| private_url(text).map_err(|error| GoogleError::Request(what, error));
        Ok(Self {
            fetch: Fetch::new().map_err(|error| GoogleError::Request(GROUPS, error))?,
            key: key.map_err(GoogleError::Key)?,
            key_id: file.private_key_id,
            account: file.client_email,
            token_url: url(TOKENS, &file.token_uri)?,
            groups_url: url(GROUPS, &groups_url)?,
            subject: settings.subject,
            prefix: settings.prefix.unwrap_or_default().to_lowercase(),
            token: Mutex::new(None),
        })
    }

    /// The addresses of all groups that this address is in.
    ///
    /// # Errors
    /// [`GoogleError`]: it is not known which.
    pub async fn of(&self, email: &str) -> Result<Vec<String>, GoogleError> {
        let token = self.token().await?;
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let page = self.page(&token, email, next.as_deref()).await?;
            let addresses = page.memberships.into_iter();
            let addresses = addresses.map(|group| group.group_key.id.to_lowercase());
            found.extend(addresses.filter(|address| address.starts_with(&self.prefix)));
            next = page.next_page_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(group_names(found.iter().map(String::as_str)));
            }
        }
        Err(GoogleError::TooMany)
    }

    async fn page(
        &self,
        token: &str,
        email: &str,
        next: Option<&str>,
    ) -> Result<Page, GoogleError> {
        let mut url = self.groups_url.clone();
        url.query_pairs_mut()
            .append_pair("query", &query(email))
            .append_pair("pageSize", PAGE)
            .extend_pairs(next.map(|token| ("pageToken", token)));
        let request = Request::get(url.as_str())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Vec::new());
        self.ask(GROUPS, request).await
    }

    /// A token of the service account; the last one while it lives.
    async fn token(&self) -> Result<String, GoogleError> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.text.clone());
        }
        let body = Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("assertion", &self.assertion()?)
            .finish();
        let request = Request::post(self.token_url.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into_bytes());
        let answer: TokenAnswer = self.ask(TOKENS, request).await?;
        let lives = Duration::from_secs(answer.expires_in.min(ASSERTION_SECONDS.unsigned_abs()));
        *kept = Some(Token {
            text: answer.access_token.clone(),
            until: Instant::now() + lives.saturating_sub(MARGIN),
        });
        Ok(answer.access_token)
    }

    fn assertion(&self) -> Result<String, GoogleError> {
        let now = Timestamp::now().as_second();
        let assertion = Assertion {
            iss: &self.account,
            scope: SCOPE,
            aud: self.token_url.as_str(),
            iat: now,
            exp: now + ASSERTION_SECONDS,
            sub: self.subject.as_deref(),
        };
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.key_id);
        jsonwebtoken::encode(&header, &assertion, &self.key).map_err(GoogleError::Key)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        whom: &'static str,
        request: Result<Request<Vec<u8>>, openidconnect::http::Error>,
    ) -> Result<T, GoogleError> {
        let failed = |error| GoogleError::Request(whom, error);
        let request = request.map_err(|error| failed(FetchError::Answer(error)))?;
        let answer = self.fetch.send(request).await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(GoogleError::Status(whom, answer.status().as_u16()));
        }
        serde_json::from_slice(answer.body()).map_err(|error| GoogleError::Answer(whom, error))
    }
}

/// The query for a person's groups, in Google's expression language, where an apostrophe, as Irish
/// names have it, would end the text.
fn query(email: &str) -> String {
    let quoted = email.replace('\\', "\\\\").replace('\'', "\\'");
    format!("member_key_id == '{quoted}' && '{LABEL}' in labels")
}

#[cfg(test)]
mod tests;
