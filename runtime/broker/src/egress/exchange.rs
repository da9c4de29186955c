//! What is said to a token endpoint, after RFC 6749, RFC 7523 and Google's documentation, and what its
//! answer means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::credential::{Pair, RefreshGrant, ServiceAccount};
use domain::manifest::Scheme;
use domain::scheme::{ClientAuthentication, TokenEndpoint, read_token_url};
use domain::{Digest, Failure, FailureKind, Secret, SlotName};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::credentials::header_value;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long Google lets an assertion live at most.
const ASSERTION_SECONDS: i64 = 3_600;
/// Where a service names no time.
const UNNAMED_SECONDS: u64 = 300;
/// More than any access token has; longer headers are refused by servers.
const MAX_TOKEN: usize = 16 << 10;
/// Of what a service says about its refusal.
const MAX_WORDS: usize = 300;

/// How a slot's credential becomes a token.
pub(super) struct Exchange {
    pub(super) slot: SlotName,
    pub(super) url: Url,
    /// Of scheme and value: a token that was had for another one is not used.
    pub(super) origin: Digest,
    /// As it was entered.
    pub(super) entered: Secret,
    /// The scheme as text, which is a part of an origin.
    pub(super) scheme: Vec<u8>,
    kind: Kind,
}

enum Kind {
    Client(Pair, TokenEndpoint),
    Refresh(RefreshGrant, TokenEndpoint),
    Google {
        account: ServiceAccount,
        key: Box<EncodingKey>,
        scopes: Vec<String>,
    },
}

/// A request to a token endpoint.
pub(super) struct Asking {
    pub(super) body: Secret,
    pub(super) authorization: Option<HeaderValue>,
    /// What nobody may see beside what is known already.
    pub(super) secrets: Vec<Secret>,
    /// Whether it may be sent a second time: a refresh token may be good for one use.
    pub(super) again: bool,
}

/// What a token endpoint gave.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) token: Secret,
    pub(super) seconds: u64,
    pub(super) refresh_token: Option<Secret>,
}

/// What a service account signs.
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    scope: String,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
    refresh_token: Option<String>,
}

/// Some services write the number as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

impl Exchange {
    /// For a slot of a scheme that has a token endpoint.
    pub(super) fn new(slot: &SlotName, scheme: &Scheme, value: &Secret) -> Result<Self, Failure> {
        let unusable = |reason: &dyn std::fmt::Display| {
            Failure::config(format!("the credential `{slot}` cannot be used: {reason}"))
        };
        let url = scheme.token_url().unwrap_or_default();
        let kind = match scheme {
            Scheme::Oauth2ClientCredentials(endpoint) => {
                let pair = Pair::client(value).map_err(|error| unusable(&error))?;
                Kind::Client(pair, endpoint.clone())
            }
            Scheme::Oauth2Refresh(endpoint) => {
                let grant = RefreshGrant::parse(value).map_err(|error| unusable(&error))?;
                Kind::Refresh(grant, endpoint.clone())
            }
            Scheme::GoogleServiceAccount { scopes, .. } => {
                let account = ServiceAccount::parse(value).map_err(|error| unusable(&error))?;
                let key = service_key(&account, url).map_err(|reason| unusable(&reason))?;
                Kind::Google {
                    account,
                    key: Box::new(key),
                    scopes: scopes.clone(),
                }
            }
            other => {
                return Err(Failure::bug(format!(
                    "`{}` has no token endpoint",
                    other.as_str()
                )));
            }
        };
        let scheme = serde_json::to_vec(scheme).unwrap_or_default();
        Ok(Self {
            slot: slot.clone(),
            url: read_token_url(url).map_err(|reason| unusable(&reason))?,
            origin: Digest::of(&[&scheme, value.expose()].concat()),
            entered: value.clone(),
            scheme,
            kind,
        })
    }

    /// What to send; `newer` is what took the place of the refresh token that was entered.
    pub(super) fn ask(&self, newer: Option<&RefreshGrant>) -> Result<Asking, Failure> {
        match &self.kind {
            Kind::Client(pair, endpoint) => {
                let fields = vec![("grant_type", "client_credentials".to_owned())];
                self.as_client(&pair.name, Some(&pair.secret), endpoint, fields, true)
            }
            Kind::Refresh(entered, endpoint) => {
                let grant = newer.unwrap_or(entered);
                let fields = vec![
                    ("grant_type", "refresh_token".to_owned()),
                    ("refresh_token", text(&grant.refresh_token)),
                ];
                let secret = grant.client_secret.as_ref();
                self.as_client(&grant.client_id, secret, endpoint, fields, false)
            }
            Kind::Google {
                account,
                key,
                scopes,
            } => self.as_service(account, key, scopes),
        }
    }

    /// The refresh token in use with another in its place; nothing for other schemes.
    pub(super) fn rotated(
        &self,
        newer: Option<&RefreshGrant>,
        token: Secret,
    ) -> Option<RefreshGrant> {
        let Kind::Refresh(entered, _) = &self.kind else {
            return None;
        };
        let grant = newer.unwrap_or(entered);
        (grant.refresh_token != token).then(|| RefreshGrant {
            refresh_token: token,
            ..grant.clone()
        })
    }

    fn as_client(
        &self,
        id: &str,
        secret: Option<&Secret>,
        endpoint: &TokenEndpoint,
        mut fields: Vec<(&str, String)>,
        again: bool,
    ) -> Result<Asking, Failure> {
        if !endpoint.scopes.is_empty() {
            fields.push(("scope", endpoint.scopes.join(" ")));
        }
        fields.extend(
            endpoint
                .audience
                .clone()
                .map(|audience| ("audience", audience)),
        );
        let mut asking = Asking {
            body: Secret::new(Vec::new()),
            authorization: None,
            secrets: Vec::new(),
            again,
        };
        match (secret, endpoint.client_authentication) {
            (Some(secret), ClientAuthentication::Basic) => {
                // RFC 6749, section 2.3.1: both are encoded as in a form before they are joined.
                let encode = |bytes: &[u8]| byte_serialize(bytes).collect::<String>();
                let joined = Secret::new(format!(
                    "{}:{}",
                    encode(id.as_bytes()),
                    encode(secret.expose())
                ));
                let encoded = Secret::new(STANDARD.encode(joined.expose()));
                asking.authorization = Some(header_value(&self.slot, "Basic ", &encoded)?);
                asking.secrets.extend([joined, encoded]);
            }
            (secret, _) => {
                fields.push(("client_id", id.to_owned()));
                fields.extend(secret.map(|secret| ("client_secret", text(secret))));
            }
        }
        asking.body = form(&fields);
        Ok(asking)
    }

    fn as_service(
        &self,
        account: &ServiceAccount,
        key: &EncodingKey,
        scopes: &[String],
    ) -> Result<Asking, Failure> {
        let now = jiff::Timestamp::now().as_second();
        let assertion = Assertion {
            iss: &account.client_email,
            scope: scopes.join(" "),
            aud: self.url.as_str(),
            iat: now,
            exp: now + ASSERTION_SECONDS,
            sub: account.subject.as_deref(),
        };
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&account.private_key_id);
        let signed = jsonwebtoken::encode(&header, &assertion, key).map_err(|error| {
            Failure::config(format!(
                "the private key of the credential `{}` cannot sign: {error}",
                self.slot
            ))
        })?;
        let body = form(&[
            ("grant_type", JWT_BEARER.to_owned()),
            ("assertion", signed.clone()),
        ]);
        Ok(Asking {
            body,
            authorization: None,
            secrets: vec![Secret::new(signed)],
            again: true,
        })
    }

    /// What the endpoint's answer means.
    pub(super) fn read(&self, status: StatusCode, body: &[u8]) -> Result<Given, Failure> {
        let host = self.url.host_str().unwrap_or_default();
        if !status.is_success() {
            return Err(self.refused(status, body));
        }
        let odd = |what: &str| {
            Failure::upstream(format!(
                "the token endpoint `{host}` of the credential `{}` answered {what}",
                self.slot
            ))
        };
        // The error of the JSON reader could hold a part of the token.
        let answer: Answer =
            serde_json::from_slice(body).map_err(|_| odd("something that is no token"))?;
        let is_bearer = |kind: &String| kind.eq_ignore_ascii_case("bearer");
        if !answer.token_type.as_ref().is_none_or(is_bearer) {
            return Err(odd("with a token that is no bearer token"));
        }
        let sendable = |c: u8| c.is_ascii_graphic();
        let token = answer.access_token;
        if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(sendable) {
            return Err(odd("with a token that cannot be sent in a header"));
        }
        Ok(Given {
            token: Secret::new(token),
            seconds: answer
                .expires_in
                .map_or(UNNAMED_SECONDS, |seconds| seconds.whole()),
            refresh_token: answer
                .refresh_token
                .filter(|t| !t.is_empty())
                .map(Secret::new),
        })
    }

    /// RFC 6749, section 5.2.
    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let host = self.url.host_str().unwrap_or_default();
        let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let mut words = format!("{} {}", said.error, said.error_description);
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        let kind = match status.as_u16() {
            429 => FailureKind::RateLimited,
            400 | 401 | 403 => FailureKind::Auth,
            _ => FailureKind::Upstream,
        };
        let advice = match kind {
            FailureKind::Auth => "; enter the credential again, or ask who gave it out",
            _ => "",
        };
        let words = match words.trim() {
            "" => String::new(),
            words => format!(" ({})", words.escape_debug()),
        };
        let status = status.as_u16();
        let message = format!(
            "the token endpoint `{host}` refused the credential `{}`: {status}{words}{advice}",
            self.slot
        );
        Failure::new(kind, message)
    }
}

impl Seconds {
    fn whole(&self) -> u64 {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.trim().parse().unwrap_or_default(),
        };
        // A cast of what is negative or endless stays within the type.
        seconds as u64
    }
}

/// The key of a service account, whose file must name the endpoint that was granted.
fn service_key(account: &ServiceAccount, granted: &str) -> Result<EncodingKey, String> {
    if let Some(named) = account
        .token_uri
        .as_deref()
        .filter(|named| *named != granted)
    {
        return Err(format!(
            "its key file names the token endpoint `{}`, and `{granted}` was granted",
            named.escape_debug()
        ));
    }
    EncodingKey::from_rsa_pem(account.private_key.expose())
        .map_err(|_| "its `private_key` is not an RSA key in PEM".to_owned())
}

fn text(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

fn form(fields: &[(&str, String)]) -> Secret {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    Secret::new(form.finish())
}

#[cfg(test)]
mod tests;
