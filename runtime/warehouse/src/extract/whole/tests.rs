//! Tables of several files as one, compared with what a query says.

use domain::ports::{Cursors, Extracts as _};
use domain::{RunId, WriteMode};
use md5::{Digest as _, Md5};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::extract::tests::{open, source, spec, table};
use crate::{QueryOptions, Scope, Warehouse};

const ROOM: u64 = 1 << 30;

/// Adds rows to a table of the source `shop`, as a file of their own.
fn append(warehouse: &Warehouse, name: &str, lines: &str) {
    let shop = source("shop");
    let mut stage = warehouse.extracts.stage(&shop, RunId::generate()).unwrap();
    stage.open_table(&spec(name, WriteMode::Append)).unwrap();
    stage.append_json(&table(name), lines.as_bytes()).unwrap();
    stage.publish(&Cursors::new()).unwrap();
    warehouse.orchestrator.rebuild().unwrap();
}

fn catalog_table(warehouse: &Warehouse, name: &str) -> Arc<CatalogTable> {
    let catalog = warehouse.orchestrator.catalog();
    Arc::clone(catalog.table(name).unwrap())
}

fn made(warehouse: &Warehouse, name: &str) -> Whole {
    let table = catalog_table(warehouse, name);
    warehouse.wholes.make(&table, ROOM).unwrap()
}

/// The rows of a parquet file, as DuckDB reads them, compared with those of the table.
#[track_caller]
fn assert_same_rows(warehouse: &Warehouse, name: &str, whole: &Whole) {
    let bytes = std::fs::read(&whole.path).unwrap();
    assert_eq!(whole.md5, Some(hex::encode(Md5::digest(&bytes))));
    assert_eq!(whole.size_bytes, bytes.len() as u64);
    let connection = crate::open::in_memory("256MB", 1).unwrap();
    let path = whole.path.display();
    let read = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let rows = read(&format!("SELECT to_json(t)::VARCHAR FROM '{path}' t"));
    let sql = format!("SELECT to_json(t)::VARCHAR FROM {name} t");
    let queried = warehouse
        .queries
        .query(&Scope::All, &sql, &QueryOptions::default());
    let queried: Vec<_> = queried
        .unwrap()
        .rows
        .into_iter()
        .map(|mut row| row.remove(0))
        .collect();
    assert_eq!(
        rows,
        queried
            .iter()
            .filter_map(|v| v.as_str())
            .collect::<Vec<_>>()
    );
    assert!(!rows.is_empty());
}

#[test]
fn files_with_the_same_columns_are_put_together_page_by_page() {
    let (_folder, warehouse) = open();
    append(
        &warehouse,
        "orders",
        "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":null}",
    );
    append(&warehouse, "orders", "{\"id\":3,\"name\":\"c\"}");
    let table = catalog_table(&warehouse, "orders");
    assert_eq!(table.files.len(), 2);
    assert_eq!(warehouse.wholes.known(&table), None);
    let whole = made(&warehouse, "orders");
    assert_same_rows(&warehouse, "orders", &whole);
    assert_eq!(warehouse.wholes.known(&table), Some(whole.clone()));
    let file = std::fs::File::open(&whole.path).unwrap();
    let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(read.metadata().num_row_groups(), 2);
}

#[test]
fn files_with_other_columns_become_one_with_all_of_them() {
    let (_folder, warehouse) = open();
    append(&warehouse, "orders", "{\"id\":1}");
    append(&warehouse, "orders", "{\"id\":2,\"note\":\"new\"}");
    let whole = made(&warehouse, "orders");
    assert_same_rows(&warehouse, "orders", &whole);
}

#[test]
fn the_same_files_make_the_same_bytes_and_are_found_again() {
    let (folder, warehouse) = open();
    append(&warehouse, "orders", "{\"id\":1}");
    append(&warehouse, "orders", "{\"id\":2}");
    let first = made(&warehouse, "orders");
    std::fs::remove_file(&first.path).unwrap();
    assert_eq!(made(&warehouse, "orders"), first);
    std::fs::write(warehouse.paths.wholes().join(".half"), "x").unwrap();
    drop(warehouse);
    let warehouse = Warehouse::open(folder.path()).unwrap();
    warehouse.orchestrator.rebuild().unwrap();
    let table = catalog_table(&warehouse, "orders");
    assert_eq!(warehouse.wholes.known(&table), Some(first));
    assert!(!warehouse.paths.wholes().join(".half").exists());
}

#[test]
fn many_who_want_the_same_wait_for_one() {
    let (_folder, warehouse) = open();
    append(&warehouse, "orders", "{\"id\":1}");
    append(&warehouse, "orders", "{\"id\":2}");
    let table = catalog_table(&warehouse, "orders");
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads = (0..8).map(|_| scope.spawn(|| warehouse.wholes.make(&table, ROOM).unwrap()));
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(all.iter().all(|whole| *whole == all[0]));
    assert_eq!(
        std::fs::read_dir(warehouse.paths.wholes()).unwrap().count(),
        1
    );
}

#[test]
fn what_is_wanted_least_leaves_first_and_what_is_no_table_at_once() {
    let (_folder, warehouse) = open();
    for name in ["a", "b", "c"] {
        append(&warehouse, name, "{\"id\":1}");
        append(&warehouse, name, "{\"id\":2}");
    }
    let (a, b) = (made(&warehouse, "a"), made(&warehouse, "b"));
    assert!(
        warehouse
            .wholes
            .known(&catalog_table(&warehouse, "a"))
            .is_some()
    );
    let room = a.size_bytes * 2 + a.size_bytes / 2;
    let c = warehouse
        .wholes
        .make(&catalog_table(&warehouse, "c"), room)
        .unwrap();
    assert!(a.path.exists() && !b.path.exists() && c.path.exists());
    append(&warehouse, "a", "{\"id\":3}");
    warehouse.wholes.tidy(&warehouse.orchestrator.catalog());
    assert!(!a.path.exists() && c.path.exists());
    assert_eq!(
        warehouse.wholes.known(&catalog_table(&warehouse, "a")),
        None
    );
}

#[test]
fn a_table_whose_file_is_gone_is_a_failure_and_leaves_nothing_behind() {
    let (_folder, warehouse) = open();
    append(&warehouse, "orders", "{\"id\":1}");
    append(&warehouse, "orders", "{\"id\":2}");
    let table = catalog_table(&warehouse, "orders");
    std::fs::remove_file(&table.files[1].path).unwrap();
    let failure = warehouse.wholes.make(&table, ROOM).unwrap_err();
    assert!(failure.message.contains("cannot read"), "{failure}");
    assert_eq!(
        std::fs::read_dir(warehouse.paths.wholes()).unwrap().count(),
        0
    );
}
