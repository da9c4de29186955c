//! `/auth`: signing in by password or by a link, for programs.

use axum::Json;
use domain::{Secret, User};
use identity::link::Purpose;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{AppState, blocking};
use crate::auth::by::Caller;
use crate::auth::session::{self, Session};
use crate::error::{ApiError, ApiResult};
use crate::signin;

/// The answer to whoever asks for a link, known or not.
const SENT: &str = "If this email is registered, you will receive a login link.";

/// Who wants to come in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Credentials {
    email: String,
    #[serde(default)]
    password: String,
}

/// A session that has begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    /// The session's token; it is shown this once.
    access_token: String,
    /// `bearer`.
    token_type: &'static str,
    #[schema(value_type = String)]
    user_id: Uuid,
    email: String,
    /// `admin` or `user`.
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

impl SignedIn {
    pub(super) fn of(user: User, session: Session) -> Self {
        Self {
            access_token: session.text,
            token_type: "bearer",
            user_id: user.id,
            email: user.email,
            role: session.role,
            message: None,
        }
    }
}

async fn begin(
    app: AppState,
    caller: Caller,
    user: User,
    method: &'static str,
) -> ApiResult<SignedIn> {
    blocking(move || {
        let session = session::begin(&app, &caller, &user, method)?;
        Ok(SignedIn::of(user, session))
    })
    .await
}

/// Signs in by password.
///
/// An unknown address, a wrong password and an account that is deactivated are answered alike.
#[utoipa::path(post, path = "/auth/token", tag = "auth", security(()), request_body = Credentials,
    responses((status = 200, body = SignedIn), (status = 401), (status = 429, description = "Too many attempts; `Retry-After` says how long to wait")))]
pub(crate) async fn get_session(
    caller: Caller,
    app: AppState,
    Json(given): Json<Credentials>,
) -> ApiResult<Json<SignedIn>> {
    let password = Secret::new(given.password);
    let user = signin::by_password(&app, &caller, &given.email, password).await?;
    begin(app, caller, user, "password").await.map(Json)
}

/// Signs in by password; the same as `/auth/token`.
#[utoipa::path(post, path = "/auth/password/login", tag = "auth", security(()), request_body = Credentials,
    responses((status = 200, body = SignedIn), (status = 401), (status = 429)))]
pub(crate) async fn sign_in(
    caller: Caller,
    app: AppState,
    given: Json<Credentials>,
) -> ApiResult<Json<SignedIn>> {
    get_session(caller, app, given).await
}

/// The first password, and the link that allows it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct FirstPassword {
    email: String,
    token: String,
    password: String,
}

/// Sets the first password, by the link of an invitation.
#[utoipa::path(post, path = "/auth/password/setup", tag = "auth", security(()), request_body = FirstPassword,
    responses((status = 200, body = SignedIn), (status = 400)))]
pub(crate) async fn set_first_password(
    caller: Caller,
    app: AppState,
    Json(given): Json<FirstPassword>,
) -> ApiResult<Json<SignedIn>> {
    let user = redeem(
        &app,
        &caller,
        &given.email,
        &given.token,
        Purpose::SetUp,
        given.password,
    );
    let user = user.await?;
    let mut done = begin(app, caller, user, "setup").await?;
    done.message = Some("Password set successfully");
    Ok(Json(done))
}

/// Uses a link to set a password. The password is looked at first, so that one that is not taken does
/// not cost the link.
pub(crate) async fn redeem(
    app: &AppState,
    caller: &Caller,
    email: &str,
    token: &str,
    purpose: Purpose,
    password: String,
) -> ApiResult<User> {
    let password = Secret::new(password);
    app.config.auth.password.policy().check(&password, email)?;
    let user = signin::by_link(app, caller, email, token, purpose).await?;
    let user = user.ok_or_else(|| {
        ApiError::bad_request(
            "link-invalid",
            match purpose {
                Purpose::SetUp => "Invalid or expired setup link.",
                _ => "Invalid or expired reset link.",
            },
        )
    })?;
    let mut entry = caller.entry("user.set_password", format!("user:{}", user.id));
    entry.user = Some(user.id);
    entry.params = json!({"by": purpose.as_str()});
    signin::set_password(app, &user, password, entry).await?;
    Ok(user)
}

/// Whose link.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Address {
    email: String,
}

/// Sends a link with which one can sign in once, within 15 minutes.
///
/// The answer is the same whether or not there is such a user.
#[utoipa::path(post, path = "/auth/email/send-link", tag = "auth", security(()), request_body = Address,
    responses((status = 200, body = Object), (status = 429)))]
pub(crate) async fn send_link(
    caller: Caller,
    app: AppState,
    Json(given): Json<Address>,
) -> ApiResult<Json<Value>> {
    app.signin.attempt(&caller)?;
    if app.config.auth.magic_link.enabled {
        signin::request_link(&app, caller, &given.email, Purpose::SignIn);
    }
    Ok(Json(json!({"message": SENT})))
}

/// A link, as its URL has it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct OpenedLink {
    #[serde(default)]
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) token: String,
}

/// Signs in by a link.
#[utoipa::path(post, path = "/auth/email/verify", tag = "auth", security(()), request_body = OpenedLink,
    responses((status = 200, body = SignedIn), (status = 401)))]
pub(crate) async fn verify_link(
    caller: Caller,
    app: AppState,
    Json(link): Json<OpenedLink>,
) -> ApiResult<Json<SignedIn>> {
    let user = by_opened(&app, &caller, &link).await?;
    begin(app, caller, user, "link").await.map(Json)
}

/// The user of a link for signing in.
pub(crate) async fn by_opened(
    app: &AppState,
    caller: &Caller,
    link: &OpenedLink,
) -> ApiResult<User> {
    let user = signin::by_link(app, caller, &link.email, &link.token, Purpose::SignIn).await?;
    user.ok_or_else(|| ApiError::unauthorized("Invalid or expired link"))
}
