//! `/api/metrics` and `/api/admin/metrics`: definitions of business metrics. Users see those whose
//! tables they may read; admins write them.

mod import;
mod new;

use axum::Json;
use axum::extract::{Multipart, Path, Query};
use axum::http::StatusCode;
use domain::MetricDefinition;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use warehouse::StateError;

pub(crate) use new::NewMetric;

use super::shapes;
use crate::app::{App, AppState, blocking};
use crate::auth::{By, extent};
use crate::error::{ApiError, ApiResult};

/// Definitions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metrics {
    #[schema(value_type = Vec<shapes::MetricDefinition>)]
    metrics: Vec<MetricDefinition>,
    count: usize,
}

/// Which definitions to list.
#[derive(Deserialize, IntoParams)]
pub(crate) struct MetricFilter {
    /// Only of this category.
    category: Option<String>,
    /// Only about this table.
    table: Option<String>,
    /// Only those in whose id, names, synonyms or description this occurs.
    search: Option<String>,
}

/// Lists the definitions of metrics by id, of those tables that you may read.
#[utoipa::path(get, path = "/api/metrics", tag = "metrics", params(MetricFilter),
    responses((status = 200, body = Metrics)))]
pub(crate) async fn list_definitions(
    by: By,
    app: AppState,
    Query(filter): Query<MetricFilter>,
) -> ApiResult<Json<Metrics>> {
    blocking(move || {
        let mut metrics = app.state().metrics(filter.category.as_deref())?;
        metrics.retain(|metric| {
            let table = filter.table.as_deref();
            let search = filter.search.as_deref();
            table.is_none_or(|table| metric.is_about(table))
                && search.is_none_or(|word| metric.mentions(word))
                && is_visible(&app, &by, metric)
        });
        let count = metrics.len();
        Ok(Json(Metrics { metrics, count }))
    })
    .await
}

/// SQL tells much about its tables, so it is for those who may read them. A table that is not there
/// hides nothing.
fn is_visible(app: &App, by: &By, metric: &MetricDefinition) -> bool {
    let catalog = app.catalog();
    let mut tables = metric.about();
    by.is_admin
        || tables.all(|name| {
            catalog
                .table(name)
                .is_some_and(|table| extent(by, table).is_some())
        })
}

/// A definition of a metric.
#[utoipa::path(get, path = "/api/metrics/{category}/{name}", tag = "metrics",
    params(("category" = String, Path, description = "Its category"), ("name" = String, Path, description = "Its name")),
    responses((status = 200, body = shapes::MetricDefinition), (status = 404)))]
pub(crate) async fn get_definition(
    by: By,
    app: AppState,
    Path((category, name)): Path<(String, String)>,
) -> ApiResult<Json<MetricDefinition>> {
    blocking(move || {
        let id = format!("{category}/{name}");
        let found = app.state().metric(&id)?;
        let found = found.filter(|metric| is_visible(&app, &by, metric));
        found.map(Json).ok_or_else(|| missing(&id))
    })
    .await
}

/// Adds a definition, or puts it in the place of the one of its id.
#[utoipa::path(post, path = "/api/admin/metrics", tag = "metrics", request_body = NewMetric,
    responses((status = 201, body = shapes::MetricDefinition), (status = 422)))]
pub(crate) async fn put_definition(
    by: By,
    app: AppState,
    Json(new): Json<NewMetric>,
) -> ApiResult<(StatusCode, Json<MetricDefinition>)> {
    let metric = new.checked("manual")?;
    blocking(move || {
        let entry = by.entry("metric.put", on(&metric.id));
        app.state()
            .put_metrics(std::slice::from_ref(&metric), &entry)?;
        let stored = app.state().metric(&metric.id)?;
        let stored = stored.ok_or_else(|| missing(&metric.id))?;
        Ok((StatusCode::CREATED, Json(stored)))
    })
    .await
}

/// What was removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// `deleted`.
    status: &'static str,
    id: String,
}

/// Removes a definition.
#[utoipa::path(delete, path = "/api/admin/metrics/{category}/{name}", tag = "metrics",
    params(("category" = String, Path, description = "Its category"), ("name" = String, Path, description = "Its name")),
    responses((status = 200, body = Deleted), (status = 404)))]
pub(crate) async fn delete_definition(
    by: By,
    app: AppState,
    Path((category, name)): Path<(String, String)>,
) -> ApiResult<Json<Deleted>> {
    blocking(move || {
        let id = format!("{category}/{name}");
        let gone = app
            .state()
            .delete_metric(&id, &by.entry("metric.delete", on(&id)));
        gone.map_err(|error| match error {
            StateError::NotFound { .. } => missing(&id),
            error => error.into(),
        })?;
        let status = "deleted";
        Ok(Json(Deleted { status, id }))
    })
    .await
}

/// What was imported.
#[derive(Serialize, ToSchema)]
pub(crate) struct Imported {
    /// `imported`.
    status: &'static str,
    count: usize,
}

/// A file of definitions.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes the body")]
pub(crate) struct ImportForm {
    /// YAML: one definition or a list of them.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Imports definitions from YAML: all of them or none.
#[utoipa::path(post, path = "/api/admin/metrics/import", tag = "metrics",
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Imported), (status = 400), (status = 422)))]
pub(crate) async fn import_definitions(
    by: By,
    app: AppState,
    form: Multipart,
) -> ApiResult<Json<Imported>> {
    let text = import::file(form).await?;
    blocking(move || {
        let metrics = import::definitions(&text)?;
        let count = metrics.len();
        let entry = by.entry_with("metric.import", "metrics", json!({"count": count}));
        app.state().put_metrics(&metrics, &entry)?;
        let status = "imported";
        Ok(Json(Imported { status, count }))
    })
    .await
}

fn on(metric: &str) -> String {
    format!("metric:{metric}")
}

fn missing(id: &str) -> ApiError {
    ApiError::not_found("metric-not-found", format!("Metric '{id}' not found"))
}
