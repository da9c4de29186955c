//! What the look at quotes and brackets says is what decoding says, or nothing.

use domain::Failure;
use domain::format::JsonOptions;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::decode::{Columns, Sink};

struct Nowhere;

impl Sink for Nowhere {
    fn take(&mut self, _: arrow::array::RecordBatch) -> Result<(), Failure> {
        Ok(())
    }
}

fn options(records: &str, values: &[&str]) -> JsonOptions {
    JsonOptions {
        records: records.to_owned(),
        values: values.iter().map(|&value| value.to_owned()).collect(),
        ..JsonOptions::whole()
    }
}

fn decoded(document: &[u8], options: &JsonOptions) -> Option<Appended> {
    let mut columns = Columns::new(&[], &[]).unwrap();
    crate::decode::json(&mut columns, &mut Nowhere, document, options).ok()
}

fn surveyed(document: &[u8], options: &JsonOptions) -> Option<Appended> {
    survey(document, &options.records, &options.values)
}

#[test]
fn it_says_of_a_document_what_decoding_says() {
    for (document, records, values) in [
        (
            r#"{"data":[{"a":1},{"a":"}"}],"next":"x"}"#,
            "/data",
            vec!["/next"],
        ),
        (
            r#" { "data" : [ ] , "n" : { "m" : [ 1 , { "k" : null } ] } } "#,
            "/data",
            vec!["/n/m/1"],
        ),
        (
            r#"[{"a":"\\"},{"b":"\"]"},{"c":"a text that is long enough \" to be looked for"}]"#,
            "",
            vec![],
        ),
        (r#"{"a\"b":{"d/e":[{"x":[{}]}]}}"#, "/a\"b/d~1e", vec![]),
        (r#"{"a":"x","rows":null}"#, "/rows", vec!["/a", "/missing"]),
        (r#"{"id":1}"#, "", vec![]),
        ("\u{feff}[{\"a\":1}]", "", vec![]),
        (
            r#"{"n":1,"n":2,"rows":[{}],"rows":[{},{}]}"#,
            "/rows",
            vec!["/n"],
        ),
        (
            r#"{"n":123456789012345678901234,"rows":[{"a":-1.5e3}]}"#,
            "/rows",
            vec!["/n"],
        ),
        (r#"[[{"a":1},{"a":2}],{"n":true}]"#, "/0", vec!["/1/n"]),
    ] {
        let options = options(records, &values);
        let expected = decoded(document.as_bytes(), &options);
        assert!(expected.is_some(), "{document}");
        assert_eq!(
            surveyed(document.as_bytes(), &options),
            expected,
            "{document}"
        );
    }
}

#[test]
fn what_it_cannot_tell_it_leaves_to_decoding() {
    let large = format!(r#"{{"data":[],"next":"{}"}}"#, "x".repeat(MAX_VALUE));
    for document in [
        "",
        "<html>",
        r#"{"data":[{"a":1}"#,
        r#"{"data":[{"a":1}]} x"#,
        r#"{"data":[1]}"#,
        r#"{"data":"text"}"#,
        r#"{"other":[{"a":1}]}"#,
        r#"{"data":[{"a":"\"#,
        r#"{"data":[{}],"next":nul}"#,
        r#"{"data":[{}] "next":1}"#,
        large.as_str(),
    ] {
        let options = options("/data", &["/next"]);
        assert_eq!(surveyed(document.as_bytes(), &options), None, "{document}");
        assert_eq!(decoded(document.as_bytes(), &options), None, "{document}");
    }
    let inside = options("/data", &["/data/0/id"]);
    assert_eq!(surveyed(br#"{"data":[{"id":1}]}"#, &inside), None);
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c\"\\\\{}\\[\\],: \u{e4}]{0,24}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let names = "[ab/~\"\\\\]{0,2}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn it_agrees_with_decoding_about_any_document(
        value in json(),
        pretty in any::<bool>(),
        records in prop::sample::select(vec!["", "/a", "/b/a", "/0", "/a/1"]),
        place in prop::sample::select(vec!["/b", "/ab", "/1/a", "/~0/~1"]),
    ) {
        let document = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let (document, options) = (document.unwrap(), options(records, &[place]));
        // Names that differ in nothing but what a table cannot hold are the decoder's business.
        if let Some(surveyed) = surveyed(&document, &options)
            && let Some(decoded) = decoded(&document, &options)
        {
            prop_assert_eq!(surveyed, decoded);
        } else if let Some(decoded) = decoded(&document, &options) {
            prop_assert!(records.is_empty() || place.starts_with(records), "{:?}", decoded);
        }
    }

    #[test]
    fn it_ends_on_any_bytes(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\1nulltrue \xff".to_vec()), 0..64)) {
        let options = options("/a", &["/n"]);
        drop(surveyed(&bytes, &options));
        // What decoding takes, the survey must not have counted otherwise.
        if let (Some(surveyed), Some(decoded)) = (surveyed(&bytes, &options), decoded(&bytes, &options)) {
            prop_assert_eq!(surveyed, decoded);
        }
    }
}
