//! `/api/users/{id}/…-password`: how an admin helps a user in. All for admins.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::{Secret, User};
use identity::link::Purpose;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::users;
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;
use crate::signin;

/// A link with which a user sets a password.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResetLink {
    /// The link; it works once.
    reset_url: String,
    /// Whether it was also sent by mail.
    email_sent: bool,
}

/// Makes a link with which a user sets a password.
#[utoipa::path(post, path = "/api/users/{id}/reset-password", tag = "users",
    params(("id" = String, Path, description = "The user")),
    responses((status = 200, body = ResetLink), (status = 404)))]
pub(crate) async fn reset_password(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<ResetLink>> {
    blocking(move || {
        let user = users::find(&app, id)?;
        let purpose = match user.password_hash {
            Some(_) => Purpose::Reset,
            None => Purpose::SetUp,
        };
        let (reset_url, email_sent) = link(&app, &by, &user, purpose, "user.reset_password")?;
        Ok(Json(ResetLink {
            reset_url,
            email_sent,
        }))
    })
    .await
}

/// A link for a user, sent by mail where there is a way.
pub(crate) fn link(
    app: &App,
    by: &By,
    user: &User,
    purpose: Purpose,
    action: &'static str,
) -> ApiResult<(String, bool)> {
    let entry = by.entry(action, format!("user:{}", user.id));
    let link = signin::new_link(app, user, purpose, &entry)?;
    signin::send(app, user, purpose, &link)?;
    Ok((link, app.signin.has_mail()))
}

/// A password for somebody else.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewPassword {
    password: String,
}

/// Gives a user a password. All of the user's sessions end.
#[utoipa::path(post, path = "/api/users/{id}/set-password", tag = "users", request_body = NewPassword,
    params(("id" = String, Path, description = "The user")),
    responses((status = 204), (status = 400), (status = 404)))]
pub(crate) async fn set_password(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(new): Json<NewPassword>,
) -> ApiResult<StatusCode> {
    let found = app.clone();
    let user = blocking(move || users::find(&found, id)).await?;
    let entry = by.entry("user.set_password", format!("user:{id}"));
    signin::set_password(&app, &user, Secret::new(new.password), entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets who a user is at the providers of identities.
///
/// For an address that a provider has given to another account of the same person: the next sign-in links
/// that one. Until then it is refused, since the address could have gone to somebody else.
#[utoipa::path(delete, path = "/api/users/{id}/identities", tag = "users",
    params(("id" = String, Path, description = "The user")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn forget_identities(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let user = users::find(&app, id)?;
        let entry = by.entry("user.forget_identities", format!("user:{id}"));
        app.state().forget_identities(user.id, &entry)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
