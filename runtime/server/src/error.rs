//! What clients are told when something goes wrong: the one place that maps the crates' errors to
//! status codes.
//!
//! | status | when |
//! |---|---|
//! | 400 | the request cannot be read, a query is refused or fails, a component is not acceptable |
//! | 401, 403 | no valid token, a used code |
//! | 404 | there is no such thing |
//! | 409 | it is there already, or the moment is wrong |
//! | 413 | a body is too large |
//! | 429 | too many attempts, or too many at once |
//! | 422 | it can be read and makes no sense: settings, grants, names |
//! | 500, 503 | the server's own trouble: the cause is in its log, under the request id |

use std::error::Error as StdError;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::{Failure, FailureKind};
use ingest::IngestError;
use serde::Serialize;
use warehouse::{BackupError, ProfileError, QueryError, StateError};

use crate::components::UploadError;

/// What a handler returns.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// One of several things that are wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// An RFC 6901 pointer to it.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) message: String,
}

/// An error on its way to a client. It becomes a body in `middleware::problems`, which knows the
/// request's id and logs the cause.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// Names the kind of error for programs; stays the same when words change.
    pub(crate) code: &'static str,
    /// What was wrong and what to do.
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    /// What stands for `detail` in the body where old clients read an object there.
    pub(crate) object: Option<Box<serde_json::Value>>,
    /// When to come back, of what was too much.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            object: None,
            retry_after: None,
            cause: None,
        }
    }

    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub(crate) fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// Too much at once: the client learns when to come back.
    pub(crate) fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail)
        }
    }

    /// The server's own trouble: the client learns that, and nothing about the inside.
    pub(crate) fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed at this; its log has the cause under this request id",
            )
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        let detail = error.to_string();
        match error {
            StateError::AlreadyExists { .. } => Self::conflict("already-exists", detail),
            StateError::NotFound { .. } => Self::not_found("not-found", detail),
            StateError::LastAdmin => Self::conflict("last-admin", detail),
            _ => Self::internal(error),
        }
    }
}

/// Only the operator at the machine itself gets to see these, so the cause is told.
impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::State(error) => error.into(),
            BackupError::Exists(_) => Self::conflict("already-exists", error.to_string()),
            error => Self::invalid("backup-failed", chain(&error)),
        }
    }
}

impl From<ProfileError> for ApiError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Remote(_) => Self::conflict("table-remote", error.to_string()),
            ProfileError::Stopped { .. } => Self::conflict("profile-stopped", error.to_string()),
            ProfileError::Engine { .. } => Self::internal(error),
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let detail = error.to_string();
        match error {
            QueryError::Refused { .. } => Self::bad_request("query-refused", detail),
            // Not 404: old clients read that as a route that is missing.
            QueryError::UnknownTable { .. } => Self::bad_request("table-unknown", detail),
            QueryError::Sql { .. } => {
                Self::bad_request("query-failed", format!("Query error: {detail}"))
            }
            QueryError::Timeout { .. } => Self::bad_request("query-timeout", detail),
            QueryError::Cancelled => Self::bad_request("query-cancelled", detail),
            QueryError::Unreachable => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                ..Self::bad_request("remote-unreachable", detail)
            },
            QueryError::Engine { .. } => Self::internal(error),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Refused(reason) => {
                Self::bad_request("component-refused", reason.to_string())
            }
            UploadError::Settings(reason) => {
                Self::bad_request("component-refused", reason.to_string())
            }
            UploadError::Compile(failure) => Self::bad_request(
                "component-refused",
                format!("the component cannot be compiled: {failure}"),
            ),
            UploadError::State(error) => error.into(),
            UploadError::Storage(error) => Self::internal(error),
        }
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let detail = error.to_string();
        match error {
            IngestError::UnknownSource(_) => Self::not_found("source-not-found", detail),
            IngestError::UnknownRun(_) => Self::conflict("run-not-under-way", detail),
            IngestError::UnknownVersion(_) => Self::conflict("version-missing", detail),
            IngestError::NotTrusted { .. } => Self::conflict("version-not-trusted", detail),
            IngestError::Disabled(_) => Self::conflict("source-disabled", detail),
            IngestError::Moving(_) => Self::conflict("source-moving", detail),
            IngestError::TooManyWaiting { .. } => Self::too_many(detail, Duration::from_secs(60)),
            IngestError::NotGranted { .. } => Self::conflict("not-granted", detail),
            IngestError::AlreadyRunning { .. } => Self::conflict("already-running", detail),
            IngestError::Settings(found) => Self {
                errors: found
                    .into_iter()
                    .map(|e| FieldError {
                        pointer: e.pointer,
                        message: e.message,
                    })
                    .collect(),
                ..Self::invalid("settings-invalid", detail)
            },
            IngestError::Schema(_) | IngestError::Manifest(_) => {
                Self::invalid("settings-invalid", detail)
            }
            IngestError::BeyondGrant(_) => Self::invalid("beyond-grant", detail),
            IngestError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail),
            IngestError::Failure(failure) => failure.into(),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Config | FailureKind::Auth => Self::invalid("failed", failure.message),
            FailureKind::Limit => Self::conflict("limit", failure.message),
            FailureKind::RateLimited | FailureKind::Upstream | FailureKind::Bug => {
                Self::internal(failure)
            }
        }
    }
}

/// An error and what caused it, outermost first.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SourceName;
    use ingest::SettingsError;
    use sandbox::artifact::ArtifactError;

    #[track_caller]
    fn maps(error: impl Into<ApiError>, status: u16, code: &str) -> ApiError {
        let error = error.into();
        assert_eq!((error.status.as_u16(), error.code), (status, code));
        error
    }

    #[test]
    fn each_error_has_its_status_and_code() {
        let source = SourceName::parse("shop").unwrap();
        maps(IngestError::UnknownSource(source), 404, "source-not-found");
        maps(IngestError::BeyondGrant(Vec::new()), 422, "beyond-grant");
        maps(IngestError::Stopping, 503, "stopping");
        let unsigned = UploadError::Refused(ArtifactError::Unsigned);
        maps(unsigned, 400, "component-refused");
        let refused = QueryError::Refused { reason: "x".into() };
        maps(refused, 400, "query-refused");
        let exists = StateError::AlreadyExists {
            what: "source",
            name: "shop".into(),
        };
        maps(exists, 409, "already-exists");
    }

    #[test]
    fn each_mistake_in_settings_is_told_with_its_place() {
        let found = SettingsError {
            pointer: "/tables/0".into(),
            message: "is missing".into(),
        };
        let error = maps(IngestError::Settings(vec![found]), 422, "settings-invalid");
        assert!(
            error.detail.contains("/tables/0: is missing"),
            "{}",
            error.detail
        );
        assert_eq!(error.errors[0].pointer, "/tables/0");
    }

    #[test]
    fn the_servers_own_trouble_is_kept_for_the_log() {
        let reason = "/data/secret/path".to_owned();
        let error = maps(QueryError::Engine { reason }, 500, "internal");
        assert!(!error.detail.contains("secret"), "{}", error.detail);
        assert!(error.cause.unwrap().to_string().contains("secret"));
    }
}
