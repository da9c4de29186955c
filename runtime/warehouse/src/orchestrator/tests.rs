//! Rebuilding, seen from outside.

mod changes;

use domain::ports::Extracts as _;
use duckdb::Connection;

use super::*;
use crate::extract::tests::{open, publish, source};
use crate::{QueryOptions, Scope, Warehouse};

/// An extract as another program writes it under the contract.
fn foreign(warehouse: &Warehouse, name: &str, sql: &str) {
    let folder = warehouse.paths.extract(&source(name));
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let plain = Connection::open(folder.join("extract.duckdb")).unwrap();
    let meta = "CREATE TABLE _meta (table_name VARCHAR, description VARCHAR, rows INTEGER, size_bytes INTEGER, extracted_at TIMESTAMP, query_mode VARCHAR);";
    plain.execute_batch(meta).unwrap();
    plain
        .execute_batch(&sql.replace("{data}", &folder.join("data").to_string_lossy()))
        .unwrap();
}

fn count(warehouse: &Warehouse, sql: &str) -> serde_json::Value {
    let result = warehouse
        .queries
        .query(&Scope::All, sql, &QueryOptions::default())
        .unwrap();
    result.rows[0][0].clone()
}

fn reasons(report: &RebuildReport) -> Vec<String> {
    report
        .problems
        .iter()
        .map(|p| {
            format!(
                "{} {}: {}",
                p.source,
                p.table.as_deref().unwrap_or("-"),
                p.reason
            )
        })
        .collect()
}

#[test]
fn who_has_a_name_first_keeps_it_even_after_a_restart() {
    let (folder, warehouse) = open();
    publish(&warehouse, "zoo", "animals", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    publish(&warehouse, "ark", "ANIMALS", r#"{"id":1}"#);
    let report = warehouse
        .orchestrator
        .rebuild_source(&source("ark"))
        .unwrap();
    assert_eq!(
        reasons(&report),
        ["ark ANIMALS: the source `zoo` has a table of this name already, and keeps it"]
    );
    drop(warehouse);
    let warehouse = Warehouse::open(folder.path()).unwrap();
    warehouse.orchestrator.rebuild().unwrap();
    assert_eq!(
        warehouse
            .orchestrator
            .catalog()
            .table("animals")
            .unwrap()
            .source,
        source("zoo")
    );
    warehouse.extracts.remove(&source("zoo")).unwrap();
    assert!(
        warehouse
            .orchestrator
            .rebuild_source(&source("zoo"))
            .unwrap()
            .problems
            .is_empty()
    );
    assert_eq!(
        warehouse
            .orchestrator
            .catalog()
            .table("animals")
            .unwrap()
            .source,
        source("ark")
    );
}

/// Publishes `a` from `good` and `b` from `bad`; where the extract of the second lies.
fn two_sources(warehouse: &Warehouse) -> PathBuf {
    publish(warehouse, "good", "a", r#"{"id":1}"#);
    publish(warehouse, "bad", "b", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    let folder = warehouse.paths.extract(&source("bad"));
    folder.join("extract.duckdb")
}

#[test]
fn a_broken_extract_is_reported_and_its_last_good_tables_are_served() {
    let (_folder, warehouse) = open();
    let path = two_sources(&warehouse);
    std::fs::write(&path, "garbage".repeat(1000)).unwrap();
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!(report.tables, 2);
    assert!(
        reasons(&report)[0].starts_with("bad -: the extract is broken"),
        "{report:?}"
    );
    assert_eq!(count(&warehouse, "SELECT count(*) FROM b"), 1);
}

#[test]
fn extracts_of_other_programs_are_read_under_the_contract() {
    let (_folder, warehouse) = open();
    foreign(
        &warehouse,
        "other",
        "COPY (SELECT 1 AS id) TO '{data}/single.parquet';
         COPY (SELECT 2 AS id) TO '{data}/odd_name.parquet';
         CREATE VIEW viewed AS SELECT * FROM read_parquet('{data}/odd_name.parquet');
         CREATE TABLE stored AS SELECT 1 AS id;
         INSERT INTO _meta VALUES ('single', NULL, 1, 10, now(), 'local'), ('viewed', 'd', 1, 10, now(), 'local'), ('a;b', '', 0, 0, now(), 'local'), ('stored', '', 1, 0, now(), 'local')",
    );
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!(report.tables, 2);
    let reasons = reasons(&report);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert_eq!(reasons[0], "other a;b: this is not a table name");
    assert!(
        reasons[1]
            .starts_with("other stored: the table `stored` is stored inside of extract.duckdb"),
        "{reasons:?}"
    );
    assert_eq!(
        count(
            &warehouse,
            "SELECT sum(id) FROM (FROM single UNION ALL FROM viewed)"
        ),
        3
    );
}

#[test]
fn an_extract_cannot_name_files_outside_of_its_folder() {
    let (folder, warehouse) = open();
    let outside = folder.path().join("secret.parquet");
    let plain = Connection::open_in_memory().unwrap();
    plain
        .execute_batch(&format!("COPY (SELECT 1 AS id) TO '{}'", outside.display()))
        .unwrap();
    let view = format!(
        "CREATE VIEW leak AS SELECT * FROM read_parquet('{}'); INSERT INTO _meta VALUES ('leak', '', 1, 10, now(), 'local')",
        outside.display()
    );
    foreign(&warehouse, "other", &view);
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!(report.tables, 0);
    assert!(
        reasons(&report)[0].contains("outside of the extract's folder"),
        "{report:?}"
    );
}

#[test]
fn the_master_views_can_be_read_by_plain_duckdb() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "shop", "orders", r#"{"id":7}"#);
    warehouse.extracts.rebuild(&source("shop")).unwrap();
    warehouse.orchestrator.flush().unwrap();
    let plain = Connection::open(warehouse.paths.server_db()).unwrap();
    let id: i64 = plain
        .query_row("SELECT id FROM orders", [], |row| row.get(0))
        .unwrap();
    assert_eq!(id, 7);
}

#[test]
fn eight_readers_see_no_error_while_twenty_publishes_go_on() {
    let (_folder, warehouse) = open();
    let line = |n: usize| format!("{{\"n\":{n}}}\n").repeat(50);
    publish(&warehouse, "shop", "orders", &line(0));
    warehouse.orchestrator.rebuild().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    // One value only: a generation is never mixed.
                    let seen = count(
                        &warehouse,
                        "SELECT count(DISTINCT n) * 1000 + count(*) FROM orders",
                    );
                    assert_eq!(seen, 1_050);
                    // Leaves the processors to the publisher for a moment.
                    std::thread::park_timeout(std::time::Duration::from_millis(20));
                }
            });
        }
        for n in 1..=20 {
            publish(&warehouse, "shop", "orders", &line(n));
            warehouse
                .orchestrator
                .rebuild_source(&source("shop"))
                .unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(count(&warehouse, "SELECT max(n) FROM orders"), 20);
}
