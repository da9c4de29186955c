//! Who asks: every route but the public ones takes a [`Principal`], which exists only after the
//! request's token was checked.

pub(crate) mod token;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::Digest;
use uuid::Uuid;
use warehouse::State;

use crate::app::{AppState, blocking};
use crate::error::{ApiError, ApiResult};
use token::Claims;

/// An admin: the only kind of user of this release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The user.
    pub(crate) user: Uuid,
    /// The user's address, for the audit.
    pub(crate) email: String,
}

impl FromRequestParts<AppState> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> ApiResult<Self> {
        let text = bearer(&parts.headers)
            .ok_or_else(|| ApiError::unauthorized("Missing or invalid Authorization header"))?;
        let claims = app
            .tokens
            .check(text)
            .map_err(|_| ApiError::unauthorized("Invalid or expired token"))?;
        let hash = Digest::of(text.as_bytes());
        let app = app.clone();
        blocking(move || admit(app.state(), &claims, &hash)).await
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value
        .strip_prefix("Bearer ")
        .filter(|token| !token.is_empty())
}

/// Whether the state knows the token and its user. The token is looked up by the sha256 of its text,
/// so how long that takes tells nothing about the text.
fn admit(state: &State, claims: &Claims, hash: &Digest) -> ApiResult<Principal> {
    let token = state
        .token(hash)?
        .ok_or_else(|| ApiError::unauthorized("Token unknown"))?;
    if token.id != claims.jti || token.user != claims.sub {
        return Err(ApiError::unauthorized("Token mismatch"));
    }
    if token.revoked_at.is_some() {
        return Err(ApiError::unauthorized("Token revoked"));
    }
    let user = state
        .user(token.user)?
        .ok_or_else(|| ApiError::unauthorized("User not found"))?;
    if user.role != "admin" {
        return Err(ApiError::forbidden("Admin access required"));
    }
    Ok(Principal {
        user: user.id,
        email: user.email,
    })
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
