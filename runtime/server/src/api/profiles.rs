//! `/api/catalog/profile`: what the rows of a table look like, counted once for each published version.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use domain::profile::{Profile, UsedBy};
use domain::{Cancel, TableProfile};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use warehouse::{CatalogTable, Profiler, QueryOptions};

use super::data::refuse_part;
use crate::app::{App, AppState, blocking};
use crate::auth::{By, may_read};
use crate::error::{ApiError, ApiResult};
use crate::streams::CancelOnDrop;

/// A profile was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refreshed {
    /// `ok`.
    status: &'static str,
    /// The table.
    table: String,
    /// How many columns it describes.
    columns: usize,
}

/// Shows what the rows of a table look like.
///
/// Each column's missing and different values, figures by type, frequent values, alerts, and a few rows. It is counted
/// when somebody first asks for a published version, and kept; `profiled_at` says when that was.
#[utoipa::path(get, path = "/api/catalog/profile/{table}", tag = "data",
    params(("table" = String, Path, description = "The table")),
    responses((status = 200, body = Value), (status = 403, description = "You see a part of it"), (status = 404), (status = 409, description = "The table is remote")))]
pub(crate) async fn get_profile(
    by: By,
    app: AppState,
    Path(table): Path<String>,
) -> ApiResult<Json<Value>> {
    let cancel = CancelOnDrop(Cancel::new());
    let token = cancel.0.clone();
    blocking(move || {
        let table = find(&app, &by, &table)?;
        let kept = app.state().table_profile(table.name.as_str())?;
        let version = Profiler::version(&table);
        let kept = match kept.filter(|kept| kept.profile["version"] == version.as_str()) {
            Some(kept) => kept,
            None => make(&app, &table, token)?.1,
        };
        Ok(Json(shown(&app, kept)?))
    })
    .await
}

/// Makes the profile of a table anew.
#[utoipa::path(post, path = "/api/catalog/profile/{table}/refresh", tag = "data",
    params(("table" = String, Path, description = "The table")),
    responses((status = 200, body = Refreshed), (status = 403, description = "You see a part of it"), (status = 404), (status = 409, description = "The table is remote")))]
pub(crate) async fn refresh_profile(
    by: By,
    app: AppState,
    Path(table): Path<String>,
) -> ApiResult<Json<Refreshed>> {
    let cancel = CancelOnDrop(Cancel::new());
    let token = cancel.0.clone();
    blocking(move || {
        let table = find(&app, &by, &table)?;
        let (profile, _) = make(&app, &table, token)?;
        Ok(Json(Refreshed {
            status: "ok",
            table: profile.table_id,
            columns: profile.columns.len(),
        }))
    })
    .await
}

/// One that may not be read is answered like one that is not there.
fn find(app: &App, by: &By, name: &str) -> ApiResult<Arc<CatalogTable>> {
    let catalog = app.catalog();
    refuse_part(by, &catalog, name, "its profile tells of all of it")?;
    let found = catalog.table(name).filter(|found| may_read(by, found));
    found.cloned().ok_or_else(|| {
        ApiError::not_found(
            "profile-not-found",
            format!("Profile not found for '{name}'"),
        )
    })
}

fn make(app: &App, table: &CatalogTable, cancel: Cancel) -> ApiResult<(Profile, TableProfile)> {
    let options = QueryOptions {
        timeout: app.config.queries.timeout(),
        cancel,
        ..QueryOptions::default()
    };
    let key = primary_key(app, table)?;
    let profile = app.warehouse.profiler.profile(table, &key, &options)?;
    let kept = TableProfile {
        table: table.name.to_string(),
        profile: serde_json::to_value(&profile).map_err(ApiError::internal)?,
        profiled_at: Timestamp::now(),
    };
    app.state().put_table_profile(&kept)?;
    Ok((profile, kept))
}

/// The columns that name a row, as an admin registered them.
fn primary_key(app: &App, table: &CatalogTable) -> ApiResult<Vec<String>> {
    let registered = app.state().registered_tables()?.into_iter();
    let mut own = registered.filter(|known| known.name.eq_ignore_ascii_case(table.name.as_str()));
    Ok(own
        .next()
        .map(|known| known.primary_key)
        .unwrap_or_default())
}

/// What is kept, and what is known since.
fn shown(app: &App, kept: TableProfile) -> ApiResult<Value> {
    let TableProfile {
        table,
        mut profile,
        profiled_at,
    } = kept;
    let metrics = app.state().metrics(None)?.into_iter();
    let used_by: Vec<UsedBy> = metrics
        .filter(|metric| metric.is_about(&table))
        .map(|metric| UsedBy {
            name: metric.display_name,
            file: metric.id,
        })
        .collect();
    if let Value::Object(keys) = &mut profile {
        keys.insert("used_by_metrics".to_owned(), json!(used_by));
        keys.insert("profiled_at".to_owned(), json!(profiled_at));
    }
    Ok(profile)
}
