//! `/api/hooks/{source}`, where senders deliver, and `/api/sources/{name}/inbox`, where admins see what
//! waits.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use domain::SourceName;
use ingest::{Head, ReceiveError, Standing, Taken};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::sources::{find, on};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;
use crate::hooks;

/// A delivery that is kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Whether it came before; then nothing more comes of it.
    duplicate: bool,
}

/// Takes a delivery for a source.
///
/// Its signature, as the source's connector declares it, is the only proof that is asked for. The delivery
/// is on the disk when the answer comes; soon after it is rows.
#[utoipa::path(post, path = "/api/hooks/{source}", tag = "webhooks", security(()),
    params(("source" = String, Path, description = "The source")),
    request_body(content = Vec<u8>, content_type = "*/*"),
    responses((status = 202, body = Accepted),
        (status = 400, description = "The header that names the delivery is missing"),
        (status = 401, description = "There is no such source, it takes no webhooks, or the signature is wrong"),
        (status = 413), (status = 429), (status = 503, description = "The inbox is full, or the source is disabled")))]
pub(crate) async fn take_delivery(
    app: AppState,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<(StatusCode, Json<Accepted>)> {
    let taken = blocking(move || hooks::receive(&app, &source, &headers, body.into())).await?;
    let duplicate = taken == Taken::Again;
    Ok((StatusCode::ACCEPTED, Json(Accepted { duplicate })))
}

/// How the inbox of a source stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct Inbox {
    /// Deliveries that wait to become rows.
    waiting: usize,
    /// Their bytes on the disk.
    bytes: u64,
    /// When the oldest of them arrived.
    #[schema(value_type = Option<String>)]
    oldest_at: Option<Timestamp>,
    /// When the last delivery arrived, since the server started.
    #[schema(value_type = Option<String>)]
    last_at: Option<Timestamp>,
    /// Deliveries that the connector could not handle, oldest first.
    dead: Vec<Letter>,
}

/// A delivery that was set aside.
#[derive(Serialize, ToSchema)]
pub(crate) struct Letter {
    /// Names it here.
    id: u64,
    /// The sender's name of it, or one that the server gave.
    delivery: String,
    /// When it arrived.
    #[schema(value_type = String)]
    at: Timestamp,
    /// What sort of failure it was.
    kind: Option<&'static str>,
    /// Why it was set aside.
    failure: Option<String>,
}

impl From<Head> for Letter {
    fn from(head: Head) -> Self {
        Self {
            id: head.sequence,
            delivery: head.id,
            at: head.at,
            kind: head.failure.as_ref().map(|failure| failure.kind.as_str()),
            failure: head.failure.map(|failure| failure.message),
        }
    }
}

impl From<Standing> for Inbox {
    fn from(standing: Standing) -> Self {
        Self {
            waiting: standing.waiting,
            bytes: standing.bytes,
            oldest_at: standing.oldest,
            last_at: standing.last,
            dead: standing.dead.into_iter().map(Letter::from).collect(),
        }
    }
}

/// Shows what waits in the inbox of a source, and what was set aside.
#[utoipa::path(get, path = "/api/sources/{name}/inbox", tag = "webhooks",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = Inbox), (status = 404)))]
pub(crate) async fn get_inbox(
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<Inbox>> {
    blocking(move || {
        let source = find(&app, &name)?;
        let standing = app.receiving.standing(&source.name);
        Ok(Json(standing.map_err(hooks::refused)?.into()))
    })
    .await
}

/// Has a dead letter come again, as the newest delivery.
#[utoipa::path(post, path = "/api/sources/{name}/inbox/{id}/retry", tag = "webhooks",
    params(("name" = String, Path, description = "The source"), ("id" = u64, Path, description = "The dead letter")),
    responses((status = 204), (status = 404), (status = 503, description = "The inbox is full")))]
pub(crate) async fn retry_letter(
    by: By,
    app: AppState,
    Path((name, id)): Path<(SourceName, u64)>,
) -> ApiResult<StatusCode> {
    on_letter(by, app, (name, id), "inbox.retry", move |app, source| {
        app.receiving.retry(source, id)
    })
    .await
}

/// Removes a dead letter for good.
#[utoipa::path(delete, path = "/api/sources/{name}/inbox/{id}", tag = "webhooks",
    params(("name" = String, Path, description = "The source"), ("id" = u64, Path, description = "The dead letter")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn drop_letter(
    by: By,
    app: AppState,
    Path((name, id)): Path<(SourceName, u64)>,
) -> ApiResult<StatusCode> {
    on_letter(by, app, (name, id), "inbox.drop", move |app, source| {
        app.receiving.drop_letter(source, id)
    })
    .await
}

/// Does something with a dead letter, and writes down who did.
async fn on_letter(
    by: By,
    app: AppState,
    (name, id): (SourceName, u64),
    action: &'static str,
    work: impl FnOnce(&App, &SourceName) -> Result<(), ReceiveError> + Send + 'static,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let source = find(&app, &name)?;
        work(&app, &source.name).map_err(hooks::refused)?;
        let entry = by.entry_with(action, on(&source.name), json!({"letter": id}));
        app.state().audit(&entry)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
