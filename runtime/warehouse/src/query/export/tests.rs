//! Answers in each format, read back by somebody else's reader.

use arrow::array::AsArray as _;
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::*;
use crate::extract::tests::open;
use crate::{Scope, Warehouse};

const MANY: &str = "SELECT range AS n, 'row ' || range AS text FROM range(10000)";

fn export(
    warehouse: &Warehouse,
    sql: &str,
    format: Format,
    options: &QueryOptions,
) -> Result<(Vec<u8>, Exported), QueryError> {
    let mut out = Vec::new();
    let engine = &warehouse.queries;
    let exported = engine.export(&Scope::All, sql, format, options, &mut out)?;
    Ok((out, exported))
}

fn unlimited() -> QueryOptions {
    QueryOptions {
        limit: usize::MAX,
        max_bytes: usize::MAX,
        ..QueryOptions::default()
    }
}

fn arrow(bytes: &[u8]) -> RecordBatch {
    let reader = StreamReader::try_new(bytes, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn parquet(bytes: &[u8]) -> RecordBatch {
    let bytes = parquet_bytes(bytes);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn parquet_bytes(bytes: &[u8]) -> std::fs::File {
    use std::io::Seek as _;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn every_format_holds_the_same_rows() {
    let (_folder, warehouse) = open();
    let numbers: Vec<i64> = (0..10_000).collect();
    for (format, read) in [
        (Format::Arrow, arrow as fn(&[u8]) -> RecordBatch),
        (Format::Parquet, parquet),
    ] {
        let (bytes, exported) = export(&warehouse, MANY, format, &unlimited()).unwrap();
        assert_eq!(
            exported,
            Exported {
                rows: 10_000,
                cut: None
            }
        );
        let rows = read(&bytes);
        assert_eq!(
            rows.column(0).as_primitive::<Int64Type>().values(),
            &numbers[..]
        );
        assert_eq!(rows.column(1).as_string::<i32>().value(9_999), "row 9999");
    }
    let (csv, _) = export(&warehouse, MANY, Format::Csv, &unlimited()).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.lines().count(), 10_001);
    assert_eq!(csv.lines().last(), Some("9999,row 9999"));
    let (json, _) = export(&warehouse, MANY, Format::Json, &unlimited()).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["rows"][9_999], serde_json::json!([9999, "row 9999"]));
    assert_eq!(json["row_count"], 10_000);
}

#[test]
fn json_is_the_same_as_the_answer_of_a_query() {
    let (_folder, warehouse) = open();
    let sql = "SELECT 1::TINYINT a, 1.5::FLOAT b, 'q\"\\n' c, NULL d, [1, NULL] e, 1.50::DECIMAL(9,2) f, \
               'inf'::DOUBLE g, true h, 2::UBIGINT i, DATE '2026-01-31' j FROM range(3)";
    let (json, _) = export(&warehouse, sql, Format::Json, &unlimited()).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let answer = warehouse
        .queries
        .query(&Scope::All, sql, &unlimited())
        .unwrap();
    assert_eq!(json["rows"], serde_json::json!(answer.rows));
    assert_eq!(json["columns"], serde_json::json!(answer.columns));
    assert_eq!(json["truncated"], false);
}

#[test]
fn csv_tells_null_from_empty_and_quotes_what_needs_it() {
    let (_folder, warehouse) = open();
    let sql = "SELECT * FROM (VALUES (1, 'a,b', ''), (2, 'say \"hi\"', NULL), (3, E'two\\nlines', ' padded')) \
               t(\"i,d\", text, more)";
    let (csv, _) = export(&warehouse, sql, Format::Csv, &unlimited()).unwrap();
    let expected =
        "\"i,d\",text,more\n1,\"a,b\",\"\"\n2,\"say \"\"hi\"\"\",\n3,\"two\nlines\",\" padded\"\n";
    assert_eq!(String::from_utf8(csv).unwrap(), expected);
    let (csv, _) = export(
        &warehouse,
        "SELECT NULL x FROM range(2)",
        Format::Csv,
        &unlimited(),
    )
    .unwrap();
    assert_eq!(csv, b"x\n\"\"\n\"\"\n");
}

#[test]
fn types_that_a_format_lacks_come_as_their_nearest() {
    let (_folder, warehouse) = open();
    let sql = "SELECT 'a'::ENUM('a', 'b') e, INTERVAL 1 DAY i, 170141183460469231731687303715884105727::HUGEINT h, \
               NULL n, {'a': [1]} s, '\\x00'::BLOB b, TIME '10:00:00' t, now() z, uuid() u, MAP {'k': 1} m, \
               '101'::BIT bits, TIMESTAMP_NS '2026-01-01 00:00:00.123456789' ns";
    for format in [Format::Json, Format::Csv, Format::Arrow, Format::Parquet] {
        let exported = export(&warehouse, sql, format, &unlimited());
        assert_eq!(
            exported.map(|(_, exported)| exported.rows),
            Ok(1),
            "{format:?}"
        );
    }
}

#[test]
fn an_answer_without_rows_has_its_columns() {
    let (_folder, warehouse) = open();
    let sql = "SELECT 1 AS a, 'x' AS b WHERE false";
    let told = |format| export(&warehouse, sql, format, &unlimited()).unwrap().0;
    assert_eq!(told(Format::Csv), b"a,b\n");
    assert_eq!(
        told(Format::Json),
        br#"{"columns":["a","b"],"rows":[],"row_count":0,"truncated":false}"#
    );
    assert_eq!(arrow(&told(Format::Arrow)).num_columns(), 2);
    assert_eq!(parquet(&told(Format::Parquet)).num_columns(), 2);
}

#[test]
fn limits_cut_and_say_which() {
    let (_folder, warehouse) = open();
    for format in [Format::Json, Format::Csv, Format::Arrow, Format::Parquet] {
        let rows = QueryOptions {
            limit: 2_500,
            ..unlimited()
        };
        let (_, exported) = export(&warehouse, MANY, format, &rows).unwrap();
        assert_eq!(
            exported,
            Exported {
                rows: 2_500,
                cut: Some(Cut::Rows)
            },
            "{format:?}"
        );
        let exact = QueryOptions {
            limit: 10_000,
            ..unlimited()
        };
        let (_, exported) = export(&warehouse, MANY, format, &exact).unwrap();
        assert_eq!(exported.cut, None, "{format:?}");
        let bytes = QueryOptions {
            max_bytes: 10_000,
            ..unlimited()
        };
        let (_, exported) = export(&warehouse, MANY, format, &bytes).unwrap();
        assert_eq!(exported.cut, Some(Cut::Bytes), "{format:?}");
        assert!(exported.rows < 10_000, "{format:?}");
    }
    let rows = QueryOptions {
        limit: 5,
        ..unlimited()
    };
    let (bytes, _) = export(&warehouse, MANY, Format::Parquet, &rows).unwrap();
    let reader = SerializedFileReader::new(parquet_bytes(&bytes)).unwrap();
    let about = reader
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .unwrap();
    let said = about.iter().find(|pair| pair.key == "sluice.truncated");
    assert_eq!(said.and_then(|pair| pair.value.as_deref()), Some("rows"));
}

#[test]
fn what_fails_before_the_first_row_fails_before_anything_is_written() {
    let (_folder, warehouse) = open();
    let mut out = Vec::new();
    let sql = "SELECT sum(('x' || range)::INT) FROM range(100000)";
    let engine = &warehouse.queries;
    let answer = engine.export(&Scope::All, sql, Format::Arrow, &unlimited(), &mut out);
    assert!(matches!(answer, Err(QueryError::Sql { .. })), "{answer:?}");
    assert!(out.is_empty());
}

#[test]
fn a_query_ends_when_nobody_takes_its_rows() {
    struct Gone(usize);
    impl Write for Gone {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_folder, warehouse) = open();
    let endless = "SELECT range AS n FROM range(1000000000000)";
    for format in [Format::Json, Format::Csv, Format::Arrow, Format::Parquet] {
        let engine = &warehouse.queries;
        let answer = engine.export(&Scope::All, endless, format, &unlimited(), &mut Gone(3));
        assert_eq!(answer, Err(QueryError::Cancelled), "{format:?}");
    }
}
