//! `/auth/oidc` and, for the provider called `google`, `/auth/google`: the way to a provider of
//! identities and back. Made for browsers: whatever goes wrong ends on the login page.

use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use serde::Deserialize;

use crate::app::AppState;
use crate::auth::by::Caller;
use crate::auth::cookie;
use crate::error::ApiResult;
use crate::oidc::{self, Refusal, Return};
use crate::web::signin::{enter, local, redirect};

/// The provider that has addresses of its own, as the predecessor's links have them.
const GOOGLE: &str = "google";
const GOOGLE_CALLBACK: &str = "/auth/google/callback";

/// Where somebody wants to go.
#[derive(Deserialize)]
pub(crate) struct Wish {
    #[serde(default)]
    next: String,
}

/// What a provider sends along.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Brought {
    code: String,
    state: String,
    iss: Option<String>,
}

/// `GET /auth/oidc/{name}/login`.
pub(crate) async fn login(
    caller: Caller,
    app: AppState,
    Path(name): Path<String>,
    Query(wish): Query<Wish>,
) -> ApiResult<Response> {
    let callback = format!("/auth/oidc/{name}/callback");
    depart(&app, &caller, &name, &callback, &wish).await
}

/// `GET /auth/google/login`.
pub(crate) async fn google_login(
    caller: Caller,
    app: AppState,
    Query(wish): Query<Wish>,
) -> ApiResult<Response> {
    depart(&app, &caller, GOOGLE, GOOGLE_CALLBACK, &wish).await
}

/// `GET /auth/oidc/{name}/callback`.
pub(crate) async fn callback(
    caller: Caller,
    app: AppState,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(brought): Query<Brought>,
) -> ApiResult<Response> {
    arrive(app, caller, &name, &headers, &brought).await
}

/// `GET /auth/google/callback`.
pub(crate) async fn google_callback(
    caller: Caller,
    app: AppState,
    headers: HeaderMap,
    Query(brought): Query<Brought>,
) -> ApiResult<Response> {
    arrive(app, caller, GOOGLE, &headers, &brought).await
}

async fn depart(
    app: &AppState,
    caller: &Caller,
    name: &str,
    callback: &str,
    wish: &Wish,
) -> ApiResult<Response> {
    let begun = oidc::begin(app, caller, name, callback, local(&wish.next)).await;
    let departure = match begun {
        Ok(departure) => departure,
        Err(refusal) => return refused(refusal, name),
    };
    let mut response = redirect(&departure.url);
    if let Some(cookie) = departure.cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn arrive(
    app: AppState,
    caller: Caller,
    name: &str,
    headers: &HeaderMap,
    brought: &Brought,
) -> ApiResult<Response> {
    let clear = cookie::clear_flow(app.config.http.is_https());
    let brought = Return {
        code: &brought.code,
        state: &brought.state,
        issuer: brought.iss.as_deref(),
    };
    let mut response = match oidc::finish(&app, &caller, name, headers, &brought).await {
        Ok(arrival) => enter(app, caller, arrival.user, "oidc", &arrival.next).await?,
        Err(refusal) => refused(refusal, name)?,
    };
    if let Some(cookie) = clear {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Back to the login page.
fn refused(refusal: Refusal, name: &str) -> ApiResult<Response> {
    let code = match refusal {
        Refusal::Server(error) => return Err(error),
        Refusal::Unknown if name == GOOGLE => "google_not_configured",
        refusal => refusal.code(),
    };
    Ok(redirect(&format!("/login?error={code}")))
}
