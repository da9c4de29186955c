//! What the running server consists of, for handlers to use.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::SourceName;
use ingest::{Ingest, Receiving};
use warehouse::{Catalog, State, Warehouse};

use crate::api::health::Checkup;
use crate::auth::Directory;
use crate::auth::rules::Rules;
use crate::auth::token::TokenKeys;
use crate::clients::Clients;
use crate::comparisons::Comparisons;
use crate::components::ComponentStore;
use crate::config::Config;
use crate::credentials::CredentialStore;
use crate::error::{ApiError, ApiResult};
use crate::handover::Handover;
use crate::hooks::{self, Paces};
use crate::hybrid::Hybrid;
use crate::metrics::Metrics;
use crate::oidc::Oidc;
use crate::recordings;
use crate::scans::Scans;
use crate::signin::SignIn;
use crate::streams::Streams;
use crate::uploads::Uploads;
use crate::web::Pages;

/// Everything that handlers work with.
#[derive(Debug)]
pub(crate) struct App {
    /// What was configured.
    pub(crate) config: Config,
    /// State, extracts and queries.
    pub(crate) warehouse: Warehouse,
    /// Starts runs and knows those that are under way.
    pub(crate) ingest: Arc<Ingest>,
    /// Takes deliveries of webhooks, and makes rows of them.
    pub(crate) receiving: Arc<Receiving>,
    /// How many of them a source takes.
    pub(crate) paces: Paces,
    /// Connector files.
    pub(crate) components: Arc<ComponentStore>,
    /// Compares their versions, and moves sources that are the host's to move.
    pub(crate) comparisons: Comparisons,
    /// What admins entered.
    pub(crate) credentials: Arc<CredentialStore>,
    /// Signs and checks tokens.
    pub(crate) tokens: TokenKeys,
    /// Who may do what, in memory.
    pub(crate) directory: Directory,
    /// Passwords, links, and the limits on trying them.
    pub(crate) signin: SignIn,
    /// Providers of identities, and the sign-ins that have begun there.
    pub(crate) oidc: Oidc,
    /// Programs that wait to be let in.
    pub(crate) handover: Handover,
    /// How people reach the server, once that is known.
    pub(crate) url: OnceLock<String>,
    /// Answers that are on their way.
    pub(crate) streams: Streams,
    /// Asks remote engines for parts of queries.
    pub(crate) hybrid: Hybrid,
    /// What each user scans.
    pub(crate) scans: Arc<Scans>,
    /// What people send.
    pub(crate) uploads: Arc<Uploads>,
    /// The client that they fetch.
    pub(crate) clients: Clients,
    /// What each route demands.
    pub(crate) rules: Rules,
    /// Templates and what is rendered once.
    pub(crate) pages: Pages,
    /// What is counted since the start.
    pub(crate) metrics: Arc<Metrics>,
    /// How the server was doing a moment ago.
    pub(crate) health: Checkup,
}

impl App {
    /// Users, publishers, versions, sources, runs.
    pub(crate) fn state(&self) -> &State {
        &self.warehouse.state
    }

    /// The tables as they are now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.warehouse.orchestrator.catalog()
    }

    /// How people reach the server, for links: as configured, or else where it listens. Never what a
    /// request says: a link in a mail must not lead to a host of a stranger's choice.
    pub(crate) fn url(&self) -> &str {
        self.url.get().map_or("", String::as_str)
    }

    /// Takes a removed source's tables out of sight, and its files away.
    pub(crate) fn remove_extract(&self, source: &SourceName) -> ApiResult<()> {
        self.receiving.forget(source).map_err(hooks::refused)?;
        self.warehouse.extracts.remove(source)?;
        recordings::forget(self.warehouse.paths.root(), source).map_err(ApiError::internal)?;
        let rebuilt = self.warehouse.orchestrator.rebuild_source(source);
        rebuilt.map(drop).map_err(ApiError::internal)
    }
}

/// The server, shared by all requests; handlers take it as an argument.
#[derive(Debug, Clone)]
pub(crate) struct AppState(pub(crate) Arc<App>);

impl Deref for AppState {
    type Target = App;
    fn deref(&self) -> &App {
        &self.0
    }
}

impl FromRequestParts<Self> for AppState {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, app: &Self) -> Result<Self, Self::Rejection> {
        Ok(app.clone())
    }
}

/// Runs work that blocks, as everything below this crate does, off the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> ApiResult<T> + Send + 'static,
) -> ApiResult<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .map_err(ApiError::internal)?
}
