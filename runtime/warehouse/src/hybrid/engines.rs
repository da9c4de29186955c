//! The engines that compute parts of a query themselves: those databases of extracts that may be attached.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Secret, SourceName};

use super::{Caps, Landing};
use crate::orchestrator::Orchestrator;
use crate::remote::{Push, PushError, Target};

/// What an engine understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL, asked here.
    Postgres,
    /// BigQuery, asked over its REST API.
    BigQuery,
}

/// A database that computes queries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemoteEngine(Target);

impl RemoteEngine {
    /// How queries name it: the source and what its extract calls the database.
    pub fn name(&self) -> String {
        format!("{}.{}", self.0.source, self.0.row.alias)
    }

    /// The source whose extract names it.
    pub fn source(&self) -> &SourceName {
        &self.0.source
    }

    /// What it understands.
    pub fn dialect(&self) -> Dialect {
        match self.0.row.extension.as_str() {
            "bigquery" => Dialect::BigQuery,
            _ => Dialect::Postgres,
        }
    }
}

/// What a result came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed {
    /// Rows.
    pub rows: u64,
    /// Bytes in memory, as Arrow.
    pub bytes: u64,
}

impl Orchestrator {
    /// The databases behind remote tables that can be asked.
    pub fn engines(&self) -> BTreeSet<RemoteEngine> {
        let catalog = self.catalog();
        let tables = catalog.tables.iter();
        let engines = tables.filter_map(|table| {
            let row = &table.remote.as_ref()?.database;
            let speaks = matches!(row.extension.as_str(), "postgres" | "bigquery");
            speaks.then(|| {
                RemoteEngine(Target {
                    source: table.source.clone(),
                    row: row.clone(),
                })
            })
        });
        engines.collect()
    }

    /// Has PostgreSQL compute a query, and lands its result under this name.
    ///
    /// # Errors
    /// [`PushError`]: the policy, the database, the limits.
    pub fn push_down(
        &self,
        engine: &RemoteEngine,
        push: &Push<'_>,
        landing: &mut Landing,
        alias: &str,
        caps: Caps,
    ) -> Result<Landed, PushError> {
        let catalog = self.catalog();
        let mut place = Some(landing);
        let mut table = None;
        self.remotes()
            .push_down(&engine.0, push, &mut |schema, batch| {
                if let Some(landing) = place.take() {
                    table = Some(landing.table(&catalog, alias, &Arc::clone(schema), caps)?);
                }
                match (batch, table.as_mut()) {
                    (Some(batch), Some(table)) => table.write(batch),
                    _ => Ok(()),
                }
            })?;
        let table = table
            .ok_or_else(|| PushError::Remote("the database answered without columns".to_owned()))?;
        let landed = table.landed();
        table.finish(engine.source().clone())?;
        Ok(landed)
    }

    /// The project of BigQuery that is asked and billed, and the credential.
    ///
    /// # Errors
    /// [`PushError`]: the policy, or the credential.
    pub fn bigquery_account(
        &self,
        engine: &RemoteEngine,
    ) -> Result<(String, Option<Secret>), PushError> {
        self.remotes().bigquery(&engine.0)
    }
}
