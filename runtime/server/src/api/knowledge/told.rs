//! What people and their clients are told of the items, where an item comes from, and who backs it.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::knowledge::{Backing, Evidence, ItemStatus, KnowledgeItem, short_id};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::view::{ItemView, text};
use super::{find, missing, on, visible};
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// How many tokens clients read at the start of every talk.
const BUDGET: usize = 6_000;
/// The most items that are weighed against each other.
const MOST_ITEMS: usize = 1_000;

/// What a client reads at the start: everything mandatory, and of the rest what weighs most.
#[derive(Serialize, ToSchema)]
pub(crate) struct Bundle {
    mandatory: Vec<ItemView>,
    approved: Vec<ItemView>,
    /// About how many tokens a model reads in all this: a quarter of the characters.
    token_estimate: usize,
    /// How many it should be at most.
    token_budget: usize,
}

/// Gives the items that hold now and are for you, the mandatory ones first.
#[utoipa::path(get, path = "/api/memory/bundle", tag = "knowledge",
    responses((status = 200, body = Bundle)))]
pub(crate) async fn get_bundle(by: By, app: AppState) -> ApiResult<Json<Bundle>> {
    blocking(move || {
        let chosen = choose(visible(&app, &by)?, Timestamp::now());
        let tallies = app.state().tallies()?;
        let token_estimate = chosen.iter().map(tokens).sum();
        let (mandatory, approved): (Vec<_>, Vec<_>) = chosen
            .into_iter()
            .partition(|item| item.status == ItemStatus::Mandatory);
        let views = |items: Vec<KnowledgeItem>| {
            let views = items.into_iter().map(|item| ItemView::of(item, &tallies));
            views.collect()
        };
        Ok(Json(Bundle {
            mandatory: views(mandatory),
            approved: views(approved),
            token_estimate,
            token_budget: BUDGET,
        }))
    })
    .await
}

fn tokens(item: &KnowledgeItem) -> usize {
    (item.title.chars().count() + 1 + item.content.chars().count()) / 4
}

/// What everybody must know, whatever it costs, and of the rest what still fits, heaviest first.
fn choose(mut items: Vec<KnowledgeItem>, now: Timestamp) -> Vec<KnowledgeItem> {
    items.retain(|item| item.holds_at(now));
    items.sort_by(|a, b| b.weight_at(now).total_cmp(&a.weight_at(now)));
    items.truncate(MOST_ITEMS);
    let (mut chosen, rest): (Vec<_>, Vec<_>) = items
        .into_iter()
        .partition(|item| item.status == ItemStatus::Mandatory);
    let spent: usize = chosen.iter().map(tokens).sum();
    let mut left = BUDGET.saturating_sub(spent);
    for item in rest {
        let Some(after) = left.checked_sub(tokens(&item)) else {
            continue;
        };
        left = after;
        chosen.push(item);
    }
    chosen
}

/// For whom an item is.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Personal {
    /// Whether it is only for its author.
    is_personal: bool,
}

/// For whom an item is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Flagged {
    id: String,
    is_personal: bool,
}

/// Keeps an item to yourself, or shares it. For its author only.
#[utoipa::path(post, path = "/api/memory/{id}/personal", tag = "knowledge", request_body = Personal,
    params(("id" = String, Path, description = "The item")),
    responses((status = 200, body = Flagged), (status = 403), (status = 404)))]
pub(crate) async fn flag_item(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(Personal { is_personal }): Json<Personal>,
) -> ApiResult<Json<Flagged>> {
    blocking(move || {
        let item = find(&app, &by, id)?;
        if item.source_user != by.email {
            let words = "Only the contributor can flag personal items";
            return Err(ApiError::forbidden(words));
        }
        let entry = by.entry("km_personal", on(id));
        app.state()
            .change_knowledge(id, |item| item.is_personal = is_personal, &entry)?;
        let id = id.to_string();
        Ok(Json(Flagged { id, is_personal }))
    })
    .await
}

/// Where an item comes from, and how long it holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProvenanceView {
    id: String,
    source_type: String,
    source_ref: Option<String>,
    source_user: String,
    confidence: f64,
    domain: Option<String>,
    entities: Vec<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    supersedes: Option<String>,
    created_at: String,
    /// Who said so, oldest first.
    evidence: Vec<EvidenceView>,
}

/// What somebody said for an item.
#[derive(Serialize, ToSchema)]
pub(crate) struct EvidenceView {
    id: String,
    source_user: String,
    source_ref: Option<String>,
    /// `correction`, `confirmation` or `unprompted_definition`.
    detection_type: &'static str,
    user_quote: Option<String>,
    created_at: String,
}

impl From<Evidence> for EvidenceView {
    fn from(evidence: Evidence) -> Self {
        Self {
            id: evidence.id,
            source_user: evidence.source_user,
            source_ref: evidence.source_ref,
            detection_type: evidence.backing.as_str(),
            user_quote: evidence.quote,
            created_at: evidence.created_at.to_string(),
        }
    }
}

/// Says where an item comes from, and who backs it.
#[utoipa::path(get, path = "/api/memory/{id}/provenance", tag = "knowledge",
    params(("id" = String, Path, description = "The item")),
    responses((status = 200, body = ProvenanceView), (status = 404)))]
pub(crate) async fn get_provenance(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<ProvenanceView>> {
    blocking(move || {
        let item = find(&app, &by, id)?;
        let evidence = app.state().evidence(id)?.into_iter();
        let origin = item.provenance;
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Ok(Json(ProvenanceView {
            id: id.to_string(),
            source_type: item.source_type,
            source_ref: origin.source_ref,
            source_user: item.source_user,
            confidence: item.confidence,
            domain: item.domain,
            entities: item.entities,
            valid_from: moment(origin.valid_from),
            valid_until: moment(origin.valid_until),
            supersedes: origin.supersedes.map(|id| id.to_string()),
            created_at: item.created_at.to_string(),
            evidence: evidence.map(EvidenceView::from).collect(),
        }))
    })
    .await
}

/// What you say for an item.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewEvidence {
    /// `correction`, `confirmation` or `unprompted_definition`.
    detection_type: String,
    /// Your words.
    user_quote: Option<String>,
    /// Where you said it.
    source_ref: Option<String>,
}

/// How sure the item is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Backed {
    id: String,
    /// 0 to 1.
    confidence: f64,
}

/// Backs an item in your own words; the first ones of each person make it surer.
#[utoipa::path(post, path = "/api/memory/{id}/evidence", tag = "knowledge", request_body = NewEvidence,
    params(("id" = String, Path, description = "The item")),
    responses((status = 201, body = Backed), (status = 404), (status = 422)))]
pub(crate) async fn back_item(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(new): Json<NewEvidence>,
) -> ApiResult<(StatusCode, Json<Backed>)> {
    let said = |field, words: Option<String>| words.map(|words| text(field, words)).transpose();
    let evidence = Evidence {
        id: short_id("ev"),
        item: id,
        source_user: by.email.clone(),
        source_ref: said("source_ref", new.source_ref)?,
        backing: Backing::parse(&new.detection_type).ok_or_else(unknown_backing)?,
        quote: said("user_quote", new.user_quote)?,
        created_at: Timestamp::now(),
    };
    blocking(move || {
        find(&app, &by, id)?;
        let entry = by.entry("km_evidence", on(id));
        let confidence = app.state().add_evidence(&evidence, &entry);
        let confidence = confidence.map_err(|error| match error {
            warehouse::StateError::NotFound { .. } => missing(),
            error => error.into(),
        })?;
        let id = evidence.id;
        Ok((StatusCode::CREATED, Json(Backed { id, confidence })))
    })
    .await
}

fn unknown_backing() -> ApiError {
    let known: Vec<_> = Backing::ALL.iter().map(|known| known.as_str()).collect();
    let words = format!("`detection_type` is one of: {}", known.join(", "));
    ApiError::invalid("detection-type-unknown", words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::knowledge::Provenance;

    fn item(title: &str, status: ItemStatus, confidence: f64, length: usize) -> KnowledgeItem {
        let now = Timestamp::now();
        KnowledgeItem {
            id: Uuid::now_v7(),
            title: title.to_owned(),
            content: "x".repeat(length),
            category: String::new(),
            tags: Vec::new(),
            status,
            source_user: String::new(),
            audience: None,
            confidence,
            domain: None,
            entities: Vec::new(),
            source_type: String::new(),
            is_personal: false,
            provenance: Provenance::default(),
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn a_bundle_has_all_that_is_mandatory_and_the_heaviest_of_the_rest_that_fits() {
        use ItemStatus::{Approved, Mandatory, Pending, Revoked};
        let now = Timestamp::now();
        let hour = jiff::SignedDuration::from_hours(1);
        let mut over = item("over", Approved, 1.0, 4);
        over.provenance.valid_until = Some(now - hour);
        let mut later = item("later", Mandatory, 1.0, 4);
        later.provenance.valid_from = Some(now + hour);
        let mut old = item("old", Approved, 1.0, 8_000);
        old.updated_at = now - 24 * 364 * hour;
        let items = vec![
            item("pending", Pending, 1.0, 4),
            item("revoked", Revoked, 1.0, 4),
            over,
            later,
            old,
            item("light", Approved, 0.1, 7_000),
            item("too long", Approved, 0.9, 16_000),
            item("heavy", Approved, 0.8, 8_000),
            item("must", Mandatory, 0.1, 8_000),
        ];
        let chosen = choose(items, now);
        let titles: Vec<_> = chosen.iter().map(|item| item.title.as_str()).collect();
        assert_eq!(titles, ["must", "heavy", "light"]);
    }
}
