//! The start page, and the page on which whoever holds the one-time code becomes the first admin.

use axum::extract::{Form, Query};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use serde::Deserialize;

use crate::api::bootstrap::{Claim, claim};
use crate::app::{AppState, blocking};
use crate::auth::by::{Caller, SignedIn};
use crate::error::ApiResult;

/// `/`: whether the server works and where to go on.
pub(crate) async fn index(
    to: SignedIn,
    app: AppState,
    headers: HeaderMap,
) -> ApiResult<Html<String>> {
    let asked = app.clone();
    let (healthy, unclaimed) = blocking(move || {
        let state = asked.state();
        let healthy = state
            .schema_version()
            .is_ok_and(|(current, expected)| current == expected);
        Ok((
            healthy,
            state.bootstrap_code().is_ok_and(|code| code.is_some()),
        ))
    })
    .await?;
    let url = server_url(&app, &headers);
    app.pages
        .render("index.html", to, context! { healthy, unclaimed, url })
}

/// The code of the printed link.
#[derive(Deserialize)]
pub(crate) struct SetupLink {
    #[serde(default)]
    code: String,
}

/// `GET /setup`: the form.
pub(crate) async fn setup(
    to: SignedIn,
    app: AppState,
    headers: HeaderMap,
    Query(link): Query<SetupLink>,
) -> ApiResult<Html<String>> {
    let asked = app.clone();
    let waits = blocking(move || Ok(asked.state().bootstrap_code()?.is_some())).await?;
    let values = context! {
        token => "", claimed => !waits, error => "", email => "",
        code => link.code, url => server_url(&app, &headers),
    };
    app.pages.render("setup.html", to, values)
}

/// `POST /setup`: claims the server and shows the token, or the form again with what was wrong.
pub(crate) async fn claim_by_form(
    caller: Caller,
    app: AppState,
    headers: HeaderMap,
    Form(form): Form<Claim>,
) -> ApiResult<Response> {
    let (email, code) = (form.email.clone(), form.code.clone());
    let claimer = app.clone();
    let outcome = blocking(move || claim(&claimer, &caller, &form)).await;
    let (status, token, error) = match outcome {
        Ok(claimed) => (StatusCode::OK, claimed.access_token, String::new()),
        Err(error) if error.status.is_client_error() => (error.status, String::new(), error.detail),
        Err(error) => return Err(error),
    };
    let values = context! {
        token, claimed => false, error, email, code, url => server_url(&app, &headers),
    };
    Ok((
        status,
        app.pages.render("setup.html", SignedIn(false), values)?,
    )
        .into_response())
}

/// How the server is reached, for examples: as configured, else as this request reached it.
fn server_url(app: &AppState, headers: &HeaderMap) -> String {
    match &app.config.http.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            format!("http://{}", host.unwrap_or("127.0.0.1:8000"))
        }
    }
}
