//! Takes a credential out of an answer.

use jiff::Timestamp;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{AwsKey, Credential, Derivation, HANDLE, Presentation, text};
use crate::secret::Secret;

/// A parameter of a signed address that is shorter is a name, a number or a date.
const SHORTEST_PARAMETER: usize = 24;

/// What an answer held.
#[derive(Debug)]
pub struct Taken {
    /// What nobody may see from now on.
    pub secrets: Vec<Secret>,
    /// For each that was wanted the credential, where all of it was there.
    pub found: Vec<Option<Found>>,
}

/// A credential out of an answer.
#[derive(Debug)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// When it ends, as far as the answer says.
    pub end: Option<Timestamp>,
}

/// Takes credentials out of an answer and leaves `blank` in their place, or for a signed address one with the handle that
/// is named beside what is wanted. What has the name of a secret is blanked wherever in the answer it stands: a service may
/// say the same thing in another place to whoever asks in another way.
pub fn take(
    wanted: &[(&Derivation, String)],
    answer: &mut Value,
    now: Timestamp,
    blank: &str,
) -> Taken {
    // All are read before any is blanked: what one hides may have the name of what another looks for.
    let found: Vec<_> = wanted
        .iter()
        .map(|(derivation, name)| derivation.read(answer, now, name))
        .collect();
    let mut secrets = Vec::new();
    for (derivation, _) in wanted {
        derivation.present.hide(answer, blank, &mut secrets);
    }
    for ((derivation, _), found) in wanted.iter().zip(&found) {
        match (
            &derivation.present,
            found.as_ref().map(|found| &found.credential),
        ) {
            (Presentation::SignedUrl { url }, Some(Credential::SignedUrl { handle, .. })) => {
                if let Some(place) = answer.pointer_mut(url) {
                    *place = handle.clone().into();
                }
            }
            (_, Some(Credential::QueryString { query, .. })) => {
                secrets.extend(parameters(query));
                secrets.push(query.clone());
            }
            _ => {}
        }
    }
    Taken { secrets, found }
}

impl Derivation {
    fn read(&self, answer: &Value, now: Timestamp, name: &str) -> Option<Found> {
        Some(Found {
            credential: self.present.whole(answer, name)?,
            end: self.end(answer, now),
        })
    }
}

impl Presentation {
    /// The credential of an answer that has all of it.
    fn whole(&self, answer: &Value, name: &str) -> Option<Credential> {
        let at = |pointer: &str| answer.pointer(pointer)?.as_str().filter(|s| is_sendable(s));
        let secret = |pointer: &str| at(pointer).map(Secret::new);
        match self {
            Self::Bearer { token } => secret(token).map(Credential::Bearer),
            Self::SignedUrl { url } => signed(answer.pointer(url)?.as_str()?, name),
            Self::QueryString { text, after } => {
                let found = answer.pointer(text)?.as_str()?;
                let query = behind(found, after)?.trim_start_matches('?');
                let fine = is_sendable(query) && !query.contains('#');
                fine.then(|| Credential::QueryString {
                    query: Secret::new(query),
                    host: endpoint(found).filter(|_| !after.is_empty()),
                })
            }
            Self::AwsSigv4 {
                access_key_id,
                secret_access_key,
                session_token,
                region,
            } => Some(Credential::Aws(AwsKey {
                id: secret(access_key_id)?,
                secret: secret(secret_access_key)?,
                session: session_token.as_deref().and_then(secret),
                region: at(region)?.to_owned(),
            })),
        }
    }

    /// Blanks what is secret, wherever it stands.
    fn hide(&self, answer: &mut Value, blank: &str, secrets: &mut Vec<Secret>) {
        let steps: Vec<_> = self.secrets().into_iter().map(text::last_step).collect();
        let mut hidden = Hidden {
            steps: &steps,
            is_url: matches!(self, Self::SignedUrl { .. }),
            blank,
            secrets,
        };
        hidden.hide(answer);
    }
}

/// What stands behind a marker, up to the next semicolon; all of it without one.
fn behind<'a>(text: &'a str, after: &str) -> Option<&'a str> {
    match after.is_empty() {
        true => Some(text),
        false => text.split_once(after)?.1.split(';').next(),
    }
}

/// The host of the first address in a list.
fn endpoint(text: &str) -> Option<String> {
    let values = text.split(';').filter_map(|part| part.split_once('='));
    let mut urls = values.filter_map(|(_, value)| Url::parse(value).ok());
    urls.find_map(|url| url.host_str().map(str::to_owned))
}

fn is_sendable(text: &str) -> bool {
    !text.is_empty() && text.len() <= 16 << 10 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A signed address, and what the component gets in its place.
fn signed(text: &str, name: &str) -> Option<Credential> {
    let url = Url::parse(text).ok()?;
    let plain = without_query(&url)?;
    url.query().filter(|query| !query.is_empty())?;
    Some(Credential::SignedUrl {
        handle: format!("{plain}?{HANDLE}={name}"),
        url: Secret::new(url.as_str()),
    })
}

/// An address of the web without what can be secret in it.
fn without_query(url: &Url) -> Option<Url> {
    let of_the_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    let mut plain = url.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    (of_the_web && url.username().is_empty() && url.password().is_none()).then_some(plain)
}

/// The parameters of a query that are secret by themselves, as signatures are.
fn parameters(query: &Secret) -> Vec<Secret> {
    form_urlencoded::parse(query.expose())
        .filter(|(_, value)| value.len() >= SHORTEST_PARAMETER)
        .filter(|(_, value)| value.parse::<Timestamp>().is_err())
        .map(|(_, value)| Secret::new(value.as_bytes()))
        .collect()
}

/// Blanks the members of an answer that have the name of a secret.
struct Hidden<'a> {
    steps: &'a [String],
    is_url: bool,
    blank: &'a str,
    secrets: &'a mut Vec<Secret>,
}

impl Hidden<'_> {
    // As deep as serde_json reads, which is 128.
    fn hide(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(text) if text == self.blank => {}
                        Value::String(text) if self.steps.contains(name) => {
                            *field = self.without(text).into();
                        }
                        _ => self.hide(field),
                    }
                }
            }
            _ => {}
        }
    }

    /// What stays of a text.
    fn without(&mut self, text: &str) -> String {
        if !self.is_url {
            self.secrets.push(Secret::new(text));
            return self.blank.to_owned();
        }
        let Ok(url) = Url::parse(text) else {
            return self.blank.to_owned();
        };
        if let Some(query) = url.query().filter(|query| !query.is_empty()) {
            let query = Secret::new(query);
            self.secrets.extend(parameters(&query));
            self.secrets.push(query);
        }
        without_query(&url).map_or_else(|| self.blank.to_owned(), Into::into)
    }
}
