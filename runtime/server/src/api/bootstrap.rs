//! `/auth/bootstrap`: whoever holds the one-time code becomes the first admin.

use axum::Json;
use domain::access::Scopes;
use domain::{TokenKind, User};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::users::check_email;
use crate::app::{App, AppState, blocking};
use crate::auth::by::Origin;
use crate::auth::token::{Wanted, code_hash};
use crate::error::{ApiError, ApiResult};

const ADMIN: &str = "admin";

/// Who claims the server.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Claim {
    /// The admin's address.
    pub(crate) email: String,
    /// The code that the server printed at its start.
    pub(crate) code: String,
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
    origin: Origin,
    app: AppState,
    Json(claim): Json<Claim>,
) -> ApiResult<Json<Claimed>> {
    blocking(move || self::claim(&app, &origin, &claim))
        .await
        .map(Json)
}

/// The same for the setup page.
pub(crate) fn claim(app: &App, origin: &Origin, claim: &Claim) -> ApiResult<Claimed> {
    let email = claim.email.trim();
    check_email(email)?;
    let user = User::new(email, claim.name.as_deref().unwrap_or_default().trim());
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
    let entry = origin.entry("server.claim", format!("user:{}", user.id));
    if !app
        .state()
        .claim_bootstrap(&code_hash(&claim.code), &user, &token, &entry)?
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
