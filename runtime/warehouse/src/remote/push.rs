//! Queries that a remote database computes itself: only their results come here.
//!
//! The text goes through `postgres_query`, which has the server prepare it first: several statements are none, and within
//! a subquery only a query is. It runs in the read-only transaction of an attachment of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use domain::sql_ident::quote_text;
use domain::{Cancel, Secret};
use duckdb::{Connection, Statement};
use thiserror::Error;

use super::attach::{self, Attached, Target, clean};
use super::plan::bigquery_project;
use super::{RemotePolicy, Remotes, Setup};
use crate::hybrid::LandError;
use crate::open;
use crate::query::{QueryOptions, Stopped, Watch};

/// As of queries on BigQuery: longer than people write.
const MOST_SQL: usize = 1 << 20;
const MEMORY: &str = "512MB";

/// Why a remote query brought nothing.
#[derive(Debug, Error)]
pub enum PushError {
    /// The database cannot be had, or does not take the query. In its words, without credentials.
    #[error("{0}")]
    Remote(String),
    /// The result is too large, or has no place.
    #[error(transparent)]
    Land(#[from] LandError),
    /// It took too long.
    #[error(
        "the remote query took more than {0} s, which is its limit: make it smaller, or ask with a higher `timeout_seconds`"
    )]
    Timeout(u64),
    /// Whoever asked went away.
    #[error("the query was cancelled")]
    Cancelled,
}

/// What is asked of a database.
#[derive(Debug, Clone)]
pub struct Push<'a> {
    /// One query in the database's own SQL.
    pub sql: &'a str,
    /// The longest time for the whole result, once the database is attached.
    pub timeout: Duration,
    /// Set when whoever asked goes away.
    pub cancel: Cancel,
}

/// Takes a result part by part; the first comes even where there are no rows.
pub(super) type Take<'a> =
    dyn FnMut(&SchemaRef, Option<&RecordBatch>) -> Result<(), LandError> + 'a;

impl Remotes {
    /// Runs a query on a PostgreSQL server that may be attached.
    pub(crate) fn push_down(
        &self,
        target: &Target,
        push: &Push<'_>,
        take: &mut Take<'_>,
    ) -> Result<(), PushError> {
        if push.sql.trim().is_empty() || push.sql.len() > MOST_SQL {
            let size = push.sql.len();
            return Err(PushError::Remote(format!(
                "a remote query has 1 to {MOST_SQL} bytes, this one has {size}"
            )));
        }
        let setup = self.within_time(push.timeout)?;
        let connection = open::in_memory(MEMORY, 1);
        let connection = connection.map_err(|error| PushError::Remote(error.to_string()))?;
        let targets = BTreeSet::from([target.clone()]);
        let attached = attach::open(&setup, &targets, connection);
        let attached = attached.map_err(|(_, reason)| PushError::Remote(reason))?;
        if push.cancel.is_cancelled() {
            return Err(PushError::Cancelled);
        }
        run(&attached, target, push, take)
    }

    /// The project of a BigQuery database that may be read, and its credential.
    pub(crate) fn bigquery(&self, target: &Target) -> Result<(String, Option<Secret>), PushError> {
        let setup = self.setup.get().ok_or_else(nothing)?;
        let projects = setup.policy.bigquery.as_deref().unwrap_or_default();
        let project = bigquery_project(projects, &target.row.url).map_err(PushError::Remote)?;
        let credential = attach::credential(setup, target).map_err(PushError::Remote)?;
        Ok((project.to_owned(), credential))
    }

    /// The set-up with this query's time in place of the one for tables that are attached. The server ends what takes longer:
    /// whoever waits for its answer cannot be interrupted.
    fn within_time(&self, timeout: Duration) -> Result<Arc<Setup>, PushError> {
        let setup = self.setup.get().ok_or_else(nothing)?;
        let policy = RemotePolicy {
            // A moment more, so that it is this side that says what the limit was.
            statement_timeout: timeout + Duration::from_secs(1),
            ..setup.policy.clone()
        };
        Ok(Arc::new(Setup {
            policy,
            lookup: Arc::clone(&setup.lookup),
            extensions: setup.extensions.clone(),
        }))
    }
}

fn nothing() -> PushError {
    PushError::Remote("no remote database is attached here".to_owned())
}

fn run(
    attached: &Attached,
    target: &Target,
    push: &Push<'_>,
    take: &mut Take<'_>,
) -> Result<(), PushError> {
    let said = |error: duckdb::Error| PushError::Remote(clean(&error, &attached.hidden));
    open::lock(&attached.connection, &[], &[]).map_err(said)?;
    let names = attached.names();
    let alias = names
        .get(&target.key())
        .map(String::as_str)
        .unwrap_or_default();
    // As a subquery, so that nothing but a query can stand there; in lines of its own, should it end in a comment.
    let text = quote_text(&format!("SELECT * FROM (\n{}\n) AS pushed", push.sql));
    let sql = format!(
        "SELECT * FROM postgres_query({}, {text})",
        quote_text(alias)
    );
    let options = QueryOptions {
        timeout: push.timeout,
        cancel: push.cancel.clone(),
        ..QueryOptions::default()
    };
    let watch = Watch::start(attached.connection.interrupt_handle(), &options);
    let done = rows(&attached.connection, &sql, take, said);
    match watch.stop() {
        Some(Stopped::Timeout) => Err(PushError::Timeout(push.timeout.as_secs())),
        Some(Stopped::Cancelled) => Err(PushError::Cancelled),
        None => done,
    }
}

fn rows(
    connection: &Connection,
    sql: &str,
    take: &mut Take<'_>,
    said: impl Fn(duckdb::Error) -> PushError,
) -> Result<(), PushError> {
    let mut statement = connection.prepare(sql).map_err(&said)?;
    let schema = statement.stream_arrow([]).map_err(&said)?.get_schema();
    take(&schema, None)?;
    // By steps and not by the iterator, which panics where a step fails.
    while let Some(batch) = step(&statement).map_err(&said)? {
        let batch = RecordBatch::try_new(Arc::clone(&schema), batch)
            .map_err(|error| PushError::Remote(error.to_string()))?;
        take(&schema, Some(&batch))?;
    }
    Ok(())
}

fn step(statement: &Statement<'_>) -> duckdb::Result<Option<Vec<arrow::array::ArrayRef>>> {
    let batch = statement.step()?;
    Ok(batch.map(|batch| batch.columns().to_vec()))
}
