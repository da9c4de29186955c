//! Returning to a mark: what comes back, what stays, and what a death in the middle leaves.

use domain::WriteMode;

use super::*;
use crate::Warehouse;
use crate::extract::tests::{open, source, spec, table};

fn append(warehouse: &Warehouse, name: &str, lines: &str, cursor: &str) {
    write(warehouse, name, lines, cursor, WriteMode::Append);
}

fn write(warehouse: &Warehouse, name: &str, lines: &str, cursor: &str, mode: WriteMode) {
    let shop = source("shop");
    let mut stage = warehouse.extracts.stage(&shop, RunId::generate()).unwrap();
    stage.open_table(&spec(name, mode)).unwrap();
    stage.append_json(&table(name), lines.as_bytes()).unwrap();
    let cursors = match cursor {
        "" => Cursors::new(),
        cursor => Cursors::from([(name.to_owned(), cursor.into())]),
    };
    stage.publish(&cursors).unwrap();
}

fn rows(warehouse: &Warehouse) -> Vec<(String, u64)> {
    let folder = warehouse.paths.extract(&source("shop"));
    let contents = Contents::read(&folder).unwrap().unwrap();
    let entries = contents.entries.iter();
    entries
        .map(|entry| (entry.name.to_string(), entry.rows))
        .collect()
}

fn cursor(warehouse: &Warehouse, name: &str) -> Option<Vec<u8>> {
    let mut cursors = warehouse.extracts.cursors(&source("shop")).unwrap();
    cursors.remove(name)
}

#[test]
fn a_cursor_that_goes_back_takes_the_rows_along_that_it_no_longer_covers() {
    let (_folder, warehouse) = open();
    let shop = source("shop");
    append(&warehouse, "orders", "{\"id\":1}\n{\"id\":2}", "two");
    append(&warehouse, "plain", "{\"id\":1}", "");
    let mark = warehouse.extracts.mark(&shop).unwrap();
    append(&warehouse, "orders", "{\"id\":3}", "three");
    append(&warehouse, "plain", "{\"id\":2}", "");
    append(&warehouse, "fresh", "{\"id\":1}", "one");

    let shorter = warehouse.extracts.return_to(&shop, &mark).unwrap();
    let expected = [("fresh".to_owned(), 1), ("orders".to_owned(), 1)];
    assert_eq!(shorter, expected.into());
    assert_eq!(cursor(&warehouse, "orders"), Some(b"two".to_vec()));
    assert_eq!(cursor(&warehouse, "fresh"), None);
    // What has no cursor is not read again from there, so it stays.
    let expected = [("orders".to_owned(), 2), ("plain".to_owned(), 2)];
    assert_eq!(rows(&warehouse), expected);
    assert!(warehouse.extracts.verify(&shop).is_ok());
    let catalog = warehouse.orchestrator.catalog();
    assert_eq!(catalog.tables.len(), 2, "the master views follow");

    assert!(
        warehouse
            .extracts
            .return_to(&shop, &mark)
            .unwrap()
            .is_empty()
    );
    append(&warehouse, "orders", "{\"id\":3}", "three");
    assert_eq!(rows(&warehouse)[0], ("orders".to_owned(), 3));
}

#[test]
fn a_table_that_was_replaced_since_keeps_its_rows() {
    let (_folder, warehouse) = open();
    let shop = source("shop");
    write(&warehouse, "orders", "{\"id\":1}", "a", WriteMode::Replace);
    let mark = warehouse.extracts.mark(&shop).unwrap();
    let lines = "{\"id\":1}\n{\"id\":2}";
    write(&warehouse, "orders", lines, "b", WriteMode::Replace);
    assert!(
        warehouse
            .extracts
            .return_to(&shop, &mark)
            .unwrap()
            .is_empty()
    );
    assert_eq!(rows(&warehouse), [("orders".to_owned(), 2)]);
    assert_eq!(cursor(&warehouse, "orders"), Some(b"a".to_vec()));
}

#[test]
fn a_death_before_the_rename_leaves_what_was_there_and_a_second_try_ends_it() {
    let (folder, warehouse) = open();
    let shop = source("shop");
    append(&warehouse, "orders", "{\"id\":1}", "one");
    let mark = warehouse.extracts.mark(&shop).unwrap();
    append(&warehouse, "orders", "{\"id\":2}", "two");
    let path = warehouse.paths.extract(&shop);
    let cursors = mark.cursors();
    let before = Contents::read(&path).unwrap().unwrap();
    let (after, _) = returned(&path, before, &mark, &cursors);
    let publish = Publish {
        source: &shop,
        run: RunId::generate(),
        folder: &path,
        tables: Vec::new(),
        remote: Vec::new(),
        attachments: None,
        cursors: &cursors,
        begun_anew: Vec::new(),
    };
    publish.build(&after).unwrap();
    drop(warehouse);

    let warehouse = Warehouse::open(folder.path()).unwrap();
    assert_eq!(rows(&warehouse), [("orders".to_owned(), 2)]);
    assert_eq!(cursor(&warehouse, "orders"), Some(b"two".to_vec()));
    warehouse.extracts.return_to(&shop, &mark).unwrap();
    assert_eq!(rows(&warehouse), [("orders".to_owned(), 1)]);
    assert_eq!(cursor(&warehouse, "orders"), Some(b"one".to_vec()));
}

#[test]
fn a_source_that_published_nothing_has_nothing_to_return_to() {
    let (_folder, warehouse) = open();
    let shop = source("shop");
    let mark = warehouse.extracts.mark(&shop).unwrap();
    assert_eq!(mark, Mark::default());
    assert!(
        warehouse
            .extracts
            .return_to(&shop, &mark)
            .unwrap()
            .is_empty()
    );
    // Nothing was read before, so everything is read again.
    append(&warehouse, "orders", "{\"id\":1}", "one");
    warehouse.extracts.return_to(&shop, &mark).unwrap();
    assert_eq!(rows(&warehouse), []);
    assert!(warehouse.extracts.cursors(&shop).unwrap().is_empty());
}
