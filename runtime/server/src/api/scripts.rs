//! `/api/scripts`: scripts that admins keep here. They are kept and listed, and never run: a script
//! has no sandbox, unlike a connector. All for admins.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::Script;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use warehouse::StateError;

use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

const MAX_NAME: usize = 200;
const MAX_SOURCE: usize = 256 << 10;

/// A script.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScriptView {
    #[schema(value_type = String)]
    id: Uuid,
    name: String,
    /// The id of who deployed it.
    owner: Option<String>,
    schedule: Option<String>,
    source: String,
    deployed_at: String,
    /// Always null: scripts are not run.
    last_run: Option<String>,
    /// Always null, likewise.
    last_status: Option<String>,
}

impl From<Script> for ScriptView {
    fn from(script: Script) -> Self {
        Self {
            id: script.id,
            name: script.name,
            owner: script.owner.map(|id| id.to_string()),
            schedule: script.schedule,
            source: script.source,
            deployed_at: script.deployed_at.to_string(),
            last_run: None,
            last_status: None,
        }
    }
}

/// Scripts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Scripts {
    scripts: Vec<ScriptView>,
    count: usize,
}

/// Lists the scripts by name.
#[utoipa::path(get, path = "/api/scripts", tag = "notifications",
    responses((status = 200, body = Scripts)))]
pub(crate) async fn list_scripts(app: AppState) -> ApiResult<Json<Scripts>> {
    blocking(move || {
        let scripts = app.state().scripts()?.into_iter();
        let scripts: Vec<_> = scripts.map(Into::into).collect();
        let count = scripts.len();
        Ok(Json(Scripts { scripts, count }))
    })
    .await
}

/// A script to keep.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewScript {
    name: String,
    source: String,
    /// When it is meant to run; only kept.
    schedule: Option<String>,
}

/// What was deployed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deployed {
    #[schema(value_type = String)]
    id: Uuid,
    name: String,
    schedule: Option<String>,
    owner: String,
}

/// Keeps a script. It is not run.
#[utoipa::path(post, path = "/api/scripts/deploy", tag = "notifications", request_body = NewScript,
    responses((status = 201, body = Deployed), (status = 422)))]
pub(crate) async fn deploy_script(
    by: By,
    app: AppState,
    Json(new): Json<NewScript>,
) -> ApiResult<(StatusCode, Json<Deployed>)> {
    let script = checked(&by, new)?;
    blocking(move || {
        let on = format!("script:{}", script.id);
        let entry = by.entry_with("script.deployed", on, json!({"name": script.name}));
        app.state().insert_script(&script, &entry)?;
        let deployed = Deployed {
            id: script.id,
            name: script.name,
            schedule: script.schedule,
            owner: by.user.to_string(),
        };
        Ok((StatusCode::CREATED, Json(deployed)))
    })
    .await
}

fn checked(by: &By, new: NewScript) -> ApiResult<Script> {
    let line = |text: &str| {
        let text = text.trim();
        text.len() <= MAX_NAME && !text.is_empty() && !text.chars().any(char::is_control)
    };
    if !line(&new.name) || !new.schedule.as_deref().is_none_or(line) {
        return Err(ApiError::invalid(
            "script-invalid",
            format!("name and schedule are lines of 1 to {MAX_NAME} bytes"),
        ));
    }
    if new.source.trim().is_empty() || new.source.len() > MAX_SOURCE {
        return Err(ApiError::invalid(
            "script-invalid",
            format!("source is empty or has more than {MAX_SOURCE} bytes"),
        ));
    }
    Ok(Script {
        id: Uuid::now_v7(),
        name: new.name.trim().to_owned(),
        owner: Some(by.user),
        schedule: new.schedule.map(|schedule| schedule.trim().to_owned()),
        source: new.source,
        deployed_at: Timestamp::now(),
    })
}

/// Removes a script.
#[utoipa::path(delete, path = "/api/scripts/{id}", tag = "notifications",
    params(("id" = String, Path, description = "The script")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn undeploy_script(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let entry = by.entry("script.undeployed", format!("script:{id}"));
        let gone = app.state().delete_script(id, &entry);
        gone.map_err(|error| match error {
            StateError::NotFound { .. } => {
                ApiError::not_found("script-not-found", "Script not found")
            }
            error => error.into(),
        })?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
