//! What all sources publish, and who owns which name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{SourceName, TableName};

use super::kept::Kept;
use super::{Problem, master};
use crate::catalog::CatalogTable;
use crate::extract::ExtractError;
use crate::open::Reader;
use crate::paths::Paths;

/// More threads than processors would only wait for each other.
const MOST_READERS: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The last good contents by source.
    pub(super) kept: BTreeMap<SourceName, Arc<Kept>>,
    /// Problems with reading, by source.
    broken: BTreeMap<SourceName, String>,
    /// Folders whose names are no source names.
    pub(super) misnamed: Vec<String>,
    /// Who owns a name, by its folded form.
    pub(super) owners: HashMap<String, SourceName>,
    /// Whether what the last server knew has been taken over.
    pub(super) loaded: bool,
    /// What a rebuild reported last, so that the log says it once.
    pub(super) told: Vec<Problem>,
    /// Lends a reader to a rebuild of one source.
    reader: Option<Reader>,
}

type Read = (SourceName, Result<Option<Kept>, ExtractError>);

impl Sources {
    /// Takes over what the last server wrote down with the master views.
    pub(super) fn load(&mut self, paths: &Paths) {
        if std::mem::replace(&mut self.loaded, true) {
            return;
        }
        let last = master::load(&paths.server_db());
        self.owners = last.owners;
        self.kept = last.kept;
    }

    /// Forgets the sources that have no extract any more; whether there were any.
    pub(super) fn forget_all_but(&mut self, found: &[SourceName]) -> bool {
        let before = self.kept.len();
        self.kept.retain(|source, _| found.contains(source));
        self.broken.retain(|source, _| found.contains(source));
        self.kept.len() < before
    }

    /// Reads those extracts that are not the ones that were read; gives their sources.
    pub(super) fn read(
        &mut self,
        paths: &Paths,
        found: &[SourceName],
    ) -> Result<Vec<SourceName>, duckdb::Error> {
        let changed = found.iter().filter(|source| !self.is_current(source));
        let changed: Vec<SourceName> = changed.cloned().collect();
        let read = match changed.as_slice() {
            [] => Vec::new(),
            [one] => {
                let reader = match self.reader.take() {
                    Some(reader) => reader,
                    None => Reader::new()?,
                };
                let before = self.kept.get(one).map(AsRef::as_ref);
                let read = Kept::read(&reader, paths, one, before);
                // One that failed may hold on to what it was reading.
                self.reader = read.is_ok().then_some(reader);
                vec![(one.clone(), read)]
            }
            many => read_beside(paths, many, &self.kept)?,
        };
        for (source, outcome) in read {
            self.take(source, outcome);
        }
        Ok(changed)
    }

    fn is_current(&self, source: &SourceName) -> bool {
        let kept = self.kept.get(source);
        !self.broken.contains_key(source) && kept.is_some_and(|kept| kept.is_current())
    }

    fn take(&mut self, source: SourceName, outcome: Result<Option<Kept>, ExtractError>) {
        match outcome {
            Ok(Some(kept)) => {
                self.broken.remove(&source);
                self.kept.insert(source, Arc::new(kept));
            }
            Ok(None) => {
                self.broken.remove(&source);
                self.kept.remove(&source);
            }
            Err(error) => self.keep_last_good(source, &error),
        }
    }

    /// A broken extract: what it said last is served on, as far as its files are there.
    fn keep_last_good(&mut self, source: SourceName, error: &ExtractError) {
        let mut reason = format!("the extract is broken: {error}");
        if let Some(kept) = self.kept.get_mut(&source) {
            let left = kept.still_there();
            if left.tables.len() < kept.tables.len() {
                *kept = Arc::new(left);
            }
            reason.push_str("; its last good tables are served");
        }
        self.broken.insert(source, reason);
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let misnamed = self.misnamed.iter().map(|folder| Problem {
            source: folder.clone(),
            table: None,
            reason: "the folder's name is not a source name".to_owned(),
        });
        let broken = self.broken.iter().map(|(source, reason)| Problem {
            source: source.to_string(),
            table: None,
            reason: reason.clone(),
        });
        let passed_over = self.kept.iter().flat_map(|(source, kept)| {
            kept.passed_over.iter().map(|(name, reason)| Problem {
                source: source.to_string(),
                table: Some(name.clone()),
                reason: reason.clone(),
            })
        });
        misnamed.chain(broken).chain(passed_over).collect()
    }

    /// The tables with an owner each, by name: who had a name keeps it while it publishes it.
    pub(super) fn resolve(&mut self, problems: &mut Vec<Problem>) -> Vec<Arc<CatalogTable>> {
        let mut claims: BTreeMap<String, Vec<&Arc<CatalogTable>>> = BTreeMap::new();
        for table in self.kept.values().flat_map(|kept| &kept.tables) {
            claims.entry(table.name.folded()).or_default().push(table);
        }
        let mut owners = HashMap::with_capacity(claims.len());
        let mut tables = Vec::with_capacity(claims.len());
        for (folded, claimants) in claims {
            let had = self.owners.get(&folded);
            let kept = claimants
                .iter()
                .find(|table| Some(&table.source) == had)
                .or(claimants.first());
            let Some(owner) = kept else { continue };
            let others = claimants
                .iter()
                .filter(|table| table.source != owner.source);
            problems.extend(others.map(|table| collision(table, &owner.source)));
            owners.insert(folded, owner.source.clone());
            tables.push(Arc::clone(owner));
        }
        self.owners = owners;
        tables
    }
}

/// Reads many extracts, several at once.
fn read_beside(
    paths: &Paths,
    sources: &[SourceName],
    kept: &BTreeMap<SourceName, Arc<Kept>>,
) -> Result<Vec<Read>, duckdb::Error> {
    let left = Mutex::new(sources.iter());
    let work = || {
        let mut reader = Reader::new()?;
        let mut read: Vec<Read> = Vec::new();
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(source) = next else {
                return Ok::<_, duckdb::Error>(read);
            };
            let before = kept.get(source).map(AsRef::as_ref);
            let outcome = Kept::read(&reader, paths, source, before);
            if outcome.is_err() {
                reader = Reader::new()?;
            }
            read.push((source.clone(), outcome));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_READERS));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut read = Vec::with_capacity(sources.len());
        for worker in workers {
            match worker.join() {
                Ok(part) => read.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(read)
    })
}

fn collision(table: &CatalogTable, owner: &SourceName) -> Problem {
    let name: &TableName = &table.name;
    Problem {
        source: table.source.to_string(),
        table: Some(name.to_string()),
        reason: format!("the source `{owner}` has a table of this name already, and keeps it"),
    }
}
