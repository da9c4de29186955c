//! What is looked at after a kill while extracts were published: each is one committed state, with every row of it and
//! none beyond, and nothing of a dead run is left.

use std::collections::BTreeMap;
use std::path::Path;

use duckdb::{AccessMode, Config, Connection};
use warehouse::Warehouse;

use crate::publisher::{KINDS, Kind, published};

/// Compares what the process left with its acknowledgements; returns how many.
pub(crate) fn examine(folder: &Path, lines: &[String]) -> u32 {
    let mut acknowledged: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        if let Some((name, state)) = line.split_once(' ') {
            acknowledged.insert(name, state.parse().unwrap());
        }
    }
    let warehouse = Warehouse::open(folder).unwrap();
    let states = KINDS.map(|kind| {
        let source = kind.source();
        let state = published(&warehouse, &source).unwrap();
        let told = acknowledged.get(kind.name).copied().unwrap_or_default();
        assert!(state >= told, "{}: {state} of {told}", kind.name);
        if state > 0 {
            let verified = warehouse.extracts.verify(&source).unwrap();
            assert!(verified.problems.is_empty(), "{verified:?}");
        }
        state
    });
    drop(warehouse);
    for (kind, state) in KINDS.iter().zip(states) {
        compare(kind, state, &folder.join("extracts").join(kind.name));
    }
    u32::try_from(lines.len()).unwrap()
}

fn compare(kind: &Kind, state: u64, folder: &Path) {
    if state == 0 {
        return;
    }
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let stages: Vec<_> = names.filter(|name| name.starts_with(".stage")).collect();
    assert_eq!(stages, [""; 0], "{}: a dead run's stage is left", kind.name);
    let config = Config::default().access_mode(AccessMode::ReadOnly).unwrap();
    let path = folder.join("extract.duckdb");
    let connection = Connection::open_with_flags(path, config).unwrap();
    let sql = "SELECT id::BIGINT, part::BIGINT, state::BIGINT FROM orders";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, u64>(0)?, (row.get(1)?, row.get(2)?)))
    });
    let rows: Vec<(u64, (u64, u64))> = rows.unwrap().map(Result::unwrap).collect();
    let all = kind.all(state);
    assert_eq!(rows.len(), all.len(), "{} at state {state}", kind.name);
    let found: BTreeMap<_, _> = rows.into_iter().collect();
    assert_eq!(found, all, "{} at state {state}", kind.name);
}
