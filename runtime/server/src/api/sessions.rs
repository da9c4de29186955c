//! `/auth/sessions`: where you are signed in, and how that ends; and another password, for whoever knows the
//! present one.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::{Secret, Token, TokenKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::signin::SignedIn;
use super::tokens::on;
use super::users;
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::auth::session::{self, Session};
use crate::error::{ApiError, ApiResult};
use crate::signin;

/// A browser or program in which somebody is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    #[schema(value_type = String)]
    id: Uuid,
    /// `session`, or `desktop` for a desktop program.
    kind: &'static str,
    /// How it began: `password`, `link`, or the provider's name.
    method: String,
    created_at: String,
    expires_at: String,
    /// To the minute.
    last_used_at: Option<String>,
    /// The client's address then.
    last_used_ip: Option<String>,
    /// Whether it is this one.
    current: bool,
}

impl SessionView {
    fn of(token: Token, current: Uuid) -> Self {
        Self {
            current: token.id == current,
            id: token.id,
            kind: token.kind.as_str(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            last_used_ip: token.last_used_from,
            method: token.name,
        }
    }
}

/// Lists where you are signed in, newest first.
#[utoipa::path(get, path = "/auth/sessions", tag = "auth",
    responses((status = 200, body = Vec<SessionView>)))]
pub(crate) async fn list_sessions(by: By, app: AppState) -> ApiResult<Json<Vec<SessionView>>> {
    blocking(move || Ok(Json(sessions(&app, &by)?))).await
}

pub(crate) fn sessions(app: &App, by: &By) -> ApiResult<Vec<SessionView>> {
    let tokens = app.state().tokens_of(by.user)?.into_iter();
    let live = tokens.filter(is_live);
    Ok(live.map(|token| SessionView::of(token, by.token)).collect())
}

fn is_live(token: &Token) -> bool {
    let is_over = token.revoked_at.is_some() || token.expires_at <= Timestamp::now();
    token.kind != TokenKind::Personal && !is_over
}

/// Ends one of your sessions, at once.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "auth",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn end_session(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let found = app.state().token_by_id(id)?;
        let found = found.filter(|token| token.user == by.user && is_live(token));
        if found.is_none() {
            return Err(ApiError::not_found(
                "session-not-found",
                "Session not found",
            ));
        }
        app.state()
            .revoke_token(id, &by.entry("session.end", on(id)))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// How many sessions ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ended {
    ended: usize,
}

/// Ends all your sessions but the one that asks. Personal access tokens stay.
#[utoipa::path(delete, path = "/auth/sessions", tag = "auth", responses((status = 200, body = Ended)))]
pub(crate) async fn end_other_sessions(by: By, app: AppState) -> ApiResult<Json<Ended>> {
    blocking(move || {
        let entry = by.entry("session.end_others", format!("user:{}", by.user));
        let ended = app.state().end_other_sessions(by.user, by.token, &entry)?;
        Ok(Json(Ended { ended }))
    })
    .await
}

/// The present password and the next.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PasswordChange {
    pub(crate) current_password: String,
    pub(crate) new_password: String,
}

/// Changes your password.
///
/// All your sessions end, this one too; the answer holds a new one. Whoever has no password gets the first
/// by a link.
#[utoipa::path(post, path = "/auth/password/change", tag = "auth", request_body = PasswordChange,
    responses((status = 200, body = SignedIn), (status = 400), (status = 401, description = "The current password is another one"), (status = 429)))]
pub(crate) async fn change_password(
    by: By,
    app: AppState,
    Json(change): Json<PasswordChange>,
) -> ApiResult<Json<SignedIn>> {
    let (user, session) = change_own(&by, &app, change).await?;
    Ok(Json(SignedIn::of(user, session)))
}

/// Changes the password of whoever asks, who has to know the present one, and begins a new session.
pub(crate) async fn change_own(
    by: &By,
    app: &AppState,
    change: PasswordChange,
) -> ApiResult<(domain::User, Session)> {
    let next = Secret::new(change.new_password);
    // Before anything is compared, so that a password that is not taken costs no attempt.
    app.config.auth.password.policy().check(&next, &by.email)?;
    let current = Secret::new(change.current_password);
    let user = signin::by_password(app, by.caller(), &by.email, current).await?;
    let entry = by.entry_with(
        "user.set_password",
        format!("user:{}", user.id),
        json!({"by": "change"}),
    );
    signin::set_password(app, &user, next, entry).await?;
    let (app, by) = (app.clone(), by.clone());
    blocking(move || {
        let user = users::find(&app, user.id)?;
        let session = session::begin(&app, by.caller(), &user, "password")?;
        Ok((user, session))
    })
    .await
}
