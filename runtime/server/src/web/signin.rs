//! The pages on which people sign in, and set a password by a link.

use axum::extract::{Form, Query};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use domain::{Secret, User};
use identity::link::Purpose;
use minijinja::context;
use serde::Deserialize;

use crate::api::signin::{OpenedLink, by_opened, redeem};
use crate::app::{AppState, blocking};
use crate::auth::by::{Caller, SignedIn};
use crate::auth::session;
use crate::error::{ApiError, ApiResult};
use crate::signin;

/// Where people are sent who did not come from anywhere.
const HOME: &str = "/";

/// What stands in the URL of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct LoginPage {
    next: String,
    error: String,
    notice: String,
}

/// `GET /login`.
pub(crate) async fn login(
    to: SignedIn,
    app: AppState,
    Query(page): Query<LoginPage>,
) -> ApiResult<Html<String>> {
    let auth = &app.config.auth;
    let providers: Vec<_> = auth
        .oidc
        .iter()
        .map(|provider| context! { name => provider.name.to_string(), title => provider.title.as_deref().unwrap_or(&provider.name) })
        .collect();
    let values = context! {
        error => explained(&page.error),
        notice => if page.notice == "sent" { "If this address is known here, a mail is on its way." } else { "" },
        next => local(&page.next),
        passwords => auth.password.enabled,
        links => auth.magic_link.enabled,
        mail => app.signin.has_mail(),
        providers,
    };
    app.pages.render("login.html", to, values)
}

/// The words for a code. Never what stands in the URL itself: anybody can write that.
fn explained(code: &str) -> &'static str {
    match code {
        "" => "",
        "invalid" => "Invalid email or password",
        "busy" => "Too many attempts; try again in a moment",
        "link" => "Invalid or expired link",
        "no_email" => "The provider did not confirm your e-mail address",
        "domain_not_allowed" => "Your e-mail address may not sign in here; ask an admin",
        "identity_replaced" => {
            "Your e-mail address belonged to another account of the provider; ask an admin"
        }
        "deactivated" => "Your account is deactivated; ask an admin",
        _ => "Signing in did not work; try again, or ask an admin",
    }
}

/// The path to go on to, if it is one of this server.
pub(crate) fn local(next: &str) -> &str {
    let plain = next
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match next.strip_prefix('/') {
        Some(rest) if plain && !rest.starts_with('/') => next,
        _ => HOME,
    }
}

/// Sends a browser on.
pub(crate) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static(HOME));
    response.headers_mut().insert(LOCATION, to);
    response
}

/// Begins a session in a browser and sends it on.
pub(crate) async fn enter(
    app: AppState,
    caller: Caller,
    user: User,
    method: &'static str,
    next: &str,
) -> ApiResult<Response> {
    let mut response = redirect(local(next));
    let cookie = blocking(move || {
        let session = session::begin(&app, &caller, &user, method)?;
        Ok(session.cookie(&app))
    });
    if let Some(cookie) = cookie.await? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The form of the login page.
#[derive(Deserialize)]
pub(crate) struct LoginForm {
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /auth/password/login/web`.
pub(crate) async fn login_by_form(
    caller: Caller,
    app: AppState,
    Form(form): Form<LoginForm>,
) -> ApiResult<Response> {
    let password = Secret::new(form.password);
    match signin::by_password(&app, &caller, &form.email, password).await {
        Ok(user) => enter(app, caller, user, "password", &form.next).await,
        Err(error) => refused(&error, "invalid", &form.next).ok_or(error),
    }
}

/// Back to the login page, for what its visitor can mend.
fn refused(error: &ApiError, code: &str, next: &str) -> Option<Response> {
    let code = match error.status {
        StatusCode::TOO_MANY_REQUESTS => "busy",
        status if status.is_client_error() => code,
        _ => return None,
    };
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("error", code)
        .append_pair("next", local(next))
        .finish();
    Some(redirect(&format!("/login?{query}")))
}

/// Which mail somebody wants.
#[derive(Deserialize)]
pub(crate) struct MailForm {
    email: String,
    #[serde(default)]
    purpose: String,
}

/// `POST /auth/email/send-link/web`.
pub(crate) async fn send_link_by_form(
    caller: Caller,
    app: AppState,
    Form(form): Form<MailForm>,
) -> ApiResult<Response> {
    if let Err(error) = app.signin.attempt(&caller) {
        return refused(&error, "invalid", HOME).ok_or(error);
    }
    let purpose = match form.purpose.as_str() {
        "reset" => Purpose::Reset,
        "setup" => Purpose::SetUp,
        _ => Purpose::SignIn,
    };
    if purpose != Purpose::SignIn || app.config.auth.magic_link.enabled {
        signin::request_link(&app, caller, &form.email, purpose);
    }
    Ok(redirect("/login?notice=sent"))
}

/// `POST /auth/password/reset` and `POST /auth/password/setup/request`, as the predecessor's forms
/// send them.
pub(crate) async fn request_reset(
    caller: Caller,
    app: AppState,
    Form(mut form): Form<MailForm>,
) -> ApiResult<Response> {
    form.purpose = "reset".into();
    send_link_by_form(caller, app, Form(form)).await
}

/// See [`request_reset`].
pub(crate) async fn request_setup(
    caller: Caller,
    app: AppState,
    Form(mut form): Form<MailForm>,
) -> ApiResult<Response> {
    form.purpose = "setup".into();
    send_link_by_form(caller, app, Form(form)).await
}

/// `GET /auth/email/verify`: a button, so that a program which opens links does not use this one up.
pub(crate) async fn open_link(
    app: AppState,
    Query(link): Query<OpenedLink>,
) -> ApiResult<Html<String>> {
    let values = context! { email => link.email, token => link.token };
    app.pages.render("link.html", SignedIn(false), values)
}

/// `POST /auth/email/verify/web`.
pub(crate) async fn verify_by_form(
    caller: Caller,
    app: AppState,
    Form(link): Form<OpenedLink>,
) -> ApiResult<Response> {
    match by_opened(&app, &caller, &link).await {
        Ok(user) => enter(app, caller, user, "link", HOME).await,
        Err(error) => refused(&error, "link", HOME).ok_or(error),
    }
}

const RESET: &str = "/auth/password/reset/confirm";
const SETUP: &str = "/auth/password/setup/confirm";

/// `GET /auth/password/reset`.
pub(crate) async fn open_reset(
    app: AppState,
    Query(link): Query<OpenedLink>,
) -> ApiResult<Html<String>> {
    show_form(&app, RESET, &link, "")
}

/// `GET /auth/password/setup`.
pub(crate) async fn open_setup(
    app: AppState,
    Query(link): Query<OpenedLink>,
) -> ApiResult<Html<String>> {
    show_form(&app, SETUP, &link, "")
}

fn show_form(
    app: &AppState,
    action: &str,
    link: &OpenedLink,
    error: &str,
) -> ApiResult<Html<String>> {
    let values = context! {
        action, error, email => &link.email, token => &link.token,
        min_length => app.config.auth.password.min_length,
    };
    app.pages.render("password.html", SignedIn(false), values)
}

/// A new password, twice.
#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    #[serde(flatten)]
    link: OpenedLink,
    #[serde(default)]
    password: String,
    #[serde(default)]
    confirm_password: String,
}

/// `POST /auth/password/reset/confirm`.
pub(crate) async fn confirm_reset(
    caller: Caller,
    app: AppState,
    Form(form): Form<PasswordForm>,
) -> ApiResult<Response> {
    confirm(caller, app, form, RESET, Purpose::Reset).await
}

/// `POST /auth/password/setup/confirm`.
pub(crate) async fn confirm_setup(
    caller: Caller,
    app: AppState,
    Form(form): Form<PasswordForm>,
) -> ApiResult<Response> {
    confirm(caller, app, form, SETUP, Purpose::SetUp).await
}

async fn confirm(
    caller: Caller,
    app: AppState,
    form: PasswordForm,
    action: &str,
    purpose: Purpose,
) -> ApiResult<Response> {
    let OpenedLink { email, token } = &form.link;
    let result = match form.password == form.confirm_password {
        true => redeem(&app, &caller, email, token, purpose, form.password).await,
        false => Err(ApiError::bad_request("mismatch", "Passwords do not match.")),
    };
    match result {
        Ok(user) => enter(app, caller, user, "password", HOME).await,
        Err(error) if error.status.is_client_error() => {
            let page = show_form(&app, action, &form.link, &error.detail)?;
            Ok((error.status, page).into_response())
        }
        Err(error) => Err(error),
    }
}

/// `POST /logout`: ends the session of this browser.
pub(crate) async fn logout(by: crate::auth::By, app: AppState) -> ApiResult<(HeaderMap, Response)> {
    let (_, headers) = crate::api::tokens::logout(by, app).await?;
    Ok((headers, redirect("/login")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for path in ["/", "/sources?x=1", "/a/b#c"] {
            assert_eq!(local(path), path);
        }
        for next in [
            "",
            "//evil.org",
            "/\\evil.org",
            "https://evil.org",
            "evil",
            "/a\nb",
            "/a b",
            "javascript:alert(1)",
            "\\\\evil.org",
            "/\t/evil.org",
        ] {
            assert_eq!(local(next), HOME, "{next:?}");
        }
    }
}
