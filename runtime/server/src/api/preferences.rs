//! `/api/sync/settings`, `/api/sync/table-subscriptions` and `/api/settings`: what users want to have
//! on their own machines. A choice never opens anything: it is only taken for what one may read.

use std::collections::BTreeMap;

use axum::Json;
use domain::access::{DATA_PACKAGE, SOURCE};
use domain::{ChoiceKind, Permission, SyncChoice};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, AppState, blocking};
use crate::auth::{By, extent};
use crate::error::{ApiError, ApiResult};

/// More than anybody can mean.
const MAX_CHOICES: usize = 1000;

/// A choice.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChoiceView {
    /// The source, data package or table.
    dataset: String,
    enabled: bool,
    updated_at: String,
}

impl From<SyncChoice> for ChoiceView {
    fn from(choice: SyncChoice) -> Self {
        Self {
            dataset: choice.name,
            enabled: choice.enabled,
            updated_at: choice.updated_at.to_string(),
        }
    }
}

/// Your choices of datasets.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncSettings {
    #[schema(value_type = String)]
    user_id: Uuid,
    settings: Vec<ChoiceView>,
    /// The names of those that you want.
    enabled_datasets: Vec<String>,
}

/// Shows which datasets you want.
#[utoipa::path(get, path = "/api/sync/settings", tag = "data",
    responses((status = 200, body = SyncSettings)))]
pub(crate) async fn get_sync_settings(by: By, app: AppState) -> ApiResult<Json<SyncSettings>> {
    blocking(move || {
        let choices = choices(&app, &by, ChoiceKind::Dataset)?;
        let enabled = choices.iter().filter(|choice| choice.enabled);
        Ok(Json(SyncSettings {
            user_id: by.user,
            enabled_datasets: enabled.map(|choice| choice.name.clone()).collect(),
            settings: choices.into_iter().map(Into::into).collect(),
        }))
    })
    .await
}

fn choices(app: &App, by: &By, kind: ChoiceKind) -> ApiResult<Vec<SyncChoice>> {
    let all = app.state().sync_choices(by.user)?.into_iter();
    Ok(all.filter(|choice| choice.kind == kind).collect())
}

/// Which datasets you want.
#[derive(Deserialize, ToSchema)]
pub(crate) struct DatasetChoices {
    /// Names of sources and data packages.
    datasets: BTreeMap<String, bool>,
}

/// What became of each.
#[derive(Serialize, ToSchema)]
pub(crate) struct UpdatedDatasets {
    /// By name: `enabled`, or an `error`.
    #[schema(value_type = Object)]
    updated: BTreeMap<String, Value>,
}

/// Says which datasets you want.
#[utoipa::path(post, path = "/api/sync/settings", tag = "data", request_body = DatasetChoices,
    responses((status = 200, body = UpdatedDatasets), (status = 422)))]
pub(crate) async fn put_sync_settings(
    by: By,
    app: AppState,
    Json(wanted): Json<DatasetChoices>,
) -> ApiResult<Json<UpdatedDatasets>> {
    limit(wanted.datasets.len())?;
    blocking(move || {
        let mut updated = BTreeMap::new();
        let mut kept = Vec::new();
        for (name, enabled) in wanted.datasets {
            if may_have(&app, &by, &name)? {
                updated.insert(name.clone(), json!({"enabled": enabled}));
                kept.push((name, enabled));
            } else {
                updated.insert(name, json!({"error": "no permission"}));
            }
        }
        keep(&app, &by, ChoiceKind::Dataset, kept)?;
        Ok(Json(UpdatedDatasets { updated }))
    })
    .await
}

fn limit(count: usize) -> ApiResult<()> {
    match count <= MAX_CHOICES {
        true => Ok(()),
        false => Err(ApiError::invalid(
            "too-many-choices",
            format!("at most {MAX_CHOICES} choices can be made at once"),
        )),
    }
}

/// Whether a name is a source or a data package of which the user may read something. What is there
/// and not granted is answered like what is not there.
fn may_have(app: &App, by: &By, name: &str) -> ApiResult<bool> {
    let catalog = app.catalog();
    let tables = || {
        catalog
            .tables
            .iter()
            .filter(|table| extent(by, table).is_some())
    };
    if tables().any(|table| table.source.as_str().eq_ignore_ascii_case(name)) {
        return Ok(true);
    }
    if by.reach.holds(Permission::Read, SOURCE, name)
        || by.reach.holds(Permission::Read, DATA_PACKAGE, name)
    {
        return Ok(true);
    }
    let packages = app.state().packages()?.into_iter();
    let mut packages = packages.filter(|package| package.name.eq_ignore_ascii_case(name));
    let holds = |names: &[String]| {
        let mut tables = tables();
        tables.any(|table| {
            let mut names = names.iter();
            names.any(|name| name.eq_ignore_ascii_case(table.name.as_str()))
        })
    };
    Ok(packages.any(|package| by.is_admin || holds(&package.tables)))
}

fn keep(app: &App, by: &By, kind: ChoiceKind, wanted: Vec<(String, bool)>) -> ApiResult<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    let choices = wanted.into_iter().map(|(name, enabled)| SyncChoice {
        user: by.user,
        kind,
        name,
        enabled,
        updated_at: now,
    });
    let choices: Vec<_> = choices.collect();
    let entry = by.entry_with(
        "sync_settings.put",
        format!("user:{}", by.user),
        json!({"count": choices.len()}),
    );
    Ok(app.state().put_sync_choices(&choices, &entry)?)
}

/// Your choices of tables.
#[derive(Serialize, ToSchema)]
pub(crate) struct Subscriptions {
    #[schema(value_type = String)]
    user_id: Uuid,
    subscriptions: Vec<ChoiceView>,
}

/// Shows which tables you want.
#[utoipa::path(get, path = "/api/sync/table-subscriptions", tag = "data",
    responses((status = 200, body = Subscriptions)))]
pub(crate) async fn get_subscriptions(by: By, app: AppState) -> ApiResult<Json<Subscriptions>> {
    blocking(move || {
        let choices = choices(&app, &by, ChoiceKind::Table)?.into_iter();
        Ok(Json(Subscriptions {
            user_id: by.user,
            subscriptions: choices.map(Into::into).collect(),
        }))
    })
    .await
}

/// How tables are meant.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TableMode {
    /// All but those that are switched off.
    All,
    /// Only those that are switched on.
    Explicit,
}

/// Which tables you want.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TableChoices {
    /// `all` or `explicit`; told back, and left to the client.
    #[serde(default = "all")]
    table_mode: TableMode,
    /// Names of tables.
    #[serde(default)]
    tables: BTreeMap<String, bool>,
}

fn all() -> TableMode {
    TableMode::All
}

/// What was kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct UpdatedTables {
    table_mode: TableMode,
    /// How many of the tables you may read, and so were kept.
    updated: usize,
}

/// Says which tables you want.
#[utoipa::path(post, path = "/api/sync/table-subscriptions", tag = "data", request_body = TableChoices,
    responses((status = 200, body = UpdatedTables), (status = 422)))]
pub(crate) async fn put_subscriptions(
    by: By,
    app: AppState,
    Json(wanted): Json<TableChoices>,
) -> ApiResult<Json<UpdatedTables>> {
    limit(wanted.tables.len())?;
    blocking(move || {
        let catalog = app.catalog();
        let known = wanted.tables.into_iter().filter_map(|(name, enabled)| {
            let table = catalog
                .table(&name)
                .filter(|table| extent(&by, table).is_some())?;
            Some((table.name.to_string(), enabled))
        });
        let known: Vec<_> = known.collect();
        let updated = known.len();
        keep(&app, &by, ChoiceKind::Table, known)?;
        let table_mode = wanted.table_mode;
        Ok(Json(UpdatedTables {
            table_mode,
            updated,
        }))
    })
    .await
}

/// What is set for you.
#[derive(Serialize, ToSchema)]
pub(crate) struct Settings {
    #[schema(value_type = String)]
    user_id: Uuid,
    sync_settings: Vec<ChoiceView>,
    /// Always empty: `/api/me/effective-access` says what you may do.
    #[schema(value_type = Vec<Object>)]
    permissions: [Value; 0],
}

/// Shows what is set for you.
#[utoipa::path(get, path = "/api/settings", tag = "data",
    responses((status = 200, body = Settings)))]
pub(crate) async fn get_settings(by: By, app: AppState) -> ApiResult<Json<Settings>> {
    blocking(move || {
        let choices = choices(&app, &by, ChoiceKind::Dataset)?.into_iter();
        Ok(Json(Settings {
            user_id: by.user,
            sync_settings: choices.map(Into::into).collect(),
            permissions: [],
        }))
    })
    .await
}

/// Whether you want a dataset.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct DatasetChoice {
    dataset: String,
    enabled: bool,
}

/// Says whether you want a dataset.
#[utoipa::path(put, path = "/api/settings/dataset", tag = "data", request_body = DatasetChoice,
    responses((status = 200, body = DatasetChoice), (status = 403)))]
pub(crate) async fn put_dataset(
    by: By,
    app: AppState,
    Json(choice): Json<DatasetChoice>,
) -> ApiResult<Json<DatasetChoice>> {
    blocking(move || {
        if !may_have(&app, &by, &choice.dataset)? {
            return Err(ApiError::forbidden(format!(
                "No access to dataset '{}'",
                choice.dataset
            )));
        }
        let wanted = vec![(choice.dataset.clone(), choice.enabled)];
        keep(&app, &by, ChoiceKind::Dataset, wanted)?;
        Ok(Json(choice))
    })
    .await
}
