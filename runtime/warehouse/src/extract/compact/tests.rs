//! Putting files together while readers, runs, marks and deaths come in between.

use domain::WriteMode;

use super::*;
use crate::Warehouse;
use crate::extract::tests::{open, source, spec, table};

fn append(warehouse: &Warehouse, id: u32) {
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    stage.open_table(&spec("t", WriteMode::Append)).unwrap();
    let line = format!(r#"{{"id":{id}}}"#);
    stage.append_json(&table("t"), line.as_bytes()).unwrap();
    let cursor = Cursors::from([("t".to_owned(), id.to_string().into_bytes())]);
    stage.publish(&cursor).unwrap();
}

fn compact(warehouse: &Warehouse, marks: &[Mark]) -> usize {
    let compaction = warehouse.extracts.compact(&source("shop"), marks).unwrap();
    compaction.map_or(0, |compaction| compaction.publish(marks).unwrap())
}

fn contents(warehouse: &Warehouse) -> Contents {
    let folder = warehouse.paths.extract(&source("shop"));
    Contents::read(&folder).unwrap().unwrap()
}

fn shape(warehouse: &Warehouse) -> (usize, u64) {
    let contents = contents(warehouse);
    assert_eq!(
        warehouse.extracts.verify(&source("shop")).unwrap().problems,
        [""; 0]
    );
    (contents.entries[0].files.len(), contents.entries[0].rows)
}

#[test]
fn small_files_become_one_with_the_same_rows_receipts_and_cursor() {
    let (_folder, warehouse) = open();
    (1..=4).for_each(|id| append(&warehouse, id));
    let before = contents(&warehouse);
    assert!(has_small_files(&before.entries[0].files));
    assert_eq!(compact(&warehouse, &[]), 3);
    assert_eq!(shape(&warehouse), (1, 4));
    let after = contents(&warehouse);
    assert!(!has_small_files(&after.entries[0].files));
    assert_eq!(after.cursors, before.cursors);
    assert_eq!(
        after.entries[0].extracted_at,
        before.entries[0].extracted_at
    );
    // Who reads by the previous extract still can.
    assert!(
        before.entries[0]
            .files
            .iter()
            .all(|file| file.path.exists())
    );
    assert_eq!(compact(&warehouse, &[]), 0);
}

#[test]
fn what_a_run_published_meanwhile_stays() {
    let (_folder, warehouse) = open();
    (1..=2).for_each(|id| append(&warehouse, id));
    let compaction = warehouse
        .extracts
        .compact(&source("shop"), &[])
        .unwrap()
        .unwrap();
    append(&warehouse, 3);
    assert_eq!(compaction.publish(&[]).unwrap(), 1);
    assert_eq!(shape(&warehouse), (2, 3));

    let compaction = warehouse
        .extracts
        .compact(&source("shop"), &[])
        .unwrap()
        .unwrap();
    crate::extract::tests::publish(&warehouse, "shop", "t", r#"{"id":9}"#);
    assert_eq!(compaction.publish(&[]).unwrap(), 0);
    assert_eq!(shape(&warehouse), (1, 1));
}

#[test]
fn a_mark_finds_its_place_after_files_were_put_together() {
    let (_folder, warehouse) = open();
    (1..=2).for_each(|id| append(&warehouse, id));
    let early = warehouse
        .extracts
        .compact(&source("shop"), &[])
        .unwrap()
        .unwrap();
    let mark = warehouse.extracts.mark(&source("shop")).unwrap();
    assert_eq!(early.publish(std::slice::from_ref(&mark)).unwrap(), 0);
    (3..=5).for_each(|id| append(&warehouse, id));
    assert_eq!(compact(&warehouse, std::slice::from_ref(&mark)), 2);
    assert_eq!(shape(&warehouse), (3, 5));
    warehouse
        .extracts
        .return_to(&source("shop"), &mark)
        .unwrap();
    assert_eq!(shape(&warehouse), (2, 2));
}

#[test]
fn a_death_before_the_commit_leaves_what_was_there() {
    let (folder, warehouse) = open();
    (1..=3).for_each(|id| append(&warehouse, id));
    let before = contents(&warehouse);
    // Its drop would tidy up.
    std::mem::forget(warehouse.extracts.compact(&source("shop"), &[]).unwrap());
    drop(warehouse);
    let warehouse = Warehouse::open(folder.path()).unwrap();
    assert_eq!(contents(&warehouse), before);
    let left = std::fs::read_dir(warehouse.paths.extract(&source("shop"))).unwrap();
    assert_eq!(left.count(), 2, "the stage is gone");
    assert_eq!(shape(&warehouse), (3, 3));
}

#[test]
fn a_refresh_brings_a_table_anew_and_holds_until_it_has_come() {
    let (folder, warehouse) = open();
    let shop = source("shop");
    (1..=2).for_each(|id| append(&warehouse, id));
    assert_eq!(warehouse.extracts.bring_anew(&shop, &[]).unwrap(), ["t"]);
    assert!(warehouse.extracts.bring_anew(&shop, &[table("x")]).is_err());
    assert!(warehouse.extracts.cursors(&shop).unwrap().is_empty());
    assert_eq!(shape(&warehouse), (2, 2), "until then the rows stay");
    // A run that fails leaves the wish, and so does a death.
    drop(warehouse.extracts.stage(&shop, RunId::generate()).unwrap());
    drop(warehouse);
    let warehouse = Warehouse::open(folder.path()).unwrap();
    append(&warehouse, 7);
    assert_eq!(shape(&warehouse), (1, 1));
    assert_eq!(warehouse.extracts.cursors(&shop).unwrap()["t"], b"7");
    append(&warehouse, 8);
    assert_eq!(shape(&warehouse), (2, 2));
    assert_eq!(
        warehouse
            .extracts
            .reset_cursors(&shop, &[table("T")])
            .unwrap(),
        ["t"]
    );
    assert!(warehouse.extracts.cursors(&shop).unwrap().is_empty());
    assert_eq!(shape(&warehouse), (2, 2));
}
