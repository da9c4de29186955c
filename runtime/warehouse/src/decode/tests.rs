//! The rules of decoding, each as a table of bodies and the rows that they become.

use std::io::Write as _;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use domain::format::{BodyFormat, Compression, CsvOptions, JsonOptions};
use domain::{Column, ColumnType, Failure};
use proptest::prelude::*;

use super::*;

mod bodies;
mod decisions;

#[derive(Default)]
struct Rows(Vec<RecordBatch>);

impl Sink for Rows {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.0.push(batch);
        Ok(())
    }
}

fn csv() -> CsvOptions {
    CsvOptions {
        delimiter: None,
        quote: None,
        header: true,
        names: vec![],
        compression: Compression::Auto,
    }
}

fn json(records: &str, values: &[&str]) -> BodyFormat {
    BodyFormat::Json(JsonOptions {
        records: records.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
        compression: Compression::Auto,
    })
}

/// The table as `name type` a column and then one line a row.
fn show(columns: &Columns, rows: &Rows) -> Vec<String> {
    let schema = columns.schema();
    let fields = schema
        .fields()
        .iter()
        .map(|f| format!("{} {}", f.name(), f.data_type()));
    let mut lines = vec![fields.collect::<Vec<_>>().join(", ")];
    let batches: Vec<_> = rows
        .0
        .iter()
        .map(|batch| conform_batch(batch, &schema).unwrap())
        .collect();
    let batch = concat_batches(&schema, &batches).unwrap();
    let options = FormatOptions::default().with_null("∅");
    let cells: Vec<_> = batch
        .columns()
        .iter()
        .map(|c| ArrayFormatter::try_new(c, &options).unwrap())
        .collect();
    for row in 0..batch.num_rows() {
        lines.push(
            cells
                .iter()
                .map(|cell| cell.value(row).to_string())
                .collect::<Vec<_>>()
                .join("|"),
        );
    }
    lines
}

fn read(declared: &[Column], format: &BodyFormat, bodies: &[&[u8]]) -> Result<Vec<String>, String> {
    let mut columns = Columns::new(declared, &[]).unwrap();
    let mut rows = Rows::default();
    let scratch = tempfile::tempdir().unwrap();
    for bytes in bodies {
        let input = Box::new(std::io::Cursor::new(bytes.to_vec()));
        body(&mut columns, &mut rows, format, input, scratch.path()).map_err(|e| e.to_string())?;
    }
    Ok(show(&columns, &rows))
}

fn read_csv(text: &str) -> Result<Vec<String>, String> {
    read(&[], &BodyFormat::Csv(csv()), &[text.as_bytes()])
}

fn read_lines(bodies: &[&str]) -> Vec<String> {
    let bodies: Vec<&[u8]> = bodies.iter().map(|b| b.as_bytes()).collect();
    read(&[], &BodyFormat::Ndjson(Compression::None), &bodies).unwrap()
}

#[test]
fn csv_columns_have_the_narrowest_type() {
    let text = "b,i,d,day,at,t,z\ntrue,1,1.5,2026-01-01,2026-01-01T10:00:00Z,x,007\nFALSE,-2,3,2026-01-02,2026-01-02,5,8\n";
    assert_eq!(
        read_csv(text).unwrap(),
        [
            "b Boolean, i Int64, d Float64, day Date32, at Timestamp(µs), t Utf8, z Utf8",
            "true|1|1.5|2026-01-01|2026-01-01T10:00:00|x|007",
            "false|-2|3.0|2026-01-02|2026-01-02T00:00:00|5|8",
        ]
    );
}

#[test]
fn csv_is_read_with_quotes_line_ends_and_a_byte_order_mark() {
    let text = "\u{feff}a,b\r\n\"x, \"\"y\"\"\nz\",\r\n\"\",2";
    assert_eq!(
        read_csv(text).unwrap(),
        ["a Utf8, b Int64", "x, \"y\"\nz|∅", "|2"]
    );
}

#[test]
fn csv_that_is_gzipped_is_recognised() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"a\n1\n").unwrap();
    let body = gzip.finish().unwrap();
    let format = BodyFormat::Csv(csv());
    assert_eq!(read(&[], &format, &[&body]).unwrap(), ["a Int64", "1"]);
    let broken = &body[..body.len() - 9];
    assert!(
        read(&[], &format, &[broken])
            .unwrap_err()
            .contains("broke off")
    );
}

#[test]
fn ragged_csv_names_its_row() {
    assert_eq!(
        read_csv("a,b\n1,2\n3\n").unwrap_err(),
        "row 2: it has 1 fields, and the header has 2"
    );
    assert_eq!(
        read_csv("a,b\n1,2,3\n").unwrap_err(),
        "row 1: it has more than the 2 fields of the header"
    );
    assert_eq!(
        read_csv("a\n\"1\n2\n").unwrap_err(),
        "the body ends inside a quoted field"
    );
}

#[test]
fn csv_names_are_given_or_made_unique() {
    let mut options = csv();
    assert_eq!(
        read_csv("a,A,,a\n1,2,3,4\n").unwrap()[0],
        "a Int64, A_1 Int64, column3 Int64, a_1_1 Int64"
    );
    options.header = false;
    options.names = vec!["x".to_owned(), "y".to_owned()];
    options.delimiter = Some(';');
    options.quote = Some('\'');
    let format = BodyFormat::Csv(options.clone());
    assert_eq!(
        read(&[], &format, &[b"1;'a;b'\n"]).unwrap(),
        ["x Int64, y Utf8", "1|a;b"]
    );
    options.names.clear();
    let error = read(&[], &BodyFormat::Csv(options), &[b"1\n"]).unwrap_err();
    assert!(error.contains("names"), "{error}");
}

#[test]
fn json_types_widen_within_and_between_bodies() {
    let lines = read_lines(&[
        r#"{"a":true,"b":1,"c":"2026-01-01","n":null}"#,
        "{\"a\":2,\"b\":1.5,\"c\":\"2026-01-01 10:00\"}\n{\"a\":null,\"d\":\"5\"}",
        r#"{"a":"x","c":"later","b":18446744073709551615}"#,
    ]);
    assert_eq!(
        lines,
        [
            "a Utf8, b Utf8, c Utf8, n Null, d Utf8",
            "true|1|2026-01-01|∅|∅",
            "2|1.5|2026-01-01T10:00:00|∅|∅",
            "∅|∅|∅|∅|5",
            "x|18446744073709551615|later|∅|∅",
        ]
    );
}

#[test]
fn nested_json_is_typed_until_its_structure_differs() {
    let typed = read_lines(&[
        r#"{"o":{"x":1},"l":[1]}"#,
        r#"{"o":{"y":"z"},"l":[2.5,null]}"#,
    ]);
    assert_eq!(
        typed[1..],
        ["{x: 1, y: }|[1.0]", "{x: , y: z}|[2.5, ]"].map(|l| l
            .replace(": ,", ": ∅,")
            .replace(": }", ": ∅}")
            .replace(", ]", ", ∅]"))
    );
    let mixed = read_lines(&[r#"{"o":{"x":1}}"#, r#"{"o":[1]}"#, r#"{"o":"t"}"#]);
    assert_eq!(mixed, ["o Utf8", r#"{"x":1}"#, "[1]", "t"]);
}

#[test]
fn declared_types_are_enforced_with_row_and_column() {
    let column = |name: &str, column_type| Column {
        name: name.to_owned(),
        column_type,
        description: None,
    };
    let declared = [
        column("id", ColumnType::Bigint),
        column(
            "price",
            ColumnType::Decimal {
                precision: 6,
                scale: 2,
            },
        ),
    ];
    let format = BodyFormat::Csv(csv());
    let good = read(&declared, &format, &[b"price,id,new\n1.50,007,x\n"]).unwrap();
    assert_eq!(
        good,
        ["id Int64, price Decimal128(6, 2), new Utf8", "7|1.50|x"]
    );
    let bad = read(&declared, &format, &[b"id,price\n1,1\n2,1.005\n"]).unwrap_err();
    assert_eq!(
        bad,
        "row 2, column `price`: `1.005` is not a valid decimal(6,2), as which the column is declared"
    );
    let bad = read(
        &declared,
        &json("/r", &[]),
        &[br#"{"r":[{"id":1},{"id":"x"}]}"#],
    )
    .unwrap_err();
    assert!(
        bad.starts_with("row 2, column `id`: `x` is not a valid bigint"),
        "{bad}"
    );
}

#[test]
fn pointers_find_records_and_values() {
    let text = br#"{"a/b":{"c~d":[{"x":1},{"x":2}]},"next":"/p?2","n":[10,{"k":null}]}"#;
    let found = [
        ("/next", Some("\"/p?2\"")),
        ("/n/1/k", Some("null")),
        ("/n/0", Some("10")),
        ("/n/00", None),
        ("/none", None),
        // This lies in another, so that the document is read more than once.
        ("/next/deeper", None),
    ];
    for wanted in [found.as_slice(), &found[..5]] {
        let (pointers, texts): (Vec<_>, Vec<_>) = wanted.iter().copied().unzip();
        let mut columns = Columns::default();
        let mut rows = Rows::default();
        let input = Box::new(std::io::Cursor::new(text.to_vec()));
        let format = json("/a~1b/c~0d", &pointers);
        let done = body(&mut columns, &mut rows, &format, input, Path::new("/")).unwrap();
        assert_eq!(done.rows, 2);
        let values: Vec<_> = done.values.iter().map(|value| value.as_deref()).collect();
        assert_eq!(values, texts);
        assert_eq!(show(&columns, &rows), ["x Int64", "1", "2"]);
    }
}

#[test]
fn json_that_is_not_what_the_pointer_says_is_refused() {
    let refused =
        |pointer: &str, text: &str| read(&[], &json(pointer, &[]), &[text.as_bytes()]).unwrap_err();
    assert!(refused("/items", r#"{"data":[]}"#).contains("nothing at `/items`"));
    assert!(
        refused("", "[1]")
            .starts_with("row 1: not valid JSON: invalid type: integer `1`, expected a record")
    );
    assert!(refused("", r#"[{"a":1},{"a":"#).starts_with("row 2: not valid JSON"));
    assert!(refused("", "<html>").contains("not valid JSON"));
    assert!(refused("items", "[]").contains("must start with"));
    assert!(refused("", "[] x").contains("trailing"));
    let single = read(&[], &json("/one", &[]), &[br#"{"one":{"a":1}}"#]).unwrap();
    assert_eq!(single, ["a Int64", "1"]);
}

#[test]
fn ndjson_names_the_row_that_is_broken() {
    let error = read(
        &[],
        &BodyFormat::Ndjson(Compression::None),
        &[b"{\"a\":1}\n\n{\"a\":\n"],
    )
    .unwrap_err();
    assert!(error.starts_with("row 2: not valid JSON"), "{error}");
}

#[test]
fn arrow_and_parquet_are_read_and_normalised() {
    use arrow::array::{ArrayRef, Int32Array, LargeStringArray};
    use std::sync::Arc;
    let columns: [(&str, ArrayRef); 2] = [
        ("a", Arc::new(Int32Array::from(vec![1, 2]))),
        ("b", Arc::new(LargeStringArray::from(vec![Some("x"), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut ipc = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    ipc.write(&batch).unwrap();
    let ipc = ipc.into_inner().unwrap();
    let mut file = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    file.write(&batch).unwrap();
    let file = file.into_inner().unwrap();
    for (format, bytes) in [(BodyFormat::Arrow, ipc), (BodyFormat::Parquet, file)] {
        assert_eq!(
            read(&[], &format, &[&bytes]).unwrap(),
            ["a Int64, b Utf8", "1|x", "2|∅"]
        );
        let half = &bytes[..bytes.len() / 2];
        assert!(
            read(&[], &format, &[half])
                .unwrap_err()
                .contains("not a valid")
        );
        let declared = [Column {
            name: "b".to_owned(),
            column_type: ColumnType::Bigint,
            description: None,
        }];
        let error = read(&declared, &format, &[&bytes]).unwrap_err();
        assert!(
            error.starts_with("row 1, column `b`: `x` is not"),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in [BodyFormat::Csv(csv()), json("/a", &["/b"]), BodyFormat::Ndjson(Compression::Auto), BodyFormat::Arrow, BodyFormat::Parquet] {
            let _ = read(&[], &format, &[&bytes]);
        }
    }

    #[test]
    fn nothing_that_resembles_text_makes_a_decoder_panic(
        text in "([\\[\\]{}\",:\n\r0-9a-c.eE-]|true|null|2026-01-0[1-9]){0,60}"
    ) {
        for format in [BodyFormat::Csv(csv()), json("", &["/a"]), BodyFormat::Ndjson(Compression::None)] {
            let _ = read(&[], &format, &[text.as_bytes()]);
        }
    }

    #[test]
    fn csv_fields_come_back_as_they_were_written(fields in prop::collection::vec("[a-z\",\n\r ü]{1,12}x", 1..20)) {
        let text: String = fields.iter().map(|f| format!("\"{}\"\n", f.replace('"', "\"\""))).collect();
        let lines = read_csv(&format!("t\n{text}")).unwrap();
        prop_assert_eq!(&lines[1..], &fields[..]);
    }
}
