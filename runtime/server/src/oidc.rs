//! How people come in by a provider of identities: what is configured, and the two halves of a
//! sign-in.

mod arrival;
mod flows;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use domain::{Secret, User};
use identity::google_groups::{self, GoogleError, GoogleGroups};
use identity::oidc::{Flow, OidcError, Person, Provider, Settings};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;
use warehouse::{AuditEntry, StateError};

use crate::app::{AppState, blocking};
use crate::auth::by::Caller;
use crate::auth::cookie;
use crate::config::{Config, GoogleGroups as GroupsConfig, OidcProvider};
use crate::error::{ApiError, ApiResult, chain};
pub(crate) use flows::Flows;
use flows::LIFETIME;

/// What is asked for beside `openid`.
const SCOPES: [&str; 2] = ["email", "profile"];
/// For all pages of Google's groups, while somebody waits.
const GROUPS_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a provider of the configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum SetUpError {
    /// Its address or secret.
    #[error("the provider `{0}` of auth.oidc cannot be used")]
    Provider(String, #[source] OidcError),
    /// The key file cannot be read.
    #[error("the key file `{}` of the service account cannot be read", .0.display())]
    KeyFile(PathBuf, #[source] std::io::Error),
    /// What is in it.
    #[error("the groups of Google cannot be asked for")]
    Google(#[source] GoogleError),
}

/// Why somebody does not come in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no such provider.
    Unknown,
    /// Too many attempts.
    Busy,
    /// It did not work, or was not begun in this browser.
    Failed,
    /// The provider has not made sure of an address.
    NoEmail,
    /// Nobody of that domain comes in without being entered first.
    Domain,
    /// The user is deactivated.
    Deactivated(Uuid),
    /// The provider knew the user by another subject: the address may have a new owner.
    Replaced(Uuid),
    /// The server's own trouble.
    Server(ApiError),
}

impl Refusal {
    /// The word for it in the login page's address, as the predecessor has it.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "not_configured",
            Self::Busy => "busy",
            Self::Failed | Self::Server(_) => "oauth_failed",
            Self::NoEmail => "no_email",
            Self::Domain => "domain_not_allowed",
            Self::Deactivated(_) => "deactivated",
            Self::Replaced(_) => "identity_replaced",
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Server(error)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::Server(error.into())
    }
}

/// A provider, and what it may do here.
#[derive(Debug)]
struct Configured {
    provider: Provider,
    create_users: bool,
    google: Option<GoogleGroups>,
}

/// A sign-in that has begun.
#[derive(Debug)]
struct Pending {
    /// The provider.
    provider: String,
    /// Where the person wants to go.
    next: String,
    /// What the provider's answer is checked by.
    flow: Flow,
}

/// All providers, and the sign-ins that have begun.
#[derive(Debug)]
pub(crate) struct Oidc {
    providers: Vec<Configured>,
    allowed_domains: Vec<String>,
    flows: Flows<Pending>,
}

impl Oidc {
    /// As configured. No provider is asked yet: one that is down does not keep the server from
    /// starting.
    pub(crate) fn new(config: &Config) -> Result<Self, SetUpError> {
        let auth = &config.auth;
        let domains = auth.allowed_domains.iter().map(|domain| domain.to_string());
        Ok(Self {
            providers: auth.oidc.iter().map(configured).collect::<Result<_, _>>()?,
            allowed_domains: domains.collect(),
            flows: Flows::default(),
        })
    }

    fn find(&self, name: &str) -> Result<&Configured, Refusal> {
        let mut providers = self.providers.iter();
        let found = providers.find(|one| one.provider.name() == name);
        found.ok_or(Refusal::Unknown)
    }
}

fn configured(config: &OidcProvider) -> Result<Configured, SetUpError> {
    let name = config.name.to_string();
    let provider = Provider::new(Settings {
        name: name.clone(),
        issuer: config.issuer.to_string(),
        client_id: config.client_id.clone(),
        client_secret: config.client_secret.clone(),
        scopes: SCOPES.map(str::to_owned).into(),
        groups_claim: config.groups_claim.clone(),
    });
    Ok(Configured {
        provider: provider.map_err(|error| SetUpError::Provider(name, error))?,
        create_users: config.create_users,
        google: google(&config.google_groups)?,
    })
}

fn google(config: &GroupsConfig) -> Result<Option<GoogleGroups>, SetUpError> {
    let file = config.service_account_file.as_ref();
    let Some(file) = file.filter(|_| config.enabled) else {
        return Ok(None);
    };
    let key = std::fs::read(file).map_err(|error| SetUpError::KeyFile(file.clone(), error))?;
    let groups = GoogleGroups::new(google_groups::Settings {
        key_file: Secret::new(key),
        subject: config.subject.as_deref().map(str::to_owned),
        prefix: config.prefix.clone(),
        endpoint: config.endpoint.to_string(),
    });
    groups.map(Some).map_err(SetUpError::Google)
}

/// Where the browser goes, and the cookie by which it is known when it comes back.
pub(crate) struct Departure {
    pub(crate) url: String,
    pub(crate) cookie: Option<HeaderValue>,
}

/// What a browser brings back from a provider.
pub(crate) struct Return<'a> {
    pub(crate) code: &'a str,
    pub(crate) state: &'a str,
    /// Who says so, where the provider follows RFC 9207.
    pub(crate) issuer: Option<&'a str>,
}

/// Who came in, and where that person wanted to go.
pub(crate) struct Arrival {
    pub(crate) user: User,
    pub(crate) next: String,
}

/// Begins a sign-in that comes back to this path and then goes on to `next`.
pub(crate) async fn begin(
    app: &AppState,
    caller: &Caller,
    name: &str,
    callback: &str,
    next: &str,
) -> Result<Departure, Refusal> {
    let configured = app.oidc.find(name)?;
    app.signin.attempt(caller).map_err(|_| Refusal::Busy)?;
    let redirect_url = format!("{}{callback}", app.url());
    let begun = configured.provider.begin(&redirect_url).await;
    let begun = begun.map_err(|error| failed(name, &error))?;
    let pending = Pending {
        provider: name.to_owned(),
        next: next.to_owned(),
        flow: begun.flow,
    };
    let id = app.oidc.flows.keep(pending, Instant::now());
    let id = id.map_err(ApiError::internal)?;
    let seconds = LIFETIME.as_secs().try_into().unwrap_or(i64::MAX);
    Ok(Departure {
        url: begun.url.into(),
        cookie: cookie::set_flow(&id, seconds, app.config.http.is_https()),
    })
}

/// Ends a sign-in.
pub(crate) async fn finish(
    app: &AppState,
    caller: &Caller,
    name: &str,
    headers: &HeaderMap,
    brought: &Return<'_>,
) -> Result<Arrival, Refusal> {
    let configured = app.oidc.find(name)?;
    let id = cookie::read_flow(headers, app.config.http.is_https()).ok_or(Refusal::Failed)?;
    // Used up by this, whatever comes of it.
    let pending = app.oidc.flows.take(id, Instant::now());
    let pending = pending.ok_or(Refusal::Failed)?;
    let issuer = configured.provider.issuer();
    let same = pending.provider == name
        && pending.flow.is_answered_by(brought.state)
        && brought.issuer.is_none_or(|told| told == issuer);
    if !same {
        return Err(Refusal::Failed);
    }
    let person = configured.provider.finish(brought.code, pending.flow).await;
    let arrived = match person {
        Ok(person) => receive(app, caller, name, person).await,
        Err(error) => Err(failed(name, &error)),
    };
    if let Err(refusal) = &arrived {
        note(app, caller, name, refusal).await?;
    }
    let next = pending.next;
    arrived.map(|user| Arrival { user, next })
}

/// Lets a person in, with the groups of this moment.
async fn receive(
    app: &AppState,
    caller: &Caller,
    name: &str,
    person: Person,
) -> Result<User, Refusal> {
    let (inside, asking, provider) = (app.clone(), caller.clone(), name.to_owned());
    let (user, person) = blocking(move || {
        let user = arrival::user_of(&inside, &asking, &provider, &person);
        Ok(user.map(|user| (user, person)))
    })
    .await??;
    if let Some(groups) = groups(app.oidc.find(name)?, person).await {
        let (app, caller, id) = (app.clone(), caller.clone(), user.id);
        blocking(move || arrival::take_groups(&app, &caller, id, &groups)).await?;
    }
    Ok(user)
}

/// The person's groups as far as they are known. A failure means that memberships stay.
async fn groups(configured: &Configured, person: Person) -> Option<Vec<String>> {
    let Some(google) = &configured.google else {
        return person.groups;
    };
    let email = person.email.filter(|_| person.email_verified)?;
    let asked = tokio::time::timeout(GROUPS_TIMEOUT, google.of(&email)).await;
    let mut found = person.groups.unwrap_or_default();
    match asked {
        Ok(Ok(groups)) => {
            found.extend(groups);
            Some(found)
        }
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "memberships stay as they are");
            None
        }
        Err(_) => {
            tracing::warn!("Google's groups take too long: memberships stay as they are");
            None
        }
    }
}

/// Tells the log why a provider did not confirm somebody.
fn failed(name: &str, error: &OidcError) -> Refusal {
    use std::error::Error as _;
    let cause = match error {
        OidcError::Settings(_) | OidcError::Unreachable(_) => chain(error),
        // Deeper causes may quote what the provider says about the person.
        error => error.source().map(ToString::to_string).unwrap_or_default(),
    };
    tracing::warn!(provider = name, error = cause, "a sign-in failed: {error}");
    Refusal::Failed
}

/// Only of sign-ins that were begun here: strangers must not fill the audit.
async fn note(app: &AppState, caller: &Caller, name: &str, refusal: &Refusal) -> ApiResult<()> {
    let mut entry = caller.entry("session.refused", "auth");
    entry.result = Some("denied".into());
    entry.params = json!({"method": "oidc", "provider": name, "reason": refusal.code()});
    if let Refusal::Deactivated(user) | Refusal::Replaced(user) = refusal {
        entry.user = Some(*user);
    }
    write(app, entry).await
}

async fn write(app: &AppState, entry: AuditEntry) -> ApiResult<()> {
    let app = app.clone();
    blocking(move || Ok(app.state().audit(&entry)?)).await
}
