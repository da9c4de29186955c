//! `/auth/tokens`: personal access tokens, and the end of a session.

use std::collections::HashMap;

use axum::Json;
use axum::extract::Path;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use domain::access::{Scope, Scopes, role};
use domain::{Token, TokenKind};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::users;
use crate::app::{App, AppState, blocking};
use crate::auth::token::Wanted;
use crate::auth::{By, cookie};
use crate::error::{ApiError, ApiResult};

const MAX_NAME: usize = 200;
/// As long as the predecessor's lived unless told otherwise.
const DEFAULT_DAYS: i64 = 90;

/// A token to issue.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewToken {
    /// What it is for, for its owner.
    name: String,
    /// Days until it ends: 90 by default; `null` for as long as the server allows.
    #[serde(default, deserialize_with = "days")]
    #[schema(value_type = Option<i64>)]
    expires_in_days: Days,
    /// What it is good for: `data`, `runs`, `account`, `admin`; whatever its owner may do by default.
    scopes: Option<Vec<String>>,
}

/// How long a token is to live.
#[derive(Debug, Default)]
enum Days {
    /// Nothing was said.
    #[default]
    Usual,
    /// `null`: as long as allowed.
    Longest,
    /// So many.
    Exactly(i64),
}

fn days<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Days, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.map_or(Days::Longest, Days::Exactly))
}

/// A token that was issued.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedToken {
    #[schema(value_type = String)]
    id: Uuid,
    name: String,
    prefix: String,
    /// The token; it is shown this once.
    token: String,
    expires_at: String,
    created_at: String,
    scopes: Option<Vec<&'static str>>,
}

/// A token, without the token itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenView {
    #[schema(value_type = String)]
    id: Uuid,
    name: String,
    prefix: String,
    created_at: String,
    expires_at: String,
    /// To the minute.
    last_used_at: Option<String>,
    revoked_at: Option<String>,
    /// What it is good for; `null` for whatever its owner may do.
    scopes: Option<Vec<&'static str>>,
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id,
            name: token.name.clone(),
            prefix: token.prefix(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            last_used_at: token.last_used_at.map(|at| at.to_string()),
            revoked_at: token.revoked_at.map(|at| at.to_string()),
            scopes: words(&token.scopes),
        }
    }
}

fn words(scopes: &Scopes) -> Option<Vec<&'static str>> {
    match scopes {
        Scopes::All => None,
        Scopes::Only(scopes) => Some(scopes.iter().map(|scope| scope.as_str()).collect()),
    }
}

/// Issues a personal access token.
///
/// Only for people who have signed in: a token cannot make further tokens.
#[utoipa::path(post, path = "/auth/tokens", tag = "auth", request_body = NewToken,
    responses((status = 201, body = IssuedToken), (status = 400), (status = 403, description = "Asked with a token")))]
pub(crate) async fn create_token(
    by: By,
    app: AppState,
    Json(new): Json<NewToken>,
) -> ApiResult<(StatusCode, Json<IssuedToken>)> {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::bad_request("name-missing", "name is required"));
    }
    let days = valid_days(&app, &new.expires_in_days)?;
    let scopes = checked_scopes(new.scopes)?;
    blocking(move || {
        let user = users::find(&app, by.user)?;
        let wanted = Wanted {
            kind: TokenKind::Personal,
            name: &name,
            scopes,
            valid: SignedDuration::from_hours(days * 24),
        };
        let (text, token) = app
            .tokens
            .issue(&user, role(by.is_admin), &wanted, Timestamp::now())
            .map_err(ApiError::internal)?;
        let what = json!({"days": days, "scopes": words(&token.scopes)});
        let entry = by.entry_with("token.create", on(token.id), what);
        app.state().insert_token(&token, Some(&entry))?;
        let issued = IssuedToken {
            id: token.id,
            prefix: token.prefix(),
            expires_at: token.expires_at.to_string(),
            created_at: token.created_at.to_string(),
            scopes: words(&token.scopes),
            name,
            token: text,
        };
        Ok((StatusCode::CREATED, Json(issued)))
    })
    .await
}

/// How long a token lives about which nobody said anything.
pub(crate) fn usual_days(app: &App) -> i64 {
    DEFAULT_DAYS.min(app.config.auth.token_max_days.into())
}

fn valid_days(app: &App, wanted: &Days) -> ApiResult<i64> {
    let most = i64::from(app.config.auth.token_max_days);
    match *wanted {
        Days::Usual => Ok(usual_days(app)),
        Days::Longest => Ok(most),
        Days::Exactly(days) if days < 1 => Err(ApiError::bad_request(
            "days-invalid",
            "expires_in_days must be a positive integer",
        )),
        Days::Exactly(days) if days > most => Err(ApiError::bad_request(
            "days-invalid",
            format!(
                "expires_in_days must not exceed {most}, as auth.token_max_days of the configuration says"
            ),
        )),
        Days::Exactly(days) => Ok(days),
    }
}

fn checked_scopes(wanted: Option<Vec<String>>) -> ApiResult<Scopes> {
    let Some(wanted) = wanted else {
        return Ok(Scopes::All);
    };
    let known = |word: &String| {
        Scope::parse(word).ok_or_else(|| {
            let words: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            let words = words.join(", ");
            ApiError::bad_request(
                "scope-unknown",
                format!("There is no scope '{word}'. Scopes: {words}"),
            )
        })
    };
    let scopes = wanted.iter().map(known).collect::<ApiResult<_>>()?;
    Ok(Scopes::Only(scopes))
}

/// Lists your tokens, newest first, with those that were revoked.
#[utoipa::path(get, path = "/auth/tokens", tag = "auth",
    responses((status = 200, body = Vec<TokenView>)))]
pub(crate) async fn list_tokens(by: By, app: AppState) -> ApiResult<Json<Vec<TokenView>>> {
    let tokens = blocking(move || own(&app, by.user)).await?;
    Ok(Json(tokens.iter().map(Into::into).collect()))
}

/// Shows one of your tokens.
#[utoipa::path(get, path = "/auth/tokens/{id}", tag = "auth",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, body = TokenView), (status = 404)))]
pub(crate) async fn get_token(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<TokenView>> {
    let tokens = blocking(move || own(&app, by.user)).await?;
    let token = tokens.iter().find(|token| token.id == id);
    token.map(|token| Json(token.into())).ok_or_else(missing)
}

/// Revokes one of your tokens, at once.
#[utoipa::path(delete, path = "/auth/tokens/{id}", tag = "auth",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn revoke_token(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        if !own(&app, by.user)?.iter().any(|token| token.id == id) {
            return Err(missing());
        }
        app.state()
            .revoke_token(id, &by.entry("token.revoke", on(id)))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn own(app: &App, user: Uuid) -> ApiResult<Vec<Token>> {
    let mut tokens = app.state().tokens_of(user)?;
    tokens.retain(|token| token.kind == TokenKind::Personal);
    Ok(tokens)
}

/// Those that are still good.
pub(crate) fn live(app: &App, user: Uuid) -> ApiResult<Vec<TokenView>> {
    let now = Timestamp::now();
    let mut tokens = own(app, user)?;
    tokens.retain(|token| token.revoked_at.is_none() && token.expires_at > now);
    Ok(tokens.iter().map(Into::into).collect())
}

fn missing() -> ApiError {
    ApiError::not_found("token-not-found", "Token not found")
}

pub(super) fn on(token: Uuid) -> String {
    format!("token:{token}")
}

/// A token of anybody.
#[derive(Serialize, ToSchema)]
pub(crate) struct AdminTokenView {
    #[serde(flatten)]
    token: TokenView,
    #[schema(value_type = String)]
    user_id: Uuid,
    user_email: String,
    last_used_ip: Option<String>,
}

/// Lists everybody's tokens, newest first.
#[utoipa::path(get, path = "/auth/admin/tokens", tag = "auth",
    responses((status = 200, body = Vec<AdminTokenView>)))]
pub(crate) async fn list_all_tokens(app: AppState) -> ApiResult<Json<Vec<AdminTokenView>>> {
    blocking(move || {
        let users = app.state().users()?.into_iter();
        let emails: HashMap<_, _> = users.map(|user| (user.id, user.email)).collect();
        let mut tokens = app.state().tokens()?;
        tokens.retain(|token| token.kind == TokenKind::Personal);
        let views = tokens.iter().map(|token| AdminTokenView {
            token: token.into(),
            user_id: token.user,
            user_email: emails.get(&token.user).cloned().unwrap_or_default(),
            last_used_ip: token.last_used_from.clone(),
        });
        Ok(Json(views.collect()))
    })
    .await
}

/// Revokes anybody's token, at once.
#[utoipa::path(delete, path = "/auth/admin/tokens/{id}", tag = "auth",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn revoke_any_token(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let known = app.state().token_by_id(id)?;
        if known.is_none_or(|token| token.kind != TokenKind::Personal) {
            return Err(missing());
        }
        app.state()
            .revoke_token(id, &by.entry("token.revoke", on(id)))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Ends your session, or revokes the token that asks.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", responses((status = 204)))]
pub(crate) async fn logout(by: By, app: AppState) -> ApiResult<(StatusCode, HeaderMap)> {
    let mut headers = HeaderMap::new();
    if let Some(value) = cookie::clear(app.config.http.is_https()) {
        headers.insert(SET_COOKIE, value);
    }
    blocking(move || {
        let entry = by.entry("session.end", on(by.token));
        Ok(app.state().revoke_token(by.token, &entry)?)
    })
    .await?;
    Ok((StatusCode::NO_CONTENT, headers))
}

/// A short-lived token.
#[derive(Serialize, ToSchema)]
pub(crate) struct DesktopToken {
    access_token: String,
    token_type: &'static str,
    expires_at: String,
}

/// Issues a token of minutes for a desktop program that you are about to open.
#[utoipa::path(post, path = "/auth/desktop", tag = "auth",
    responses((status = 200, body = DesktopToken)))]
pub(crate) async fn desktop_token(by: By, app: AppState) -> ApiResult<Json<DesktopToken>> {
    blocking(move || {
        let user = users::find(&app, by.user)?;
        let wanted = Wanted {
            kind: TokenKind::Desktop,
            name: "desktop",
            scopes: Scopes::Only([Scope::Data, Scope::Runs].into()),
            valid: SignedDuration::from_mins(app.config.auth.desktop_minutes.into()),
        };
        let (text, token) = app
            .tokens
            .issue(&user, role(by.is_admin), &wanted, Timestamp::now())
            .map_err(ApiError::internal)?;
        let entry = by.entry("token.create_desktop", on(token.id));
        app.state().insert_token(&token, Some(&entry))?;
        Ok(Json(DesktopToken {
            access_token: text,
            token_type: "bearer",
            expires_at: token.expires_at.to_string(),
        }))
    })
    .await
}
