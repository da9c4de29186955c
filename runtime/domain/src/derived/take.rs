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
    /// The credential, where all of it was there.
    pub credential: Option<Credential>,
    /// When it ends, as far as the answer says.
    pub end: Option<Timestamp>,
}

impl Derivation {
    /// Takes the credential out of an answer and leaves `blank` in its place, or for a signed address one with the
    /// handle `name`. What has the name of a secret is blanked wherever in the answer it stands: a service may say the
    /// same thing in another place to whoever asks in another way.
    pub fn take(&self, answer: &mut Value, now: Timestamp, name: &str, blank: &str) -> Taken {
        let end = self.end(answer, now);
        let mut taken = Taken {
            secrets: Vec::new(),
            credential: None,
            end,
        };
        if let Presentation::SignedUrl { url } = &self.present {
            let found = answer.pointer(url).and_then(Value::as_str);
            taken.credential = found.and_then(|text| signed(text, name));
        } else {
            taken.credential = self.present.whole(answer);
        }
        let steps: Vec<_> = self
            .present
            .secrets()
            .into_iter()
            .map(text::last_step)
            .collect();
        let mut hidden = Hidden {
            steps: &steps,
            is_url: matches!(self.present, Presentation::SignedUrl { .. }),
            blank,
            secrets: &mut taken.secrets,
        };
        hidden.hide(answer);
        if let (Presentation::SignedUrl { url }, Some(Credential::SignedUrl { handle, .. })) =
            (&self.present, &taken.credential)
            && let Some(place) = answer.pointer_mut(url)
        {
            *place = handle.clone().into();
        }
        if let Some(Credential::QueryString { query, .. }) = &taken.credential {
            taken.secrets.extend(parameters(query));
            taken.secrets.push(query.clone());
        }
        taken
    }
}

impl Presentation {
    /// The credential of an answer that has all of it.
    fn whole(&self, answer: &Value) -> Option<Credential> {
        let at = |pointer: &str| answer.pointer(pointer)?.as_str().filter(|s| is_sendable(s));
        let secret = |pointer: &str| at(pointer).map(Secret::new);
        match self {
            Self::Bearer { token } => secret(token).map(Credential::Bearer),
            Self::SignedUrl { .. } => None,
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
