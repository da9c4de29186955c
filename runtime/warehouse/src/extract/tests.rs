//! Publishing, seen from outside, and stopped between its steps.

use domain::format::{BodyFormat, Compression, CsvOptions};
use domain::ports::Extracts as _;
use domain::{Column, ColumnType, TableName, TableSpec, WriteMode};

use super::publish::{NewTable, Publish};
use super::*;
use super::{settle::Settled, split::NewFile};
use crate::Warehouse;

mod documents;
mod limits;

pub(crate) fn source(name: &str) -> SourceName {
    SourceName::parse(name).unwrap()
}

pub(crate) fn table(name: &str) -> TableName {
    TableName::parse(name).unwrap()
}

pub(crate) fn spec(name: &str, mode: WriteMode) -> TableSpec {
    TableSpec {
        name: table(name),
        description: format!("About {name}"),
        columns: Vec::new(),
        primary_key: Vec::new(),
        mode,
        partition_by: None,
    }
}

pub(crate) fn open() -> (tempfile::TempDir, Warehouse) {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::open(folder.path()).unwrap();
    (folder, warehouse)
}

/// Publishes JSON lines as a table's new rows.
pub(crate) fn publish(warehouse: &Warehouse, from: &str, name: &str, lines: &str) {
    let mut stage = warehouse
        .extracts
        .stage(&source(from), RunId::generate())
        .unwrap();
    stage.open_table(&spec(name, WriteMode::Replace)).unwrap();
    stage.append_json(&table(name), lines.as_bytes()).unwrap();
    stage.publish(&Cursors::new()).unwrap();
}

fn contents(warehouse: &Warehouse, from: &str) -> Contents {
    Contents::read(&warehouse.paths.extract(&source(from)))
        .unwrap()
        .unwrap()
}

fn parquet_files(warehouse: &Warehouse, from: &str, name: &str) -> usize {
    let extract = warehouse.paths.extract(&source(from));
    std::fs::read_dir(extract.join("data").join(name)).map_or(0, Iterator::count)
}

#[test]
fn a_publish_survives_reopening_and_can_be_read_by_plain_duckdb() {
    let (folder, warehouse) = open();
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    stage
        .open_table(&spec("orders", WriteMode::Replace))
        .unwrap();
    let csv = BodyFormat::Csv(CsvOptions {
        delimiter: None,
        quote: None,
        header: true,
        names: vec![],
        compression: Compression::Auto,
    });
    let body = Box::new("id,at\n1,2026-01-01\n2,2026-01-02\n".as_bytes());
    assert_eq!(
        stage
            .append_body(&table("orders"), &csv, body)
            .unwrap()
            .rows,
        2
    );
    let cursors = Cursors::from([("orders".to_owned(), b"page 7".to_vec())]);
    let published = stage.publish(&cursors).unwrap();
    assert_eq!(published.tables, [(table("orders"), 2)]);
    let (rows, bytes) = stage.written();
    assert!(rows == 2 && bytes == published.bytes && bytes > 0);
    drop((stage, warehouse));

    let warehouse = Warehouse::open(folder.path()).unwrap();
    assert_eq!(
        warehouse.extracts.cursors(&source("shop")).unwrap(),
        cursors
    );
    let path = warehouse
        .paths
        .extract(&source("shop"))
        .join("extract.duckdb");
    let plain = duckdb::Connection::open(&path).unwrap();
    let sum: i64 = plain
        .query_row("SELECT sum(id)::BIGINT FROM orders", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sum, 3);
    let meta: String = plain
        .query_row("SELECT concat_ws('|', table_name, description, rows, size_bytes > 0, query_mode) FROM _meta", [], |row| row.get(0))
        .unwrap();
    assert_eq!(meta, "orders|About orders|2|true|local");
    let remote = plain.prepare("SELECT * FROM _remote_attach");
    assert!(remote.is_err(), "only where there are remote tables");
}

#[test]
fn a_dropped_stage_leaves_nothing_and_the_last_extract_stays() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "shop", "orders", r#"{"id":1}"#);
    let before = contents(&warehouse, "shop");
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    stage
        .open_table(&spec("orders", WriteMode::Replace))
        .unwrap();
    stage
        .append_json(&table("orders"), br#"[{"id":2}]"#)
        .unwrap();
    drop(stage);
    assert_eq!(contents(&warehouse, "shop"), before);
    let folder = warehouse.paths.extract(&source("shop"));
    let left: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn tables_that_a_run_does_not_touch_stay_and_append_adds_rows() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "shop", "customers", r#"{"id":1}"#);
    for line in [r#"{"id":1}"#, r#"{"id":2.5,"new":"x"}"#] {
        let mut stage = warehouse
            .extracts
            .stage(&source("shop"), RunId::generate())
            .unwrap();
        stage
            .open_table(&spec("Events", WriteMode::Append))
            .unwrap();
        stage
            .append_json(&table("events"), line.as_bytes())
            .unwrap();
        stage.publish(&Cursors::new()).unwrap();
    }
    let found = contents(&warehouse, "shop");
    let counts: Vec<_> = found
        .entries
        .iter()
        .map(|e| (e.name.as_str(), e.rows, e.files.len()))
        .collect();
    assert_eq!(counts, [("customers", 1, 1), ("Events", 2, 2)]);
    warehouse.orchestrator.rebuild().unwrap();
    let catalog = warehouse.orchestrator.catalog();
    let columns: Vec<_> = catalog
        .table("EVENTS")
        .unwrap()
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.data_type))
        .collect();
    assert_eq!(columns, ["id DOUBLE", "new VARCHAR"]);
}

#[test]
fn rows_after_a_checkpoint_follow_those_of_the_same_run() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "shop", "orders", r#"{"id":0}"#);
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    stage
        .open_table(&spec("orders", WriteMode::Replace))
        .unwrap();
    for line in [r#"{"id":1}"#, r#"{"id":2}"#] {
        stage
            .append_json(&table("orders"), line.as_bytes())
            .unwrap();
        stage.publish(&Cursors::new()).unwrap();
        stage.publish(&Cursors::new()).unwrap();
    }
    assert_eq!(contents(&warehouse, "shop").entries[0].rows, 2);
}

#[test]
fn a_table_without_rows_has_its_declared_or_its_earlier_columns() {
    let (_folder, warehouse) = open();
    publish(&warehouse, "shop", "known", r#"{"id":1,"t":"x"}"#);
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    let mut declared = spec("declared", WriteMode::Replace);
    declared.columns = vec![Column {
        name: "d".to_owned(),
        column_type: ColumnType::Date,
        description: None,
    }];
    stage.open_table(&declared).unwrap();
    stage
        .open_table(&spec("known", WriteMode::Replace))
        .unwrap();
    stage
        .open_table(&spec("unknown", WriteMode::Replace))
        .unwrap();
    stage.publish(&Cursors::new()).unwrap();
    let report = warehouse.orchestrator.rebuild().unwrap();
    assert_eq!((report.tables, report.problems), (2, vec![]));
    let catalog = warehouse.orchestrator.catalog();
    let columns = |name: &str| {
        catalog
            .table(name)
            .unwrap()
            .columns
            .iter()
            .map(|c| c.data_type.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(columns("known"), ["BIGINT", "VARCHAR"]);
    assert_eq!(columns("declared"), ["DATE"]);
    assert_eq!(catalog.table("known").unwrap().rows, 0);
}

#[test]
fn failures_name_the_table_and_have_a_kind() {
    let (_folder, warehouse) = open();
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    let merge = stage.open_table(&spec("t", WriteMode::Merge));
    assert_eq!(merge.unwrap_err().kind, domain::FailureKind::Bug);
    stage.open_table(&spec("t", WriteMode::Replace)).unwrap();
    stage.open_table(&spec("t", WriteMode::Replace)).unwrap();
    let other = stage.open_table(&spec("t", WriteMode::Append)).unwrap_err();
    assert_eq!(other.kind, domain::FailureKind::Bug);
    let shaped = stage.append_json(&table("t"), b"[1]").unwrap_err();
    assert_eq!(shaped.kind, domain::FailureKind::Bug);
    assert!(shaped.message.starts_with("table `t`, row 1"), "{shaped}");
    let body = Box::new("{".as_bytes());
    let fetched = stage
        .append_body(&table("t"), &BodyFormat::Ndjson(Compression::None), body)
        .unwrap_err();
    assert_eq!(fetched.kind, domain::FailureKind::Upstream);
    let unopened = stage.append_json(&table("u"), b"[]");
    assert_eq!(unopened.unwrap_err().kind, domain::FailureKind::Bug);
}

/// A publish that stops before its commit, as if the machine had died there.
fn die_before_commit(warehouse: &Warehouse, steps: usize) {
    let folder = warehouse.paths.extract(&source("shop"));
    let run = RunId::generate();
    let stage = folder.join(format!(".stage-{run}"));
    std::fs::create_dir_all(&stage).unwrap();
    let field = arrow::datatypes::Field::new("id", arrow::datatypes::DataType::Utf8, true);
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![field]));
    let written = encoder::empty(&stage.join(format!("{run}-0.parquet")), &schema).unwrap();
    let new = NewTable {
        name: table("orders"),
        description: String::new(),
        files: vec![Settled::New(NewFile::whole(written))],
    };
    let mut publish = Publish {
        source: &source("shop"),
        run,
        folder: &folder,
        tables: vec![new],
        remote: vec![],
        attachments: None,
        cursors: &Cursors::new(),
        begun_anew: Vec::new(),
    };
    if steps > 0 {
        publish.place().unwrap();
    }
    if steps > 1 {
        let after = publish.merge(Contents::read(&folder).unwrap().unwrap());
        publish.build(&after).unwrap();
    }
}

#[test]
fn a_crash_before_the_commit_changes_nothing_and_is_cleaned_up() {
    for steps in 0..3 {
        let (folder, warehouse) = open();
        publish(&warehouse, "shop", "orders", r#"{"id":1}"#);
        let before = contents(&warehouse, "shop");
        die_before_commit(&warehouse, steps);
        drop(warehouse);
        let warehouse = Warehouse::open(folder.path()).unwrap();
        assert_eq!(contents(&warehouse, "shop"), before, "after {steps} steps");
        assert_eq!(
            parquet_files(&warehouse, "shop", "orders"),
            1,
            "after {steps} steps"
        );
        let names = std::fs::read_dir(warehouse.paths.extract(&source("shop")))
            .unwrap()
            .count();
        assert_eq!(names, 2, "after {steps} steps");
        assert!(
            warehouse
                .extracts
                .verify(&source("shop"))
                .unwrap()
                .problems
                .is_empty()
        );
    }
}

#[test]
fn files_stay_for_one_publish_more_and_while_a_query_can_hold_them() {
    let (_folder, warehouse) = open();
    let line = r#"{"id":1}"#;
    publish(&warehouse, "shop", "orders", line);
    let first = contents(&warehouse, "shop").entries[0].files[0]
        .path
        .clone();
    let pins = Arc::clone(&warehouse.extracts.0.pins);
    let pin = pins.pin(vec![first.clone()]);
    publish(&warehouse, "shop", "orders", line);
    publish(&warehouse, "shop", "orders", line);
    assert_eq!(parquet_files(&warehouse, "shop", "orders"), 3);
    drop(pin);
    publish(&warehouse, "shop", "orders", line);
    assert_eq!(parquet_files(&warehouse, "shop", "orders"), 2);
    assert!(!first.exists());
}

#[test]
fn a_file_that_was_changed_is_found() {
    let (_folder, warehouse) = open();
    assert!(warehouse.extracts.verify(&source("shop")).is_err());
    publish(&warehouse, "shop", "orders", r#"{"id":1}"#);
    let path = contents(&warehouse, "shop").entries[0].files[0]
        .path
        .clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let verified = warehouse.extracts.verify(&source("shop")).unwrap();
    assert_eq!((verified.files, verified.problems.len()), (1, 1));
    assert!(verified.problems[0].contains("orders"), "{verified:?}");
}

#[test]
fn remote_tables_are_recorded_with_the_name_of_their_credential() {
    use domain::table::{Attachment, RemoteTable};
    let (_folder, warehouse) = open();
    let alias = domain::Alias::parse("crm").unwrap();
    let remote = RemoteTable {
        name: table("leads"),
        description: String::new(),
        alias: alias.clone(),
        remote_name: "public.leads".to_owned(),
    };
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    assert!(stage.expose(&remote).is_err());
    let attachment = Attachment {
        alias,
        extension: "postgres".to_owned(),
        url: "host=db".to_owned(),
        credential_slot: Some(domain::SlotName::parse("token").unwrap()),
    };
    stage.attach(&attachment).unwrap();
    assert!(stage.attach(&attachment).is_err());
    stage.expose(&remote).unwrap();
    stage.publish(&Cursors::new()).unwrap();
    let found = contents(&warehouse, "shop");
    assert_eq!(found.attachments[0].token_env, "token");
    assert_eq!(found.entries[0].remote.as_ref().unwrap().1, "public.leads");
    assert_eq!(warehouse.orchestrator.rebuild().unwrap().tables, 1);
    let leads = warehouse
        .orchestrator
        .catalog()
        .table("leads")
        .cloned()
        .unwrap();
    assert_eq!(leads.query_mode, domain::QueryMode::Remote);
}
