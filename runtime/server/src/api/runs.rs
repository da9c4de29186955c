//! `/api/runs` and `/api/sources/{name}/runs`: what was executed, what it said and where it went.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use domain::agenda::Trigger;
use domain::run::{EgressRow, LogLine};
use domain::series::Point;
use domain::{Operation, Run, RunId, SourceName, TableInfo, TableName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{shapes, sources};
use crate::app::{App, AppState, blocking};
use crate::auth::{By, may_run};
use crate::error::{ApiError, ApiResult};

const DEFAULT_RUNS: u32 = 50;
const MAX_RUNS: u32 = 1_000;
/// A log is capped in bytes when it is written; this only bounds one answer.
const MAX_LINES: u32 = 100_000;

/// A run; after a `discover` also what it listed.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunView {
    #[serde(flatten)]
    #[schema(value_type = shapes::Run)]
    run: Run,
    /// The tables that a `discover` run listed, for a while after its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<shapes::TableInfo>>)]
    tables: Option<Vec<TableInfo>>,
    /// Who wanted it: `person` or `schedule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    trigger: Option<Trigger>,
    /// Counts from 1; higher ones are tries after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
}

/// What to run.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StartRun {
    /// `sync` by default; `check` tries settings and credentials, `discover` lists tables.
    #[schema(value_type = Option<String>)]
    operation: Option<Operation>,
    /// The tables to bring; all by default.
    #[schema(value_type = Option<Vec<String>>)]
    tables: Option<Vec<TableName>>,
}

/// Starts a run of a source.
///
/// The answer comes at once; `/api/runs/{id}/events` tells how it goes on. The run begins once the source is neither run nor
/// changed, also where the server is restarted before that. One that waits already and does the same is the answer instead.
#[utoipa::path(post, path = "/api/sources/{name}/runs", tag = "runs",
    params(("name" = String, Path, description = "The source")),
    request_body = Option<StartRun>,
    responses((status = 202, body = shapes::Run), (status = 404),
        (status = 409, description = "It is disabled, or its version is not trusted"),
        (status = 422, description = "The version asks for more than was granted"),
        (status = 429, description = "Too many runs wait already")))]
pub(crate) async fn start_run(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    body: Option<Json<StartRun>>,
) -> ApiResult<(StatusCode, Json<Run>)> {
    let start = body.map(|Json(start)| start).unwrap_or_default();
    let operation = start.operation.unwrap_or(Operation::Sync);
    if operation == Operation::Receive {
        let detail = "A delivery starts a run of `receive` itself: POST it to /api/hooks/{source}";
        return Err(ApiError::invalid("operation-invalid", detail));
    }
    let tables = start.tables.unwrap_or_default();
    let run = blocking(move || {
        sources::find_runnable(&app, &by, &name)?;
        let run = app.ingest.start(&name, operation, tables)?;
        let what = json!({"run": run.id, "operation": operation.as_str()});
        let entry = by.entry_with("run.start", format!("source:{name}"), what);
        app.state().audit(&entry)?;
        tracing::info!(run = %run.id, source = %run.source, user = %by.user, "run {} was started", run.id);
        Ok(run)
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(run)))
}

/// Which runs to list.
#[derive(Deserialize, IntoParams)]
pub(crate) struct RunFilter {
    /// Only runs of this source.
    #[param(value_type = Option<String>)]
    source: Option<SourceName>,
    /// At most so many; 50 by default, 1000 at most.
    limit: Option<u32>,
}

/// Runs, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Runs {
    #[schema(value_type = Vec<shapes::Run>)]
    runs: Vec<Run>,
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/api/runs", tag = "runs", params(RunFilter),
    responses((status = 200, body = Runs)))]
pub(crate) async fn list_runs(
    by: By,
    app: AppState,
    Query(filter): Query<RunFilter>,
) -> ApiResult<Json<Runs>> {
    let limit = filter.limit.unwrap_or(DEFAULT_RUNS).clamp(1, MAX_RUNS);
    blocking(move || {
        // Whoever may not see all runs gets those among the newest that may be seen.
        let read = if by.is_admin { limit } else { MAX_RUNS };
        let mut runs = app.state().runs(filter.source.as_ref(), read)?;
        runs.retain(|run| may_run(&by, run.source.as_str()));
        runs.truncate(limit as usize);
        Ok(Json(Runs { runs }))
    })
    .await
}

/// Shows a run.
#[utoipa::path(get, path = "/api/runs/{id}", tag = "runs",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = RunView), (status = 404)))]
pub(crate) async fn get_run(
    by: By,
    app: AppState,
    Path(id): Path<RunId>,
) -> ApiResult<Json<RunView>> {
    blocking(move || {
        let run = find(&app, &by, id)?;
        let tables = app.ingest.discovered(id);
        let order = app.state().order(id)?;
        Ok(Json(RunView {
            run,
            tables,
            trigger: order.as_ref().map(|order| order.trigger),
            attempt: order.map(|order| order.attempt),
        }))
    })
    .await
}

/// Asks a run to stop.
///
/// It has stopped when its state says so; one that only waited has, at once.
#[utoipa::path(post, path = "/api/runs/{id}/cancel", tag = "runs",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = shapes::Run), (status = 404), (status = 409, description = "It has ended")))]
pub(crate) async fn cancel_run(
    by: By,
    app: AppState,
    Path(id): Path<RunId>,
) -> ApiResult<Json<Run>> {
    tracing::info!(run = %id, user = %by.user, "run {id} shall stop");
    blocking(move || {
        let run = find(&app, &by, id)?;
        app.ingest.cancel(run.id)?;
        app.state()
            .audit(&by.entry("run.cancel", format!("run:{id}")))?;
        Ok(Json(find(&app, &by, id)?))
    })
    .await
}

/// What a run said.
#[derive(Serialize, ToSchema)]
pub(crate) struct Log {
    #[schema(value_type = Vec<shapes::LogLine>)]
    lines: Vec<LogLine>,
}

/// Shows the log of a run.
#[utoipa::path(get, path = "/api/runs/{id}/log", tag = "runs",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = Log), (status = 404)))]
pub(crate) async fn get_run_log(
    by: By,
    app: AppState,
    Path(id): Path<RunId>,
) -> ApiResult<Json<Log>> {
    blocking(move || {
        let run = find(&app, &by, id)?;
        app.ingest.write_down(run.id);
        let lines = app.state().log(run.id, MAX_LINES)?;
        Ok(Json(Log { lines }))
    })
    .await
}

/// How a run went.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeriesView {
    /// What it had counted at moments from its beginning to now, or to its end; 120 at most.
    #[schema(value_type = Vec<shapes::series::Point>)]
    points: Vec<Point>,
}

/// Shows how a run went, as points for a plot.
#[utoipa::path(get, path = "/api/runs/{id}/series", tag = "runs",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = SeriesView), (status = 404)))]
pub(crate) async fn get_run_series(
    by: By,
    app: AppState,
    Path(id): Path<RunId>,
) -> ApiResult<Json<SeriesView>> {
    blocking(move || {
        let live = app.ingest.series(id);
        let run = find(&app, &by, id)?;
        let points = match live {
            Some(points) => points,
            None => app.state().series(run.id)?,
        };
        Ok(Json(SeriesView { points }))
    })
    .await
}

/// Where a run went.
#[derive(Serialize, ToSchema)]
pub(crate) struct Egress {
    #[schema(value_type = Vec<shapes::EgressRow>)]
    rows: Vec<EgressRow>,
}

/// Shows what the egress gate allowed and refused in a run.
#[utoipa::path(get, path = "/api/runs/{id}/egress", tag = "runs",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, body = Egress), (status = 404)))]
pub(crate) async fn get_run_egress(
    by: By,
    app: AppState,
    Path(id): Path<RunId>,
) -> ApiResult<Json<Egress>> {
    blocking(move || {
        let run = find(&app, &by, id)?;
        app.ingest.write_down(run.id);
        let rows = app.state().egress(run.id, MAX_LINES)?;
        Ok(Json(Egress { rows }))
    })
    .await
}

/// The run of this id, as it is now, or the error that says that there is none. One of a source that
/// the principal may not run is answered like one that is not there.
pub(crate) fn find(app: &App, by: &By, id: RunId) -> ApiResult<Run> {
    let live = app.ingest.watch(id).map(|watch| watch.run);
    let run = match live {
        Some(run) => Some(run),
        None => app.state().run(id)?,
    };
    run.filter(|run| may_run(by, run.source.as_str()))
        .ok_or_else(|| ApiError::not_found("run-not-found", format!("There is no run {id}")))
}
