//! `/auth/bootstrap`: whoever holds the one-time code becomes the first admin.

use axum::Json;
use domain::access::Scopes;
use domain::{Secret, TokenKind, User};
use identity::password;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::users::check_email;
use crate::app::{App, AppState, blocking};
use crate::auth::by::Caller;
use crate::auth::token::{Wanted, code_hash};
use crate::config::Bootstrap;
use crate::error::{ApiError, ApiResult};

const ADMIN: &str = "admin";

/// Who claims the server.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Claim {
    /// The admin's address.
    pub(crate) email: String,
    /// The code that the server printed at its start.
    #[serde(default)]
    pub(crate) code: String,
    /// A password to sign in with later.
    #[serde(default)]
    pub(crate) password: Option<String>,
    /// As people call the admin.
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// The first admin's token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Claimed {
    /// The token; it is shown this once.
    pub(crate) access_token: String,
    /// `bearer`.
    token_type: &'static str,
    /// The user's id.
    #[schema(value_type = String)]
    user_id: Uuid,
    /// The user's address.
    email: String,
    /// `admin`.
    role: &'static str,
}

/// Makes the first admin.
///
/// Works once, with the code that the server prints at its start as long as nobody has claimed it.
#[utoipa::path(post, path = "/auth/bootstrap", tag = "auth", security(()), request_body = Claim,
    responses((status = 200, body = Claimed), (status = 403, description = "The code is wrong or used")))]
pub(crate) async fn claim_server(
    caller: Caller,
    app: AppState,
    Json(claim): Json<Claim>,
) -> ApiResult<Json<Claimed>> {
    blocking(move || self::claim(&app, &caller, &claim))
        .await
        .map(Json)
}

/// The same for the setup page.
pub(crate) fn claim(app: &App, caller: &Caller, claim: &Claim) -> ApiResult<Claimed> {
    let email = claim.email.trim();
    check_email(email)?;
    app.signin.attempt(caller)?;
    let known = app.state().user_by_email(email)?;
    let name = claim.name.as_deref().unwrap_or_default().trim();
    let mut user = known.unwrap_or_else(|| User::new(email, name));
    user.password_hash = hashed(app, claim, email)?;
    let open = is_open(app, claim)?;
    let wanted = Wanted {
        kind: TokenKind::Personal,
        name: "first token",
        scopes: Scopes::All,
        valid: SignedDuration::from_hours(24 * i64::from(app.config.auth.token_max_days)),
    };
    let (text, token) = app
        .tokens
        .issue(&user, ADMIN, &wanted, Timestamp::now())
        .map_err(ApiError::internal)?;
    let entry = caller.entry("server.claim", format!("user:{}", user.id));
    let code = (!open).then(|| code_hash(&claim.code));
    if !app
        .state()
        .claim_bootstrap(code.as_ref(), &user, &token, &entry)?
    {
        return Err(ApiError::forbidden(
            "The code is wrong or was used; the server prints a valid one at its start while nobody has claimed it",
        ));
    }
    tracing::info!(user = %user.id, "the server was claimed by its first admin");
    Ok(Claimed {
        access_token: text,
        token_type: "bearer",
        user_id: user.id,
        email: user.email,
        role: ADMIN,
    })
}

/// The hash of the password that was given, if one was.
fn hashed(app: &App, claim: &Claim, email: &str) -> ApiResult<Option<String>> {
    let given = claim.password.as_deref().unwrap_or_default();
    if given.is_empty() {
        return Ok(None);
    }
    let given = Secret::new(given);
    app.config.auth.password.policy().check(&given, email)?;
    Ok(Some(password::hash(&given)?))
}

/// Whether the server can be claimed without a code: where the operator has configured it so, by
/// setting the first password.
fn is_open(app: &App, claim: &Claim) -> ApiResult<bool> {
    let open = app.config.auth.bootstrap == Bootstrap::Open && claim.code.is_empty();
    if !open {
        return Ok(false);
    }
    if app.state().has_passwords()? {
        return Err(ApiError::forbidden(
            "Bootstrap disabled — a user with a password already exists. Use /auth/password/login.",
        ));
    }
    match claim
        .password
        .as_deref()
        .is_some_and(|text| !text.is_empty())
    {
        true => Ok(true),
        false => Err(ApiError::bad_request(
            "password-missing",
            "Without a code a password is needed, which ends this way of claiming",
        )),
    }
}
