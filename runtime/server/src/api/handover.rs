//! `/auth/cli/token`: where a program exchanges the code that a browser brought it.

use std::time::Instant;

use axum::Json;
use domain::TokenKind;
use domain::access::Scopes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::tokens::{on, usual_days};
use crate::app::{App, AppState, blocking};
use crate::auth::by::Caller;
use crate::auth::token::Wanted;
use crate::error::{ApiError, ApiResult};
use crate::handover::Allowed;

/// A code and the proof that it was meant for who shows it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Exchange {
    code: String,
    /// The secret whose hash the page was asked with.
    verifier: String,
}

/// The token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Handed {
    /// It is shown this once.
    access_token: String,
    /// `bearer`.
    token_type: &'static str,
    #[schema(value_type = String)]
    user_id: Uuid,
    email: String,
    /// `admin` or `user`.
    role: &'static str,
    expires_at: String,
}

/// Exchanges the code of a login in the browser for a personal access token.
///
/// A program opens `/cli/login?port=&state=&challenge=&name=` and listens at that port of 127.0.0.1; whoever has signed in allows it
/// there. The code works once, for a minute, with the secret whose SHA-256 the challenge was.
#[utoipa::path(post, path = "/auth/cli/token", tag = "auth", security(()), request_body = Exchange,
    responses((status = 200, body = Handed), (status = 401), (status = 429, description = "Too many attempts; `Retry-After` says how long to wait")))]
pub(crate) async fn exchange_code(
    caller: Caller,
    app: AppState,
    Json(given): Json<Exchange>,
) -> ApiResult<Json<Handed>> {
    app.signin.attempt(&caller)?;
    let allowed = app
        .handover
        .redeem(&given.code, &given.verifier, Instant::now());
    let allowed = allowed.ok_or_else(refused)?;
    blocking(move || issue(&app, &caller, &allowed).map(Json)).await
}

fn refused() -> ApiError {
    ApiError::unauthorized(
        "The code is wrong, used or older than a minute; start again with `da login`",
    )
}

fn issue(app: &App, caller: &Caller, allowed: &Allowed) -> ApiResult<Handed> {
    // Who was deactivated since the click gets nothing.
    let person = app.directory.person(allowed.user)?;
    let person = person.filter(|person| person.user.active);
    let person = person.ok_or_else(refused)?;
    let days = usual_days(app);
    let wanted = Wanted {
        kind: TokenKind::Personal,
        name: &allowed.name,
        scopes: Scopes::All,
        valid: SignedDuration::from_hours(days * 24),
    };
    let (text, token) = app
        .tokens
        .issue(&person.user, person.role(), &wanted, Timestamp::now())
        .map_err(ApiError::internal)?;
    let mut entry = caller.entry("token.create", on(token.id));
    entry.user = Some(allowed.user);
    entry.params = json!({"days": days, "by": "browser"});
    app.state().insert_token(&token, Some(&entry))?;
    Ok(Handed {
        access_token: text,
        token_type: "bearer",
        user_id: allowed.user,
        email: person.user.email.clone(),
        role: person.role(),
        expires_at: token.expires_at.to_string(),
    })
}
