//! How the host presents a credential: the schemes that a manifest may name for a slot, and the rules
//! that each must keep.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::derived::Derivation;
use crate::host_rule::HostRule;
use url::Url;

/// Where Google exchanges signed assertions.
pub const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// The most scopes of a slot, and the most characters of a text in one.
const MOST_SCOPES: usize = 32;
const MOST_TEXT: usize = 512;
/// A day: a signature that is older proves nothing.
const MOST_TOLERANCE: u32 = 86_400;

/// How the host presents a credential. All of it is part of the grant: a version that changes it asks
/// for more than was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Scheme {
    /// As `Authorization: Bearer VALUE`.
    Bearer {},
    /// As `Authorization: Basic …` of a user name and a password.
    Basic {},
    /// As the value of a header, behind an optional prefix such as `Token `.
    Header {
        /// The header's name.
        header: String,
        /// What stands before the value.
        #[serde(default)]
        prefix: String,
    },
    /// As a parameter of the URL's query.
    Query {
        /// The parameter's name.
        parameter: String,
    },
    /// A token that the host gets for a client id and secret (RFC 6749, section 4.4).
    Oauth2ClientCredentials(TokenEndpoint),
    /// A token that the host gets for a refresh token (RFC 6749, section 6).
    Oauth2Refresh(TokenEndpoint),
    /// A token that the host gets for an assertion signed with the key file of a service account.
    GoogleServiceAccount {
        /// Where the assertion is exchanged; the key file must name the same place.
        #[serde(default = "google")]
        token_url: String,
        /// What the token is for.
        scopes: Vec<String>,
    },
    /// Verifies the signatures of webhooks; sent nowhere.
    Hmac(Signature),
    /// What the service hands out during a run, in its answers; nobody enters it.
    Derived(Derivation),
}

/// Where tokens are had, and how the host asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpoint {
    /// The token endpoint; may refer to one setting, like `egress`.
    pub token_url: String,
    /// What the token is for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// For whom the token is, where the service wants that named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How the client proves who it is.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
}

/// How a client proves who it is (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthentication {
    /// By HTTP's `Basic`, which every server must understand.
    #[default]
    Basic,
    /// By fields of the body, which some servers want.
    Body,
}

/// How a sender of webhooks signs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The header that holds the signature, or several separated by commas.
    pub header: String,
    /// What stands before a signature there, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// The hash function.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What is signed: `{body}`, and `{timestamp}` where there is one.
    #[serde(default = "whole_body")]
    pub message: String,
    /// The header that holds the time of sending, in seconds since 1970; may be `header` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// What stands before the time there, such as `t=`.
    #[serde(default)]
    pub timestamp_prefix: String,
    /// How many seconds the time may be off.
    #[serde(default = "five_minutes")]
    pub tolerance_seconds: u32,
    /// The header that holds the delivery's id, by which one that is sent again is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_header: Option<String>,
}

/// The hash function of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Hexadecimal digits.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
}

fn google() -> String {
    GOOGLE_TOKEN_URL.to_owned()
}

fn whole_body() -> String {
    "{body}".to_owned()
}

fn five_minutes() -> u32 {
    300
}

impl Scheme {
    /// The word for it in a manifest.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Bearer {} => "bearer",
            Self::Basic {} => "basic",
            Self::Header { .. } => "header",
            Self::Query { .. } => "query",
            Self::Oauth2ClientCredentials(_) => "oauth2-client-credentials",
            Self::Oauth2Refresh(_) => "oauth2-refresh",
            Self::GoogleServiceAccount { .. } => "google-service-account",
            Self::Hmac(_) => "hmac",
            Self::Derived(_) => "derived",
        }
    }

    /// Where a token is had for it, if one is.
    pub fn token_url(&self) -> Option<&str> {
        match self {
            Self::Oauth2ClientCredentials(endpoint) | Self::Oauth2Refresh(endpoint) => {
                Some(&endpoint.token_url)
            }
            Self::GoogleServiceAccount { token_url, .. } => Some(token_url),
            _ => None,
        }
    }

    /// The same with another token endpoint, where it has one.
    #[must_use]
    pub fn with_token_url(mut self, url: String) -> Self {
        match &mut self {
            Self::Oauth2ClientCredentials(endpoint) | Self::Oauth2Refresh(endpoint) => {
                endpoint.token_url = url;
            }
            Self::GoogleServiceAccount { token_url, .. } => *token_url = url,
            _ => {}
        }
        self
    }

    /// What the admin should know about it beside the hosts: where else the credential goes.
    pub fn told(&self) -> Option<String> {
        if let Self::Derived(derivation) = self {
            return Some(derivation.told());
        }
        let url = self.token_url()?;
        let scopes = match self {
            Self::Oauth2ClientCredentials(endpoint) | Self::Oauth2Refresh(endpoint) => {
                &endpoint.scopes
            }
            Self::GoogleServiceAccount { scopes, .. } => scopes,
            _ => return None,
        };
        Some(match scopes.is_empty() {
            true => format!("exchanged for a token at {url}"),
            false => format!("exchanged for a token for {} at {url}", scopes.join(" ")),
        })
    }

    /// Whether it keeps the rules; else the field that breaks one, and why.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Bearer {} | Self::Basic {} => Ok(()),
            Self::Header { header, .. } => header_name(header),
            Self::Query { parameter } => {
                match parameter.is_empty() || parameter.len() > MOST_TEXT {
                    true => Err("a query parameter has a name of at most 512 bytes".into()),
                    false => Ok(()),
                }
            }
            Self::Oauth2ClientCredentials(endpoint) | Self::Oauth2Refresh(endpoint) => {
                token_endpoint(&endpoint.token_url)?;
                scopes(&endpoint.scopes)?;
                text(endpoint.audience.as_deref().unwrap_or_default())
            }
            Self::GoogleServiceAccount {
                token_url,
                scopes: wanted,
            } => {
                token_endpoint(token_url)?;
                match wanted.is_empty() {
                    true => Err("`scopes` is empty: Google gives no token for nothing".into()),
                    false => scopes(wanted),
                }
            }
            Self::Hmac(signature) => signature.check(),
            Self::Derived(derivation) => derivation.check(),
        }
    }
}

impl Signature {
    fn check(&self) -> Result<(), String> {
        header_name(&self.header)?;
        self.delivery_header
            .as_deref()
            .map_or(Ok(()), header_name)?;
        for part in [&self.prefix, &self.message, &self.timestamp_prefix] {
            text(part)?;
        }
        if !self.message.contains("{body}") {
            return Err(
                "`message` does not hold `{body}`: the signature would prove nothing".into(),
            );
        }
        if self.tolerance_seconds == 0 || self.tolerance_seconds > MOST_TOLERANCE {
            return Err(format!(
                "`tolerance_seconds` is not within 1 and {MOST_TOLERANCE}"
            ));
        }
        match (&self.timestamp_header, self.message.contains("{timestamp}")) {
            (Some(header), true) => header_name(header),
            (None, false) => Ok(()),
            (Some(_), false) => Err(
                "`message` does not hold `{timestamp}`: a time that is not signed proves nothing"
                    .into(),
            ),
            (None, true) => {
                Err("`message` holds `{timestamp}`, but `timestamp_header` is missing".into())
            }
        }
    }
}

fn header_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name.is_empty() || name.len() > MOST_TEXT || !name.chars().all(fine) {
        true => Err(format!("`{}` is not a header name", name.escape_debug())),
        false => Ok(()),
    }
}

fn text(text: &str) -> Result<(), String> {
    match text.len() > MOST_TEXT || text.chars().any(char::is_control) {
        true => Err(format!(
            "`{}` is too long or holds a control character",
            text.escape_debug()
        )),
        false => Ok(()),
    }
}

fn scopes(scopes: &[String]) -> Result<(), String> {
    // RFC 6749, section 3.3.
    let fine = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    let odd =
        |scope: &&String| scope.is_empty() || scope.len() > MOST_TEXT || !scope.chars().all(fine);
    match scopes.iter().find(odd) {
        Some(scope) => Err(format!("`{}` is not a scope", scope.escape_debug())),
        None if scopes.len() > MOST_SCOPES => {
            Err(format!("there are more than {MOST_SCOPES} scopes"))
        }
        None => Ok(()),
    }
}

/// A URL, or one with a setting in its host or path.
fn token_endpoint(url: &str) -> Result<(), String> {
    if let Some((head, rest)) = url.split_once("{settings.")
        && let Some((_, tail)) = rest.split_once('}')
    {
        return read_token_url(&format!("{head}x{tail}")).map(drop);
    }
    read_token_url(url).map(drop)
}

/// A token endpoint without settings in it.
pub fn read_token_url(text: &str) -> Result<Url, String> {
    let bad = |reason: &str| format!("`token_url` `{}` {reason}", text.escape_debug());
    if text.len() > MOST_TEXT {
        return Err("`token_url` is too long".into());
    }
    let url = Url::parse(text).map_err(|error| bad(&format!("is not a URL: {error}")))?;
    HostRule::for_url(&url).map_err(|_| bad("is not one of https or http with a host"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(bad("holds a user name or a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
