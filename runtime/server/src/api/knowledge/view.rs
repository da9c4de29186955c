//! How items are shown, and to whom.

use std::collections::HashMap;

use domain::knowledge::KnowledgeItem;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use warehouse::Tally;

use crate::app::App;
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// A text of some pages; everything else is shorter.
const MOST: usize = 50_000;
const MOST_WORDS: usize = 100;

/// Who looks.
pub(super) struct Audience<'a> {
    by: &'a By,
    groups: Vec<String>,
}

impl<'a> Audience<'a> {
    pub(super) fn of(app: &App, by: &'a By) -> ApiResult<Self> {
        let groups = app.state().groups()?.into_iter();
        let own = groups.filter(|group| by.groups.contains(&group.id));
        Ok(Self {
            by,
            groups: own.map(|group| format!("group:{}", group.name)).collect(),
        })
    }

    /// What is personal is for its author only, whoever else asks.
    pub(super) fn sees(&self, item: &KnowledgeItem) -> bool {
        if item.is_personal {
            return item.source_user == self.by.email;
        }
        self.by.is_admin
            || match item.audience.as_deref() {
                None | Some("all") => true,
                Some(audience) => self.groups.iter().any(|group| group == audience),
            }
    }
}

/// An item.
#[derive(Serialize, ToSchema)]
pub(crate) struct ItemView {
    id: String,
    title: String,
    content: String,
    category: String,
    tags: Vec<String>,
    status: &'static str,
    source_user: String,
    audience: Option<String>,
    confidence: f64,
    domain: Option<String>,
    entities: Vec<String>,
    source_type: String,
    source_ref: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    supersedes: Option<String>,
    sensitivity: String,
    is_personal: bool,
    created_at: String,
    updated_at: String,
    upvotes: u64,
    downvotes: u64,
    score: i64,
}

impl ItemView {
    pub(super) fn of(item: KnowledgeItem, tallies: &HashMap<Uuid, Tally>) -> Self {
        let Tally { up, down } = tallies.get(&item.id).copied().unwrap_or_default();
        let origin = item.provenance;
        Self {
            id: item.id.to_string(),
            title: item.title,
            content: item.content,
            category: item.category,
            tags: item.tags,
            status: item.status.as_str(),
            source_user: item.source_user,
            audience: item.audience,
            confidence: item.confidence,
            domain: item.domain,
            entities: item.entities,
            source_type: item.source_type,
            source_ref: origin.source_ref,
            valid_from: origin.valid_from.map(|at| at.to_string()),
            valid_until: origin.valid_until.map(|at| at.to_string()),
            supersedes: origin.supersedes.map(|id| id.to_string()),
            sensitivity: origin.sensitivity,
            is_personal: item.is_personal,
            created_at: item.created_at.to_string(),
            updated_at: item.updated_at.to_string(),
            upvotes: up,
            downvotes: down,
            score: up.cast_signed() - down.cast_signed(),
        }
    }
}

/// Some of the items.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    items: Vec<ItemView>,
    count: usize,
    page: usize,
    per_page: usize,
    total_count: usize,
    total_pages: usize,
}

impl Page {
    pub(super) fn of(
        items: Vec<KnowledgeItem>,
        tallies: &HashMap<Uuid, Tally>,
        page: usize,
        per_page: usize,
    ) -> Self {
        let total = items.len();
        let skipped = (page - 1).saturating_mul(per_page);
        let items = items.into_iter().skip(skipped).take(per_page);
        let items: Vec<_> = items.map(|item| ItemView::of(item, tallies)).collect();
        Self {
            count: items.len(),
            items,
            page,
            per_page,
            total_count: total,
            total_pages: total.div_ceil(per_page),
        }
    }
}

/// A text that is there and not too long.
pub(super) fn text(field: &str, given: String) -> ApiResult<String> {
    if given.trim().is_empty() || given.len() > MOST {
        return Err(ApiError::invalid(
            "text-invalid",
            format!("`{field}` is empty or longer than {MOST} bytes"),
        ));
    }
    Ok(given)
}

pub(super) fn words(field: &str, given: Option<Vec<String>>) -> ApiResult<Vec<String>> {
    let given = given.unwrap_or_default();
    if given.len() > MOST_WORDS {
        return Err(ApiError::invalid(
            "too-many-words",
            format!("`{field}` has more than {MOST_WORDS} words"),
        ));
    }
    given.into_iter().map(|word| text(field, word)).collect()
}
