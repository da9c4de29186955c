//! Paging, against the fake host.

use serde_json::json;

use super::*;
use crate::Connector;
use crate::testing::{FakeHost, Reply};

/// Brings the pages that begin at its one setting, and keeps a value of the last as its cursor.
struct Pages(String);

impl Connector for Pages {
    type Settings = String;
    fn new(first: String) -> Result<Self, Failure> {
        Ok(Self(first))
    }
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
    fn discover(&self) -> Result<Vec<TableInfo>, Failure> {
        Ok(Vec::new())
    }
    fn sync(&self, _: &[String]) -> Result<(), Failure> {
        let format = Format::json_at("/items").value("/until");
        let last = Table::open(&TableSpec::append("t"))?.append_pages(&self.0, &format, "/next")?;
        crate::cursor::set("t", format!("{} {}", last.rows, last.text(0)?).as_bytes())
    }
}

fn host(last: &str) -> FakeHost {
    FakeHost::new()
        .reply(
            "https://a.org/1",
            Reply::text(r#"{"items": [{"id": 1}], "next": "2", "until": "x"}"#),
        )
        .reply("https://a.org/2", Reply::text(last))
}

#[test]
fn pages_are_appended_to_the_last_one_whose_values_come_back() {
    let host = host(r#"{"items": [{"id": 2}, {"id": 3}], "next": null, "until": "y"}"#);
    host.sync::<Pages>(r#""https://a.org/1""#, &[]).unwrap();
    let rows = [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})];
    assert_eq!(host.rows("t"), rows);
    assert_eq!(host.cursor("t").as_deref(), Some(&b"3 y"[..]));
}

#[test]
fn pages_that_go_round_and_values_that_are_missing_fail() {
    let failure = |last| {
        let failed = host(last).sync::<Pages>(r#""https://a.org/1""#, &[]);
        failed.unwrap_err().to_string()
    };
    let circle = failure(r#"{"items": [], "next": "/2", "until": "y"}"#);
    assert!(circle.contains("read before"), "{circle}");
    let missing = failure(r#"{"items": [], "next": ""}"#);
    assert!(missing.contains("no text at pointer 0"), "{missing}");
    let number = failure(r#"{"items": [], "next": 7, "until": "y"}"#);
    assert!(number.contains("not a text"), "{number}");
}
