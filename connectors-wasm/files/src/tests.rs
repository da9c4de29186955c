//! The connector against the SDK's fake host.

use connector_sdk::testing::{FakeHost, Reply};
use connector_sdk::{ColumnType, Failure};
use serde_json::json;

use super::Files;

fn settings(table: &serde_json::Value) -> String {
    json!({"tables": [table]}).to_string()
}

fn paged() -> String {
    settings(&json!({
        "name": "orders", "url": "https://a.org/orders?key=secret", "format": "json",
        "records": "/items", "next": "/next"
    }))
}

#[test]
fn pages_are_followed_to_the_last_one() {
    let host = FakeHost::new()
        .reply(
            "https://a.org/orders?key=secret",
            Reply::text(r#"{"items": [{"id": 1}], "next": "?page=2"}"#),
        )
        .reply(
            "https://a.org/orders?page=2",
            Reply::text(r#"{"items": [{"id": 2}], "next": "https://a.org/3"}"#),
        )
        .reply(
            "https://a.org/3",
            Reply::text(r#"{"items": [], "next": null}"#),
        );
    host.sync::<Files>(&paged(), &[]).unwrap();
    assert_eq!(host.rows("orders"), [json!({"id": 1}), json!({"id": 2})]);
    assert_eq!(
        *host.progress(),
        ["orders, page 1", "orders, page 2", "orders, page 3"]
    );
}

#[test]
fn many_addresses_make_one_table() {
    let host = FakeHost::new()
        .reply("https://a.org/1.csv", Reply::text("id;day\n1;2026-01-01\n"))
        .reply("https://a.org/2.csv", Reply::text("id;day\n2;2026-01-02\n"));
    let settings = settings(&json!({
        "name": "days", "urls": ["https://a.org/1.csv", "https://a.org/2.csv"], "format": "csv", "delimiter": ";",
        "columns": [{"name": "id", "type": "decimal(18,2)"}], "primary_key": ["id"]
    }));
    host.sync::<Files>(&settings, &["DAYS"]).unwrap();
    assert_eq!(host.rows("days").len(), 2);
    let spec = host.spec("days").unwrap();
    assert_eq!(
        spec.columns[0].column_type,
        ColumnType::Decimal {
            precision: 18,
            scale: 2
        }
    );
    assert_eq!(spec.primary_key, ["id"]);
}

#[test]
fn a_page_that_was_read_before_ends_the_run() {
    let host = FakeHost::new()
        .reply(
            "https://a.org/orders?key=secret",
            Reply::text(r#"{"items": [], "next": "/2"}"#),
        )
        .reply(
            "https://a.org/2",
            Reply::text(r#"{"items": [], "next": "/orders?key=secret"}"#),
        );
    let failure = host.sync::<Files>(&paged(), &[]).unwrap_err();
    assert_eq!(
        failure,
        Failure::Upstream(
            "table `orders`, https://a.org/2: the next page is one that was read before".into()
        )
    );
}

#[test]
fn an_error_names_table_and_address_but_not_the_query() {
    for (status, kind) in [
        (404, "Config"),
        (500, "Upstream"),
        (401, "Auth"),
        (429, "RateLimited"),
    ] {
        let host = FakeHost::new().reply("https://a.org/orders?key=secret", Reply::status(status));
        let failure = host.sync::<Files>(&paged(), &[]).unwrap_err();
        assert!(format!("{failure:?}").starts_with(kind), "{failure:?}");
        assert!(
            failure
                .message()
                .starts_with("table `orders`: https://a.org/orders answered "),
            "{failure}"
        );
        assert!(!failure.message().contains("secret"), "{failure}");
    }
}

#[test]
fn a_body_that_is_not_what_the_settings_say_fails_the_run() {
    for body in ["<html>", r#"{"items": 7}"#, r#"{"items": [], "next": 7}"#] {
        let host = FakeHost::new().reply("https://a.org/orders?key=secret", Reply::text(body));
        let failure = host.sync::<Files>(&paged(), &[]).unwrap_err();
        assert!(
            matches!(failure, Failure::Upstream(_)),
            "{body}: {failure:?}"
        );
    }
}

#[test]
fn check_falls_back_to_get_and_sends_the_headers() {
    let host = FakeHost::new()
        .reply("https://a.org/x", Reply::status(405))
        .reply("https://a.org/x", Reply::status(200));
    let settings = json!({
        "tables": [{"name": "x", "url": "https://a.org/x", "format": "ndjson"}], "headers": {"accept": "text/plain"}
    });
    host.check::<Files>(&settings.to_string()).unwrap();
    let sent = host.sent();
    let methods: Vec<_> = sent.iter().map(|request| request.method).collect();
    assert_eq!(methods, ["HEAD", "GET"]);
    assert_eq!(
        sent[1].headers,
        [("accept".to_owned(), "text/plain".to_owned())]
    );
}

#[test]
fn check_fails_where_an_address_is_not_there() {
    let host = FakeHost::new().reply("https://a.org/x", Reply::status(404));
    let settings = settings(&json!({"name": "x", "url": "https://a.org/x", "format": "csv"}));
    assert!(matches!(
        host.check::<Files>(&settings),
        Err(Failure::Config(_))
    ));
}

#[test]
fn discover_lists_the_tables_without_a_request() {
    let host = FakeHost::new();
    let tables = host.discover::<Files>(&paged()).unwrap();
    assert_eq!(tables[0].name, "orders");
    assert!(host.sent().is_empty());
}

#[test]
fn a_name_that_the_settings_do_not_know_is_a_config_failure() {
    let failure = FakeHost::new()
        .sync::<Files>(&paged(), &["invoices"])
        .unwrap_err();
    assert_eq!(
        failure,
        Failure::Config("the settings have no table `invoices`".into())
    );
}

#[test]
fn bad_settings_say_what_is_wrong() {
    let base = json!({"name": "x", "url": "https://a.org/x", "format": "csv"});
    for (field, value, said) in [
        ("url", json!(null), "either `url` or `urls`"),
        ("urls", json!(["https://a.org/y"]), "either `url` or `urls`"),
        (
            "url",
            json!("file:///etc/passwd"),
            "must start with https://",
        ),
        ("header", json!(false), "needs `names`"),
        ("delimiter", json!("ä"), "ASCII"),
        ("next", json!("/next"), "format json"),
        (
            "columns",
            json!([{"name": "a", "type": "decimal(2,3)"}]),
            "is not a type",
        ),
        ("format", json!("xml"), "xml"),
        ("wish", json!(1), "wish"),
    ] {
        let mut table = base.clone();
        table[field] = value;
        let failure = FakeHost::new()
            .discover::<Files>(&settings(&table))
            .unwrap_err();
        assert!(matches!(failure, Failure::Config(_)), "{failure:?}");
        assert!(failure.message().contains(said), "{field}: {failure}");
    }
    let twice = json!({"tables": [base.clone(), base]}).to_string();
    let failure = FakeHost::new().discover::<Files>(&twice).unwrap_err();
    assert_eq!(failure.message(), "two tables are named `x`");
}
