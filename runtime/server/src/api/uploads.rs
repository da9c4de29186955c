//! `/api/upload`: what people give to the server from their own folders. Nobody reads it through the API.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;
use utoipa::ToSchema;

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};
use crate::uploads::{Kind, Slot, safe_name};

/// The one file of notes that a person has.
const NOTES: &str = "CLAUDE.local.md";
/// What a form has around its file, in bytes.
const AROUND: u64 = 64 << 10;
/// How much of what is too large is read and thrown away, as often as what is allowed, and for how long.
const SWALLOWED_TIMES: u64 = 4;
const SWALLOWED_WITHIN: Duration = Duration::from_secs(10);

/// A file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes the body")]
pub(crate) struct UploadForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// What was kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct Uploaded {
    /// `ok`.
    status: &'static str,
    /// The name under which it is kept.
    filename: String,
    /// Its bytes.
    size: u64,
}

/// Takes a session that an agent recorded.
///
/// It is kept under the last part of its name; one of the same name is replaced.
#[utoipa::path(post, path = "/api/upload/sessions", tag = "uploads",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Uploaded), (status = 400), (status = 413), (status = 422), (status = 429)))]
pub(crate) async fn upload_session(
    by: By,
    app: AppState,
    request: Request,
) -> ApiResult<Json<Uploaded>> {
    take(by, app, request, Kind::Session, "upload.session").await
}

/// Takes a file that somebody made.
///
/// It is kept under the last part of its name; one of the same name is replaced.
#[utoipa::path(post, path = "/api/upload/artifacts", tag = "uploads",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Uploaded), (status = 400), (status = 413), (status = 422), (status = 429)))]
pub(crate) async fn upload_artifact(
    by: By,
    app: AppState,
    request: Request,
) -> ApiResult<Json<Uploaded>> {
    take(by, app, request, Kind::Artifact, "upload.artifact").await
}

async fn take(
    by: By,
    app: AppState,
    request: Request,
    kind: Kind,
    action: &'static str,
) -> ApiResult<Json<Uploaded>> {
    let slot = app.uploads.begin(by.user)?;
    let mut form = form(&app, request).await?;
    let field = file(&app, &mut form).await?;
    let filename = safe_name(field.file_name().unwrap_or_default())?;
    let (fresh, size) = receive(&app, field).await?;
    blocking(move || {
        keep(&app, &by, &slot, (kind, action, &filename), fresh)?;
        Ok(Json(Uploaded {
            status: "ok",
            filename,
            size,
        }))
    })
    .await
}

/// A form that is read no further than its file may be long: what stands before the file is held in memory.
async fn form(app: &AppState, mut request: Request) -> ApiResult<Multipart> {
    let most = app.uploads.most_bytes().saturating_add(AROUND);
    let declared = request.headers().get(CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > most) {
        swallow(request.into_body(), most).await;
        return Err(app.uploads.too_large());
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    DefaultBodyLimit::max(most).apply(&mut request);
    let form = Multipart::from_request(request, app).await;
    form.map_err(|refusal| ApiError::bad_request("form-invalid", refusal.body_text()))
}

/// Reads on for a while: a client whose connection is closed while it sends does not hear why.
async fn swallow(body: Body, most: u64) {
    let mut pieces = body.into_data_stream();
    let reading = async {
        let mut left = most.saturating_mul(SWALLOWED_TIMES);
        while let (true, Some(Ok(piece))) = (left > 0, pieces.next().await) {
            left = left.saturating_sub(piece.len() as u64);
        }
    };
    tokio::time::timeout(SWALLOWED_WITHIN, reading).await.ok();
}

async fn file<'a>(app: &App, form: &'a mut Multipart) -> ApiResult<Field<'a>> {
    let first = form.next_field().await;
    match first.map_err(|error| broken(app, &error))? {
        Some(field) if field.name() == Some("file") => Ok(field),
        _ => Err(ApiError::invalid(
            "file-missing",
            "The form's first field must be `file`",
        )),
    }
}

fn broken(app: &App, error: &MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => app.uploads.too_large(),
        _ => ApiError::bad_request("form-invalid", error.body_text()),
    }
}

/// Writes a file to the disk as it comes, up to the largest size.
async fn receive(app: &AppState, mut field: Field<'_>) -> ApiResult<(NamedTempFile, u64)> {
    let uploads = app.uploads.clone();
    let fresh = blocking(move || uploads.fresh().map_err(ApiError::internal)).await?;
    let file = fresh.as_file().try_clone().map_err(ApiError::internal)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut size = 0_u64;
    let most = app.uploads.most_bytes();
    while let Some(piece) = field.chunk().await.map_err(|e| broken(app, &e))? {
        size = size.saturating_add(piece.len() as u64);
        // The little that a form may be longer than its file is read to its end.
        if size <= most {
            file.write_all(&piece).await.map_err(ApiError::internal)?;
        }
    }
    if size > most {
        return Err(app.uploads.too_large());
    }
    file.flush().await.map_err(ApiError::internal)?;
    Ok((fresh, size))
}

/// Keeps a file, and says so in the audit.
fn keep(
    app: &App,
    by: &By,
    slot: &Slot,
    (kind, action, name): (Kind, &'static str, &str),
    fresh: NamedTempFile,
) -> ApiResult<()> {
    let size = fresh
        .as_file()
        .metadata()
        .map_err(ApiError::internal)?
        .len();
    app.uploads.keep(slot, kind, name, fresh)?;
    let entry = by.entry_with(action, format!("user:{}", by.user), json!({"bytes": size}));
    Ok(app.state().audit(&entry)?)
}

/// Somebody's notes.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Notes {
    /// Their text.
    content: String,
}

/// Whose notes were kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeptNotes {
    /// `ok`.
    status: &'static str,
    /// Your own address.
    user: String,
    /// Their characters.
    size: usize,
}

/// Takes your notes for agents, in place of those before.
#[utoipa::path(post, path = "/api/upload/local-md", tag = "uploads", request_body = Notes,
    responses((status = 200, body = KeptNotes), (status = 413), (status = 422), (status = 429)))]
pub(crate) async fn upload_notes(
    by: By,
    app: AppState,
    Json(notes): Json<Notes>,
) -> ApiResult<Json<KeptNotes>> {
    let slot = app.uploads.begin(by.user)?;
    blocking(move || {
        let fresh = app.uploads.fresh().map_err(ApiError::internal)?;
        std::io::Write::write_all(&mut fresh.as_file(), notes.content.as_bytes())
            .map_err(ApiError::internal)?;
        keep(
            &app,
            &by,
            &slot,
            (Kind::Notes, "upload.notes", NOTES),
            fresh,
        )?;
        Ok(Json(KeptNotes {
            status: "ok",
            user: by.email.clone(),
            size: notes.content.chars().count(),
        }))
    })
    .await
}
