//! `/api/marketplaces`: repositories that list plugins, and what they list. All for admins.

mod plugins;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::Marketplace;
use domain::marketplace::{self, MarketplaceError};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warehouse::StateError;

pub(crate) use plugins::{
    __path_list_plugins, __path_replace_plugins, list_plugins, replace_plugins,
};

use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

const MAX_NAME: usize = 200;
const MAX_WORDS: usize = 4000;

/// A marketplace.
#[derive(Serialize, ToSchema)]
pub(crate) struct MarketplaceView {
    /// Its slug.
    id: String,
    name: String,
    url: String,
    branch: Option<String>,
    description: Option<String>,
    registered_by: Option<String>,
    registered_at: String,
    /// When its plugins were put in last.
    last_synced_at: Option<String>,
    /// The environment variable that holds the token for it.
    token_env: Option<String>,
    /// Whether such a variable is named.
    has_token: bool,
    plugin_count: usize,
}

impl MarketplaceView {
    fn of(app: &App, marketplace: Marketplace) -> ApiResult<Self> {
        let plugin_count = app.state().plugins(&marketplace.slug)?.len();
        Ok(Self {
            id: marketplace.slug,
            name: marketplace.name,
            url: marketplace.url,
            branch: marketplace.branch,
            description: marketplace.description,
            registered_by: marketplace.registered_by.map(|id| id.to_string()),
            registered_at: marketplace.registered_at.to_string(),
            last_synced_at: marketplace.last_synced_at.map(|at| at.to_string()),
            has_token: marketplace.token_env.is_some(),
            token_env: marketplace.token_env,
            plugin_count,
        })
    }
}

/// Lists the marketplaces, oldest first.
#[utoipa::path(get, path = "/api/marketplaces", tag = "marketplaces",
    responses((status = 200, body = Vec<MarketplaceView>)))]
pub(crate) async fn list_marketplaces(app: AppState) -> ApiResult<Json<Vec<MarketplaceView>>> {
    blocking(move || {
        let all = app.state().marketplaces()?.into_iter();
        let views = all.map(|marketplace| MarketplaceView::of(&app, marketplace));
        Ok(Json(views.collect::<ApiResult<_>>()?))
    })
    .await
}

/// What to register of a marketplace.
#[derive(Deserialize, ToSchema)]
pub(crate) struct MarketplaceWords {
    name: Option<String>,
    /// `https://…`, with no user name and no password.
    url: Option<String>,
    /// The branch to read; empty for the usual one.
    branch: Option<String>,
    description: Option<String>,
    /// The name of the environment variable that holds the token; empty for none.
    token_env: Option<String>,
    /// A token itself is refused, so that none is stored.
    #[schema(ignore)]
    token: Option<IgnoredAny>,
}

/// A marketplace to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewMarketplace {
    /// Names it for ever: `[a-z0-9][a-z0-9_-]{0,63}`.
    slug: String,
    #[serde(flatten)]
    words: MarketplaceWords,
}

impl MarketplaceWords {
    /// What must hold whatever is changed.
    fn check(&self) -> ApiResult<()> {
        if self.token.is_some() {
            return Err(ApiError::bad_request(
                "token-refused",
                "The server stores no tokens of marketplaces; put the token into an environment \
                 variable and name that as token_env",
            ));
        }
        self.url
            .as_deref()
            .map(marketplace::check_url)
            .transpose()?;
        let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let branch = named(&self.branch);
        branch
            .as_deref()
            .map(marketplace::check_branch)
            .transpose()?;
        let variable = named(&self.token_env);
        variable
            .as_deref()
            .map(marketplace::check_variable)
            .transpose()?;
        let name = self.name.as_deref().unwrap_or_default();
        let words = self.description.as_deref().unwrap_or_default();
        if name.len() > MAX_NAME || name.chars().any(char::is_control) || words.len() > MAX_WORDS {
            return Err(ApiError::bad_request(
                "words-invalid",
                format!(
                    "name has no line breaks and at most {MAX_NAME} bytes, description at most {MAX_WORDS}"
                ),
            ));
        }
        Ok(())
    }

    /// Changes what is named; empty text clears what may be missing.
    fn apply(self, marketplace: &mut Marketplace) {
        let or_none = |text: String| Some(text).filter(|text| !text.is_empty());
        if let Some(name) = self.name {
            name.trim().clone_into(&mut marketplace.name);
        }
        if let Some(url) = self.url {
            marketplace.url = url;
        }
        if let Some(branch) = self.branch {
            marketplace.branch = or_none(branch);
        }
        if let Some(description) = self.description {
            marketplace.description = or_none(description);
        }
        if let Some(variable) = self.token_env {
            marketplace.token_env = or_none(variable);
        }
    }
}

/// Adds a marketplace.
#[utoipa::path(post, path = "/api/marketplaces", tag = "marketplaces", request_body = NewMarketplace,
    responses((status = 201, body = MarketplaceView), (status = 400), (status = 409)))]
pub(crate) async fn create_marketplace(
    by: By,
    app: AppState,
    Json(new): Json<NewMarketplace>,
) -> ApiResult<(StatusCode, Json<MarketplaceView>)> {
    let marketplace = checked(&by, new)?;
    blocking(move || {
        let slug = &marketplace.slug;
        let entry = by.entry("marketplace.created", on(slug));
        let added = app.state().insert_marketplace(&marketplace, &entry);
        added.map_err(|error| match error {
            StateError::AlreadyExists { .. } => ApiError::conflict(
                "already-exists",
                format!("marketplace '{slug}' already exists"),
            ),
            error => error.into(),
        })?;
        let view = MarketplaceView::of(&app, marketplace)?;
        Ok((StatusCode::CREATED, Json(view)))
    })
    .await
}

fn checked(by: &By, new: NewMarketplace) -> ApiResult<Marketplace> {
    marketplace::check_slug(&new.slug)?;
    marketplace::check_url(new.words.url.as_deref().unwrap_or_default())?;
    new.words.check()?;
    let mut marketplace = Marketplace {
        slug: new.slug,
        name: String::new(),
        url: String::new(),
        branch: None,
        description: None,
        token_env: None,
        registered_by: Some(by.user),
        registered_at: Timestamp::now(),
        last_synced_at: None,
    };
    new.words.apply(&mut marketplace);
    match marketplace.name.is_empty() {
        true => Err(ApiError::bad_request("name-missing", "name is required")),
        false => Ok(marketplace),
    }
}

/// Changes what is registered of a marketplace. What is not named stays; empty text clears it.
#[utoipa::path(patch, path = "/api/marketplaces/{id}", tag = "marketplaces",
    request_body = MarketplaceWords, params(("id" = String, Path, description = "Its slug")),
    responses((status = 200, body = MarketplaceView), (status = 400), (status = 404)))]
pub(crate) async fn update_marketplace(
    by: By,
    app: AppState,
    Path(slug): Path<String>,
    Json(words): Json<MarketplaceWords>,
) -> ApiResult<Json<MarketplaceView>> {
    words.check()?;
    if words
        .name
        .as_ref()
        .is_some_and(|name| name.trim().is_empty())
    {
        return Err(ApiError::bad_request(
            "name-missing",
            "name cannot be empty",
        ));
    }
    blocking(move || {
        let entry = by.entry("marketplace.updated", on(&slug));
        let change = |marketplace: &mut Marketplace| words.apply(marketplace);
        let changed = app.state().change_marketplace(&slug, change, &entry);
        let view = MarketplaceView::of(&app, changed.map_err(missing)?)?;
        Ok(Json(view))
    })
    .await
}

/// Removes a marketplace with its plugins and the grants on them.
#[utoipa::path(delete, path = "/api/marketplaces/{id}", tag = "marketplaces",
    params(("id" = String, Path, description = "Its slug")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn delete_marketplace(
    by: By,
    app: AppState,
    Path(slug): Path<String>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let entry = by.entry("marketplace.deleted", on(&slug));
        let gone = app.state().delete_marketplace(&slug, &entry);
        gone.map_err(missing)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn missing(error: StateError) -> ApiError {
    match error {
        StateError::NotFound { .. } => {
            ApiError::not_found("marketplace-not-found", "marketplace not found")
        }
        error => error.into(),
    }
}

fn on(slug: &str) -> String {
    format!("marketplace:{slug}")
}

impl From<MarketplaceError> for ApiError {
    fn from(error: MarketplaceError) -> Self {
        Self::bad_request("marketplace-invalid", error.to_string())
    }
}
