//! The process that is killed while it publishes: a source of each write mode, and one thread that puts small files
//! together. What a state holds follows from its number, so that whoever looks at it later knows every row.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use domain::ports::{Cursors, Extracts as _};
use domain::{Failure, RunId, SourceName, TableName, TableSpec, WriteMode};
use serde_json::{Value, json};
use warehouse::Warehouse;

/// The one table of each source.
const TABLE: &str = "orders";

/// A source, and how its rows come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    mode: WriteMode,
    partition_by: Option<&'static str>,
}

/// Every write mode, whole and in partitions.
pub(crate) const KINDS: [Kind; 6] = [
    kind("replaced", WriteMode::Replace, None),
    kind("replaced_parts", WriteMode::Replace, Some("part")),
    kind("appended", WriteMode::Append, None),
    kind("appended_parts", WriteMode::Append, Some("part")),
    kind("merged", WriteMode::Merge, None),
    kind("merged_parts", WriteMode::Merge, Some("part")),
];

const fn kind(name: &'static str, mode: WriteMode, partition_by: Option<&'static str>) -> Kind {
    Kind {
        name,
        mode,
        partition_by,
    }
}

impl Kind {
    pub(crate) fn source(&self) -> SourceName {
        SourceName::parse(self.name).unwrap()
    }

    /// The rows that a state adds, as (id, part, state).
    fn rows(&self, state: u64) -> Vec<(u64, u64, u64)> {
        let ids: Vec<u64> = match self.mode {
            WriteMode::Replace => (0..40).collect(),
            WriteMode::Append => (state * 3..state * 3 + 3).collect(),
            WriteMode::Merge => (0..60).filter(|id| id % 5 == state % 5).collect(),
        };
        // A merged row moves to another partition each time that it comes.
        ids.into_iter()
            .map(|id| (id, (id + state) % 4, state))
            .collect()
    }

    /// All rows once these many states were published, by id.
    pub(crate) fn all(&self, states: u64) -> BTreeMap<u64, (u64, u64)> {
        let mut all = BTreeMap::new();
        for state in 1..=states {
            if self.mode == WriteMode::Replace {
                all.clear();
            }
            let rows = self.rows(state).into_iter();
            all.extend(rows.map(|(id, part, state)| (id, (part, state))));
        }
        all
    }

    /// Publishes the next state.
    fn publish(&self, warehouse: &Warehouse) -> Result<u64, Failure> {
        let state = published(warehouse, &self.source())? + 1;
        let mut stage = warehouse
            .extracts
            .stage(&self.source(), RunId::generate())?;
        let name = TableName::parse(TABLE).unwrap();
        stage.open_table(&TableSpec {
            name: name.clone(),
            description: String::new(),
            columns: Vec::new(),
            primary_key: vec!["id".to_owned()],
            mode: self.mode,
            partition_by: self.partition_by.map(str::to_owned),
        })?;
        let rows = self.rows(state).into_iter();
        let rows = rows.map(|(id, part, state)| json!({"id": id, "part": part, "state": state}));
        let rows = Value::Array(rows.collect()).to_string();
        stage.append_json(&name, rows.as_bytes())?;
        stage.publish(&Cursors::from([(
            TABLE.to_owned(),
            state.to_string().into_bytes(),
        )]))?;
        Ok(state)
    }
}

/// How many states a source has published, as its cursor says.
pub(crate) fn published(warehouse: &Warehouse, source: &SourceName) -> Result<u64, Failure> {
    let cursors = warehouse.extracts.cursors(source)?;
    let cursor = cursors.get(TABLE);
    Ok(cursor.map_or(0, |cursor| String::from_utf8_lossy(cursor).parse().unwrap()))
}

/// Publishes until it is killed; returns only when that fails.
pub(crate) fn publish(folder: &Path) -> ExitCode {
    let warehouse = Warehouse::open(folder).unwrap();
    println!("ready");
    std::thread::scope(|scope| {
        let warehouse = &warehouse;
        for kind in KINDS {
            scope.spawn(move || {
                while let Ok(state) = kind.publish(warehouse) {
                    println!("{} {state}", kind.name);
                }
                // Whoever waits for a kill sees that something went wrong instead.
                std::process::exit(1);
            });
        }
        scope.spawn(move || {
            while compact(warehouse).is_ok() {}
            std::process::exit(1);
        });
    });
    ExitCode::FAILURE
}

fn compact(warehouse: &Warehouse) -> Result<(), Failure> {
    for kind in KINDS {
        if let Some(compaction) = warehouse.extracts.compact(&kind.source(), &[])? {
            compaction.publish(&[])?;
        }
    }
    std::thread::yield_now();
    Ok(())
}
