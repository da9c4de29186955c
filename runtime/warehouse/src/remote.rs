//! Databases that are attached instead of copied: which ones may be, how, and how they are doing.
//!
//! An extract only says where a database is. Whether the host goes there, with which credential and by
//! which address, is decided here: no extract sends a credential to a host of its own choice.

mod address;
mod attach;
mod files;
mod plan;
mod policy;
mod postgres;
mod prober;
mod push;
mod standing;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use domain::{Secret, SourceName};
use duckdb::Connection;

use crate::catalog::CatalogTable;
use crate::extensions::ExtensionFolder;
use crate::orchestrator::Problem;

pub(crate) use attach::{Attached, Target, clean, rows_of};
pub use policy::{RemotePolicy, Servers, SslMode};
pub(crate) use prober::Prober;
pub use push::{Push, PushError};
use standing::Standings;

/// Finds what a source's credential of this name holds; the text says why it cannot be had.
pub type Lookup = Arc<dyn Fn(&SourceName, &str) -> Result<Secret, String> + Send + Sync>;

/// A source, and what it calls a database.
pub(crate) type Key = (SourceName, String);

/// What the host allows, and where it finds the rest.
pub(crate) struct Setup {
    pub(crate) policy: RemotePolicy,
    pub(crate) lookup: Lookup,
    pub(crate) extensions: ExtensionFolder,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// All remote databases.
#[derive(Debug, Default)]
pub(crate) struct Remotes {
    /// Nothing is attached before it is there.
    setup: OnceLock<Arc<Setup>>,
    standings: Mutex<Standings>,
}

impl Remotes {
    /// Says what is allowed; the first word counts.
    pub(crate) fn allow(&self, setup: Setup) {
        let _ = self.setup.set(Arc::new(setup));
    }

    /// Takes over which databases the tables need.
    pub(crate) fn follow(&self, tables: &[Arc<CatalogTable>]) {
        self.lock().follow(tables);
    }

    /// The tables with the columns that their databases said, and what is wrong with others.
    pub(crate) fn complete(
        &self,
        tables: &[Arc<CatalogTable>],
    ) -> (Vec<Arc<CatalogTable>>, Vec<Problem>) {
        let standings = self.lock();
        let mut problems = Vec::new();
        let completed = tables.iter().map(|table| match &table.remote {
            None => Arc::clone(table),
            Some(place) => {
                let (columns, reason) = standings.columns(table, place);
                problems.extend(reason.map(|reason| Problem {
                    source: table.source.to_string(),
                    table: Some(table.name.to_string()),
                    reason,
                }));
                Arc::new(CatalogTable {
                    columns: columns.to_vec(),
                    ..table.as_ref().clone()
                })
            }
        });
        (completed.collect(), problems)
    }

    /// Looks at the databases whose turn it is; whether there were any, and how long until the next.
    pub(crate) fn probe(&self) -> (bool, Option<Duration>) {
        let Some(setup) = self.setup.get() else {
            return (false, None);
        };
        let due = self.lock().due();
        for (target, names) in &due {
            let outcome = attach::probe(setup, target, names);
            self.lock().note(target, outcome);
        }
        (!due.is_empty(), self.lock().next())
    }

    /// Attaches databases to an instance before its lock. One that is down is not waited for again until
    /// it has been seen to be up.
    pub(crate) fn attach(
        &self,
        targets: &BTreeSet<Target>,
        connection: Connection,
    ) -> Result<Attached, String> {
        let setup = self
            .setup
            .get()
            .ok_or("no remote database is attached here")?;
        let down = |target| self.lock().is_down(target).map(str::to_owned);
        if let Some(reason) = targets.iter().find_map(down) {
            return Err(reason);
        }
        attach::open(setup, targets, connection).map_err(|(key, reason)| {
            let failed = targets.iter().find(|target| target.key() == key);
            if let Some(target) = failed {
                self.lock().down(target, reason.clone());
            }
            reason
        })
    }

    /// Has databases looked at whose connection was lost.
    pub(crate) fn doubt<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        let mut standings = self.lock();
        keys.for_each(|key| standings.doubt(key));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Standings> {
        self.standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
