//! Documents that are decoded while the connector goes on.

use std::fmt::Write as _;

use domain::format::{BodyFormat, Compression, JsonOptions};
use domain::ports::{Cursors, Extracts as _, Stage};
use domain::{Column, ColumnType, Failure, FailureKind, RunId, TableSpec, WriteMode};

use super::{contents, open, source, spec, table};

const RECORDS: u64 = 4_000;

/// A page that is large enough to be decoded behind.
fn page(first: u64, id: impl Fn(u64) -> String) -> String {
    let mut text = String::from("{\"data\":[");
    for number in first..first + RECORDS {
        let comma = if number == first { "" } else { "," };
        let _ = write!(
            text,
            "{comma}{{\"id\":{},\"name\":\"row {number}\"}}",
            id(number)
        );
    }
    let _ = write!(text, "],\"next\":\"page {}\"}}", first + RECORDS);
    assert!(text.len() > 64 << 10, "{}", text.len());
    text
}

fn append(stage: &mut dyn Stage, text: String) -> Result<(u64, Option<String>), Failure> {
    let format = BodyFormat::Json(JsonOptions {
        records: "/data".into(),
        values: vec!["/next".into()],
        compression: Compression::None,
    });
    let body = Box::new(std::io::Cursor::new(text));
    let appended = stage.append_body(&table("orders"), &format, body)?;
    Ok((appended.rows, appended.values.into_iter().next().flatten()))
}

fn stage(warehouse: &crate::Warehouse, spec: &TableSpec) -> Box<dyn Stage> {
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    stage.open_table(spec).unwrap();
    stage
}

fn declared() -> TableSpec {
    let mut spec = spec("orders", WriteMode::Replace);
    spec.columns = vec![Column {
        name: "id".into(),
        column_type: ColumnType::Bigint,
        description: None,
    }];
    spec
}

#[test]
fn pages_follow_each_other_in_order_and_each_says_at_once_what_is_in_it() {
    let (_folder, warehouse) = open();
    let mut stage = stage(&warehouse, &spec("orders", WriteMode::Replace));
    for number in 0..5 {
        let text = page(number * RECORDS, |id| id.to_string());
        let next = format!("\"page {}\"", (number + 1) * RECORDS);
        assert_eq!(append(&mut *stage, text).unwrap(), (RECORDS, Some(next)));
        assert_eq!(stage.written().0, (number + 1) * RECORDS);
    }
    // Records that were shaped by the connector, some on lines of their own, go behind those.
    let lines = "{\"id\": -1, \"name\": \"line\"}\n";
    assert_eq!(
        stage
            .append_json(&table("orders"), lines.as_bytes())
            .unwrap(),
        1
    );
    let array: Vec<_> = (0..RECORDS)
        .map(|id| format!("{{\"id\":{id},\"name\":\"shaped\"}}"))
        .collect();
    let array = format!("[{}]", array.join(","));
    assert_eq!(
        stage
            .append_json(&table("orders"), array.as_bytes())
            .unwrap(),
        RECORDS
    );
    let published = stage.publish(&Cursors::new()).unwrap();
    assert_eq!(published.tables, [(table("orders"), 6 * RECORDS + 1)]);
    let path = &contents(&warehouse, "shop").entries[0].files[0].path;
    let sql = format!(
        "SELECT list(id ORDER BY file_row_number) FROM read_parquet('{}', file_row_number = true)",
        path.display()
    );
    let plain = duckdb::Connection::open_in_memory().unwrap();
    let all = format!("SELECT (({sql}) = list_concat(range(20000), [-1], range(4000)))");
    let same: bool = plain.query_row(&all, [], |row| row.get(0)).unwrap();
    assert!(
        same,
        "the rows stand in the order in which they were appended"
    );
}

#[test]
fn a_value_that_does_not_fit_is_told_at_the_next_append() {
    let (_folder, warehouse) = open();
    let mut stage = stage(&warehouse, &declared());
    let wrong = |id: u64| {
        if id == 3_999 {
            "\"many\"".into()
        } else {
            id.to_string()
        }
    };
    append(&mut *stage, page(0, wrong)).unwrap();
    let failure = append(&mut *stage, page(RECORDS, |id| id.to_string())).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert_eq!(
        failure.message,
        "table `orders`, row 4000, column `id`: `many` is not a valid bigint, as which the column is declared"
    );
}

#[test]
fn a_value_that_does_not_fit_fails_the_publish_and_leaves_what_was_there() {
    let (_folder, warehouse) = open();
    let mut before = stage(&warehouse, &declared());
    append(&mut *before, page(0, |id| id.to_string())).unwrap();
    before.publish(&Cursors::new()).unwrap();
    let mut stage = stage(&warehouse, &declared());
    append(&mut *stage, page(0, |_| "1.5".into())).unwrap();
    let failure = stage.publish(&Cursors::new()).unwrap_err();
    assert!(failure.message.contains("row 1, column `id`"), "{failure}");
    assert_eq!(stage.publish(&Cursors::new()), Err(failure), "nor later");
    assert_eq!(contents(&warehouse, "shop").entries[0].rows, RECORDS);
}

#[test]
fn a_page_that_breaks_off_is_refused_at_once() {
    let (_folder, warehouse) = open();
    let mut stage = stage(&warehouse, &spec("orders", WriteMode::Replace));
    let mut text = page(0, |id| id.to_string());
    text.truncate(text.len() - 30);
    let failure = append(&mut *stage, text).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert!(failure.message.contains("not valid JSON"), "{failure}");
}

#[test]
fn a_record_that_is_no_json_is_found_behind_and_fails_the_run() {
    let (_folder, warehouse) = open();
    let mut stage = stage(&warehouse, &spec("orders", WriteMode::Replace));
    // Its quotes and brackets are those of a whole page.
    let broken = |id: u64| match id {
        7 => "nothing".into(),
        id => id.to_string(),
    };
    append(&mut *stage, page(0, broken)).unwrap();
    let failure = stage.publish(&Cursors::new()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert!(
        failure.message.contains("row 8") && failure.message.contains("not valid JSON"),
        "{failure}"
    );
    assert!(
        !warehouse
            .paths
            .extract(&source("shop"))
            .join("extract.duckdb")
            .exists()
    );
}

#[test]
fn a_stage_that_is_dropped_waits_for_its_decoder_and_leaves_nothing() {
    let (_folder, warehouse) = open();
    let mut stage = stage(&warehouse, &spec("orders", WriteMode::Replace));
    append(&mut *stage, page(0, |id| id.to_string())).unwrap();
    drop(stage);
    let folder = warehouse.paths.extract(&source("shop"));
    let left = std::fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}
