//! `/api/memory/admin`: what waits for admins: items to review, contradictions to settle, and what was
//! done. All for admins.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query};
use domain::knowledge::{Contradiction, ItemStatus, Resolution, Settled, short_id};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use warehouse::{AuditRecord, StateError};

use super::view::{ItemView, text};
use super::{Items, MOST_PER_PAGE, on, visible};
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// Which of the items that wait.
#[derive(Deserialize, IntoParams)]
pub(crate) struct Waiting {
    /// Only of this category.
    category: Option<String>,
    /// From 1.
    page: Option<usize>,
    /// 50 by default, 500 at most.
    per_page: Option<usize>,
}

/// Lists the items that wait for a review, oldest first.
#[utoipa::path(get, path = "/api/memory/admin/pending", tag = "knowledge", params(Waiting),
    responses((status = 200, body = Items)))]
pub(crate) async fn list_pending(
    by: By,
    app: AppState,
    Query(wanted): Query<Waiting>,
) -> ApiResult<Json<Items>> {
    blocking(move || {
        let tallies = app.state().tallies()?;
        let mut waiting = visible(&app, &by)?;
        waiting.retain(|item| {
            let category = wanted.category.as_ref();
            item.status == ItemStatus::Pending
                && category.is_none_or(|category| *category == item.category)
        });
        waiting.reverse();
        let per_page = wanted.per_page.unwrap_or(50).clamp(1, MOST_PER_PAGE);
        let before = wanted.page.unwrap_or(1).max(1) - 1;
        let page = waiting.into_iter().skip(before.saturating_mul(per_page));
        let page = page.take(per_page);
        let views = page.map(|item| ItemView::of(item, &tallies));
        Ok(Json(Items::of(views.collect())))
    })
    .await
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
pub(crate) struct Done {
    /// Only of this action, such as `km_approve`.
    action: Option<String>,
    /// 50 by default, 500 at most.
    per_page: Option<usize>,
}

/// What was done with the items, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entries {
    #[schema(value_type = Vec<Object>)]
    entries: Vec<AuditRecord>,
    count: usize,
}

/// Lists what was done with the items, newest first.
#[utoipa::path(get, path = "/api/memory/admin/audit", tag = "knowledge", params(Done),
    responses((status = 200, body = Entries)))]
pub(crate) async fn list_audit(
    app: AppState,
    Query(wanted): Query<Done>,
) -> ApiResult<Json<Entries>> {
    blocking(move || {
        let most = wanted.per_page.unwrap_or(50).clamp(1, MOST_PER_PAGE);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let entries = app
            .state()
            .latest_audit("km_", wanted.action.as_deref(), most)?;
        let count = entries.len();
        Ok(Json(Entries { entries, count }))
    })
    .await
}

/// Which contradictions.
#[derive(Deserialize, IntoParams)]
pub(crate) struct ContradictionFilter {
    /// Only those that are settled, or are not.
    resolved: Option<bool>,
}

/// Two items that cannot both be right.
#[derive(Serialize, ToSchema)]
pub(crate) struct ContradictionView {
    id: String,
    item_a_id: String,
    item_b_id: String,
    explanation: String,
    severity: Option<String>,
    suggested_resolution: Option<String>,
    resolved: bool,
    resolved_by: Option<String>,
    resolved_at: Option<String>,
    /// `kept_a`, `kept_b`, `merged` or `both_valid`.
    resolution: Option<&'static str>,
    detected_at: String,
    /// Nothing for an item that is personal.
    item_a: Option<ItemView>,
    item_b: Option<ItemView>,
}

/// Contradictions, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Contradictions {
    contradictions: Vec<ContradictionView>,
    count: usize,
}

/// Lists items that contradict each other.
#[utoipa::path(get, path = "/api/memory/admin/contradictions", tag = "knowledge", params(ContradictionFilter),
    responses((status = 200, body = Contradictions)))]
pub(crate) async fn list_contradictions(
    by: By,
    app: AppState,
    Query(filter): Query<ContradictionFilter>,
) -> ApiResult<Json<Contradictions>> {
    blocking(move || {
        let mut found = app.state().contradictions()?;
        found.retain(|one| {
            filter
                .resolved
                .is_none_or(|resolved| resolved == one.settled.is_some())
        });
        let tallies = app.state().tallies()?;
        let items = visible(&app, &by)?.into_iter();
        let items: HashMap<_, _> = items.map(|item| (item.id, item)).collect();
        let item = |id| Some(ItemView::of(items.get(&id).cloned()?, &tallies));
        let views = found.into_iter().map(|one| ContradictionView {
            item_a: item(one.item_a),
            item_b: item(one.item_b),
            ..ContradictionView::from(one)
        });
        let contradictions: Vec<_> = views.collect();
        let count = contradictions.len();
        Ok(Json(Contradictions {
            contradictions,
            count,
        }))
    })
    .await
}

impl From<Contradiction> for ContradictionView {
    /// Without the items.
    fn from(found: Contradiction) -> Self {
        let settled = found.settled;
        Self {
            item_a: None,
            item_b: None,
            id: found.id,
            item_a_id: found.item_a.to_string(),
            item_b_id: found.item_b.to_string(),
            explanation: found.explanation,
            severity: found.severity,
            suggested_resolution: found.suggestion,
            resolved: settled.is_some(),
            resolution: settled.as_ref().map(|settled| settled.resolution.as_str()),
            resolved_at: settled.as_ref().map(|settled| settled.at.to_string()),
            resolved_by: settled.map(|settled| settled.by),
            detected_at: found.detected_at.to_string(),
        }
    }
}

/// Two items that contradict each other.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewContradiction {
    #[schema(value_type = String)]
    item_a_id: Uuid,
    #[schema(value_type = String)]
    item_b_id: Uuid,
    /// Why.
    explanation: String,
    /// Such as `hard` or `soft`.
    severity: Option<String>,
    suggested_resolution: Option<String>,
}

/// What was noted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Noted {
    /// `kc_` and twelve digits.
    id: String,
}

/// Notes that two items contradict each other.
#[utoipa::path(post, path = "/api/memory/admin/contradictions", tag = "knowledge",
    request_body = NewContradiction,
    responses((status = 200, body = Noted), (status = 404), (status = 422)))]
pub(crate) async fn create_contradiction(
    by: By,
    app: AppState,
    Json(new): Json<NewContradiction>,
) -> ApiResult<Json<Noted>> {
    let optional = |field, words: Option<String>| words.map(|words| text(field, words)).transpose();
    let found = Contradiction {
        id: short_id("kc"),
        item_a: new.item_a_id,
        item_b: new.item_b_id,
        explanation: text("explanation", new.explanation)?,
        severity: optional("severity", new.severity)?,
        suggestion: optional("suggested_resolution", new.suggested_resolution)?,
        settled: None,
        detected_at: Timestamp::now(),
    };
    if found.item_a == found.item_b {
        let words = "An item cannot contradict itself: `item_a_id` and `item_b_id` are the same";
        return Err(ApiError::invalid("items-equal", words));
    }
    blocking(move || {
        for (name, id) in [("A", found.item_a), ("B", found.item_b)] {
            if app.state().knowledge_item(id)?.is_none() {
                let words = format!("Item {name} not found: {id}");
                return Err(ApiError::not_found("item-not-found", words));
            }
        }
        let entry = by.entry("km_contradiction", on(found.item_a));
        app.state().insert_contradiction(&found, &entry)?;
        Ok(Json(Noted { id: found.id }))
    })
    .await
}

/// How a contradiction ends.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Verdict {
    /// `kept_a`, `kept_b`, `merged` or `both_valid`.
    resolution: String,
}

/// How a contradiction ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resolved {
    id: String,
    /// `true`.
    resolved: bool,
    resolution: &'static str,
}

/// Settles a contradiction, once. The items stay as they are: review them.
#[utoipa::path(post, path = "/api/memory/admin/contradictions/{id}/resolve", tag = "knowledge",
    request_body = Verdict, params(("id" = String, Path, description = "The contradiction")),
    responses((status = 200, body = Resolved), (status = 400), (status = 404)))]
pub(crate) async fn resolve_contradiction(
    by: By,
    app: AppState,
    Path(id): Path<String>,
    Json(verdict): Json<Verdict>,
) -> ApiResult<Json<Resolved>> {
    let resolution = Resolution::parse(&verdict.resolution).ok_or_else(|| {
        let known: Vec<_> = Resolution::ALL.iter().map(|known| known.as_str()).collect();
        let words = format!("Resolution must be one of: {}", known.join(", "));
        ApiError::bad_request("resolution-invalid", words)
    })?;
    blocking(move || {
        let entry = by.entry("km_resolve", format!("contradiction:{id}"));
        let settled = Settled {
            resolution,
            by: by.email.clone(),
            at: Timestamp::now(),
        };
        let is_first = app.state().settle_contradiction(&id, &settled, &entry);
        match is_first {
            Ok(true) => Ok(Json(Resolved {
                id,
                resolved: true,
                resolution: resolution.as_str(),
            })),
            Ok(false) => {
                let words = "Contradiction already resolved";
                Err(ApiError::bad_request("already-resolved", words))
            }
            Err(StateError::NotFound { .. }) => {
                let words = "Contradiction not found";
                Err(ApiError::not_found("contradiction-not-found", words))
            }
            Err(error) => Err(error.into()),
        }
    })
    .await
}
