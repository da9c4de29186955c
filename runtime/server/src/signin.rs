//! How people come in without a provider: by password, by a link in a mail, and how they get one.
//!
//! Nothing here tells whether an address is known: neither by words nor by how long an answer takes.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::{Secret, User};
use identity::link::{self, Purpose};
use identity::mail::{MailError, MailSettings, MailTls, Mailer};
use identity::password::{self, Gate, PasswordError, Verdict};
use identity::throttle::{Attempt, Limits, Throttle, Throttled};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;
use warehouse::{AuditEntry, UserChange};

use crate::app::{App, AppState, blocking};
use crate::auth::by::Caller;
use crate::config::{Config, SmtpTls};
use crate::error::{ApiError, ApiResult};
use crate::links::{self, LinkError};

/// A refusal takes no less than this, since hashes of the predecessor cost more than the one that is
/// computed where there is no user.
const SLOWEST: Duration = Duration::from_millis(500);

/// What sign-ins share.
#[derive(Debug)]
pub(crate) struct SignIn {
    throttle: Throttle,
    gate: Gate,
    mailer: Option<Mailer>,
}

impl SignIn {
    /// As configured. Must be called inside a runtime, on which mail is sent.
    pub(crate) fn new(config: &Config) -> Result<Self, MailError> {
        let auth = &config.auth;
        let minutes = u64::from(auth.lockout.minutes);
        let limits = Limits {
            per_address: NonZeroU32::new(auth.rate.per_address_per_minute)
                .unwrap_or(NonZeroU32::MIN),
            failures: auth.lockout.failures,
            lockout: Duration::from_secs(minutes * 60),
        };
        Ok(Self {
            throttle: Throttle::new(limits),
            gate: Gate::default(),
            mailer: mailer(config)?,
        })
    }

    /// Whether mail can be sent.
    pub(crate) fn has_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// Counts an attempt to come in from this address.
    pub(crate) fn attempt(&self, caller: &Caller) -> ApiResult<()> {
        Ok(self.throttle.attempt(caller.address)?)
    }

    /// An attempt at a secret that is short enough to be guessed. `whose` must be no address.
    pub(crate) fn guess(&self, whose: &str) -> ApiResult<Attempt<'_>> {
        Ok(self.throttle.account(whose)?)
    }
}

fn mailer(config: &Config) -> Result<Option<Mailer>, MailError> {
    let smtp = &config.mail.smtp;
    let Some(host) = smtp.host.clone() else {
        return Ok(None);
    };
    let settings = MailSettings {
        from: config.mail.from.to_string(),
        host,
        port: smtp.port,
        login: smtp.user.clone().zip(smtp.password.clone()),
        tls: match smtp.tls {
            SmtpTls::Starttls => MailTls::StartTls,
            SmtpTls::Implicit => MailTls::Implicit,
            SmtpTls::None => MailTls::None,
        },
    };
    Mailer::start(settings).map(Some)
}

/// The words for whatever was wrong with an address or a password.
fn wrong() -> ApiError {
    ApiError::unauthorized("Invalid email or password")
}

/// The user of this address, if this is the password.
pub(crate) async fn by_password(
    app: &AppState,
    caller: &Caller,
    email: &str,
    given: Secret,
) -> ApiResult<User> {
    if !app.config.auth.password.enabled {
        return Err(ApiError::forbidden(
            "Signing in by password is switched off",
        ));
    }
    app.signin.attempt(caller)?;
    let attempt = app.signin.throttle.account(email)?;
    let until = Instant::now() + SLOWEST;
    let user = find(app, email).await?;
    let stored = user.as_ref().and_then(|user| user.password_hash.clone());
    let again = given.clone();
    let verdict = app
        .signin
        .gate
        .run(move || password::verify(stored.as_deref(), &given))
        .await?;
    match (user, verdict) {
        (Some(user), Verdict::Right { rehash }) => {
            attempt.succeeded();
            if rehash {
                renew_hash(app, &user, again).await?;
            }
            Ok(user)
        }
        (user, _) => {
            attempt.failed();
            let mut entry = caller.entry("session.refused", "auth");
            entry.result = Some("denied".into());
            entry.user = user.map(|user| user.id);
            entry.params = json!({"method": "password"});
            note(app, entry).await?;
            tokio::time::sleep_until(until).await;
            Err(wrong())
        }
    }
}

/// The active user of an address.
async fn find(app: &AppState, email: &str) -> ApiResult<Option<User>> {
    let (app, email) = (app.clone(), email.trim().to_owned());
    let user = blocking(move || Ok(app.state().user_by_email(&email)?)).await?;
    Ok(user.filter(|user| user.active))
}

async fn note(app: &AppState, entry: AuditEntry) -> ApiResult<()> {
    let app = app.clone();
    blocking(move || Ok(app.state().audit(&entry)?)).await
}

/// Hashes a password in its turn.
async fn hash(app: &AppState, given: Secret) -> ApiResult<String> {
    let hashed = app.signin.gate.run(move || password::hash(&given)).await?;
    Ok(hashed?)
}

/// Stores the same password by the present rules. Nobody is signed out for it.
async fn renew_hash(app: &AppState, user: &User, given: Secret) -> ApiResult<()> {
    let hash = hash(app, given).await?;
    let (app, id) = (app.clone(), user.id);
    blocking(move || Ok(app.state().renew_password_hash(id, &hash)?)).await
}

/// Gives a user another password. All sessions and links of the user end.
pub(crate) async fn set_password(
    app: &AppState,
    user: &User,
    given: Secret,
    entry: AuditEntry,
) -> ApiResult<()> {
    app.config
        .auth
        .password
        .policy()
        .check(&given, &user.email)?;
    let hash = hash(app, given).await?;
    let (app, id) = (app.clone(), user.id);
    let change = UserChange {
        password_hash: Some(hash),
        ..UserChange::default()
    };
    blocking(move || Ok(app.state().change_user(id, &change, &entry)?)).await
}

/// A link for a user that works once. Whoever has it comes in.
pub(crate) fn new_link(
    app: &App,
    user: &User,
    purpose: Purpose,
    entry: &AuditEntry,
) -> ApiResult<String> {
    let lifetime = match purpose {
        Purpose::SignIn => SignedDuration::from_mins(app.config.auth.magic_link.minutes.into()),
        purpose => purpose.lifetime(),
    };
    let made = links::make(app.state(), app.url(), user, (purpose, lifetime), entry);
    made.map(|made| made.url).map_err(|error| match error {
        LinkError::State(error) => error.into(),
        LinkError::Random(error) => ApiError::internal(error),
    })
}

/// Sends a link to whoever has this address, if anybody does. Answers the same in any case, and
/// before it is known.
pub(crate) fn request_link(app: &AppState, caller: Caller, email: &str, purpose: Purpose) {
    let (app, email) = (app.clone(), email.trim().to_owned());
    tokio::task::spawn_blocking(move || {
        if let Err(error) = try_request(&app, &caller, &email, purpose) {
            tracing::warn!(error = error.detail, "a link could not be sent");
        }
    });
}

fn try_request(app: &App, caller: &Caller, email: &str, purpose: Purpose) -> ApiResult<()> {
    if app.signin.throttle.attempt_for(email).is_err() {
        return Ok(());
    }
    let user = app.state().user_by_email(email)?;
    let Some(user) = user.filter(|user| user.active) else {
        return Ok(());
    };
    // The first password is set by a link of its own, another one by a link to reset it.
    let fits = match purpose {
        Purpose::SetUp => user.password_hash.is_none(),
        Purpose::Reset => user.password_hash.is_some(),
        Purpose::SignIn => true,
    };
    if !fits || !app.signin.has_mail() {
        return Ok(());
    }
    let on = format!("user:{}", user.id);
    let mut entry = caller.entry("link.send", on);
    entry.params = json!({"purpose": purpose.as_str()});
    let link = new_link(app, &user, purpose, &entry)?;
    send(app, &user, purpose, &link)
}

/// Puts a link into a mail. Answers whether there is a way to send it.
pub(crate) fn send(app: &App, user: &User, purpose: Purpose, link: &str) -> ApiResult<()> {
    let Some(mailer) = &app.signin.mailer else {
        return Ok(());
    };
    let (subject, words) = match purpose {
        Purpose::SignIn => ("Sign in to Sluice", "Open this link to sign in"),
        Purpose::Reset => (
            "Set another password",
            "Open this link to set another password",
        ),
        Purpose::SetUp => (
            "Your invitation to Sluice",
            "Open this link to set your password",
        ),
    };
    let text = format!(
        "{words}:\n\n{link}\n\nIt works once. If you did not ask for it, do nothing: without the link nobody comes in.\n"
    );
    mailer
        .send(&user.email, subject, text)
        .map_err(ApiError::internal)
}

/// The user of a link that was opened, which is used up by this.
pub(crate) async fn by_link(
    app: &AppState,
    caller: &Caller,
    email: &str,
    secret: &str,
    purpose: Purpose,
) -> ApiResult<Option<User>> {
    app.signin.attempt(caller)?;
    let hash = link::hash(purpose, secret);
    let (app, email) = (app.clone(), email.trim().to_owned());
    blocking(move || {
        let now = Timestamp::now();
        let Some(id) = app.state().consume_link(purpose.as_str(), &hash, now)? else {
            return Ok(None);
        };
        let user = app.state().user(id)?;
        Ok(user.filter(|user| user.active && user.email.eq_ignore_ascii_case(&email)))
    })
    .await
}

impl From<Throttled> for ApiError {
    fn from(throttled: Throttled) -> Self {
        Self::too_many(throttled.to_string(), throttled.retry_after)
    }
}

impl From<password::Busy> for ApiError {
    fn from(busy: password::Busy) -> Self {
        Self::too_many(busy.to_string(), Duration::from_secs(5))
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Hash(_) => Self::internal(error),
            error => Self::bad_request("password-refused", error.to_string()),
        }
    }
}
