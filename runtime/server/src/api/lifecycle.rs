//! `/api/sources/{name}/…`: what a source is granted, and how it moves between versions.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::{Capabilities, Digest, Pin, Source, SourceName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shapes;
use super::sources::{find, on};
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;
use crate::lifecycle::{self, Moved, Standing};

/// What a source may do, and what a version asks for.
#[derive(Serialize, ToSchema)]
pub(crate) struct GrantView {
    /// The version that asks: one that waits, or else the one that the source is at.
    #[schema(value_type = String)]
    version: Digest,
    /// Whether an upgrade to that version waits for a grant; the source runs at its old version.
    waiting: bool,
    /// What an admin allowed.
    #[schema(value_type = shapes::Capabilities)]
    granted: Capabilities,
    /// The same in words, a line each.
    granted_lines: Vec<String>,
    /// What the version asks for with the source's settings.
    #[schema(value_type = shapes::Capabilities)]
    requested: Capabilities,
    /// What is asked for and was not granted, a line each. The version does not run until this is empty.
    missing: Vec<String>,
}

/// Shows what a source is granted, and what its version, or one that waits, asks for beyond it.
#[utoipa::path(get, path = "/api/sources/{name}/grant", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = GrantView), (status = 404)))]
pub(crate) async fn get_source_grant(
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<GrantView>> {
    blocking(move || {
        let source = find(&app, &name)?;
        let standing = Standing::of(&app, &source)?;
        Ok(Json(GrantView {
            version: standing.version.digest,
            waiting: standing.waiting,
            granted_lines: standing.granted.lines(),
            missing: standing.missing(),
            granted: standing.granted,
            requested: standing.requested,
        }))
    })
    .await
}

/// What to grant.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewGrant {
    /// All that the source may do from now on; by default what it may do now, and what is asked for.
    #[schema(value_type = Option<shapes::Capabilities>)]
    grant: Option<Capabilities>,
}

/// How a source stands after it was asked to move.
#[derive(Serialize, ToSchema)]
pub(crate) struct MoveView {
    /// `done`, or `waiting` for a grant.
    state: &'static str,
    /// The version that it is at, or waits for.
    #[schema(value_type = String)]
    version: Digest,
    /// What must be granted first, a line each.
    missing: Vec<String>,
    /// Of a rollback: by how many rows each table became shorter. They come again with the next run.
    rows_removed: BTreeMap<String, u64>,
}

impl From<Moved> for MoveView {
    fn from(moved: Moved) -> Self {
        let (state, version, missing) = match moved {
            Moved::Now(version) => ("done", version, Vec::new()),
            Moved::Waits(version, missing) => ("waiting", version, missing),
        };
        Self {
            state,
            version,
            missing,
            rows_removed: BTreeMap::new(),
        }
    }
}

fn answer(moved: Moved) -> (StatusCode, Json<MoveView>) {
    let status = match moved {
        Moved::Now(_) => StatusCode::OK,
        Moved::Waits(..) => StatusCode::ACCEPTED,
    };
    (status, Json(moved.into()))
}

/// Grants a source what is asked for; an upgrade that waited for it happens.
#[utoipa::path(post, path = "/api/sources/{name}/grant", tag = "sources",
    params(("name" = String, Path, description = "The source")), request_body = NewGrant,
    responses((status = 200, body = MoveView), (status = 404), (status = 409, description = "It is running"),
        (status = 422, description = "The grant does not cover what is asked for")))]
pub(crate) async fn grant_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    Json(new): Json<NewGrant>,
) -> ApiResult<Json<MoveView>> {
    tracing::info!(source = %name, user = %by.user, "source {name} is being granted more");
    blocking(move || {
        let moved = lifecycle::grant(&app, &by, &name, new.grant)?;
        Ok(Json(moved.into()))
    })
    .await
}

/// Where to move.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewUpgrade {
    /// The digest of a version of the same connector; by default the newest that is trusted.
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
}

/// Moves a source to another version.
///
/// Where that asks for more than was granted, the source stays at its version until an admin grants it,
/// and the answer says what is missing.
#[utoipa::path(post, path = "/api/sources/{name}/upgrade", tag = "sources",
    params(("name" = String, Path, description = "The source")), request_body = NewUpgrade,
    responses((status = 200, body = MoveView), (status = 202, body = MoveView, description = "It waits for a grant"),
        (status = 404), (status = 409, description = "It is running, at that version already, or the version is not trusted"),
        (status = 422, description = "The source's settings do not fit the version")))]
pub(crate) async fn upgrade_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    Json(new): Json<NewUpgrade>,
) -> ApiResult<(StatusCode, Json<MoveView>)> {
    tracing::info!(source = %name, user = %by.user, "source {name} is being moved to another version");
    blocking(move || lifecycle::upgrade(&app, &by, &name, new.digest).map(answer)).await
}

/// Refuses what an upgrade waits for: the source stays at its version.
#[utoipa::path(delete, path = "/api/sources/{name}/upgrade", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 204), (status = 404, description = "There is no such source, or nothing waits")))]
pub(crate) async fn refuse_upgrade(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<StatusCode> {
    tracing::info!(source = %name, user = %by.user, "an upgrade of source {name} is being refused");
    blocking(move || {
        lifecycle::refuse(&app, &by, &name)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Brings a source back to the version that it left last, with the cursors that it had then.
///
/// Rows that were appended since to tables whose cursor goes back are removed with it: they are read
/// again by the next run.
#[utoipa::path(post, path = "/api/sources/{name}/rollback", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = MoveView), (status = 404),
        (status = 409, description = "It is running, left no version, or that one is not trusted")))]
pub(crate) async fn rollback_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<MoveView>> {
    tracing::info!(source = %name, user = %by.user, "source {name} is being rolled back");
    blocking(move || {
        let back = lifecycle::rollback(&app, &by, &name)?;
        Ok(Json(MoveView {
            rows_removed: back.rows_removed,
            ..Moved::Now(back.version).into()
        }))
    })
    .await
}

/// The versions that a source left.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pins {
    /// Newest first; a rollback goes to the first.
    #[schema(value_type = Vec<shapes::Pin>)]
    pins: Vec<Pin>,
}

/// Lists the versions to which a source can go back, newest first.
#[utoipa::path(get, path = "/api/sources/{name}/pins", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = Pins), (status = 404)))]
pub(crate) async fn list_pins(
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<Pins>> {
    blocking(move || {
        let source = find(&app, &name)?;
        let pins = app.state().pins(&source.name)?;
        Ok(Json(Pins { pins }))
    })
    .await
}

/// Lets a source run again.
#[utoipa::path(post, path = "/api/sources/{name}/enable", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = shapes::Source), (status = 404)))]
pub(crate) async fn enable_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<Source>> {
    set_enabled(by, app, name, true).await
}

/// Lets a source run no more; what it published stays. A run that is under way goes on.
#[utoipa::path(post, path = "/api/sources/{name}/disable", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = shapes::Source), (status = 404)))]
pub(crate) async fn disable_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<Source>> {
    set_enabled(by, app, name, false).await
}

async fn set_enabled(
    by: By,
    app: AppState,
    name: SourceName,
    enabled: bool,
) -> ApiResult<Json<Source>> {
    tracing::info!(source = %name, enabled, user = %by.user, "source {name} is being switched");
    blocking(move || {
        let source = find(&app, &name)?;
        let action = match enabled {
            true => "source.enable",
            false => "source.disable",
        };
        let entry = by.entry(action, on(&source.name));
        app.state().set_enabled(&source.name, enabled, &entry)?;
        app.ingest.look_again();
        find(&app, &name).map(Json)
    })
    .await
}
