//! What an admin enters into a slot: the forms that each scheme takes, and the parts of a value that
//! are secret by themselves.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::scheme::Scheme;
use crate::secret::Secret;

/// Why a value cannot be used. Never says what the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ValueError(&'static str);

/// What fills a slot.
#[derive(Clone, PartialEq, Eq)]
pub enum Filling {
    /// A value, encrypted.
    Sealed(Vec<u8>),
    /// The name of a variable in the server's environment.
    Variable(String),
}

impl std::fmt::Debug for Filling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sealed(_) => f.write_str("Sealed(…)"),
            Self::Variable(name) => write!(f, "Variable({name})"),
        }
    }
}

/// A slot of a source that somebody filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// What with.
    pub filling: Filling,
    /// When; unknown for what an early version stored.
    pub entered_at: Option<Timestamp>,
    /// Who; unknown likewise.
    pub entered_by: Option<Uuid>,
}

/// Two names for one thing: a user name and password, or a client's id and secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The user name, or the client's id.
    pub name: String,
    /// The password, or the client's secret.
    pub secret: Secret,
}

/// What a refresh token is exchanged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshGrant {
    /// The client; without a secret where it is a public one.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// The refresh token.
    pub refresh_token: Secret,
}

/// The key file of a service account, as far as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its address.
    pub client_email: String,
    /// Its private key in PEM.
    pub private_key: Secret,
    /// Which of its keys that is.
    pub private_key_id: Option<String>,
    /// Where assertions are exchanged.
    pub token_uri: Option<String>,
    /// The user in whose name it asks, which an admin of the domain allowed.
    pub subject: Option<String>,
}

const BASIC: ValueError =
    ValueError("write `user:password`, or JSON with `username` and `password`");
const CLIENT: ValueError =
    ValueError("write `client_id:client_secret`, or JSON with `client_id` and `client_secret`");
const REFRESH: ValueError = ValueError(
    "write JSON with `client_id`, `refresh_token` and, where the client has one, `client_secret`",
);
const SERVICE_ACCOUNT: ValueError = ValueError(
    "give the JSON key file that Google gives out for a service account, with `client_email` and `private_key`",
);
const DERIVED: ValueError = ValueError(
    "the host takes it from the service's answers during a run: there is nothing to enter",
);
const LINE: ValueError =
    ValueError("it is empty, or holds a line break or another control character");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserJson {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientJson {
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshJson {
    client_id: String,
    client_secret: Option<String>,
    refresh_token: String,
}

#[derive(Deserialize)]
struct AccountJson {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    subject: Option<String>,
}

impl Pair {
    /// A user name and a password: `user:password`, or JSON.
    pub fn user(value: &Secret) -> Result<Self, ValueError> {
        let from_json = json_of::<UserJson>(value).map(|user| (user.username, user.password));
        Self::of(from_json, value).ok_or(BASIC)
    }

    /// A client's id and secret: `client_id:client_secret`, or JSON.
    pub fn client(value: &Secret) -> Result<Self, ValueError> {
        let from_json =
            json_of::<ClientJson>(value).map(|client| (client.client_id, client.client_secret));
        Self::of(from_json, value).ok_or(CLIENT)
    }

    fn of(from_json: Option<(String, String)>, value: &Secret) -> Option<Self> {
        let (name, secret) = match from_json {
            Some(pair) => pair,
            None => line(value)
                .ok()?
                .split_once(':')
                .map(|(name, secret)| (name.to_owned(), secret.to_owned()))?,
        };
        // RFC 7617: a name with a colon would move the border.
        let odd = name.is_empty() || secret.is_empty() || name.contains(':');
        let control = [&name, &secret]
            .iter()
            .any(|text| text.chars().any(char::is_control));
        (!odd && !control).then(|| Self {
            name,
            secret: Secret::new(secret),
        })
    }

    /// `name:secret`, as `Basic` encodes it.
    pub fn joined(&self) -> Secret {
        Secret::new([self.name.as_bytes(), b":", self.secret.expose()].concat())
    }
}

impl RefreshGrant {
    /// From JSON.
    pub fn parse(value: &Secret) -> Result<Self, ValueError> {
        let read = json_of::<RefreshJson>(value).ok_or(REFRESH)?;
        if read.client_id.is_empty() || read.refresh_token.is_empty() {
            return Err(REFRESH);
        }
        Ok(Self {
            client_id: read.client_id,
            client_secret: read
                .client_secret
                .filter(|s| !s.is_empty())
                .map(Secret::new),
            refresh_token: Secret::new(read.refresh_token),
        })
    }

    /// The JSON that is stored when the service gave another refresh token.
    pub fn to_value(&self) -> Secret {
        let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
        let mut value =
            json!({"client_id": self.client_id, "refresh_token": text(&self.refresh_token)});
        if let Some(secret) = &self.client_secret {
            value["client_secret"] = text(secret).into();
        }
        Secret::new(value.to_string())
    }
}

impl ServiceAccount {
    /// From the JSON that Google gives out.
    pub fn parse(value: &Secret) -> Result<Self, ValueError> {
        let read = json_of::<AccountJson>(value).ok_or(SERVICE_ACCOUNT)?;
        if read.client_email.is_empty() || !read.private_key.contains("PRIVATE KEY") {
            return Err(SERVICE_ACCOUNT);
        }
        Ok(Self {
            client_email: read.client_email,
            private_key: Secret::new(read.private_key),
            private_key_id: read.private_key_id,
            token_uri: read.token_uri,
            subject: read.subject,
        })
    }
}

/// Whether a value has a form that the scheme takes.
pub fn check(scheme: &Scheme, value: &Secret) -> Result<(), ValueError> {
    match scheme {
        Scheme::Basic {} => Pair::user(value).map(drop),
        Scheme::Oauth2ClientCredentials(_) => Pair::client(value).map(drop),
        Scheme::Oauth2Refresh(_) => RefreshGrant::parse(value).map(drop),
        Scheme::GoogleServiceAccount { .. } => ServiceAccount::parse(value).map(drop),
        Scheme::Derived(_) => Err(DERIVED),
        Scheme::Bearer {} | Scheme::Header { .. } | Scheme::Query { .. } | Scheme::Hmac(_) => {
            line(value).map(drop)
        }
    }
}

/// Everything in a value that nobody may see: the value, and its parts.
pub fn secrets(scheme: &Scheme, value: &Secret) -> Vec<Secret> {
    if let (Scheme::GoogleServiceAccount { .. }, Ok(account)) =
        (scheme, ServiceAccount::parse(value))
    {
        return key_material(&account.private_key);
    }
    let mut parts = vec![value.clone()];
    let pair = match scheme {
        Scheme::Basic {} => Pair::user(value).ok(),
        Scheme::Oauth2ClientCredentials(_) => Pair::client(value).ok(),
        _ => None,
    };
    if let Some(pair) = pair {
        parts.push(pair.joined());
        parts.push(pair.secret);
    }
    if let (Scheme::Oauth2Refresh(_), Ok(grant)) = (scheme, RefreshGrant::parse(value)) {
        if let Some(secret) = grant.client_secret {
            let pair = Pair {
                name: grant.client_id,
                secret,
            };
            parts.push(pair.joined());
            parts.push(pair.secret);
        }
        parts.push(grant.refresh_token);
    }
    parts
}

/// The lines of PEM between its first and last: whatever form the key is shown in, they are in it, and
/// each is short enough to be looked for in many forms.
fn key_material(pem: &Secret) -> Vec<Secret> {
    let text = String::from_utf8_lossy(pem.expose());
    let lines = text
        .lines()
        .filter(|line| !line.contains("-----") && line.len() >= 16);
    lines.map(Secret::new).collect()
}

fn json_of<T: for<'de> Deserialize<'de>>(value: &Secret) -> Option<T> {
    serde_json::from_slice(value.expose()).ok()
}

fn line(value: &Secret) -> Result<&str, ValueError> {
    let text = std::str::from_utf8(value.expose()).map_err(|_| LINE)?;
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err(LINE),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(text: &str) -> Scheme {
        serde_json::from_str(text).unwrap()
    }

    const REFRESHES: &str = r#"{"scheme":"oauth2-refresh","token_url":"https://a.org/t"}"#;

    #[test]
    fn a_password_may_hold_colons_and_a_user_name_may_not() {
        let pair = Pair::user(&Secret::new("ada:a:b")).unwrap();
        assert_eq!(
            (pair.name.as_str(), pair.secret.expose()),
            ("ada", &b"a:b"[..])
        );
        let json = Secret::new(r#"{"username": "ada", "password": "{:"}"#);
        assert_eq!(Pair::user(&json).unwrap().joined().expose(), b"ada:{:");
        for bad in [
            "ada",
            ":x",
            "ada:",
            "a\n:x",
            r#"{"username": "a:b", "password": "x"}"#,
        ] {
            assert_eq!(Pair::user(&Secret::new(bad)), Err(BASIC), "{bad}");
        }
    }

    #[test]
    fn a_rotated_refresh_token_takes_the_place_of_the_old_one() {
        let value = Secret::new(r#"{"client_id":"c","client_secret":"s","refresh_token":"old"}"#);
        let mut grant = RefreshGrant::parse(&value).unwrap();
        grant.refresh_token = Secret::new("new");
        let again = RefreshGrant::parse(&grant.to_value()).unwrap();
        assert_eq!(again, grant);
        assert!(RefreshGrant::parse(&Secret::new("old")).is_err());
    }

    #[test]
    fn a_value_is_held_against_its_scheme_and_errors_do_not_show_it() {
        for (text, good, bad) in [
            (r#"{"scheme":"bearer"}"#, "token", "to\nken"),
            (r#"{"scheme":"basic"}"#, "a:canary", "canary"),
            (
                REFRESHES,
                r#"{"client_id":"a","refresh_token":"b"}"#,
                "canary",
            ),
            (
                r#"{"scheme":"google-service-account","scopes":["a"]}"#,
                r#"{"client_email":"a","private_key":"-----BEGIN PRIVATE KEY-----"}"#,
                r#"{"client_email":"canary"}"#,
            ),
        ] {
            let scheme = scheme(text);
            assert_eq!(check(&scheme, &Secret::new(good)), Ok(()), "{text}");
            let error = check(&scheme, &Secret::new(bad)).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn each_part_of_a_value_is_secret_by_itself() {
        let value =
            Secret::new(r#"{"client_id":"c","client_secret":"s3cret","refresh_token":"r3fresh"}"#);
        let parts = secrets(&scheme(REFRESHES), &value);
        for part in ["c:s3cret", "s3cret", "r3fresh"] {
            assert!(parts.contains(&Secret::new(part)), "{part}");
        }
        assert!(!parts.contains(&Secret::new("c")), "a client's id is none");
    }
}
