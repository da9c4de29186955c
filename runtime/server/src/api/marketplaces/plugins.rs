//! What a marketplace lists: shown, and put in as its `marketplace.json` says.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use domain::Plugin;
use domain::marketplace::MarketplaceError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{missing, on};
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

const MAX_PLUGINS: usize = 1000;

/// A plugin.
#[derive(Serialize, ToSchema)]
pub(crate) struct PluginView {
    name: String,
    description: Option<String>,
    version: Option<String>,
    author_name: Option<String>,
    homepage: Option<String>,
    category: Option<String>,
    /// `path`, or the kind that its source names.
    source_type: String,
    /// Where it is, as the marketplace says.
    source_spec: Value,
}

impl From<Plugin> for PluginView {
    fn from(plugin: Plugin) -> Self {
        Self {
            name: plugin.name,
            description: plugin.description,
            version: plugin.version,
            author_name: plugin.author_name,
            homepage: plugin.homepage,
            category: plugin.category,
            source_type: plugin.source_type,
            source_spec: plugin.source_spec,
        }
    }
}

/// Lists the plugins of a marketplace by name.
#[utoipa::path(get, path = "/api/marketplaces/{id}/plugins", tag = "marketplaces",
    params(("id" = String, Path, description = "The marketplace's slug")),
    responses((status = 200, body = Vec<PluginView>), (status = 404)))]
pub(crate) async fn list_plugins(
    app: AppState,
    Path(slug): Path<String>,
) -> ApiResult<Json<Vec<PluginView>>> {
    blocking(move || {
        let plugins = app.state().plugins(&slug).map_err(missing)?;
        Ok(Json(plugins.into_iter().map(Into::into).collect()))
    })
    .await
}

/// The list of a marketplace: its `.claude-plugin/marketplace.json`, of which only `plugins` is read.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PluginList {
    #[schema(value_type = Vec<Object>)]
    plugins: Vec<Value>,
}

/// Puts the plugins of this list in the place of all that the marketplace had.
#[utoipa::path(put, path = "/api/marketplaces/{id}/plugins", tag = "marketplaces",
    request_body = PluginList, params(("id" = String, Path, description = "The marketplace's slug")),
    responses((status = 200, body = Vec<PluginView>), (status = 400), (status = 404)))]
pub(crate) async fn replace_plugins(
    by: By,
    app: AppState,
    Path(slug): Path<String>,
    Json(list): Json<PluginList>,
) -> ApiResult<Json<Vec<PluginView>>> {
    let plugins = checked(&list.plugins)?;
    blocking(move || {
        let what = json!({"plugins": plugins.len()});
        let entry = by.entry_with("marketplace.plugins_replaced", on(&slug), what);
        let now = Timestamp::now();
        let replaced = app.state().replace_plugins(&slug, &plugins, now, &entry);
        replaced.map_err(missing)?;
        let plugins = app.state().plugins(&slug).map_err(missing)?;
        Ok(Json(plugins.into_iter().map(Into::into).collect()))
    })
    .await
}

fn checked(entries: &[Value]) -> ApiResult<Vec<Plugin>> {
    if entries.len() > MAX_PLUGINS {
        return Err(ApiError::bad_request(
            "too-many-plugins",
            format!("a marketplace lists at most {MAX_PLUGINS} plugins"),
        ));
    }
    let plugins = entries.iter().map(Plugin::from_entry);
    let plugins = plugins.collect::<Result<Vec<_>, _>>()?;
    let names: BTreeSet<_> = plugins.iter().map(|plugin| &plugin.name).collect();
    match names.len() == plugins.len() {
        true => Ok(plugins),
        false => Err(MarketplaceError::PluginName.into()),
    }
}
