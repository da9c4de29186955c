//! What is read again, what is kept, and what the next server takes over.

use super::*;

fn read(report: &RebuildReport) -> Vec<&str> {
    report.read.iter().map(SourceName::as_str).collect()
}

/// What plain DuckDB finds in the master views.
fn master(warehouse: &Warehouse, sql: &str) -> Vec<String> {
    let plain = Connection::open(warehouse.paths.server_db()).unwrap();
    let mut statement = plain.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

const VIEWS: &str = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1";

#[test]
fn only_extracts_that_changed_are_read_again() {
    let (_folder, warehouse) = open();
    for (name, table) in [("a", "one"), ("b", "two"), ("c", "three")] {
        publish(&warehouse, name, table, r#"{"id":1}"#);
    }
    let orchestrator = &warehouse.orchestrator;
    assert_eq!(read(&orchestrator.rebuild().unwrap()), ["a", "b", "c"]);
    let version = orchestrator.catalog().version;
    assert!(orchestrator.rebuild().unwrap().read.is_empty());
    assert_eq!(
        orchestrator.catalog().version,
        version,
        "nothing is swapped for nothing"
    );
    publish(&warehouse, "b", "two", r#"{"id":1,"new":2}"#);
    let report = orchestrator.rebuild().unwrap();
    assert_eq!((read(&report), report.tables), (vec!["b"], 3));
    assert_eq!(
        orchestrator.catalog().table("TWO").unwrap().columns.len(),
        2
    );
    std::fs::remove_dir_all(warehouse.paths.extract(&source("a"))).unwrap();
    let report = orchestrator.rebuild().unwrap();
    assert_eq!((read(&report).len(), report.tables), (0, 2));
}

#[test]
fn files_that_another_program_exchanges_are_seen() {
    let (_folder, warehouse) = open();
    let meta = "INSERT INTO _meta VALUES ('t', '', 1, 10, now(), 'local')";
    foreign(
        &warehouse,
        "other",
        &format!("COPY (SELECT 1 AS id) TO '{{data}}/t.parquet'; {meta}"),
    );
    warehouse.orchestrator.rebuild().unwrap();
    let plain = Connection::open_in_memory().unwrap();
    let file = warehouse
        .paths
        .extract(&source("other"))
        .join("data/t.parquet");
    let copy = format!("COPY (SELECT 2 AS id, 3 AS more) TO '{}'", file.display());
    plain.execute_batch(&copy).unwrap();
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!(read(&report), ["other"]);
    assert_eq!(count(&warehouse, "SELECT id + more FROM t"), 5);
}

#[test]
fn the_next_server_reads_nothing_that_has_not_changed() {
    let (folder, warehouse) = open();
    publish(&warehouse, "a", "one", r#"{"id":1}"#);
    publish(&warehouse, "b", "two", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    let before = warehouse.orchestrator.catalog();
    drop(warehouse);
    let warehouse = Warehouse::open(folder.path()).unwrap();
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!((read(&report).len(), report.tables), (0, 2));
    assert_eq!(warehouse.orchestrator.catalog().tables, before.tables);
    // What comes next is a change of the file that the last server wrote.
    publish(&warehouse, "c", "three", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    warehouse.orchestrator.flush().unwrap();
    assert_eq!(master(&warehouse, VIEWS), ["one", "three", "two"]);
}

#[test]
fn what_a_broken_extract_said_last_is_served_by_the_next_server_too() {
    let (folder, warehouse) = open();
    let path = two_sources(&warehouse);
    drop(warehouse);
    std::fs::write(&path, "garbage".repeat(1000)).unwrap();
    let warehouse = Warehouse::open(folder.path()).unwrap();
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!((read(&report), report.tables), (vec!["bad"], 2));
    let reasons = reasons(&report);
    assert!(
        reasons[0].ends_with("its last good tables are served"),
        "{reasons:?}"
    );
    assert_eq!(count(&warehouse, "SELECT count(*) FROM b"), 1);
    // And it is looked at again as long as it is broken.
    assert_eq!(read(&warehouse.orchestrator.rebuild().unwrap()), ["bad"]);
}

#[test]
fn the_master_views_follow_each_change() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "a", "one", r#"{"id":1}"#);
    publish(&warehouse, "b", "two", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    warehouse.orchestrator.flush().unwrap();
    assert_eq!(master(&warehouse, VIEWS), ["one", "two"]);
    publish(&warehouse, "a", "one", r#"{"name":"Ada"}"#);
    std::fs::remove_dir_all(warehouse.paths.extract(&source("b"))).unwrap();
    publish(&warehouse, "c", "Three", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    warehouse.orchestrator.flush().unwrap();
    assert_eq!(master(&warehouse, VIEWS), ["Three", "one"]);
    assert_eq!(master(&warehouse, "SELECT name FROM one"), ["Ada"]);
    let owners = "SELECT table_name || ' ' || source FROM _sluice_owner ORDER BY 1";
    assert_eq!(master(&warehouse, owners), ["one a", "three c"]);
    let sources = "SELECT source FROM _sluice_source ORDER BY 1";
    assert_eq!(master(&warehouse, sources), ["a", "c"]);
}

#[test]
fn master_views_that_somebody_removed_or_broke_are_written_from_nothing() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "a", "one", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    warehouse.orchestrator.flush().unwrap();
    std::fs::remove_file(warehouse.paths.server_db()).unwrap();
    warehouse.orchestrator.rebuild().unwrap();
    warehouse.orchestrator.flush().unwrap();
    assert_eq!(master(&warehouse, VIEWS), ["one"]);
    std::fs::write(warehouse.paths.server_db(), "garbage".repeat(1000)).unwrap();
    publish(&warehouse, "b", "two", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    warehouse.orchestrator.flush().unwrap();
    assert_eq!(master(&warehouse, VIEWS), ["one", "two"]);
}

#[test]
fn a_file_that_vanished_costs_its_own_table_only() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "a", "one", r#"{"id":1}"#);
    publish(&warehouse, "b", "two", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    let one = warehouse
        .orchestrator
        .catalog()
        .table("one")
        .cloned()
        .unwrap();
    std::fs::remove_file(&one.files[0].path).unwrap();
    let asked = |sql| {
        warehouse
            .queries
            .query(&Scope::All, sql, &QueryOptions::default())
    };
    let error = asked("SELECT * FROM one").unwrap_err().to_string();
    assert!(error.contains("table `one` cannot be read"), "{error}");
    assert!(!error.contains("parquet"), "{error}");
    assert_eq!(count(&warehouse, "SELECT count(*) FROM two"), 1);
    // The extract is broken by it, and says so.
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!((read(&report), report.tables), (vec!["a"], 1));
}

#[test]
fn a_table_is_found_behind_a_common_table_expression_of_its_name() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "a", "one", r#"{"id":1}"#);
    warehouse.orchestrator.rebuild().unwrap();
    let sql = "WITH one AS (SELECT id + 1 AS id FROM one) SELECT id FROM one";
    assert_eq!(count(&warehouse, sql), 2);
}

#[test]
fn a_disk_that_refuses_the_master_views_stops_nobody() {
    let (folder, warehouse) = open();
    publish(&warehouse, "a", "one", r#"{"id":1}"#);
    // A folder in the place of the file: nothing can be renamed over it.
    std::fs::create_dir_all(folder.path().join("analytics/server.duckdb/x")).unwrap();
    assert_eq!(warehouse.orchestrator.rebuild().unwrap().tables, 1);
    assert_eq!(count(&warehouse, "SELECT count(*) FROM one"), 1);
    let error = warehouse.orchestrator.flush().unwrap_err().to_string();
    assert!(error.contains("cannot write the master views"), "{error}");
    std::fs::remove_dir_all(folder.path().join("analytics/server.duckdb")).unwrap();
    warehouse.orchestrator.rebuild().unwrap();
    warehouse.orchestrator.flush().unwrap();
    assert_eq!(master(&warehouse, VIEWS), ["one"]);
}
