//! How each remote database is doing, and when it is looked at again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Key;
use super::attach::{Columns, Target};
use crate::catalog::{CatalogColumn, CatalogTable, RemotePlace};
use crate::extract::AttachRow;

/// The first pause after a failure; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What was seen of a database last.
#[derive(Debug)]
pub(super) enum Standing {
    Unknown,
    Ready,
    Down(String),
}

#[derive(Debug)]
struct Watched {
    row: AttachRow,
    /// The tables that are read from it.
    names: BTreeSet<String>,
    standing: Standing,
    /// What it said last of its tables.
    columns: Columns,
    failures: u32,
    /// When it is looked at.
    due: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Standings(HashMap<Key, Watched>);

impl Standings {
    /// Watches the databases that these tables need, and no other.
    pub(super) fn follow(&mut self, tables: &[Arc<CatalogTable>]) {
        let mut wanted: HashMap<Key, (AttachRow, BTreeSet<String>)> = HashMap::new();
        for table in tables {
            let Some(place) = &table.remote else { continue };
            let key = (table.source.clone(), place.database.alias.clone());
            let (_, names) = wanted
                .entry(key)
                .or_insert_with(|| (place.database.clone(), BTreeSet::new()));
            names.insert(place.name.clone());
        }
        self.0.retain(|key, _| wanted.contains_key(key));
        for (key, (row, names)) in wanted {
            let known = self.0.get(&key);
            if known.is_some_and(|known| known.row == row && known.names == names) {
                continue;
            }
            let watched = Watched {
                row,
                names,
                standing: Standing::Unknown,
                columns: Columns::new(),
                failures: 0,
                due: Some(Instant::now()),
            };
            self.0.insert(key, watched);
        }
    }

    /// Those whose turn it is.
    pub(super) fn due(&self) -> Vec<(Target, BTreeSet<String>)> {
        let now = Instant::now();
        let due = self
            .0
            .iter()
            .filter(|(_, watched)| watched.due.is_some_and(|due| due <= now));
        let targets = due.map(|((source, _), watched)| {
            let target = Target {
                source: source.clone(),
                row: watched.row.clone(),
            };
            (target, watched.names.clone())
        });
        targets.collect()
    }

    /// How long until the next is due.
    pub(super) fn next(&self) -> Option<Duration> {
        let next = self.0.values().filter_map(|watched| watched.due).min();
        next.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// What was seen, unless the database was meanwhile said to be elsewhere.
    pub(super) fn note(&mut self, target: &Target, outcome: Result<Columns, String>) {
        match outcome {
            Ok(columns) => {
                let watched = self.0.get_mut(&target.key());
                if let Some(watched) = watched.filter(|watched| watched.row == target.row) {
                    watched.columns = columns;
                    (watched.standing, watched.failures, watched.due) = (Standing::Ready, 0, None);
                }
            }
            Err(reason) => self.down(target, reason),
        }
    }

    /// It cannot be attached, and is looked at again after a pause.
    pub(super) fn down(&mut self, target: &Target, reason: String) {
        let watched = self.0.get_mut(&target.key());
        let Some(watched) = watched.filter(|watched| watched.row == target.row) else {
            return;
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << watched.failures.min(16));
        watched.failures += 1;
        watched.due = Some(Instant::now() + pause.min(LONGEST_PAUSE));
        watched.standing = Standing::Down(reason);
    }

    /// Its connection was lost: it is looked at now, unless it has a turn already.
    pub(super) fn doubt(&mut self, key: &Key) {
        let watched = self.0.get_mut(key);
        if let Some(watched) = watched.filter(|watched| watched.due.is_none()) {
            watched.due = Some(Instant::now());
        }
    }

    /// Why it is not even tried.
    pub(super) fn is_down(&self, target: &Target) -> Option<&str> {
        match &self.0.get(&target.key())?.standing {
            Standing::Down(reason) => Some(reason),
            _ => None,
        }
    }

    /// The columns that a table had when its database was last seen, and why it cannot be read now.
    pub(super) fn columns(
        &self,
        table: &CatalogTable,
        place: &RemotePlace,
    ) -> (&[CatalogColumn], Option<String>) {
        let key = (table.source.clone(), place.database.alias.clone());
        let Some(watched) = self.0.get(&key) else {
            return (&[], None);
        };
        let (columns, refused) = match watched.columns.get(&place.name) {
            Some(Ok(columns)) => (columns.as_slice(), None),
            Some(Err(reason)) => (
                &[][..],
                Some(format!("it cannot be read in its database: {reason}")),
            ),
            None => (&[][..], None),
        };
        match &watched.standing {
            Standing::Down(reason) => {
                let reason = format!("its database `{}` cannot be attached: {reason}", key.1);
                (columns, Some(reason))
            }
            Standing::Unknown | Standing::Ready => (columns, refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(url: &str) -> Arc<CatalogTable> {
        Arc::new(CatalogTable {
            name: domain::TableName::parse("orders").unwrap(),
            source: domain::SourceName::parse("shop").unwrap(),
            description: String::new(),
            rows: 0,
            size_bytes: 0,
            extracted_at: jiff::Timestamp::UNIX_EPOCH,
            query_mode: domain::QueryMode::Remote,
            files: Vec::new(),
            columns: Vec::new(),
            remote: Some(RemotePlace {
                database: AttachRow {
                    alias: "db".into(),
                    extension: "postgres".into(),
                    url: url.into(),
                    token_env: String::new(),
                },
                name: "public.orders".into(),
            }),
        })
    }

    #[test]
    fn what_is_down_waits_longer_each_time_and_what_moved_is_new() {
        let mut standings = Standings::default();
        standings.follow(&[table("a")]);
        let (target, names) = standings.due().remove(0);
        assert_eq!(names, BTreeSet::from(["public.orders".to_owned()]));
        let mut pauses = Vec::new();
        for _ in 0..12 {
            standings.note(&target, Err("it is off".into()));
            pauses.push(standings.next().unwrap().as_secs_f64().round());
        }
        assert_eq!(pauses[..3], [1.0, 2.0, 4.0]);
        assert_eq!(pauses[11], 300.0);
        assert_eq!(standings.is_down(&target), Some("it is off"));
        standings.follow(&[table("a")]);
        standings.doubt(&target.key());
        assert!(standings.due().is_empty(), "nothing has changed");
        standings.follow(&[table("b")]);
        assert_eq!(standings.due().len(), 1);
        standings.note(&target, Err("an old answer".into()));
        let (target, _) = standings.due().remove(0);
        standings.note(&target, Ok(Columns::new()));
        assert!(standings.due().is_empty(), "it is there");
        standings.doubt(&target.key());
        assert_eq!(standings.due().len(), 1, "whether it is, is in doubt");
    }
}
