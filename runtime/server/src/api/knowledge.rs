//! `/api/memory`: what people know about the data. Users write, read and vote; admins review.

pub(crate) mod desk;
pub(crate) mod review;
pub(crate) mod told;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use domain::knowledge::{ItemStatus, KnowledgeItem, Provenance};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use view::{Audience, text, words};
pub(crate) use view::{ItemView, Page};

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

const MOST_PER_PAGE: usize = 500;

/// Which items to list.
#[derive(Deserialize, IntoParams)]
pub(crate) struct ItemFilter {
    /// `pending`, `approved`, `mandatory`, `rejected` or `revoked`.
    status_filter: Option<String>,
    /// Only of this category.
    category: Option<String>,
    /// Only of this part of the company.
    domain: Option<String>,
    /// Only those that came this way.
    source_type: Option<String>,
    /// Only those in whose title or content this occurs.
    search: Option<String>,
    /// From 1.
    page: Option<usize>,
    /// 50 by default, 500 at most.
    per_page: Option<usize>,
}

impl ItemFilter {
    fn passes(&self, item: &KnowledgeItem) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == value)
        };
        let word = self.search.as_deref().unwrap_or_default().to_lowercase();
        is(&self.status_filter, Some(item.status.as_str()))
            && is(&self.category, Some(&item.category))
            && is(&self.domain, item.domain.as_deref())
            && is(&self.source_type, Some(&item.source_type))
            && (item.title.to_lowercase().contains(&word)
                || item.content.to_lowercase().contains(&word))
    }
}

/// The items that a principal may see.
pub(super) fn visible(app: &App, by: &By) -> ApiResult<Vec<KnowledgeItem>> {
    let audience = Audience::of(app, by)?;
    let mut items = app.state().knowledge()?;
    items.retain(|item| audience.sees(item));
    Ok(items)
}

fn find(app: &App, by: &By, id: Uuid) -> ApiResult<KnowledgeItem> {
    let audience = Audience::of(app, by)?;
    let item = app.state().knowledge_item(id)?;
    item.filter(|item| audience.sees(item)).ok_or_else(missing)
}

pub(super) fn missing() -> ApiError {
    ApiError::not_found("item-not-found", "Knowledge item not found")
}

/// Lists the items that are for you, newest change first.
#[utoipa::path(get, path = "/api/memory", tag = "knowledge", params(ItemFilter),
    responses((status = 200, body = Page)))]
pub(crate) async fn list_items(
    by: By,
    app: AppState,
    Query(filter): Query<ItemFilter>,
) -> ApiResult<Json<Page>> {
    blocking(move || {
        let mut items = visible(&app, &by)?;
        items.retain(|item| filter.passes(item));
        let per_page = filter.per_page.unwrap_or(50).clamp(1, MOST_PER_PAGE);
        let page = filter.page.unwrap_or(1).max(1);
        Ok(Json(Page::of(
            items,
            &app.state().tallies()?,
            page,
            per_page,
        )))
    })
    .await
}

/// How many items there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stats {
    total: usize,
    by_status: BTreeMap<&'static str, usize>,
    categories: BTreeSet<String>,
    by_domain: BTreeMap<String, usize>,
    by_source_type: BTreeMap<String, usize>,
}

/// Counts the items that are for you.
#[utoipa::path(get, path = "/api/memory/stats", tag = "knowledge", responses((status = 200, body = Stats)))]
pub(crate) async fn get_stats(by: By, app: AppState) -> ApiResult<Json<Stats>> {
    blocking(move || {
        let items = visible(&app, &by)?;
        let mut stats = Stats {
            total: items.len(),
            by_status: BTreeMap::new(),
            categories: BTreeSet::new(),
            by_domain: BTreeMap::new(),
            by_source_type: BTreeMap::new(),
        };
        for item in items {
            *stats.by_status.entry(item.status.as_str()).or_default() += 1;
            stats.categories.insert(item.category);
            if let Some(domain) = item.domain {
                *stats.by_domain.entry(domain).or_default() += 1;
            }
            *stats.by_source_type.entry(item.source_type).or_default() += 1;
        }
        Ok(Json(stats))
    })
    .await
}

/// An item to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewItem {
    title: String,
    content: String,
    category: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    domain: Option<String>,
    #[serde(default)]
    entities: Option<Vec<String>>,
    source_type: Option<String>,
    /// Where it was written or said.
    source_ref: Option<String>,
    /// From when on it holds.
    #[schema(value_type = Option<String>)]
    valid_from: Option<Timestamp>,
    /// Until when it holds.
    #[schema(value_type = Option<String>)]
    valid_until: Option<Timestamp>,
    /// The item whose place it takes.
    #[schema(value_type = Option<String>)]
    supersedes: Option<Uuid>,
    /// How freely it may be told; `internal` by default.
    sensitivity: Option<String>,
}

/// What was added.
#[derive(Serialize, ToSchema)]
pub(crate) struct Added {
    id: String,
    /// `pending`.
    status: &'static str,
}

/// Adds an item, which waits for a review.
#[utoipa::path(post, path = "/api/memory", tag = "knowledge", request_body = NewItem,
    responses((status = 201, body = Added), (status = 422)))]
pub(crate) async fn create_item(
    by: By,
    app: AppState,
    Json(new): Json<NewItem>,
) -> ApiResult<(StatusCode, Json<Added>)> {
    let item = checked(&by, new)?;
    blocking(move || {
        let entry = by.entry("km_create", on(item.id));
        app.state().insert_knowledge(&item, &entry)?;
        let added = Added {
            id: item.id.to_string(),
            status: item.status.as_str(),
        };
        Ok((StatusCode::CREATED, Json(added)))
    })
    .await
}

fn checked(by: &By, new: NewItem) -> ApiResult<KnowledgeItem> {
    let now = Timestamp::now();
    let domain = new.domain.map(|domain| text("domain", domain));
    let source_type = new.source_type.map(|kind| text("source_type", kind));
    let source_ref = new.source_ref.map(|place| text("source_ref", place));
    let sensitivity = new.sensitivity.map(|word| text("sensitivity", word));
    Ok(KnowledgeItem {
        id: Uuid::now_v7(),
        title: text("title", new.title)?,
        content: text("content", new.content)?,
        category: text("category", new.category)?,
        tags: words("tags", new.tags)?,
        status: ItemStatus::Pending,
        source_user: by.email.clone(),
        audience: None,
        confidence: 0.5,
        domain: domain.transpose()?,
        entities: words("entities", new.entities)?,
        source_type: source_type
            .transpose()?
            .unwrap_or_else(|| "claude_local_md".to_owned()),
        is_personal: false,
        provenance: Provenance {
            source_ref: source_ref.transpose()?,
            valid_from: new.valid_from,
            valid_until: new.valid_until,
            supersedes: new.supersedes,
            sensitivity: sensitivity
                .transpose()?
                .unwrap_or_else(|| "internal".to_owned()),
        },
        created_at: now,
        updated_at: now,
    })
}

pub(super) fn on(item: Uuid) -> String {
    format!("knowledge:{item}")
}

/// A vote.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Vote {
    /// 1, -1, or 0 to take it back.
    vote: i64,
}

/// The votes on an item.
#[derive(Serialize, ToSchema)]
pub(crate) struct Votes {
    upvotes: u64,
    downvotes: u64,
}

/// Votes on an item, once a user.
#[utoipa::path(post, path = "/api/memory/{id}/vote", tag = "knowledge", request_body = Vote,
    params(("id" = String, Path, description = "The item")),
    responses((status = 200, body = Votes), (status = 400), (status = 404)))]
pub(crate) async fn vote_item(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(vote): Json<Vote>,
) -> ApiResult<Json<Votes>> {
    let vote = match vote.vote {
        1 => Some(true),
        -1 => Some(false),
        0 => None,
        _ => {
            let text = "Vote must be 1, -1, or 0 (retract)";
            return Err(ApiError::bad_request("vote-invalid", text));
        }
    };
    blocking(move || {
        let item = find(&app, &by, id)?;
        let tally = app.state().vote(item.id, by.user, vote)?;
        Ok(Json(Votes {
            upvotes: tally.up,
            downvotes: tally.down,
        }))
    })
    .await
}

/// Lists your votes by item.
#[utoipa::path(get, path = "/api/memory/my-votes", tag = "knowledge",
    responses((status = 200, body = BTreeMap<String, i64>)))]
pub(crate) async fn my_votes(by: By, app: AppState) -> ApiResult<Json<BTreeMap<String, i64>>> {
    blocking(move || {
        let votes = app.state().votes_of(by.user)?.into_iter();
        let votes = votes.map(|(item, is_for)| (item.to_string(), if is_for { 1 } else { -1 }));
        Ok(Json(votes.collect()))
    })
    .await
}

/// Items.
#[derive(Serialize, ToSchema)]
pub(crate) struct Items {
    items: Vec<ItemView>,
    count: usize,
}

impl Items {
    fn of(items: Vec<ItemView>) -> Self {
        let count = items.len();
        Self { items, count }
    }
}

/// Lists the items that you wrote, also those that are only for you.
#[utoipa::path(get, path = "/api/memory/my-contributions", tag = "knowledge",
    responses((status = 200, body = Items)))]
pub(crate) async fn my_contributions(by: By, app: AppState) -> ApiResult<Json<Items>> {
    blocking(move || {
        let tallies = app.state().tallies()?;
        let all = app.state().knowledge()?.into_iter();
        let own = all.filter(|item| item.source_user == by.email);
        let views = own.map(|item| ItemView::of(item, &tallies));
        Ok(Json(Items::of(views.collect())))
    })
    .await
}
