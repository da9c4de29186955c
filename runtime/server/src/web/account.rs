//! The page on which people see where they are signed in, end that, and change their password.

use axum::Json;
use axum::extract::{Form, Path};
use axum::http::header::SET_COOKIE;
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use uuid::Uuid;

use super::signin::redirect;
use crate::api::sessions::{self, PasswordChange, SessionView};
use crate::api::tokens::{self, TokenView};
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::auth::by::SignedIn;
use crate::error::{ApiError, ApiResult};

const ACCOUNT: &str = "/account";

/// `GET /account`.
pub(crate) async fn show(by: By, app: AppState) -> ApiResult<Html<String>> {
    page(by, app, String::new()).await
}

async fn page(by: By, app: AppState, error: String) -> ApiResult<Html<String>> {
    let asked = app.clone();
    let (email, sessions, tokens) = blocking(move || {
        let sessions: Vec<SessionView> = sessions::sessions(&asked, &by)?;
        let tokens: Vec<TokenView> = tokens::live(&asked, by.user)?;
        Ok((by.email.clone(), sessions, tokens))
    })
    .await?;
    let auth = &app.config.auth.password;
    let values = context! {
        email, error,
        sessions => Serde(sessions), tokens => Serde(tokens),
        passwords => auth.enabled, min_length => auth.min_length,
    };
    app.pages.render("account.html", SignedIn(true), values)
}

/// The form of another password.
#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    current_password: String,
    password: String,
    confirm_password: String,
}

/// `POST /account/password`.
pub(crate) async fn change_password(
    by: By,
    app: AppState,
    Form(form): Form<PasswordForm>,
) -> ApiResult<Response> {
    let changed = match form.password == form.confirm_password {
        true => {
            let change = PasswordChange {
                current_password: form.current_password,
                new_password: form.password,
            };
            sessions::change_own(&by, &app, change).await
        }
        false => Err(ApiError::bad_request("mismatch", "Passwords do not match.")),
    };
    match changed {
        Ok((_, session)) => {
            let mut response = redirect(ACCOUNT);
            if let Some(cookie) = session.cookie(&app) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error) if error.status.is_client_error() => {
            let status = error.status;
            let page = page(by, app, error.detail).await?;
            Ok((status, page).into_response())
        }
        Err(error) => Err(error),
    }
}

/// Which one.
#[derive(Deserialize)]
pub(crate) struct Chosen {
    id: Uuid,
}

/// `POST /account/sessions/end`.
pub(crate) async fn end_session(
    by: By,
    app: AppState,
    Form(chosen): Form<Chosen>,
) -> ApiResult<Response> {
    sessions::end_session(by, app, Path(chosen.id)).await?;
    Ok(redirect(ACCOUNT))
}

/// `POST /account/sessions/end-others`.
pub(crate) async fn end_other_sessions(by: By, app: AppState) -> ApiResult<Response> {
    let Json(_) = sessions::end_other_sessions(by, app).await?;
    Ok(redirect(ACCOUNT))
}

/// `POST /account/tokens/revoke`.
pub(crate) async fn revoke_token(
    by: By,
    app: AppState,
    Form(chosen): Form<Chosen>,
) -> ApiResult<Response> {
    tokens::revoke_token(by, app, Path(chosen.id)).await?;
    Ok(redirect(ACCOUNT))
}
