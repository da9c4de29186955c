//! The write modes, as a reader of the published files sees them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::ports::{Cursors, Extracts as _};
use domain::{Failure, RunId, TableRules, TableSpec, WriteMode};
use serde_json::{Value, json};

use crate::Warehouse;
use crate::extract::contents::{Contents, Entry, view};
use crate::extract::tests::{open, source, spec, table};

mod model;

fn merged(partition_by: Option<&str>) -> TableSpec {
    TableSpec {
        primary_key: vec!["id".to_owned()],
        partition_by: partition_by.map(str::to_owned),
        ..spec("t", WriteMode::Merge)
    }
}

fn rules(value: Value) -> TableRules {
    serde_json::from_value(value).unwrap()
}

/// One run with one publish.
fn write(
    warehouse: &Warehouse,
    spec: &TableSpec,
    rules: &TableRules,
    lines: &str,
) -> Result<(), Failure> {
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())?;
    stage.follow(rules);
    stage.open_table(spec)?;
    stage.append_json(&table("t"), lines.as_bytes())?;
    stage.publish(&Cursors::new()).map(drop)
}

fn put(warehouse: &Warehouse, spec: &TableSpec, lines: &str) {
    write(warehouse, spec, &TableRules::default(), lines).unwrap();
}

fn entry(warehouse: &Warehouse) -> Entry {
    let folder = warehouse.paths.extract(&source("shop"));
    let contents = Contents::read(&folder).unwrap().unwrap();
    contents
        .entries
        .into_iter()
        .find(|entry| entry.name.as_str() == "t")
        .unwrap()
}

fn files(warehouse: &Warehouse) -> BTreeSet<PathBuf> {
    entry(warehouse)
        .files
        .into_iter()
        .map(|file| file.path)
        .collect()
}

/// What a query of the table gives, sorted.
fn rows(warehouse: &Warehouse, columns: &str) -> Vec<String> {
    let entry = entry(warehouse);
    let paths: Vec<&Path> = entry.files.iter().map(|file| file.path.as_path()).collect();
    let database = duckdb::Connection::open_in_memory().unwrap();
    database.execute_batch(&view("t", &paths)).unwrap();
    let sql = format!("SELECT concat_ws(' ', {columns}) FROM t ORDER BY 1");
    let mut statement = database.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    let rows: Vec<String> = rows.map(Result::unwrap).collect();
    assert_eq!(
        entry.rows,
        rows.len() as u64,
        "the extract counts what is there"
    );
    assert_eq!(
        warehouse.extracts.verify(&source("shop")).unwrap().problems,
        [""; 0]
    );
    rows
}

#[test]
fn a_merge_keeps_the_newest_row_of_each_key() {
    let (_folder, warehouse) = open();
    let spec = merged(None);
    put(
        &warehouse,
        &spec,
        r#"[{"id":1,"v":"a"},{"id":2,"v":"b"},{"id":1,"v":"c"},{"id":5,"v":"e"},{"id":6,"v":"f"}]"#,
    );
    assert_eq!(rows(&warehouse, "id, v"), ["1 c", "2 b", "5 e", "6 f"]);
    put(
        &warehouse,
        &spec,
        r#"[{"id":2,"v":"B"},{"id":3,"v":"d"},{"id":2,"v":"bb"}]"#,
    );
    assert_eq!(
        rows(&warehouse, "id, v"),
        ["1 c", "2 bb", "3 d", "5 e", "6 f"]
    );
    assert_eq!(files(&warehouse).len(), 1);
}

#[test]
fn a_key_may_have_several_columns_and_widen() {
    let (_folder, warehouse) = open();
    let spec = TableSpec {
        primary_key: vec!["id".to_owned(), "Day".to_owned()],
        ..spec("t", WriteMode::Merge)
    };
    put(
        &warehouse,
        &spec,
        r#"[{"id":1,"day":"2026-01-01","v":1},{"id":1,"day":"2026-01-02","v":2}]"#,
    );
    put(
        &warehouse,
        &spec,
        r#"[{"id":"1","day":"2026-01-02","v":3},{"id":"x","day":"2026-01-02","v":4}]"#,
    );
    assert_eq!(
        rows(&warehouse, "id, day, v"),
        ["1 2026-01-01 1", "1 2026-01-02 3", "x 2026-01-02 4"]
    );
}

#[test]
fn a_row_without_its_key_is_refused_by_its_number() {
    let (_folder, warehouse) = open();
    put(&warehouse, &merged(None), r#"[{"id":1}]"#);
    let refused =
        |lines| write(&warehouse, &merged(None), &TableRules::default(), lines).unwrap_err();
    let failure = refused(r#"[{"id":2},{"id":null,"v":1}]"#);
    assert!(failure.message.starts_with("table `t`, row 2"), "{failure}");
    assert!(failure.message.contains("`id`"), "{failure}");
    assert!(refused(r#"[{"v":1}]"#).message.contains("`id`"));
    assert_eq!(rows(&warehouse, "id"), ["1"]);
    let (_folder, warehouse) = open();
    let lines = r#"[{"id":{"a":1}}]"#;
    let failure = write(&warehouse, &merged(None), &TableRules::default(), lines).unwrap_err();
    assert!(failure.message.contains("plain values"), "{failure}");
}

#[test]
fn a_tombstone_removes_the_row_and_a_later_row_brings_it_back() {
    let (_folder, warehouse) = open();
    let rules = rules(json!({"T": {"tombstone": "gone"}}));
    let put = |lines| write(&warehouse, &merged(None), &rules, lines).unwrap();
    put(r#"[{"id":1},{"id":2},{"id":3,"gone":true},{"id":4,"gone":false}]"#);
    assert_eq!(rows(&warehouse, "id"), ["1", "2", "4"]);
    put(r#"[{"id":1,"gone":true},{"id":2,"gone":true},{"id":2},{"id":9,"gone":true}]"#);
    assert_eq!(rows(&warehouse, "id"), ["2", "4"]);
    put(r#"[{"id":2,"gone":true},{"id":4,"gone":true}]"#);
    assert_eq!(rows(&warehouse, "id"), [""; 0]);
    put(r#"[{"id":4,"gone":null}]"#);
    assert_eq!(rows(&warehouse, "id"), ["4"]);
}

#[test]
fn deletion_is_told_by_any_value_that_is_not_empty() {
    let (_folder, warehouse) = open();
    let rules = rules(json!({"*": {"tombstone": "deleted_at"}}));
    let lines = r#"[{"id":1,"deleted_at":""},{"id":2,"deleted_at":"False"},{"id":3,"deleted_at":"0"},{"id":4,"deleted_at":"2026-01-01"},{"id":5}]"#;
    write(&warehouse, &merged(None), &rules, lines).unwrap();
    assert_eq!(rows(&warehouse, "id"), ["1", "2", "3", "5"]);
}

#[test]
fn only_partitions_that_change_are_written_again() {
    let (_folder, warehouse) = open();
    let spec = merged(Some("country"));
    put(
        &warehouse,
        &spec,
        r#"[{"id":1,"country":"de"},{"id":2,"country":"cz"},{"id":3,"country":"fr"},{"id":4}]"#,
    );
    let before = files(&warehouse);
    assert_eq!(before.len(), 4);
    put(&warehouse, &spec, r#"[{"id":5,"country":"fr"}]"#);
    assert_eq!(before.intersection(&files(&warehouse)).count(), 3);
    // It leaves one partition for another, and for the first that of the nulls.
    put(&warehouse, &spec, r#"[{"id":1,"country":"fr"},{"id":2}]"#);
    assert_eq!(
        rows(&warehouse, "id, coalesce(country, '-')"),
        ["1 fr", "2 -", "3 fr", "4 -", "5 fr"]
    );
    assert_eq!(files(&warehouse).len(), 2);
}

#[test]
fn a_table_that_is_split_otherwise_from_now_on_loses_and_doubles_nothing() {
    let (_folder, warehouse) = open();
    put(
        &warehouse,
        &merged(None),
        r#"[{"id":1,"a":1,"b":1},{"id":2,"a":1,"b":2}]"#,
    );
    put(&warehouse, &merged(Some("a")), r#"[{"id":1,"a":2,"b":1}]"#);
    put(
        &warehouse,
        &merged(Some("b")),
        r#"[{"id":2,"a":2,"b":1},{"id":3,"a":1,"b":3}]"#,
    );
    put(&warehouse, &merged(None), r#"[{"id":4,"a":9,"b":9}]"#);
    assert_eq!(
        rows(&warehouse, "id, a, b"),
        ["1 2 1", "2 2 1", "3 1 3", "4 9 9"]
    );
}

#[test]
fn a_table_is_split_by_month_and_by_hostile_values() {
    let (_folder, warehouse) = open();
    let rules = rules(json!({"t": {"partition_by": {"column": "at", "by": "month"}}}));
    let lines = r#"[{"at":"2026-01-31T23:59:59Z"},{"at":"2026-02-01T00:30:00+01:00"},{"at":"2026-02-01"},{"at":null}]"#;
    write(&warehouse, &spec("t", WriteMode::Append), &rules, lines).unwrap();
    let partitions = entry(&warehouse)
        .files
        .into_iter()
        .map(|file| file.partition.unwrap());
    assert_eq!(
        partitions.collect::<Vec<_>>(),
        ["at=2026-01", "at=2026-02", "at is null"]
    );

    let hostile = TableSpec {
        partition_by: Some("p".to_owned()),
        ..spec("t", WriteMode::Replace)
    };
    let long = "x".repeat(10_000);
    let lines = json!([{"p": "../../etc/passwd"}, {"p": "a\u{0}b"}, {"p": long}, {"p": "*?'\""}, {"p": ""}]);
    put(&warehouse, &hostile, &lines.to_string());
    assert_eq!(rows(&warehouse, "1").len(), 5);
    let data = warehouse.paths.extract(&source("shop")).join("data/t");
    for file in entry(&warehouse).files {
        assert_eq!(file.path.parent(), Some(data.as_path()));
        assert!(file.partition.unwrap().len() <= 200);
    }
    let text = write(
        &warehouse,
        &spec("t", WriteMode::Replace),
        &rules,
        r#"[{"at":"x"}]"#,
    )
    .unwrap_err();
    assert!(
        text.message.contains("neither dates nor timestamps"),
        "{text}"
    );
    let none = write(
        &warehouse,
        &hostile,
        &TableRules::default(),
        r#"[{"q":"x"}]"#,
    )
    .unwrap_err();
    assert!(none.message.contains("none of its rows has"), "{none}");
}

#[test]
fn too_many_partitions_end_the_publish_with_advice() {
    let (_folder, warehouse) = open();
    let put = |ids: std::ops::Range<u32>| {
        let lines: Value = ids.map(|id| json!({"id": id})).collect();
        let spec = merged(Some("id"));
        write(
            &warehouse,
            &spec,
            &TableRules::default(),
            &lines.to_string(),
        )
    };
    for ids in [0..21, 15..36] {
        let failure = put(ids).unwrap_err();
        assert_eq!(failure.kind, domain::FailureKind::Limit);
        assert!(failure.message.contains("by month"), "{failure}");
        // In the second run it is those of before that make them too many.
        put(0..15).unwrap();
    }
    assert!(put(15..21).is_err());
    assert_eq!(rows(&warehouse, "id").len(), 15);
}

#[test]
fn a_strict_table_names_what_differs_and_stays_as_it_was() {
    let (_folder, warehouse) = open();
    let rules = rules(json!({"*": {"strict": true}}));
    let put = |mode, lines| write(&warehouse, &spec("t", mode), &rules, lines);
    put(WriteMode::Replace, r#"[{"id":1,"n":1,"empty":null}]"#).unwrap();
    put(WriteMode::Append, r#"[{"id":2,"n":null,"empty":7}]"#).unwrap();
    for mode in [WriteMode::Replace, WriteMode::Append] {
        let failure = put(mode, r#"[{"id":"x","n":2,"more":true}]"#).unwrap_err();
        for difference in [
            "`id` was bigint and would be varchar",
            "`more` (boolean) is new",
            "`empty` (bigint) is missing",
        ] {
            assert!(failure.message.contains(difference), "{failure}");
        }
    }
    assert_eq!(rows(&warehouse, "id"), ["1", "2"]);
    warehouse.extracts.bring_anew(&source("shop"), &[]).unwrap();
    put(WriteMode::Append, r#"[{"id":"x"}]"#).unwrap();
    assert_eq!(rows(&warehouse, "id"), ["x"]);
}

#[test]
fn a_column_that_had_no_value_yet_takes_the_type_of_its_first_one() {
    let (_folder, warehouse) = open();
    let spec = spec("t", WriteMode::Append);
    put(&warehouse, &spec, r#"[{"id":1,"n":null}]"#);
    put(&warehouse, &spec, r#"[{"id":2,"n":7}]"#);
    put(&warehouse, &spec, r#"[{"id":3,"n":null}]"#);
    assert_eq!(
        rows(&warehouse, "id, coalesce(n, 0) + 1"),
        ["1 1", "2 8", "3 1"]
    );
}

#[test]
fn a_column_that_widens_is_text_in_one_form_in_all_files() {
    let (_folder, warehouse) = open();
    let spec = spec("t", WriteMode::Append);
    put(&warehouse, &spec, r#"[{"v":{"a":1}}]"#);
    put(&warehouse, &spec, r#"[{"v":"x"}]"#);
    put(&warehouse, &spec, r#"[{"v":[1,2]}]"#);
    assert_eq!(rows(&warehouse, "v"), ["[1,2]", "x", "{\"a\":1}"]);
    assert_eq!(entry(&warehouse).files.len(), 3);
}

#[test]
fn a_column_is_json_text_where_the_manifest_says_so() {
    let (_folder, warehouse) = open();
    let rules = rules(json!({"*": {"json_columns": ["v", "unseen"]}}));
    let lines = r#"[{"v":{"a":[1, 2]}},{"v":"x"},{"v":3},{"v":null}]"#;
    write(&warehouse, &spec("t", WriteMode::Replace), &rules, lines).unwrap();
    assert_eq!(rows(&warehouse, "v"), ["", "\"x\"", "3", "{\"a\":[1,2]}"]);
}
