//! `/api/health` and `/api/version`: open to everyone, asked all the time by probes and old clients.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{AppState, blocking};
use crate::error::ApiResult;

/// Whether the server works.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` or `unhealthy`.
    status: &'static str,
    /// `ok`, `mismatch` or `unreachable`.
    db_schema: &'static str,
    /// The schema of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u32>,
    /// The schema that this server works with.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u32>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// Says whether the server works.
///
/// The status code is always 200; `status` tells.
#[utoipa::path(get, path = "/api/health", tag = "health", security(()),
    responses((status = 200, body = Health)))]
pub(crate) async fn get_health(app: AppState) -> Json<Health> {
    let schema = blocking(move || Ok(app.state().schema_version()?)).await;
    Json(match schema {
        Ok((current, expected)) if current == expected => Health {
            status: "ok",
            db_schema: "ok",
            current: Some(current),
            expected: Some(expected),
            detail: None,
        },
        Ok((current, expected)) => Health {
            status: "unhealthy",
            db_schema: "mismatch",
            current: Some(current),
            expected: Some(expected),
            detail: None,
        },
        Err(_) => Health {
            status: "unhealthy",
            db_schema: "unreachable",
            current: None,
            expected: None,
            detail: Some("The state cannot be read"),
        },
    })
}

/// Which build answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    /// The release.
    version: &'static str,
    /// The release channel.
    channel: &'static str,
    /// The container image's tag.
    image_tag: &'static str,
    /// The commit that it was built from.
    commit_sha: &'static str,
    /// The schema of the state.
    schema_version: u32,
    /// When the server started.
    deployed_at: String,
}

/// Says which build answers.
#[utoipa::path(get, path = "/api/version", tag = "health", security(()),
    responses((status = 200, body = Version)))]
pub(crate) async fn get_version(app: AppState) -> ApiResult<Json<Version>> {
    let started = app.started_at;
    let (schema_version, _) = blocking(move || Ok(app.state().schema_version()?)).await?;
    Ok(Json(Version {
        version: env!("CARGO_PKG_VERSION"),
        channel: option_env!("SLUICE_CHANNEL").unwrap_or("dev"),
        image_tag: option_env!("SLUICE_IMAGE_TAG").unwrap_or("unknown"),
        commit_sha: option_env!("SLUICE_COMMIT_SHA").unwrap_or("unknown"),
        schema_version,
        deployed_at: started.to_string(),
    }))
}
