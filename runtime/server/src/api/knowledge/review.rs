//! `/api/memory/admin`: what admins do with items. All for admins.

use axum::Json;
use axum::extract::{Path, Query};
use domain::knowledge::{KnowledgeItem, Review};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use warehouse::StateError;

use super::view::text;
use super::{missing, on};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// The most items of one request.
const MOST: usize = 1_000;

/// Which item.
#[derive(Deserialize, IntoParams)]
pub(crate) struct Which {
    #[param(value_type = String)]
    item_id: Uuid,
}

/// Why, and for whom the item is from now on.
#[derive(Deserialize, ToSchema, Default)]
pub(crate) struct Words {
    /// For the audit.
    reason: Option<String>,
    /// `all` or `group:NAME`.
    audience: Option<String>,
}

/// What became of an item.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reviewed {
    id: String,
    status: &'static str,
}

/// Reviews an item: `approve`, `reject`, `mandate` or `revoke`.
///
/// What is in force is revoked, not rejected; what was turned down is approved before it is mandated.
#[utoipa::path(post, path = "/api/memory/admin/{review}", tag = "knowledge", params(Which,
        ("review" = String, Path, description = "What to do")), request_body = Option<Words>,
    responses((status = 200, body = Reviewed), (status = 404), (status = 409)))]
pub(crate) async fn review_item(
    by: By,
    app: AppState,
    Path(review): Path<String>,
    Query(which): Query<Which>,
    words: Option<Json<Words>>,
) -> ApiResult<Json<Reviewed>> {
    let review = Review::parse(&review)
        .ok_or_else(|| ApiError::not_found("review-unknown", "There is no such review"))?;
    let words = words.map(|Json(words)| words).unwrap_or_default();
    blocking(move || {
        let item = apply(&app, &by, which.item_id, review, &words)?;
        Ok(Json(Reviewed {
            id: item.id.to_string(),
            status: item.status.as_str(),
        }))
    })
    .await
}

/// The action as the audit of the predecessor names it.
fn action(review: Review) -> &'static str {
    match review {
        Review::Approve => "km_approve",
        Review::Reject => "km_reject",
        Review::Mandate => "km_mandate",
        Review::Revoke => "km_revoke",
    }
}

fn apply(app: &App, by: &By, id: Uuid, review: Review, words: &Words) -> ApiResult<KnowledgeItem> {
    let what = json!({"reason": words.reason, "audience": words.audience});
    let entry = by.entry_with(action(review), on(id), what);
    let audience = words.audience.as_deref();
    let reviewed = app
        .state()
        .review_knowledge(id, review, audience, &entry)
        .map_err(not_found)?;
    reviewed.map_err(|status| {
        ApiError::conflict(
            "review-refused",
            format!(
                "{} is not for an item that is {}",
                review.as_str(),
                status.as_str()
            ),
        )
    })
}

fn not_found(error: StateError) -> ApiError {
    match error {
        StateError::NotFound { .. } => missing(),
        error => error.into(),
    }
}

/// Other words.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Edit {
    title: Option<String>,
    content: Option<String>,
}

/// What was changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Edited {
    id: String,
    /// The fields.
    updated: Vec<&'static str>,
}

/// Changes the words of an item.
#[utoipa::path(post, path = "/api/memory/admin/edit", tag = "knowledge", params(Which), request_body = Edit,
    responses((status = 200, body = Edited), (status = 404), (status = 422)))]
pub(crate) async fn edit_item(
    by: By,
    app: AppState,
    Query(which): Query<Which>,
    Json(edit): Json<Edit>,
) -> ApiResult<Json<Edited>> {
    let title = edit.title.map(|title| text("title", title)).transpose()?;
    let content = edit.content.map(|words| text("content", words));
    let content = content.transpose()?;
    blocking(move || {
        let changed = [("title", title.is_some()), ("content", content.is_some())];
        let changed = changed.into_iter().filter(|(_, is_there)| *is_there);
        let updated: Vec<_> = changed.map(|(field, _)| field).collect();
        let id = which.item_id;
        let entry = by.entry_with("km_edit", on(id), json!({"fields": updated}));
        let change = |item: &mut KnowledgeItem| {
            item.title = title.unwrap_or_else(|| item.title.clone());
            item.content = content.unwrap_or_else(|| item.content.clone());
        };
        let edited = app.state().change_knowledge(id, change, &entry);
        edited.map_err(not_found)?;
        let id = id.to_string();
        Ok(Json(Edited { id, updated }))
    })
    .await
}

/// Several items.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Batch {
    #[schema(value_type = Vec<String>)]
    item_ids: Vec<Uuid>,
    /// `approve`, `reject`, `mandate` or `revoke`.
    action: String,
    #[serde(flatten)]
    words: Words,
}

/// What became of the items.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchReviewed {
    success: Vec<String>,
    not_found: Vec<String>,
    /// Items for which this review makes no sense.
    refused: Vec<String>,
}

/// Reviews several items, each for itself.
#[utoipa::path(post, path = "/api/memory/admin/batch", tag = "knowledge", request_body = Batch,
    responses((status = 200, body = BatchReviewed), (status = 400), (status = 422)))]
pub(crate) async fn review_batch(
    by: By,
    app: AppState,
    Json(batch): Json<Batch>,
) -> ApiResult<Json<BatchReviewed>> {
    let review = Review::parse(&batch.action).ok_or_else(|| {
        let text = format!("Invalid action: {}", batch.action);
        ApiError::bad_request("action-invalid", text)
    })?;
    if batch.item_ids.len() > MOST {
        let text = format!("`item_ids` has more than {MOST} items");
        return Err(ApiError::invalid("too-many-items", text));
    }
    blocking(move || {
        let mut all = BatchReviewed {
            success: Vec::new(),
            not_found: Vec::new(),
            refused: Vec::new(),
        };
        for id in batch.item_ids {
            match apply(&app, &by, id, review, &batch.words) {
                Ok(_) => all.success.push(id.to_string()),
                Err(error) if error.code == "item-not-found" => all.not_found.push(id.to_string()),
                Err(error) if error.code == "review-refused" => all.refused.push(id.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(Json(all))
    })
    .await
}
