//! Rebuilding many tables, and what the first query of somebody costs: within this process, without HTTP.

use std::path::Path;
use std::time::Instant;

use domain::ports::{Cursors, Extracts as _};
use domain::restriction::Extent;
use domain::table::{TableSpec, WriteMode};
use domain::{RunId, SourceName, TableName};
use warehouse::{QueryOptions, Scope, Warehouse};

use crate::Scale;
use crate::report::{Aim, Row};
use crate::samples::Samples;

const TABLES: usize = 10;
/// As many as one person is granted.
const GRANTED: usize = 100;

/// Measures; a row for each work.
pub fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    for (sources, seconds) in [(50, 0.5), (500, 5.0)] {
        let sources = scale.of(sources, sources / 10);
        let folder = tempfile::tempdir().expect("a folder");
        fill(folder.path(), sources);
        println!("{sources} sources are there to be rebuilt");
        rows.extend(measure(folder.path(), sources, seconds, scale.of(5, 2)));
    }
    rows
}

fn measure(folder: &Path, sources: usize, seconds: f64, turns: usize) -> Vec<Row> {
    let tables = sources * TABLES;
    let [mut full, mut written, mut again, mut one, mut first] =
        std::array::from_fn(|_| Samples::default());
    for turn in 0..turns {
        // Nothing is known of what the last one read.
        let _ = std::fs::remove_file(folder.join("analytics/server.duckdb"));
        let warehouse = Warehouse::open(folder).expect("it opens");
        full.push(timed(|| {
            drop(warehouse.orchestrator.rebuild().expect("it rebuilds"))
        }));
        written.push(timed(|| {
            warehouse.orchestrator.flush().expect("it is written")
        }));
        publish(&warehouse, turn % sources);
        one.push(timed(|| {
            drop(warehouse.orchestrator.rebuild().expect("it rebuilds"))
        }));
        again.push(timed(|| {
            warehouse.orchestrator.flush().expect("it is written")
        }));
        let granted = (0..GRANTED.min(tables)).map(|n| table((n * 7 + turn) % tables));
        let scope = Scope::only(granted.map(|name| (name, Extent::Whole)));
        let sql = format!("SELECT count(*) FROM {}", table(turn % tables));
        first.push(timed(|| {
            let answer = warehouse
                .queries
                .query(&scope, &sql, &QueryOptions::default());
            assert_eq!(answer.expect("it answers").row_count, 1);
        }));
    }
    let row = |work: String, ours: Samples, unit, aim| Row {
        work,
        ours,
        peer: None,
        unit,
        aim,
    };
    vec![
        row(
            format!("full rebuild of {tables} tables"),
            full,
            "s",
            Aim::AtMost(seconds),
        ),
        row(
            format!("until the master views of {tables} tables are written"),
            written,
            "s",
            Aim::Nothing,
        ),
        row(
            format!("rebuild after one source of {sources} changed"),
            milli(&one),
            "ms",
            Aim::AtMost(50.0),
        ),
        row(
            format!("until the master views follow that, of {tables}"),
            milli(&again),
            "ms",
            Aim::Nothing,
        ),
        row(
            format!("first query of a grant set never seen, of {tables} tables"),
            milli(&first),
            "ms",
            Aim::AtMost(50.0),
        ),
    ]
}

fn milli(samples: &Samples) -> Samples {
    samples.map(|seconds| seconds * 1e3)
}

fn timed(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn table(number: usize) -> String {
    format!("orders_{number:04}")
}

fn fill(folder: &Path, sources: usize) {
    let warehouse = Warehouse::open(folder).expect("it opens");
    for source in 0..sources {
        publish(&warehouse, source);
    }
}

/// Publishes the tables of a source.
fn publish(warehouse: &Warehouse, source: usize) {
    let name = SourceName::parse(&format!("shop_{source:03}")).expect("a name");
    let stage = warehouse.extracts.stage(&name, RunId::generate());
    let mut stage = stage.expect("a stage");
    for number in source * TABLES..(source + 1) * TABLES {
        let spec = TableSpec {
            name: TableName::parse(&table(number)).expect("a name"),
            description: String::new(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            mode: WriteMode::Replace,
            partition_by: None,
        };
        stage.open_table(&spec).expect("it opens");
        let row = br#"{"id":1,"customer":"Ada","amount":12.5,"paid":true}"#;
        stage.append_json(&spec.name, row).expect("it is taken");
    }
    stage.publish(&Cursors::new()).expect("it publishes");
}
