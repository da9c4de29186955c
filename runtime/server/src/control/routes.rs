//! What the admin socket answers. A command that needs the serving server adds its route here.

use axum::extract::{ConnectInfo, Query};
use axum::routing::{get, post};
use axum::{Json, Router};
use domain::Digest;
use serde::{Deserialize, Serialize};
use warehouse::{AuditRecord, AuditReport, CheckReport, Manifest};

use super::break_glass::{Admitted, BreakGlass, BreakGlassError, break_glass};
use super::operations::{self, AuditQuery, BackupRequest};
use super::socket::Operator;
use crate::app::{AppState, blocking};
use crate::credentials::ResealError;
use crate::error::{ApiError, ApiResult};

/// A head of the audit log that was noted earlier.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct NotedHead {
    pub(crate) head: Option<Digest>,
}

/// A new master key is in use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rotated {
    /// The values that were sealed anew.
    pub(crate) credentials: u64,
}

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/backup", post(back_up))
        .route("/check", get(check))
        .route("/break-glass", post(admit))
        .route("/rotate-token-key", post(rotate_token_key))
        .route("/rotate-key", post(rotate_key))
        .route("/audit/verify", get(verify_audit))
        .route("/audit/entries", get(list_audit_entries))
}

async fn back_up(
    app: AppState,
    ConnectInfo(operator): ConnectInfo<Operator>,
    Json(request): Json<BackupRequest>,
) -> ApiResult<Json<Manifest>> {
    let manifest = blocking(move || {
        let paths = &app.warehouse.paths;
        let key = app.config.master_key_file();
        let taken = operations::back_up(app.state(), paths, &key, &request, operator);
        Ok(taken?)
    });
    Ok(Json(manifest.await?))
}

async fn admit(
    app: AppState,
    ConnectInfo(operator): ConnectInfo<Operator>,
    Json(request): Json<BreakGlass>,
) -> ApiResult<Json<Admitted>> {
    let admitted = blocking(move || {
        break_glass(app.state(), app.url(), &request, operator).map_err(|error| match error {
            BreakGlassError::Address(_) => ApiError::invalid("email-invalid", error.to_string()),
            BreakGlassError::State(error) => error.into(),
            BreakGlassError::Link(error) => ApiError::internal(error),
        })
    });
    Ok(Json(admitted.await?))
}

async fn rotate_token_key(
    app: AppState,
    ConnectInfo(operator): ConnectInfo<Operator>,
) -> ApiResult<Json<()>> {
    blocking(move || {
        app.tokens.rotate().map_err(ApiError::internal)?;
        app.state().audit(&operations::rotated(operator))?;
        Ok(Json(()))
    })
    .await
}

async fn rotate_key(
    app: AppState,
    ConnectInfo(operator): ConnectInfo<Operator>,
) -> ApiResult<Json<Rotated>> {
    blocking(move || {
        let entry = operations::key_rotated(operator);
        let rotated = app.credentials.rotate(&entry).map_err(|error| match error {
            ResealError::Environment => ApiError::conflict("key-not-here", error.to_string()),
            error => ApiError::internal(error),
        });
        Ok(Json(Rotated {
            credentials: rotated?,
        }))
    })
    .await
}

async fn check(app: AppState) -> ApiResult<Json<CheckReport>> {
    Ok(Json(blocking(move || Ok(app.state().check()?)).await?))
}

async fn verify_audit(app: AppState, noted: Query<NotedHead>) -> ApiResult<Json<AuditReport>> {
    let verify = move || Ok(app.state().verify_audit(noted.head.as_ref())?);
    Ok(Json(blocking(verify).await?))
}

async fn list_audit_entries(
    app: AppState,
    query: Query<AuditQuery>,
) -> ApiResult<Json<Vec<AuditRecord>>> {
    let page = move || Ok(operations::audit_page(app.state(), &query)?);
    Ok(Json(blocking(page).await?))
}
