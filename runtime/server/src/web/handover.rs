//! The page on which somebody lets a program of their own machine in. It takes a click: everybody can make a link to it.

use std::time::Instant;

use axum::extract::{Form, Query};
use axum::http::HeaderValue;
use axum::http::header::REFRESH;
use axum::response::{Html, IntoResponse as _, Response};
use minijinja::context;

use crate::api::tokens::usual_days;
use crate::app::AppState;
use crate::auth::By;
use crate::auth::by::SignedIn;
use crate::error::{ApiError, ApiResult};
use crate::handover::Asked;

const PAGE: &str = "handover.html";

/// `GET /cli/login`.
pub(crate) async fn ask(
    by: By,
    app: AppState,
    Query(asked): Query<Asked>,
) -> ApiResult<Html<String>> {
    let Asked {
        port,
        state,
        challenge,
        name,
    } = asked.checked()?;
    let email = by.email.clone();
    let days = usual_days(&app);
    let values = context! { url => "", email, days, port, state, challenge, name };
    app.pages.render(PAGE, SignedIn(true), values)
}

/// `POST /cli/login`.
pub(crate) async fn allow(by: By, app: AppState, Form(asked): Form<Asked>) -> ApiResult<Response> {
    let asked = asked.checked()?;
    let code = app.handover.allow(by.user, &asked, Instant::now())?;
    let url = asked.place(&code);
    let page = app
        .pages
        .render(PAGE, SignedIn(true), context! { url => url.as_str() })?;
    let mut response = page.into_response();
    // A redirect of a form to another origin is refused by browsers under this server's content security policy.
    let onward = HeaderValue::from_str(&format!("0; url={url}")).map_err(ApiError::internal)?;
    response.headers_mut().insert(REFRESH, onward);
    Ok(response)
}
