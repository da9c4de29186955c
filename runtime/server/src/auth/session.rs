//! The beginning of a session: whoever has proven who they are gets a token that the server can take
//! back, as a cookie in a browser.

use axum::http::HeaderValue;
use domain::access::Scopes;
use domain::{TokenKind, User};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::by::Caller;
use super::cookie;
use super::token::Wanted;
use crate::app::App;
use crate::error::{ApiError, ApiResult};

/// A session that has begun.
#[derive(Debug)]
pub(crate) struct Session {
    /// The token; shown this once.
    pub(crate) text: String,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
    /// `admin` or `user`.
    pub(crate) role: &'static str,
}

impl Session {
    /// The header that makes a browser keep it.
    pub(crate) fn cookie(&self, app: &App) -> Option<HeaderValue> {
        cookie::set(&self.text, self.expires_at, app.config.http.is_https())
    }
}

/// Begins a session for a user who came in by this method, in the place of the browser's last one. Always
/// a new one: a session that somebody else has planted is worth nothing.
pub(crate) fn begin(
    app: &App,
    caller: &Caller,
    user: &User,
    method: &'static str,
) -> ApiResult<Session> {
    let person = app.directory.person(user.id)?;
    let person = person.filter(|person| person.user.active);
    let person = person.ok_or_else(|| ApiError::unauthorized("Invalid email or password"))?;
    let wanted = Wanted {
        kind: TokenKind::Session,
        name: method,
        scopes: Scopes::All,
        valid: SignedDuration::from_hours(app.config.auth.session_hours.into()),
    };
    let now = Timestamp::now();
    let (text, token) = app
        .tokens
        .issue(user, person.role(), &wanted, now)
        .map_err(ApiError::internal)?;
    let mut entry = caller.entry("session.begin", format!("user:{}", user.id));
    entry.user = Some(user.id);
    entry.token = Some(token.id);
    entry.params = json!({"method": method});
    app.state().begin_session(&token, caller.session, &entry)?;
    tracing::info!(user = %user.id, method, "a session began");
    Ok(Session {
        text,
        expires_at: token.expires_at,
        role: person.role(),
    })
}
