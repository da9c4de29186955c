//! `/api/health` and `/api/version`: open to everyone, asked all the time by probes and old clients;
//! and `/api/health/detailed` for those who are signed in.

mod checkup;
mod details;

use std::time::Instant;

use axum::Json;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use warehouse::State;

use crate::app::{App, AppState, blocking};
use crate::error::ApiResult;
pub(crate) use checkup::Checkup;
pub(crate) use details::Details;

/// Whether the server works.
#[derive(Debug, Clone, Serialize, ToSchema)]
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
/// The status code is always 200; `status` tells, as it was at most a second ago.
#[utoipa::path(get, path = "/api/health", tag = "health", security(()),
    responses((status = 200, body = Health)))]
pub(crate) async fn get_health(app: AppState) -> Json<Health> {
    let looked = app.clone();
    let look = async {
        let found = blocking(move || Ok(Health::of(&looked))).await;
        found.unwrap_or(Health::UNREACHABLE)
    };
    Json(app.health.at(Instant::now(), look).await)
}

impl Health {
    const UNREACHABLE: Self = Self {
        status: "unhealthy",
        db_schema: "unreachable",
        current: None,
        expected: None,
        detail: Some("The state cannot be read"),
    };

    /// As it is now.
    fn of(app: &App) -> Self {
        let Ok((current, expected)) = app.state().schema_version() else {
            return Self::UNREACHABLE;
        };
        let (status, db_schema) = match current == expected {
            true => ("ok", "ok"),
            false => ("unhealthy", "mismatch"),
        };
        Self {
            status,
            db_schema,
            current: Some(current),
            expected: Some(expected),
            detail: None,
        }
    }
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
pub(crate) async fn get_version(app: AppState) -> Json<Version> {
    // From memory: it is open to everyone.
    Json(Version::of(&app, State::SCHEMA))
}

impl Version {
    fn of(app: &App, schema_version: u32) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            channel: option_env!("SLUICE_CHANNEL").unwrap_or("dev"),
            image_tag: option_env!("SLUICE_IMAGE_TAG").unwrap_or("unknown"),
            commit_sha: option_env!("SLUICE_COMMIT_SHA").unwrap_or("unknown"),
            schema_version,
            deployed_at: app.metrics.started_at().to_string(),
        }
    }
}

/// Says how each part of the server is doing.
#[utoipa::path(get, path = "/api/health/detailed", tag = "health",
    responses((status = 200, body = Details)))]
pub(crate) async fn get_details(app: AppState) -> ApiResult<Json<Details>> {
    let details = blocking(move || Ok(details::examine(&app, Timestamp::now()))).await;
    details.map(Json)
}
