//! Which instances are kept: the newest one of each scope that was asked for lately.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::generation::{Generation, Needs, Place, Wanted};
use super::{QueryError, Scope};
use crate::catalog::Catalog;
use crate::extract::Pins;
use crate::hybrid::Landing;
use crate::orchestrator::Orchestrator;

/// Instances that are kept; the one that was used longest ago leaves first.
const KEPT: usize = 64;

type Cell = Arc<Mutex<Option<Arc<Generation>>>>;

/// The generations by what they are for, each with the turn in which it was used last.
type Turns = HashMap<Wanted, (u64, Cell)>;

/// The newest generation of each scope.
#[derive(Debug)]
pub(super) struct Generations {
    scratch: PathBuf,
    orchestrator: Arc<Orchestrator>,
    pins: Arc<Pins>,
    /// Of the hashes that stand in place of masked values.
    key: String,
    /// The turn, and what it counts.
    cells: Mutex<(u64, Turns)>,
    /// How many were built.
    builds: AtomicU64,
}

impl Generations {
    pub(super) fn new(
        scratch: PathBuf,
        orchestrator: Arc<Orchestrator>,
        pins: Arc<Pins>,
        key: String,
    ) -> Self {
        Self {
            scratch,
            orchestrator,
            pins,
            key,
            cells: Mutex::default(),
            builds: AtomicU64::default(),
        }
    }

    /// The generation for the catalog as it is now. Who holds an older one goes on with it.
    pub(super) fn current(
        &self,
        scope: &Scope,
        needs: Needs,
    ) -> Result<Arc<Generation>, QueryError> {
        let wanted = Wanted {
            scope: scope.clone(),
            needs,
        };
        let cell = self.cell(&wanted);
        let mut held = cell.lock().unwrap_or_else(PoisonError::into_inner);
        let catalog = self.orchestrator.catalog();
        if let Some(generation) = held
            .as_ref()
            .filter(|held| held.version() == catalog.version)
        {
            return Ok(Arc::clone(generation));
        }
        let built = self.build(&catalog, &wanted)?;
        Ok(Arc::clone(held.insert(built)))
    }

    /// What can be seen now, with the results of other engines beside it.
    pub(super) fn sight(&self, scope: &Scope, landing: Option<&Landing>) -> (Scope, Arc<Catalog>) {
        let catalog = self.orchestrator.catalog();
        match landing {
            None => (scope.clone(), catalog),
            Some(landing) => (
                scope.with(landing.names()),
                Arc::new(landing.beside(&catalog)),
            ),
        }
    }

    /// A generation that nobody else uses.
    pub(super) fn once(
        &self,
        scope: Scope,
        needs: Needs,
        catalog: &Catalog,
    ) -> Result<Arc<Generation>, QueryError> {
        self.build(catalog, &Wanted { scope, needs })
    }

    fn build(&self, catalog: &Catalog, wanted: &Wanted) -> Result<Arc<Generation>, QueryError> {
        self.builds.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            scratch: &self.scratch,
            pins: &self.pins,
            remotes: self.orchestrator.remotes(),
            key: &self.key,
        };
        let built = Generation::build(&place, catalog, wanted);
        if !wanted.needs.databases.is_empty() {
            // One that is down is to be looked at, so that it comes back by itself.
            self.orchestrator.wake_prober();
        }
        Ok(Arc::new(built?))
    }

    /// Has the databases of a generation looked at that has lost one.
    pub(super) fn doubt(&self, generation: &Generation) {
        let databases = generation.keys();
        self.orchestrator.remotes().doubt(databases);
        self.orchestrator.wake_prober();
    }

    /// Forgets a generation whose databases may have gone away: the next query attaches them anew.
    pub(super) fn forget(&self, generation: &Arc<Generation>) {
        if !generation.is_attached() {
            return;
        }
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.1.retain(|_, (_, cell)| {
            // One that is being built is another.
            let held = cell.try_lock();
            !held.is_ok_and(|held| {
                held.as_ref()
                    .is_some_and(|held| Arc::ptr_eq(held, generation))
            })
        });
    }

    /// Whether the catalog is still the one that a generation was built for.
    pub(super) fn is_newest(&self, generation: &Generation) -> bool {
        self.orchestrator.catalog().version == generation.version()
    }

    /// The key of hashes.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// How many were built since the start.
    pub(super) fn builds(&self) -> u64 {
        self.builds.load(Ordering::Relaxed)
    }

    fn cell(&self, wanted: &Wanted) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, cells) = &mut *cells;
        *turn += 1;
        if cells.len() >= KEPT && !cells.contains_key(wanted) {
            let oldest = cells
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(wanted, _)| wanted.clone());
            oldest.and_then(|oldest| cells.remove(&oldest));
        }
        let (used, cell) = cells.entry(wanted.clone()).or_default();
        *used = *turn;
        Arc::clone(cell)
    }
}
