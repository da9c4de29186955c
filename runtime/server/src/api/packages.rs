//! `/api/admin/data-packages`: named bundles of tables that are granted as one. All for admins.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::access::DATA_PACKAGE;
use domain::{DataPackage, TableName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;

/// A named bundle of tables.
#[derive(Serialize, ToSchema)]
pub(crate) struct PackageView {
    name: String,
    description: String,
    tables: Vec<String>,
    created_at: String,
}

impl From<DataPackage> for PackageView {
    fn from(package: DataPackage) -> Self {
        Self {
            name: package.name,
            description: package.description,
            tables: package.tables,
            created_at: package.created_at.to_string(),
        }
    }
}

/// Lists the data packages by name.
#[utoipa::path(get, path = "/api/admin/data-packages", tag = "access",
    responses((status = 200, body = Vec<PackageView>)))]
pub(crate) async fn list_packages(app: AppState) -> ApiResult<Json<Vec<PackageView>>> {
    let packages = blocking(move || Ok(app.state().packages()?)).await?;
    Ok(Json(packages.into_iter().map(Into::into).collect()))
}

/// What a data package holds.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PackageWords {
    #[serde(default)]
    description: String,
    /// The tables, by name; they need not be there yet.
    #[schema(value_type = Vec<String>)]
    tables: Vec<TableName>,
}

/// Adds a data package, or changes the one of this name.
#[utoipa::path(put, path = "/api/admin/data-packages/{name}", tag = "access", request_body = PackageWords,
    params(("name" = String, Path, description = "The package: named like a table")),
    responses((status = 200, body = PackageView), (status = 422)))]
pub(crate) async fn put_package(
    by: By,
    app: AppState,
    Path(name): Path<TableName>,
    Json(words): Json<PackageWords>,
) -> ApiResult<Json<PackageView>> {
    let mut tables: Vec<_> = words.tables.iter().map(ToString::to_string).collect();
    tables.sort();
    tables.dedup();
    let package = DataPackage {
        name: name.to_string(),
        description: words.description,
        tables,
        created_at: Timestamp::now(),
    };
    blocking(move || {
        let on = format!("{DATA_PACKAGE}:{name}");
        let entry = by.entry_with("data_package.put", on, json!({"tables": package.tables}));
        app.state().put_package(&package, &entry)?;
        Ok(Json(package.into()))
    })
    .await
}

/// Removes a data package with the grants on it.
#[utoipa::path(delete, path = "/api/admin/data-packages/{name}", tag = "access",
    params(("name" = String, Path, description = "The package")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn delete_package(
    by: By,
    app: AppState,
    Path(name): Path<TableName>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let entry = by.entry("data_package.delete", format!("{DATA_PACKAGE}:{name}"));
        app.state().delete_package(name.as_str(), &entry)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
