//! `/api/sources`: configured instances of connectors, and their grants.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::{Capabilities, ConnectorName, Digest, Run, SlotName, Source, SourceName, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::shapes;
use crate::app::{App, AppState, blocking};
use crate::auth::{By, may_run};
use crate::error::{ApiError, ApiResult};

/// What a source would be.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Wish {
    /// The connector's name.
    #[schema(value_type = String)]
    connector: ConnectorName,
    /// The digest of a version; by default the newest that is trusted.
    #[schema(value_type = Option<String>)]
    version: Option<Digest>,
    /// Its configuration without credentials.
    #[schema(value_type = Object)]
    settings: Value,
}

/// What a source would be allowed to do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Plan {
    /// The connector's name.
    #[schema(value_type = String)]
    connector: ConnectorName,
    /// The digest of the version.
    #[schema(value_type = String)]
    version: Digest,
    /// What the connector asks for with these settings.
    #[schema(value_type = shapes::Capabilities)]
    requested: Capabilities,
    /// The same in words, a line each.
    requested_lines: Vec<String>,
    /// Slots that must be filled before a run can work.
    #[schema(value_type = Vec<String>)]
    missing_credentials: Vec<SlotName>,
}

/// Shows what a source would ask for.
///
/// Validates the settings and changes nothing.
#[utoipa::path(post, path = "/api/sources/plan", tag = "sources", request_body = Wish,
    responses((status = 200, body = Plan), (status = 404), (status = 422, description = "The settings are not valid")))]
pub(crate) async fn plan_source(app: AppState, Json(wish): Json<Wish>) -> ApiResult<Json<Plan>> {
    blocking(move || {
        let version = find_version(&app, &wish.connector, wish.version)?;
        let requested = ingest::plan(&version.manifest, &wish.settings)?;
        let slots = version.manifest.credentials.iter();
        Ok(Json(Plan {
            connector: wish.connector,
            version: version.digest,
            requested_lines: requested.lines(),
            requested,
            missing_credentials: slots
                .filter(|slot| slot.required)
                .map(|slot| slot.name.clone())
                .collect(),
        }))
    })
    .await
}

/// A source to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewSource {
    /// Its name: a letter or underscore, then letters, digits and underscores, at most 64.
    #[schema(value_type = String)]
    name: SourceName,
    #[serde(flatten)]
    wish: Wish,
    /// What it may do; must cover what `/api/sources/plan` shows.
    #[schema(value_type = shapes::Capabilities)]
    grant: Capabilities,
}

/// Adds a source with its grant.
#[utoipa::path(post, path = "/api/sources", tag = "sources", request_body = NewSource,
    responses((status = 201, body = shapes::Source), (status = 404), (status = 409),
        (status = 422, description = "The settings are not valid, or the grant does not cover what is asked for")))]
pub(crate) async fn create_source(
    by: By,
    app: AppState,
    Json(new): Json<NewSource>,
) -> ApiResult<(StatusCode, Json<Source>)> {
    let source = blocking(move || {
        let source = add(&app, new)?;
        let what = json!({"connector": source.connector, "version": source.version, "granted": source.granted});
        let entry = by.entry_with("source.create", on(&source.name), what);
        app.state().audit(&entry)?;
        tracing::info!(source = %source.name, user = %by.user, "source {} was added", source.name);
        Ok(source)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(source)))
}

fn add(app: &App, new: NewSource) -> ApiResult<Source> {
    // The version must not be collected before the source names it.
    let _kept = app.components.keep();
    let version = find_version(app, &new.wish.connector, new.wish.version)?;
    let requested = ingest::plan(&version.manifest, &new.wish.settings)?;
    let granted = ingest::check_grant(&requested, new.grant)?;
    let source = Source {
        name: new.name,
        connector: new.wish.connector,
        version: version.digest,
        settings: new.wish.settings,
        granted,
        enabled: true,
        created_at: Timestamp::now(),
    };
    app.state().insert_source(&source)?;
    Ok(source)
}

/// The version that was named, or the newest trusted one.
pub(crate) fn find_version(
    app: &App,
    connector: &ConnectorName,
    digest: Option<Digest>,
) -> ApiResult<Version> {
    let versions = app.state().versions()?;
    let mut known = versions
        .into_iter()
        .filter(|version| version.manifest.name == *connector)
        .peekable();
    if known.peek().is_none() {
        return Err(ApiError::not_found(
            "connector-not-found",
            format!("There is no connector `{connector}`; upload one with `sluice connector push`"),
        ));
    }
    match digest {
        Some(digest) => known.find(|version| version.digest == digest).ok_or_else(|| {
            ApiError::not_found(
                "version-not-found",
                format!("There is no version {digest} of connector `{connector}`"),
            )
        }),
        // Newest first.
        None => known.find(|version| version.trusted).ok_or_else(|| {
            ApiError::conflict(
                "version-not-trusted",
                format!("No version of connector `{connector}` is trusted; an admin must trust one first"),
            )
        }),
    }
}

/// A source and its last run.
#[derive(Serialize, ToSchema)]
pub(crate) struct SourceView {
    #[serde(flatten)]
    #[schema(value_type = shapes::Source)]
    source: Source,
    /// The newest run, if there was one.
    #[schema(value_type = Option<shapes::Run>)]
    last_run: Option<Run>,
}

impl SourceView {
    fn of(app: &App, source: Source) -> ApiResult<Self> {
        let last_run = app.state().runs(Some(&source.name), 1)?.pop();
        Ok(Self { source, last_run })
    }
}

/// All sources.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sources {
    sources: Vec<SourceView>,
}

/// Lists the sources that you may run.
#[utoipa::path(get, path = "/api/sources", tag = "sources", responses((status = 200, body = Sources)))]
pub(crate) async fn list_sources(by: By, app: AppState) -> ApiResult<Json<Sources>> {
    blocking(move || {
        let sources = app.state().sources()?.into_iter();
        let sources = sources
            .filter(|source| may_run(&by, source.name.as_str()))
            .map(|source| SourceView::of(&app, source))
            .collect::<ApiResult<_>>()?;
        Ok(Json(Sources { sources }))
    })
    .await
}

/// Shows a source.
#[utoipa::path(get, path = "/api/sources/{name}", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = SourceView), (status = 404)))]
pub(crate) async fn get_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<SourceView>> {
    blocking(move || {
        let source = find_runnable(&app, &by, &name)?;
        Ok(Json(SourceView::of(&app, source)?))
    })
    .await
}

/// Removes a source with its credentials and its published data. Its runs that wait are cancelled.
#[utoipa::path(delete, path = "/api/sources/{name}", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 204), (status = 404), (status = 409, description = "It is running")))]
pub(crate) async fn delete_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<StatusCode> {
    tracing::info!(source = %name, user = %by.user, "source {name} is being removed");
    blocking(move || {
        let source = find(&app, &name)?;
        let _hold = app.ingest.hold(&source.name)?;
        app.ingest.cancel_waiting(&source.name);
        app.state().delete_source(&source.name)?;
        app.remove_extract(&source.name)?;
        app.state().audit(&by.entry("source.delete", on(&name)))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// How the audit names a source.
pub(crate) fn on(source: &SourceName) -> String {
    format!("source:{source}")
}

/// The same for who may run it; for others it is not there.
pub(crate) fn find_runnable(app: &App, by: &By, name: &SourceName) -> ApiResult<Source> {
    match may_run(by, name.as_str()) {
        true => find(app, name),
        false => Err(ingest::IngestError::UnknownSource(name.clone()).into()),
    }
}

/// The source of this name, or the error that says that there is none.
pub(crate) fn find(app: &App, name: &SourceName) -> ApiResult<Source> {
    app.state()
        .source(name)?
        .ok_or_else(|| ingest::IngestError::UnknownSource(name.clone()).into())
}
