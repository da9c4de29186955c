//! Profiles of small tables, figure by figure.

use super::*;
use crate::Warehouse;
use crate::extract::tests::{open, publish};

fn rows(lines: &[&str]) -> (tempfile::TempDir, Warehouse) {
    let (folder, warehouse) = open();
    publish(&warehouse, "shop", "orders", &lines.join("\n"));
    warehouse.orchestrator.rebuild().unwrap();
    (folder, warehouse)
}

fn profile(warehouse: &Warehouse, key: &[&str]) -> Profile {
    let catalog = warehouse.orchestrator.catalog();
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    let table = catalog.table("orders").unwrap();
    warehouse
        .profiler
        .profile(table, &key, &QueryOptions::default())
        .unwrap()
}

fn column<'a>(profile: &'a Profile, name: &str) -> &'a ColumnProfile {
    let found = profile.columns.iter().find(|column| column.name == name);
    found.unwrap()
}

#[test]
fn each_kind_of_column_has_its_figures() {
    let (_folder, warehouse) = rows(&[
        r#"{"id":1,"amount":-2.5,"name":"ann","at":"2026-01-05","paid":true,"tags":["a"]}"#,
        r#"{"id":2,"amount":0,"name":"ann","at":"2026-04-05","paid":false,"tags":[]}"#,
        r#"{"id":3,"amount":7.5,"name":"bo","at":"2026-04-06","paid":true,"tags":null}"#,
        r#"{"id":4,"amount":null,"name":null,"at":null,"paid":null,"tags":null}"#,
    ]);
    let profile = profile(&warehouse, &["id"]);
    assert_eq!((profile.row_count, profile.column_count), (4, 6));
    assert_eq!(profile.missing_cells, 6);
    assert_eq!(profile.missing_cells_pct, 25.0);
    assert_eq!(profile.duplicate_rows, Some(0));
    assert_eq!(profile.variable_types[&TypeCategory::Numeric], 2);
    assert_eq!(profile.variable_types[&TypeCategory::Nested], 1);
    let range = profile.date_range.as_ref().unwrap();
    assert_eq!(
        (range.earliest.as_str(), range.span_days),
        ("2026-01-05", 91)
    );

    let id = column(&profile, "id");
    assert!(id.is_primary_key && id.alerts == ["unique"]);
    let amount = column(&profile, "amount");
    assert_eq!((amount.null_count, amount.unique_count), (1, 3));
    let numbers = amount.numeric_stats.as_ref().unwrap();
    assert_eq!((numbers.min, numbers.max), (Some(-2.5), Some(7.5)));
    assert_eq!((numbers.zeros, numbers.negative), (1, 1));
    assert_eq!(numbers.histogram.bins.len(), 16);
    assert_eq!(numbers.histogram.counts.iter().sum::<u64>(), 3);
    assert_eq!(numbers.histogram.counts[14], 1);
    let name = column(&profile, "name").string_stats.as_ref().unwrap();
    assert_eq!((name.min_length, name.max_length), (Some(2), Some(3)));
    assert_eq!(
        (name.top_values[0].value.as_str(), name.top_values[0].count),
        ("ann", 2)
    );
    let at = column(&profile, "at").date_stats.as_ref().unwrap();
    assert_eq!(at.histogram["2026-Q2"], 2);
    let paid = column(&profile, "paid").boolean_stats.as_ref().unwrap();
    assert_eq!((paid.true_count, paid.false_count), (2, 1));
    assert_eq!(profile.sample_rows.len(), 4);
    assert_eq!(profile.sample_rows[0]["name"].as_deref(), Some("ann"));
}

#[test]
fn hostile_names_and_values_are_only_data() {
    let (_folder, warehouse) = rows(&[
        r#"{"a\" FROM x; --":"'); DROP TABLE t; --","n":1e308}"#,
        r#"{"a\" FROM x; --":null,"n":-1e308}"#,
    ]);
    let profile = profile(&warehouse, &["nothing"]);
    assert_eq!(profile.row_count, 2);
    assert_eq!(profile.duplicate_rows, None, "the key is no column");
    let name = column(&profile, "a\" FROM x; --");
    assert_eq!(name.sample_values, ["'); DROP TABLE t; --"]);
    let numbers = column(&profile, "n").numeric_stats.as_ref().unwrap();
    assert_eq!(numbers.histogram.counts.iter().sum::<u64>(), 2);
}

#[test]
fn rows_with_the_same_key_are_counted() {
    let (_folder, warehouse) = rows(&[
        r#"{"a":1,"b":null}"#,
        r#"{"a":1,"b":null}"#,
        r#"{"a":1,"b":"x"}"#,
    ]);
    assert_eq!(profile(&warehouse, &["a", "b"]).duplicate_rows, Some(1));
    assert_eq!(profile(&warehouse, &["b"]).duplicate_rows, Some(1));
    assert_eq!(profile(&warehouse, &["A"]).duplicate_rows, Some(2));
}

#[test]
fn the_version_follows_the_rows() {
    let (_folder, warehouse) = rows(&[r#"{"a":1}"#]);
    let version = |warehouse: &Warehouse| {
        let catalog = warehouse.orchestrator.catalog();
        Profiler::version(catalog.table("orders").unwrap())
    };
    let first = version(&warehouse);
    warehouse.orchestrator.rebuild().unwrap();
    assert_eq!(version(&warehouse), first);
    publish(&warehouse, "shop", "orders", r#"{"a":2}"#);
    warehouse.orchestrator.rebuild().unwrap();
    assert_ne!(version(&warehouse), first);
}

#[test]
fn a_profile_that_takes_too_long_is_stopped() {
    let (_folder, warehouse) = rows(&[r#"{"a":1}"#]);
    let catalog = warehouse.orchestrator.catalog();
    let options = QueryOptions::default();
    options.cancel.cancel();
    let many = CatalogTable {
        columns: vec![catalog.table("orders").unwrap().columns[0].clone(); 300],
        ..catalog.table("orders").unwrap().as_ref().clone()
    };
    let stopped = warehouse.profiler.profile(&many, &[], &options);
    assert!(
        matches!(stopped, Err(ProfileError::Stopped { .. })),
        "{stopped:?}"
    );
}
