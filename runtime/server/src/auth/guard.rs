//! The one gate before all routes: finds out who asks, and lets in whom the rules allow.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::access::{self, Demand, Refusal};
use domain::{Digest, Principal, TokenKind};
use jiff::Timestamp;
use serde_json::json;
use url::form_urlencoded;
use warehouse::AuditEntry;

use super::cookie;
use super::directory::{Holder, KnownToken, Person};
use crate::app::{App, AppState, blocking};
use crate::error::{ApiError, ApiResult};
use crate::middleware::client_address::ClientAddress;
use crate::web::signin::redirect;

/// The one route that also takes a token of its own.
const METRICS: &str = "/metrics";
/// The largest body of a refused request that is read, in bytes, and how long that may take.
const MOST_DRAINED: usize = 64 << 10;
const DRAINED_WITHIN: Duration = Duration::from_secs(1);

/// Refuses a request, or passes it on with its [`Principal`].
pub(crate) async fn guard(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&app, &parts).await {
        Ok(principal) => {
            if let Some(principal) = principal {
                parts.extensions.insert(principal);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => {
            drain(&parts.headers, body).await;
            match login_page(&parts, &error) {
                Some(page) => redirect(&page),
                None => error.into_response(),
            }
        }
    }
}

/// Where a browser is sent that asks for a page and has to sign in first.
fn login_page(parts: &Parts, error: &ApiError) -> Option<String> {
    let accepted = parts.headers.get(ACCEPT)?.to_str().ok()?;
    let is_page = parts.method == Method::GET && accepted.contains("text/html");
    let target = parts.extensions.get::<OriginalUri>()?.path_and_query()?;
    let is_needed = error.status == StatusCode::UNAUTHORIZED && is_page;
    let next: String = form_urlencoded::byte_serialize(target.as_str().as_bytes()).collect();
    is_needed.then(|| format!("/login?next={next}"))
}

/// Reads what was sent already with a request that is refused: a client that finds its connection
/// closed over an unread body cannot read the answer.
async fn drain(headers: &HeaderMap, body: Body) {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length <= MOST_DRAINED) {
        let read = axum::body::to_bytes(body, MOST_DRAINED);
        // A body that does not come costs its sender the connection.
        let _ = tokio::time::timeout(DRAINED_WITHIN, read).await;
    }
}

async fn admit(app: &AppState, parts: &Parts) -> ApiResult<Option<Principal>> {
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str);
    let Some(demand) = app.rules.demand(&parts.method, path) else {
        return Err(match app.rules.knows(path) {
            true => ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method Not Allowed",
            ),
            false => ApiError::forbidden("Nobody may do this"),
        });
    };
    if demand == Demand::Public && cookie::is_foreign(&parts.method, &parts.headers) {
        return Err(elsewhere());
    }
    if demand == Demand::Public {
        return Ok(visitor(app, parts).await);
    }
    if path == METRICS && is_watcher(app, &parts.headers) {
        return Ok(None);
    }
    let principal = match credential(app, parts)? {
        Some(text) => Some(authenticate(app, text, address(parts)).await?),
        None => None,
    };
    access::decide(principal.as_ref(), demand)?;
    Ok(principal)
}

/// Whose browser asks for what anybody may have: pages show it, and the session ends with the next sign-in.
async fn visitor(app: &AppState, parts: &Parts) -> Option<Principal> {
    let session = cookie::read(&parts.headers, app.config.http.is_https())?;
    authenticate(app, session, address(parts)).await.ok()
}

fn address(parts: &Parts) -> Option<IpAddr> {
    let address = parts.extensions.get::<ClientAddress>();
    address.map(|address| address.0)
}

fn elsewhere() -> ApiError {
    ApiError::forbidden("This request does not come from a page of this server")
}

/// Whether the request carries the token that was configured for whoever watches the metrics.
fn is_watcher(app: &App, headers: &HeaderMap) -> bool {
    let expected = app.config.http.metrics_token.as_ref();
    bearer(headers)
        .zip(expected)
        .is_some_and(|(given, expected)| {
            // By digest, so that the time tells nothing about how much of it was right.
            Digest::of(given.as_bytes()) == Digest::of(expected.expose())
        })
}

/// What the request shows: a bearer token, or else a session's cookie.
fn credential<'a>(app: &App, parts: &'a Parts) -> ApiResult<Option<&'a str>> {
    let headers = &parts.headers;
    if headers.contains_key(AUTHORIZATION) {
        return Ok(bearer(headers));
    }
    let Some(session) = cookie::read(headers, app.config.http.is_https()) else {
        return Ok(None);
    };
    if !cookie::is_same_origin(&parts.method, headers) {
        return Err(elsewhere());
    }
    Ok(Some(session))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value
        .strip_prefix("Bearer ")
        .filter(|token| !token.is_empty())
}

/// Who holds this token. It is looked up by the sha256 of its text, so how long that takes tells
/// nothing about the text.
async fn authenticate(app: &AppState, text: &str, address: Option<IpAddr>) -> ApiResult<Principal> {
    let hash = Digest::of(text.as_bytes());
    // Before the check: what new keys would refuse is not to count as checked by them.
    let keys = app.tokens.version();
    let (known, person) = match app.directory.cached(&hash) {
        Some(holder) if holder.0.is_checked_by(keys) => holder,
        _ => check_signature(app, text, hash, keys).await?,
    };
    let idle = app.config.auth.session_idle_hours;
    let principal = check(&known, person.as_deref(), i64::from(idle) * 3600)?;
    note_use(app, known, address);
    Ok(principal)
}

/// What is kept of a token whose signature is good. The state is asked for no other.
async fn check_signature(app: &AppState, text: &str, hash: Digest, keys: u64) -> ApiResult<Holder> {
    let claims = app
        .tokens
        .check(text)
        .map_err(|_| ApiError::unauthorized("Invalid or expired token"))?;
    let directory = app.clone();
    let found = blocking(move || Ok(directory.directory.find(&hash)?)).await?;
    let holder = found.ok_or_else(|| ApiError::unauthorized("Token unknown"))?;
    let token = &holder.0.token;
    if token.id != claims.jti || token.user != claims.sub || claims.typ != token.kind.as_str() {
        return Err(ApiError::unauthorized("Token mismatch"));
    }
    holder.0.set_checked_by(keys);
    Ok(holder)
}

/// Whether what the server remembers of a token lets its holder in now. A session ends after so many
/// seconds without a request.
fn check(known: &KnownToken, person: Option<&Person>, idle: i64) -> ApiResult<Principal> {
    let token = &known.token;
    let now = Timestamp::now();
    let refused = |words| Err(ApiError::unauthorized(words));
    let Some(person) = person else {
        return refused("User not found");
    };
    if token.revoked_at.is_some() {
        return refused("Token revoked");
    }
    let is_idle = token.kind == TokenKind::Session && known.idle_seconds(now.as_second()) > idle;
    if token.expires_at <= now || is_idle {
        return refused("Token expired");
    }
    if !person.user.active {
        return refused("Account deactivated");
    }
    Ok(person.principal(token))
}

/// Notes, once a minute, that a token was used; a request does not wait for that.
fn note_use(app: &AppState, known: Arc<KnownToken>, address: Option<IpAddr>) {
    let now = Timestamp::now();
    if !known.is_due(now.as_second()) {
        return;
    }
    let app = app.clone();
    tokio::task::spawn_blocking(move || {
        let token = &known.token;
        let from = address.map_or_else(String::new, |address| address.to_string());
        let entry = first_use_from(&known, &from, address);
        let noted = app
            .state()
            .touch_token(token.id, now, &from, entry.as_ref());
        if let Err(error) = noted {
            tracing::warn!(%error, "the use of a token could not be noted");
        }
    });
}

/// A token that comes from another address than before may have been stolen.
fn first_use_from(known: &KnownToken, from: &str, address: Option<IpAddr>) -> Option<AuditEntry> {
    let token = &known.token;
    let before = token
        .last_used_from
        .as_deref()
        .filter(|before| *before != from)?;
    Some(AuditEntry {
        user: Some(token.user),
        token: Some(token.id),
        resource: Some(format!("token:{}", token.id)),
        params: json!({"ip": from, "previous_ip": before}),
        address,
        ..AuditEntry::new("token.first_use_new_ip")
    })
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Anonymous => Self::unauthorized(refusal.to_string()),
            _ => Self::forbidden(refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bearer_form_is_read() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", None),
            ("Bearer ", None),
            ("Basic abc", None),
            ("abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), token, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
