//! `/api/connectors`: versions of connectors, taken in by signature and run by an admin's trust.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use bytes::Bytes;
use domain::{Digest, Manifest, Version};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

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
    /// The digest of the version that was uploaded before it, of the same connector.
    #[schema(value_type = Option<String>)]
    previous: Option<Digest>,
    /// How its manifest differs from that of the version before, a line each: `+` is new, `-` is gone,
    /// `~` is otherwise.
    changes: Vec<String>,
}

impl VersionView {
    /// A version among all others, which are sorted from the newest to the oldest.
    fn of(version: Version, all: &[Version]) -> Self {
        let older = all
            .iter()
            .skip_while(|other| other.digest != version.digest);
        let previous = older
            .skip(1)
            .find(|other| other.manifest.name == version.manifest.name);
        let changes = previous
            .map(|previous| version.manifest.changes_since(&previous.manifest))
            .unwrap_or_default();
        let previous = previous.map(|previous| previous.digest);
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
            previous,
            changes,
        }
    }
}

/// All versions, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Connectors {
    connectors: Vec<VersionView>,
}

/// Which versions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichVersions {
    /// Of this connector only.
    name: Option<String>,
}

/// Lists the versions of all connectors, newest first, each with what it changed.
#[utoipa::path(get, path = "/api/connectors", tag = "connectors", params(WhichVersions),
    responses((status = 200, body = Connectors)))]
pub(crate) async fn list_connectors(
    app: AppState,
    Query(which): Query<WhichVersions>,
) -> ApiResult<Json<Connectors>> {
    let all = blocking(move || Ok(app.state().versions()?)).await?;
    let is_wanted = |version: &&Version| {
        let name = version.manifest.name.as_str();
        which.name.as_ref().is_none_or(|wanted| wanted == name)
    };
    let connectors = all.iter().filter(is_wanted);
    let connectors = connectors
        .map(|version| VersionView::of(version.clone(), &all))
        .collect();
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
        find(&app, &version.digest)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(version)))
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
        let action = match trusted {
            true => "connector.trust",
            false => "connector.revoke",
        };
        let entry = by.entry(action, on(&digest));
        app.state().set_trusted(&digest, trusted, &entry)?;
        let version = find(&app, &digest)?;
        if trusted {
            app.comparisons.newly_trusted(&app, &version.name)?;
        }
        Ok(version)
    })
    .await
    .map(Json)
}

fn on(version: &Digest) -> String {
    format!("version:{version}")
}

fn find(app: &App, digest: &Digest) -> ApiResult<VersionView> {
    let all = app.state().versions()?;
    let found = all.iter().find(|version| version.digest == *digest);
    let version = found.cloned().ok_or_else(|| {
        ApiError::not_found("version-not-found", format!("There is no version {digest}"))
    })?;
    Ok(VersionView::of(version, &all))
}

/// Which versions to collect.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Collection {
    /// Whether to only show what would go; by default yes.
    #[serde(default = "yes")]
    dry_run: bool,
    /// Only what was uploaded at least so many hours ago; by default 24.
    #[serde(default = "a_day")]
    older_than_hours: u32,
}

fn yes() -> bool {
    true
}

/// Whoever uploads a version to make a source of it has this long.
fn a_day() -> u32 {
    24
}

/// What a collection took, or would take.
#[derive(Serialize, ToSchema)]
pub(crate) struct CollectedView {
    /// Whether it was only shown.
    dry_run: bool,
    /// The versions.
    versions: Vec<VersionView>,
    /// Bytes of their files; once they went, also of files that no version named.
    freed_bytes: u64,
}

/// Removes the versions that no source is at, can go back to or waits for.
///
/// The newest trusted version of each connector stays.
#[utoipa::path(post, path = "/api/connectors/gc", tag = "connectors", request_body = Collection,
    responses((status = 200, body = CollectedView)))]
pub(crate) async fn collect_connectors(
    by: By,
    app: AppState,
    Json(wish): Json<Collection>,
) -> ApiResult<Json<CollectedView>> {
    tracing::info!(dry_run = wish.dry_run, user = %by.user, "versions that nothing needs are being collected");
    blocking(move || {
        let age = SignedDuration::from_hours(i64::from(wish.older_than_hours));
        let before = Timestamp::now()
            .saturating_sub(age)
            .map_err(ApiError::internal)?;
        let all = app.state().versions()?;
        let collected = match wish.dry_run {
            true => app.components.unneeded(before)?,
            false => app.components.collect(before, |version| {
                let what = json!({"connector": version.manifest.name, "version": version.manifest.version});
                by.entry_with("connector.collect", on(&version.digest), what)
            })?,
        };
        let versions = collected.versions.into_iter();
        Ok(Json(CollectedView {
            dry_run: wish.dry_run,
            versions: versions.map(|version| VersionView::of(version, &all)).collect(),
            freed_bytes: collected.freed_bytes,
        }))
    })
    .await
}
