//! `/auth/bootstrap`: whoever holds the one-time code becomes the first admin.

use axum::Json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use warehouse::User;

use crate::app::{App, AppState, blocking};
use crate::auth::token::code_hash;
use crate::error::{ApiError, ApiResult};

/// Longer than any address that mail is delivered to.
const MAX_EMAIL: usize = 254;

/// Who claims the server.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Claim {
    /// The admin's address.
    pub(crate) email: String,
    /// The code that the server printed at its start.
    pub(crate) code: String,
    /// Taken and not used yet: the predecessor's clients send it.
    #[serde(default)]
    #[expect(dead_code, reason = "old clients send it")]
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
    role: String,
}

/// Makes the first admin.
///
/// Works once, with the code that the server prints at its start as long as nobody has claimed it.
#[utoipa::path(post, path = "/auth/bootstrap", tag = "auth", security(()), request_body = Claim,
    responses((status = 200, body = Claimed), (status = 403, description = "The code is wrong or used")))]
pub(crate) async fn claim_server(
    app: AppState,
    Json(claim): Json<Claim>,
) -> ApiResult<Json<Claimed>> {
    blocking(move || self::claim(&app, &claim)).await.map(Json)
}

/// The same for the setup page.
pub(crate) fn claim(app: &App, claim: &Claim) -> ApiResult<Claimed> {
    let email = claim.email.trim();
    check_email(email)?;
    let now = Timestamp::now();
    let user = User {
        id: Uuid::now_v7(),
        email: email.to_owned(),
        role: "admin".into(),
        created_at: now,
    };
    let (text, token) = app.tokens.issue(&user, now).map_err(ApiError::internal)?;
    if !app
        .state()
        .claim_bootstrap(&code_hash(&claim.code), &user, &token)?
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
        role: user.role,
    })
}

fn check_email(email: &str) -> ApiResult<()> {
    let (name, host) = email.split_once('@').unwrap_or_default();
    let plain = !email.chars().any(|c| c.is_control() || c.is_whitespace());
    if name.is_empty() || host.is_empty() || email.len() > MAX_EMAIL || !plain {
        return Err(ApiError::invalid(
            "email-invalid",
            "`email` is not an e-mail address such as `ada@example.com`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_address_is_refused() {
        assert!(check_email("ada@example.com").is_ok());
        for email in [
            "",
            "ada",
            "@b",
            "a@",
            "a b@c",
            "a@b\n",
            &format!("a@{}", "b".repeat(300)),
        ] {
            assert!(check_email(email).is_err(), "{email:?}");
        }
    }
}
