//! Hybrid queries: remote engines compute parts, each within limits of its own, and one query here joins the results with
//! tables of this server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::Broker;
use broker::bigquery::{Ask, Connection};
use domain::ports::Observer;
use domain::run::{EgressRow, Level, Progress};
use domain::{Cancel, Failure};
use thiserror::Error;
use tokio::sync::{Semaphore, TryAcquireError};
use url::Url;
use warehouse::hybrid::{BigQueryShape, Caps, Dialect, LandError, Landed, Landing, RemoteEngine};
use warehouse::{Push, PushError, Warehouse};

use crate::config::Config;

/// Where BigQuery's REST API is.
const BASE_URL: &str = "https://bigquery.googleapis.com";
/// Where the key of a service account is exchanged.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// What remote engines are asked with.
#[derive(Debug)]
pub(crate) struct Hybrid {
    broker: Arc<Broker>,
    places: Arc<Semaphore>,
}

/// A part of a query that another engine computes.
#[derive(Debug)]
pub(crate) struct Part {
    /// How the query names its result.
    pub(crate) alias: String,
    /// Who computes it.
    pub(crate) engine: RemoteEngine,
    /// In that engine's SQL.
    pub(crate) sql: String,
    pub(crate) caps: Caps,
    pub(crate) max_bytes_billed: u64,
    pub(crate) timeout: Duration,
}

/// What a part came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    pub(crate) landed: Landed,
    pub(crate) bytes_billed: Option<u64>,
    pub(crate) took: Duration,
}

/// Why a part brought nothing.
#[derive(Debug, Error)]
pub(crate) enum PartError {
    #[error(transparent)]
    Push(#[from] PushError),
    #[error(transparent)]
    Land(#[from] LandError),
    #[error("{}", .0.message)]
    BigQuery(#[from] Failure),
    #[error("{0}")]
    Account(&'static str),
}

impl PartError {
    /// The word for its kind, as clients know it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Land(error) | Self::Push(PushError::Land(error)) => match error {
                LandError::Rows { .. } => "row_limit",
                LandError::Bytes { .. } => "memory_limit",
                _ => "query_error",
            },
            Self::Push(PushError::Remote(_)) => "remote_error",
            Self::Push(PushError::Timeout(_)) => "timeout",
            Self::Push(PushError::Cancelled) => "cancelled",
            Self::BigQuery(_) | Self::Account(_) => "bq_error",
        }
    }
}

/// Hears what the gate decides; refusals are for the operator.
struct Quiet;

impl Observer for Quiet {
    fn started(&self) {}
    fn log(&self, _: Level, _: &str) {}
    fn progress(&self, _: &Progress) {}
    fn egress(&self, row: &EgressRow) {
        tracing::debug!(?row, "a request of a hybrid query");
    }
}

impl Hybrid {
    pub(crate) fn new(broker: Arc<Broker>, at_once: usize) -> Self {
        let places = Arc::new(Semaphore::new(at_once));
        Self { broker, places }
    }

    /// A place among those that are asked at once.
    pub(crate) fn place(&self) -> Result<impl Drop + use<>, TryAcquireError> {
        Arc::clone(&self.places).try_acquire_owned()
    }

    /// Has a part computed, and lands its result.
    pub(crate) fn land(
        &self,
        config: &Config,
        warehouse: &Warehouse,
        part: &Part,
        landing: &mut Landing,
        cancel: &Cancel,
    ) -> Result<Came, PartError> {
        let began = Instant::now();
        let (landed, bytes_billed) = match part.engine.dialect() {
            Dialect::Postgres => {
                let push = Push {
                    sql: &part.sql,
                    timeout: part.timeout,
                    cancel: cancel.clone(),
                };
                let orchestrator = &warehouse.orchestrator;
                let landed =
                    orchestrator.push_down(&part.engine, &push, landing, &part.alias, part.caps)?;
                (landed, None)
            }
            Dialect::BigQuery => {
                let connection = connection(config, warehouse, &part.engine)?;
                self.bigquery(&connection, warehouse, part, landing, cancel)?
            }
        };
        Ok(Came {
            landed,
            bytes_billed,
            took: began.elapsed(),
        })
    }

    fn bigquery(
        &self,
        connection: &Connection,
        warehouse: &Warehouse,
        part: &Part,
        landing: &mut Landing,
        cancel: &Cancel,
    ) -> Result<(Landed, Option<u64>), PartError> {
        let ask = Ask {
            sql: &part.sql,
            max_bytes_billed: part.max_bytes_billed,
            max_rows: part.caps.rows,
            max_bytes: part.caps.bytes,
            timeout: part.timeout,
        };
        let catalog = warehouse.orchestrator.catalog();
        let mut place = Some(landing);
        let mut table = None;
        let mut unfit = None;
        let taken = self
            .broker
            .bigquery(connection, ask, Arc::new(Quiet), cancel, &mut |page| {
                if let Some(landing) = place.take() {
                    let shape = BigQueryShape::new(page.schema).map_err(told)?;
                    let begun = landing.table(&catalog, &part.alias, &shape.schema(), part.caps);
                    let begun = begun.map_err(|error| keep(&mut unfit, error))?;
                    table = Some((shape, begun));
                }
                let Some((shape, table)) = table.as_mut() else {
                    return Ok(());
                };
                let batch = shape.batch(page.rows).map_err(told)?;
                table.write(&batch).map_err(|error| keep(&mut unfit, error))
            });
        if let Some(error) = unfit {
            return Err(error.into());
        }
        let spent = taken?;
        let (_, table) = table.ok_or(PartError::Account("BigQuery sent no result"))?;
        let landed = table.landed();
        table.finish(part.engine.source().clone())?;
        Ok((landed, spent.bytes_billed))
    }
}

fn told(error: impl std::fmt::Display) -> Failure {
    Failure::upstream(error.to_string())
}

/// The query on BigQuery is ended by a failure; what is told is the reason here.
fn keep(unfit: &mut Option<LandError>, error: LandError) -> Failure {
    let failure = Failure::limit(error.to_string());
    *unfit = Some(error);
    failure
}

fn connection(
    config: &Config,
    warehouse: &Warehouse,
    engine: &RemoteEngine,
) -> Result<Connection, PartError> {
    let (project, service_account) = warehouse.orchestrator.bigquery_account(engine)?;
    let key_file = |secret: &domain::Secret| secret.expose().trim_ascii_start().starts_with(b"{");
    let bigquery = &config.remote.extensions.bigquery;
    let base_url = bigquery
        .base_url
        .clone()
        .map_or_else(|| Url::parse(BASE_URL), Ok);
    match &service_account {
        Some(secret) if !key_file(secret) => Err(PartError::Account(
            "the credential of this database is no key file of a service account, which hybrid queries need",
        )),
        None if bigquery.base_url.is_none() => Err(PartError::Account(
            "this database has no credential: name one in `token_env` of its extract, and enter the key file of a service account for it",
        )),
        _ => Ok(Connection {
            name: engine.source().clone(),
            project,
            location: bigquery.location.clone(),
            base_url: base_url
                .map_err(|_| PartError::Account("`base_url` of BigQuery is no URL"))?,
            private_addresses: bigquery.private_addresses.clone(),
            service_account,
            token_url: bigquery
                .token_url
                .as_ref()
                .map_or_else(|| TOKEN_URL.to_owned(), Url::to_string),
        }),
    }
}
