//! Some five hundred attempts to read what was not granted, to change something, to learn of the
//! server, to run what the gate does not see, or to bring the process down.

use std::collections::BTreeMap;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;

use super::*;

/// A row of the table that nobody here was granted.
const SECRET: &str = "7f3a-nobody";

#[derive(Deserialize)]
struct Attempts {
    /// By kind; none is answered.
    refused: BTreeMap<String, Vec<String>>,
    /// Answered or not, they show nothing and end.
    harmless: Vec<String>,
    /// Queries that are deeper or longer than anybody writes.
    nested: Vec<Nested>,
}

#[derive(Deserialize)]
struct Nested {
    sql: String,
    before: String,
    core: String,
    after: String,
    times: usize,
}

impl Nested {
    fn sql(&self) -> String {
        let (before, after) = (
            self.before.repeat(self.times),
            self.after.repeat(self.times),
        );
        format!("{}{before}{}{after}", self.sql, self.core)
    }
}

fn attempts() -> Attempts {
    serde_json::from_str(include_str!("../../../../../tests/escapes.json")).unwrap()
}

/// What an attempt may tell: neither where data lies, nor a name or a row beyond the grant.
fn tells_nothing(root: &str, sql: &str, told: &str) {
    assert!(!told.contains(root), "{sql}: {told}");
    assert!(!told.contains(SECRET), "{sql}: {told}");
    let named = sql.to_lowercase().contains("salaries");
    assert!(named || !told.contains("salaries"), "{sql}: {told}");
}

fn still_answers(warehouse: &Warehouse) {
    let counted = ask(warehouse, "SELECT count(*) FROM orders").unwrap();
    assert_eq!(counted.rows, [[json!(2)]]);
}

#[test]
fn every_attempt_to_get_out_is_refused_and_tells_nothing() {
    let (folder, warehouse) = warehouse();
    let root = folder.path().to_string_lossy().into_owned();
    let (mut count, mut answered) = (0, Vec::new());
    for (kind, attempts) in attempts().refused {
        for sql in attempts {
            count += 1;
            match ask(&warehouse, &sql) {
                Err(QueryError::Engine { reason }) => panic!("{kind}: {sql}: {reason}"),
                Err(error) => tells_nothing(&root, &sql, &error.to_string()),
                Ok(result) => answered.push(format!("{kind}: {sql}: {:?}", result.rows)),
            }
        }
        still_answers(&warehouse);
    }
    assert!(answered.is_empty(), "{answered:#?}");
    assert!(count >= 400, "{count}");
}

#[test]
fn what_is_huge_or_odd_ends_and_tells_nothing() {
    // As the server bounds itself: what DuckDB does not count must fail, and not take the machine.
    let bound = Rlimit {
        current: Some(6 << 30),
        maximum: getrlimit(Resource::Data).maximum,
    };
    setrlimit(Resource::Data, bound).unwrap();
    let (folder, warehouse) = warehouse();
    let root = folder.path().to_string_lossy().into_owned();
    let options = QueryOptions {
        timeout: Duration::from_millis(300),
        max_bytes: 1 << 20,
        ..QueryOptions::default()
    };
    for sql in attempts().harmless {
        let told = match warehouse.queries.query(&only("orders"), &sql, &options) {
            Err(error) => error.to_string(),
            Ok(result) => {
                let rows = format!("{:?}", result.rows);
                assert!(rows.len() < 64 << 20, "{sql}: {} bytes", rows.len());
                rows
            }
        };
        tells_nothing(&root, &sql, &told);
        still_answers(&warehouse);
    }
}

#[test]
fn what_is_nested_beyond_reason_ends_without_bringing_anything_down() {
    let (folder, warehouse) = warehouse();
    let root = folder.path().to_string_lossy().into_owned();
    let options = QueryOptions {
        timeout: Duration::from_secs(1),
        ..QueryOptions::default()
    };
    for nested in attempts().nested {
        let sql = nested.sql();
        let told = match warehouse.queries.query(&only("orders"), &sql, &options) {
            Err(error) => error.to_string(),
            Ok(result) => format!("{}", result.row_count),
        };
        tells_nothing(&root, "", &told);
    }
    still_answers(&warehouse);
}
