//! Against schemas and rows of the shapes that Google's reference describes.

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::json;

use super::*;

fn one(kind: &str, values: &[Value]) -> Result<RecordBatch, ShapeError> {
    let shape =
        BigQueryShape::new(&json!({"fields": [{"name": "c", "type": kind, "mode": "NULLABLE"}]}))?;
    let rows: Vec<Value> = values
        .iter()
        .map(|value| json!({"f": [{"v": value}]}))
        .collect();
    shape.batch(&rows)
}

/// A value as arrow shows it.
fn shown(array: &dyn Array, row: usize) -> String {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(array, &options)
        .unwrap()
        .value(row)
        .to_string()
}

#[track_caller]
fn reads(kind: &str, value: &str, expected: &str) {
    let batch = one(kind, &[json!(value), Value::Null]).unwrap();
    assert_eq!(shown(batch.column(0), 0), expected, "{kind}");
    assert!(batch.column(0).is_null(1), "{kind}");
}

#[test]
fn every_type_keeps_its_value_and_its_null() {
    reads("INTEGER", "-9223372036854775808", "-9223372036854775808");
    reads("INT64", "7", "7");
    reads("FLOAT", "1.25", "1.25");
    reads("FLOAT64", "NaN", "NaN");
    reads("FLOAT64", "-Infinity", "-inf");
    reads(
        "NUMERIC",
        "99999999999999999999999999999.999999999",
        "99999999999999999999999999999.999999999",
    );
    reads("NUMERIC", "-0.5", "-0.500000000");
    reads("BOOLEAN", "true", "true");
    reads("BOOL", "false", "false");
    reads("STRING", "héllo | 'x'", "héllo | 'x'");
    reads("BYTES", "AP8=", "00ff");
    reads("DATE", "0001-01-01", "0001-01-01");
    reads("DATE", "9999-12-31", "9999-12-31");
    reads("TIME", "23:59:59.999999", "23:59:59.999999");
    reads(
        "DATETIME",
        "1969-12-31T23:59:59.000001",
        "1969-12-31T23:59:59.000001",
    );
    reads("JSON", r#"{"a":1}"#, r#"{"a":1}"#);
    reads("GEOGRAPHY", "POINT(1 2)", "POINT(1 2)");
    reads(
        "BIGNUMERIC",
        "0.12345678901234567890123456789012345678",
        "0.12345678901234567890123456789012345678",
    );
}

#[test]
fn a_timestamp_is_an_instant_of_microseconds() {
    let batch = one("TIMESTAMP", &[json!("-1"), Value::Null]).unwrap();
    let instants = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(instants.iter().collect::<Vec<_>>(), [Some(-1), None]);
    assert_eq!(instants.timezone(), Some("UTC"));
}

#[test]
fn a_value_that_does_not_fit_is_refused_by_its_columns_name_and_without_the_value() {
    for (kind, value) in [
        ("INTEGER", json!("9223372036854775808")),
        ("INTEGER", json!(7)),
        ("INTEGER", json!({"f": []})),
        ("FLOAT", json!("canary")),
        ("NUMERIC", json!("1e3")),
        ("NUMERIC", json!("100000000000000000000000000000")),
        ("NUMERIC", json!("0.1234567891")),
        ("NUMERIC", json!("--1")),
        ("NUMERIC", json!(".")),
        ("BOOLEAN", json!("canary")),
        ("BYTES", json!("canary!")),
        ("DATE", json!("2026-02-30")),
        ("TIME", json!("25:00:00")),
        ("DATETIME", json!("2026-01-01")),
        ("TIMESTAMP", json!("1.7E9")),
        ("STRING", json!(["canary"])),
    ] {
        let error = one(kind, std::slice::from_ref(&value))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("column `c`") && !error.contains("canary"),
            "{kind} {value}: {error}"
        );
    }
}

#[test]
fn arrays_and_structs_within_each_other_keep_their_values() {
    let shape = BigQueryShape::new(&json!({"fields": [
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        {"name": "lines", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "sku", "type": "STRING"},
            {"name": "price", "type": "RECORD", "fields": [{"name": "amount", "type": "NUMERIC"}]},
        ]},
    ]}))
    .unwrap();
    let line = |sku: &str, price: Value| json!({"v": {"f": [{"v": sku}, {"v": price}]}});
    let lines = [
        line("x", json!({"f": [{"v": "1.5"}]})),
        line("y", Value::Null),
    ];
    let rows = [
        json!({"f": [{"v": [{"v": "a"}, {"v": "b"}]}, {"v": lines}]}),
        json!({"f": [{"v": []}, {"v": []}]}),
    ];
    let batch = shape.batch(&rows).unwrap();
    assert_eq!(shown(batch.column(0), 0), "[a, b]");
    assert_eq!(
        shown(batch.column(1), 0),
        "[{sku: x, price: {amount: 1.500000000}}, {sku: y, price: }]"
    );
    assert_eq!(
        (shown(batch.column(0), 1), shown(batch.column(1), 1)),
        ("[]".into(), "[]".into())
    );
    let torn = json!({"f": [{"v": []}, {"v": [{"v": {"f": [{"v": "x"}]}}]}]});
    assert!(
        shape
            .batch(&[torn])
            .unwrap_err()
            .to_string()
            .contains("`lines`")
    );
}

#[test]
fn a_result_without_rows_has_its_columns() {
    let batch = one("DATE", &[]).unwrap();
    assert_eq!(
        (batch.num_rows(), batch.schema().field(0).name().as_str()),
        (0, "c")
    );
}

#[test]
fn rows_that_are_none_are_refused() {
    let shape = BigQueryShape::new(&json!({"fields": [{"name": "c", "type": "INTEGER"}]})).unwrap();
    let two = json!({"f": [{"v": "1"}, {"v": "2"}]});
    for row in [
        json!(null),
        json!([]),
        json!({}),
        json!({"f": []}),
        json!({"f": [{}]}),
        two,
    ] {
        assert!(shape.batch(std::slice::from_ref(&row)).is_err(), "{row}");
    }
}

#[test]
fn a_schema_that_cannot_be_one_is_refused() {
    let mut deep = json!({"name": "c", "type": "INTEGER"});
    for _ in 0..20 {
        deep = json!({"name": "c", "type": "RECORD", "fields": [deep]});
    }
    let many: Vec<Value> = (0..10_001)
        .map(|n| json!({"name": format!("c{n}"), "type": "INTEGER"}))
        .collect();
    for (fields, words) in [
        (json!([]), "no columns"),
        (json!([{"name": "c", "type": "RECORD"}]), "no columns"),
        (
            json!([{"name": "a", "type": "DATE"}, {"name": "A", "type": "DATE"}]),
            "two columns",
        ),
        (json!([{"name": "", "type": "DATE"}]), "a column's name"),
        (json!([{"name": "a\nb", "type": "DATE"}]), "a column's name"),
        (json!([{"name": "a", "type": "RANGE"}]), "cast it to STRING"),
        (json!([{"name": "a"}]), "reference"),
        (json!([deep]), "too deeply"),
        (json!(many), "more than 10000"),
    ] {
        let error = BigQueryShape::new(&json!({"fields": fields}))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}
