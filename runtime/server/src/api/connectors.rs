//! `/api/connectors`: versions of connectors, taken in by signature and run by an admin's trust.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use bytes::Bytes;
use domain::{Digest, Manifest, Version};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// One immutable build of a connector.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionView {
    /// The sha256 of its bytes; its name.
    #[schema(value_type = String)]
    digest: Digest,
    /// The connector.
    name: String,
    /// Its own version.
    version: String,
    /// For lists.
    title: String,
    /// In a paragraph.
    description: String,
    /// Whose key signed it.
    publisher: String,
    /// Whether it may run.
    trusted: bool,
    /// Size of the component.
    size_bytes: u64,
    /// When it was uploaded.
    #[schema(value_type = String)]
    uploaded_at: Timestamp,
    /// All that it says about itself.
    #[schema(value_type = Object)]
    manifest: Manifest,
}

impl From<Version> for VersionView {
    fn from(version: Version) -> Self {
        let manifest = version.manifest;
        Self {
            digest: version.digest,
            name: manifest.name.to_string(),
            version: manifest.version.clone(),
            title: manifest.title.clone(),
            description: manifest.description.clone(),
            publisher: version.publisher,
            trusted: version.trusted,
            size_bytes: version.size_bytes,
            uploaded_at: version.uploaded_at,
            manifest,
        }
    }
}

/// All versions, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connectors {
    connectors: Vec<VersionView>,
}

/// Lists the versions of all connectors, newest first.
#[utoipa::path(get, path = "/api/connectors", tag = "connectors",
    responses((status = 200, body = Connectors)))]
pub(crate) async fn list_connectors(app: AppState) -> ApiResult<Json<Connectors>> {
    let versions = blocking(move || Ok(app.state().versions()?)).await?;
    let connectors = versions.into_iter().map(VersionView::from).collect();
    Ok(Json(Connectors { connectors }))
}

/// Uploads a signed component.
///
/// Its signature must be of a publisher that is trusted. It runs only after it was trusted itself.
/// The same bytes again change nothing.
#[utoipa::path(post, path = "/api/connectors", tag = "connectors",
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 201, body = VersionView),
        (status = 400, description = "It is not a component, unsigned, altered, of an unknown publisher, or of an unknown interface"),
        (status = 413, description = "It is too large")))]
pub(crate) async fn upload_connector(
    by: By,
    app: AppState,
    component: Bytes,
) -> ApiResult<(StatusCode, Json<VersionView>)> {
    let version = blocking(move || {
        let version = app.components.upload(&component)?;
        let what = json!({"connector": version.manifest.name, "publisher": version.publisher});
        let entry = by.entry_with("connector.upload", on(&version.digest), what);
        app.state().audit(&entry)?;
        tracing::info!(digest = %version.digest, connector = %version.manifest.name,
            publisher = version.publisher, user = %by.user, "a connector was uploaded");
        Ok(version)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(version.into())))
}

/// Shows a version.
#[utoipa::path(get, path = "/api/connectors/{digest}", tag = "connectors",
    params(("digest" = String, Path, description = "The version")),
    responses((status = 200, body = VersionView), (status = 404)))]
pub(crate) async fn get_connector(
    app: AppState,
    Path(digest): Path<Digest>,
) -> ApiResult<Json<VersionView>> {
    blocking(move || find(&app, &digest)).await.map(Json)
}

/// Trusts a version: it may run.
#[utoipa::path(post, path = "/api/connectors/{digest}/trust", tag = "connectors",
    params(("digest" = String, Path, description = "The version")),
    responses((status = 200, body = VersionView), (status = 404)))]
pub(crate) async fn trust_connector(
    by: By,
    app: AppState,
    Path(digest): Path<Digest>,
) -> ApiResult<Json<VersionView>> {
    set_trusted(by, app, digest, true).await
}

/// Trusts a version no more: no further run of it starts.
#[utoipa::path(delete, path = "/api/connectors/{digest}/trust", tag = "connectors",
    params(("digest" = String, Path, description = "The version")),
    responses((status = 200, body = VersionView), (status = 404)))]
pub(crate) async fn revoke_connector(
    by: By,
    app: AppState,
    Path(digest): Path<Digest>,
) -> ApiResult<Json<VersionView>> {
    set_trusted(by, app, digest, false).await
}

async fn set_trusted(
    by: By,
    app: AppState,
    digest: Digest,
    trusted: bool,
) -> ApiResult<Json<VersionView>> {
    tracing::info!(%digest, trusted, user = %by.user, "the trust in a version is being changed");
    blocking(move || {
        find(&app, &digest)?;
        app.state().set_trusted(&digest, trusted)?;
        let action = match trusted {
            true => "connector.trust",
            false => "connector.revoke",
        };
        app.state().audit(&by.entry(action, on(&digest)))?;
        find(&app, &digest)
    })
    .await
    .map(Json)
}

fn on(version: &Digest) -> String {
    format!("version:{version}")
}

fn find(app: &App, digest: &Digest) -> ApiResult<VersionView> {
    let version = app.state().version(digest)?.ok_or_else(|| {
        ApiError::not_found("version-not-found", format!("There is no version {digest}"))
    })?;
    Ok(version.into())
}
