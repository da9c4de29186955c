//! Each line of `docs/types.md` about values, as rows that go in and rows that come out.

use super::*;

fn declared(name: &str, column_type: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        column_type,
        description: None,
    }
}

fn read_as(column_type: ColumnType, values: &str) -> Result<Vec<String>, String> {
    let format = BodyFormat::Ndjson(Compression::None);
    let lines = values.split_whitespace();
    let body: String = lines.map(|value| format!("{{\"v\":{value}}}\n")).collect();
    read(&[declared("v", column_type)], &format, &[body.as_bytes()])
}

#[test]
fn a_moment_is_kept_in_utc_whatever_its_zone() {
    let kept = [
        "at Timestamp(µs)",
        "2026-01-31T08:00:00",
        "2026-01-31T10:00:00",
        "2026-02-01T05:00:00.123456",
    ];
    let times = [
        "2026-01-31 10:00:00+02:00",
        "2026-01-31T10:00:00",
        "2026-01-31T23:30:00.123456-05:30",
    ];
    assert_eq!(
        read_csv(&format!("at\n{}\n", times.join("\n"))).unwrap(),
        kept
    );
    let lines = times
        .map(|time| format!("{{\"at\":\"{time}\"}}\n"))
        .concat();
    assert_eq!(read_lines(&[&lines]), kept);
}

#[test]
fn a_number_beyond_64_bits_keeps_every_digit() {
    let digits = "123456789012345678901234567890";
    let text = format!("n\n{digits}\n1\n");
    assert_eq!(read_csv(&text).unwrap(), ["n Utf8", digits, "1"]);
    for most in ["18446744073709551615", "-9223372036854775809", digits] {
        assert_eq!(
            read_lines(&[&format!("{{\"n\":{most}}}\n{{\"n\":1}}")]),
            ["n Utf8", most, "1"]
        );
        let page = format!("{{\"rows\":[{{\"n\":{most}}}],\"next\":{most}}}");
        let read_page = read(&[], &json("/rows", &["/next"]), &[page.as_bytes()]);
        assert_eq!(read_page.unwrap(), ["n Utf8", most]);
    }
    let decimal = ColumnType::Decimal {
        precision: 38,
        scale: 0,
    };
    let format = BodyFormat::Csv(csv());
    let kept = ["n Decimal128(38, 0)", digits, "1"];
    assert_eq!(
        read(&[declared("n", decimal)], &format, &[text.as_bytes()]).unwrap(),
        kept
    );
    let lines = format!("{{\"n\":{digits}}}\n{{\"n\":1}}");
    let format = BodyFormat::Ndjson(Compression::None);
    assert_eq!(
        read(&[declared("n", decimal)], &format, &[lines.as_bytes()]).unwrap(),
        kept
    );
}

#[test]
fn text_that_names_a_boolean_is_one_in_csv_and_where_it_is_declared() {
    assert_eq!(
        read_csv("b\ntrue\nFALSE\n").unwrap(),
        ["b Boolean", "true", "false"]
    );
    assert_eq!(read_lines(&["{\"b\":\"true\"}"]), ["b Utf8", "true"]);
    assert_eq!(
        read_as(ColumnType::Boolean, "\"true\" false").unwrap(),
        ["v Boolean", "true", "false"]
    );
    // Among numbers it counts, as SQL would have it.
    assert_eq!(
        read_lines(&["{\"n\":true}\n{\"n\":2}\n{\"n\":false}"]),
        ["n Int64", "1", "2", "0"]
    );
}

#[test]
fn what_is_not_a_number_is_one_only_where_that_is_declared() {
    let double = read_as(ColumnType::Double, "\"NaN\" \"Infinity\" 1").unwrap();
    assert_eq!(double[0], "v Float64");
    assert_eq!(
        double[1..]
            .iter()
            .map(|v| v.to_lowercase())
            .collect::<Vec<_>>(),
        ["nan", "inf", "1.0"]
    );
    assert_eq!(read_lines(&["{\"v\":\"NaN\"}"]), ["v Utf8", "NaN"]);
}

#[test]
fn nothing_and_empty_are_two_things() {
    assert_eq!(
        read_csv("a,b\n,x\n\"\",y\n").unwrap(),
        ["a Utf8, b Utf8", "∅|x", "|y"]
    );
    let lines = read_lines(&["{\"a\":null,\"b\":\"x\"}\n{\"b\":\"y\"}\n{\"a\":\"\",\"b\":\"z\"}"]);
    assert_eq!(lines, ["a Utf8, b Utf8", "∅|x", "∅|y", "|z"]);
}

#[test]
fn a_row_ends_with_either_line_end_and_a_quoted_one_ends_nothing() {
    let kept = ["a Utf8, b Int64", "x\r\ny|1", "z\nz|2"];
    assert_eq!(
        read_csv("a,b\r\n\"x\r\ny\",1\r\n\"z\nz\",2\r\n").unwrap(),
        kept
    );
    assert_eq!(read_csv("a,b\n\"x\r\ny\",1\n\"z\nz\",2").unwrap(), kept);
}

#[test]
fn a_text_that_is_not_utf8_names_its_row_in_json_too() {
    let body = b"{\"a\":\"x\"}\n{\"a\":\"\xff\"}\n";
    let failed = read(&[], &BodyFormat::Ndjson(Compression::None), &[body]).unwrap_err();
    assert!(
        failed.contains("row 2") && failed.contains("unicode"),
        "{failed}"
    );
}

#[test]
fn a_column_that_widens_to_text_keeps_the_form_that_its_values_had() {
    let lines = read_lines(&[
        "{\"d\":\"2026-01-31\"}",
        "{\"d\":\"2026-01-31T10:00:00Z\"}",
        "{\"d\":\"soon\"}",
    ]);
    assert_eq!(
        lines,
        ["d Utf8", "2026-01-31", "2026-01-31T10:00:00", "soon"]
    );
    let lines = read_lines(&["{\"n\":true}", "{\"n\":\"x\"}"]);
    assert_eq!(lines, ["n Utf8", "true", "x"]);
}
