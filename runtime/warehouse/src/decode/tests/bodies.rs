//! What surrounds the values of a body: compression, marks, and bytes that are no values.

use super::*;

#[test]
fn zstd_is_recognised_in_any_number_of_frames_and_refused_where_it_breaks_off() {
    // What `zstd` makes of the two texts, without a checksum.
    let frame = |text: &[u8]| {
        let size = u8::try_from(text.len()).unwrap();
        // One raw block, the last one, in a frame that says its size.
        let head = [0x28, 0xb5, 0x2f, 0xfd, 0x20, size, size << 3 | 1, 0, 0];
        [&head[..], text].concat()
    };
    let body = [frame(b"\xef\xbb\xbfa\n1\n"), frame(b"2\n")].concat();
    let format = BodyFormat::Csv(csv());
    assert_eq!(read(&[], &format, &[&body]).unwrap(), ["a Int64", "1", "2"]);
    let broken = read(&[], &format, &[&body[..body.len() - 1]]).unwrap_err();
    assert!(broken.contains("broke off"), "{broken}");
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_value() {
    let headless = BodyFormat::Csv(CsvOptions {
        header: false,
        names: vec!["a".to_owned()],
        ..csv()
    });
    let body = "\u{feff}7\n".as_bytes();
    assert_eq!(read(&[], &headless, &[body]).unwrap(), ["a Int64", "7"]);
    let body = "\u{feff}[{\"a\":7}]".as_bytes();
    assert_eq!(
        read(&[], &json("", &[]), &[body]).unwrap(),
        ["a Int64", "7"]
    );
    assert_eq!(read_lines(&["\u{feff}{\"a\":7}\r\n"]), ["a Int64", "7"]);
}

#[test]
fn what_only_looks_like_a_number_or_is_none_keeps_its_text() {
    let text = "nan,inf,big,plus\nNaN,Infinity,9223372036854775808,+1\n";
    let kept = [
        "nan Utf8, inf Utf8, big Utf8, plus Utf8",
        "NaN|Infinity|9223372036854775808|+1",
    ];
    assert_eq!(read_csv(text).unwrap(), kept);
    let bytes = b"a\nx\n\xff\n";
    let failed = read(&[], &BodyFormat::Csv(csv()), &[bytes]).unwrap_err();
    assert!(
        failed.contains("row 2") && failed.contains("not UTF-8"),
        "{failed}"
    );
}
