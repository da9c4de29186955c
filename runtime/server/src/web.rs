//! The pages: rendered on the server, without scripts, from templates and a style sheet that are part
//! of the binary.

pub(crate) mod account;
mod docs;
mod handover;
mod pages;
pub(crate) mod signin;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde_json::Value as Json;

use crate::api::oidc;
use crate::app::AppState;
use crate::auth::by::SignedIn;
use crate::error::{ApiError, ApiResult};

pub(crate) use pages::{claim_by_form, index, setup};

/// All templates, by the name under which they include each other.
const TEMPLATES: [(&str, &str); 9] = [
    (
        "base.html",
        include_str!("../../../web/templates/base.html"),
    ),
    (
        "index.html",
        include_str!("../../../web/templates/index.html"),
    ),
    (
        "setup.html",
        include_str!("../../../web/templates/setup.html"),
    ),
    (
        "login.html",
        include_str!("../../../web/templates/login.html"),
    ),
    (
        "password.html",
        include_str!("../../../web/templates/password.html"),
    ),
    (
        "link.html",
        include_str!("../../../web/templates/link.html"),
    ),
    (
        "account.html",
        include_str!("../../../web/templates/account.html"),
    ),
    (
        "handover.html",
        include_str!("../../../web/templates/handover.html"),
    ),
    (
        "docs.html",
        include_str!("../../../web/templates/docs.html"),
    ),
];

const CSS: &str = include_str!("../../../web/static/app.css");
const ICON: &str = include_str!("../../../web/static/icon.svg");

/// Templates, and what is rendered once at the start.
#[derive(Debug)]
pub(crate) struct Pages {
    templates: Environment<'static>,
    openapi: Bytes,
    /// The page of the API's reference, for visitors and for people who have signed in.
    docs: [String; 2],
}

impl Pages {
    /// Parses the templates and renders the page of the API's reference.
    pub(crate) fn new(openapi: &Json) -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_global("version", env!("CARGO_PKG_VERSION"));
        for (name, source) in TEMPLATES {
            templates.add_template(name, source)?;
        }
        let reference = Value::from(Serde(docs::Reference::of(openapi)));
        let docs = |signed_in| {
            render(
                &templates,
                "docs.html",
                SignedIn(signed_in),
                reference.clone(),
            )
        };
        Ok(Self {
            docs: [docs(false)?, docs(true)?],
            openapi: Bytes::from(openapi.to_string()),
            templates,
        })
    }

    /// The page of the API's reference.
    pub(crate) fn reference(&self, to: SignedIn) -> &str {
        let [visitors, people] = &self.docs;
        if to.0 { people } else { visitors }
    }

    /// A page of a template.
    fn render(&self, name: &str, to: SignedIn, values: Value) -> ApiResult<Html<String>> {
        render(&self.templates, name, to, values)
            .map(Html)
            .map_err(ApiError::internal)
    }
}

/// What every page shows depends on who sees it: how to sign in, or how to sign out.
fn render(
    templates: &Environment<'_>,
    name: &str,
    SignedIn(signed_in): SignedIn,
    values: Value,
) -> Result<String, minijinja::Error> {
    let values = context! { signed_in, ..values };
    templates.get_template(name)?.render(values)
}

/// Pages for people.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(index))
        .route("/setup", get(setup).post(claim_by_form))
        .route("/login", get(signin::login))
        .route("/logout", post(signin::logout))
        .route("/cli/login", get(handover::ask).post(handover::allow))
        .route("/account", get(account::show))
        .route("/account/password", post(account::change_password))
        .route("/account/sessions/end", post(account::end_session))
        .route(
            "/account/sessions/end-others",
            post(account::end_other_sessions),
        )
        .route("/account/tokens/revoke", post(account::revoke_token))
        .route("/auth/password/login/web", post(signin::login_by_form))
        .route("/auth/email/send-link/web", post(signin::send_link_by_form))
        .route("/auth/email/verify", get(signin::open_link))
        .route("/auth/email/verify/web", post(signin::verify_by_form))
        .route(
            "/auth/password/reset",
            get(signin::open_reset).post(signin::request_reset),
        )
        .route("/auth/password/reset/confirm", post(signin::confirm_reset))
        .route("/auth/password/setup", get(signin::open_setup))
        .route("/auth/password/setup/request", post(signin::request_setup))
        .route("/auth/password/setup/confirm", post(signin::confirm_setup))
        .route("/auth/oidc/{name}/login", get(oidc::login))
        .route("/auth/oidc/{name}/callback", get(oidc::callback))
        .route("/auth/google/login", get(oidc::google_login))
        .route("/auth/google/callback", get(oidc::google_callback))
        .route("/docs", get(docs))
        .route("/openapi.json", get(openapi))
        .route("/static/app.css", get(css))
        .route("/static/icon.svg", get(icon))
}

/// `/docs`.
pub(crate) async fn docs(to: SignedIn, app: AppState) -> Html<String> {
    Html(app.pages.reference(to).to_owned())
}

/// `/openapi.json`.
pub(crate) async fn openapi(app: AppState) -> Response {
    (
        [(CONTENT_TYPE, "application/json")],
        app.pages.openapi.clone(),
    )
        .into_response()
}

/// `/static/app.css`.
pub(crate) async fn css() -> Response {
    asset("text/css; charset=utf-8", CSS)
}

/// `/static/icon.svg`.
pub(crate) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_pages_hold_no_script_and_no_style_of_their_own() {
        for (name, source) in TEMPLATES {
            for forbidden in [
                "<script",
                "<style",
                "style=",
                "onclick",
                "javascript:",
                "|safe",
                "http",
            ] {
                let allowed = name == "base.html" && forbidden == "http";
                assert!(
                    allowed || !source.contains(forbidden),
                    "{name} holds {forbidden}"
                );
            }
        }
    }

    #[test]
    fn what_people_type_is_escaped() {
        let pages = Pages::new(&json!({"info": {"title": "x"}, "paths": {}})).unwrap();
        let values = context! { token => "", claimed => false, error => "<b>", email => "\"><script>", code => "", url => "" };
        let Html(page) = pages.render("setup.html", SignedIn(false), values).unwrap();
        assert!(
            !page.contains("<script>") && !page.contains("<b>"),
            "{page}"
        );
    }
}
