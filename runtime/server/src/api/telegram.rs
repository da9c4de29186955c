//! `/api/telegram`: which chat of Telegram is a user's. A code that was shown in the chat proves it.

use axum::Json;
use domain::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// A code.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TelegramCode {
    code: String,
}

/// What was linked.
#[derive(Serialize, ToSchema)]
pub(crate) struct Linked {
    /// `linked`.
    status: &'static str,
    chat_id: i64,
}

/// Links the chat that showed this code to you. A code works once and for minutes.
#[utoipa::path(post, path = "/api/telegram/verify", tag = "notifications", request_body = TelegramCode,
    responses((status = 200, body = Linked), (status = 400), (status = 429)))]
pub(crate) async fn verify_telegram(
    by: By,
    app: AppState,
    Json(given): Json<TelegramCode>,
) -> ApiResult<Json<Linked>> {
    blocking(move || {
        // Codes are short: guessing must stay as slow as it is with passwords.
        let attempt = app.signin.guess(&format!("telegram:{}", by.user))?;
        let code = Digest::of(given.code.trim().as_bytes());
        let entry = by.entry("telegram.linked", format!("user:{}", by.user));
        let now = Timestamp::now();
        match app.state().link_telegram(by.user, &code, now, &entry)? {
            Some(link) => {
                attempt.succeeded();
                Ok(Json(Linked {
                    status: "linked",
                    chat_id: link.chat,
                }))
            }
            None => {
                attempt.failed();
                let text = "Invalid or expired code";
                Err(ApiError::bad_request("code-invalid", text))
            }
        }
    })
    .await
}

/// What was unlinked.
#[derive(Serialize, ToSchema)]
pub(crate) struct Unlinked {
    /// `unlinked`.
    status: &'static str,
}

/// Forgets your chat.
#[utoipa::path(post, path = "/api/telegram/unlink", tag = "notifications",
    responses((status = 200, body = Unlinked)))]
pub(crate) async fn unlink_telegram(by: By, app: AppState) -> ApiResult<Json<Unlinked>> {
    blocking(move || {
        let entry = by.entry("telegram.unlinked", format!("user:{}", by.user));
        app.state().unlink_telegram(by.user, &entry)?;
        let status = "unlinked";
        Ok(Json(Unlinked { status }))
    })
    .await
}

/// Whether a chat is yours.
#[derive(Serialize, ToSchema)]
pub(crate) struct TelegramStatus {
    linked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linked_at: Option<String>,
}

/// Shows which chat is yours.
#[utoipa::path(get, path = "/api/telegram/status", tag = "notifications",
    responses((status = 200, body = TelegramStatus)))]
pub(crate) async fn get_telegram_status(by: By, app: AppState) -> ApiResult<Json<TelegramStatus>> {
    blocking(move || {
        let link = app.state().telegram_link(by.user)?;
        Ok(Json(TelegramStatus {
            linked: link.is_some(),
            chat_id: link.as_ref().map(|link| link.chat),
            linked_at: link.map(|link| link.linked_at.to_string()),
        }))
    })
    .await
}
