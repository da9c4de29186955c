//! Which tables there are, what they are called, and what their columns are.

use super::*;
use crate::api::StorageTable;
use crate::types;

#[test]
fn a_token_that_storage_refuses_fails_the_check() {
    let refused =
        Reply::text(r#"{"error": "Invalid access token", "code": "storage.tokenInvalid"}"#);
    for reply in [Reply::status(401), Reply::status(403)] {
        let host = FakeHost::new().reply(&url("tokens/verify"), reply);
        let failure = host.check::<Keboola>(&orders()).unwrap_err();
        assert!(matches!(failure, Failure::Auth(_)), "{failure:?}");
        assert!(failure.message().contains("`storage-token`"), "{failure}");
    }
    let host = FakeHost::new().reply(&url("tokens/verify"), refused);
    host.check::<Keboola>(&json!({"url": format!("{STACK}/")}).to_string())
        .unwrap();
}

#[test]
fn a_check_finds_tables_and_buckets_that_are_not_there() {
    let host = FakeHost::new()
        .reply(&url("tokens/verify"), Reply::text("{}"))
        .reply(&url("tables/in.c-crm.orders"), Reply::status(404))
        .reply(&url("buckets/in.c-crm"), Reply::status(404));
    let failure = host.check::<Keboola>(&orders()).unwrap_err();
    assert_eq!(
        failure,
        Failure::Config(
            "table `crm_orders` (in.c-crm.orders): Storage answered with status 404".into()
        )
    );
    let buckets = json!({"url": STACK, "buckets": ["in.c-crm"]}).to_string();
    let failure = host.check::<Keboola>(&buckets).unwrap_err();
    assert!(
        failure.message().starts_with("bucket `in.c-crm`: "),
        "{failure}"
    );
}

#[test]
fn discover_lists_a_project_by_whole_ids() {
    let tables = |bucket: &str| {
        url(&format!(
            "buckets/{bucket}/tables?include=columns,metadata,columnMetadata"
        ))
    };
    let host = FakeHost::new()
        .reply(
            &url("buckets"),
            Reply::text(r#"[{"id": "in.c-crm"}, {"id": "out.main-1"}]"#),
        )
        .reply(
            &tables("in.c-crm"),
            reply(&json!([stored("in.c-crm.orders")])),
        )
        .reply(
            &tables("out.main-1"),
            reply(&json!([stored("out.main-1.2-x")])),
        );
    let found = host
        .discover::<Keboola>(&json!({"url": STACK}).to_string())
        .unwrap();
    let names: Vec<_> = found.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["crm_orders", "main_1_2_x"]);
    assert_eq!(found[0].primary_key, ["id"]);
    assert_eq!(found[0].description, "What was sold");
    let kinds: Vec<_> = found[0]
        .columns
        .iter()
        .map(|column| column.column_type)
        .collect();
    assert_eq!(kinds, [ColumnType::Bigint, ColumnType::Varchar]);

    let failure = host
        .sync::<Keboola>(&json!({"url": STACK}).to_string(), &[])
        .unwrap_err();
    assert!(
        failure.message().contains("neither `tables` nor `buckets`"),
        "{failure}"
    );
}

#[test]
fn two_tables_of_one_name_are_refused_before_anything_is_brought() {
    let tables = json!([{"id": "in.c-crm.orders"}, {"id": "out.c-crm.orders"}]);
    let failure = FakeHost::new()
        .sync::<Keboola>(&settings(&tables), &[])
        .unwrap_err();
    assert!(
        failure
            .message()
            .contains("two tables are named `crm_orders`"),
        "{failure}"
    );
}

#[test]
fn a_table_that_fails_does_not_hold_up_the_others() {
    let host = exporting(FakeHost::new(), "in.c-crm.orders", 7)
        .reply(
            &url("tables/in.c-crm.orders"),
            reply(&stored("in.c-crm.orders")),
        )
        .reply(&url("tables/in.c-crm.gone"), Reply::status(404))
        .reply(&url("tables/in.c-crm.lost"), Reply::status(500));
    let tables =
        json!([{"id": "in.c-crm.gone"}, {"id": "in.c-crm.orders"}, {"id": "in.c-crm.lost"}]);
    let failure = host.sync::<Keboola>(&settings(&tables), &[]).unwrap_err();
    assert!(
        failure
            .message()
            .starts_with("2 tables were not brought: table `crm_lost`"),
        "{failure}"
    );
    assert_eq!((host.rows("crm_orders").len(), host.checkpoints()), (2, 1));
    let warned = host
        .log()
        .iter()
        .filter(|(_, line)| line.contains("going on"))
        .count();
    assert_eq!(warned, 2);
}

#[test]
fn an_alias_has_the_types_of_what_it_stands_for() {
    let mut alias = stored("out.c-crm.orders");
    alias["isAlias"] = json!(true);
    alias["columnMetadata"] = json!([]);
    alias["sourceTable"] = json!({"id": "in.c-crm.orders"});
    let host = exporting(FakeHost::new(), "out.c-crm.orders", 7)
        .reply(&url("tables/out.c-crm.orders"), reply(&alias))
        .reply(
            &url("tables/in.c-crm.orders"),
            reply(&stored("in.c-crm.orders")),
        );
    let tables = json!([{"id": "out.c-crm.orders", "name": "orders"}]);
    host.sync::<Keboola>(&settings(&tables), &[]).unwrap();
    assert_eq!(
        host.spec("orders").unwrap().columns[0].column_type,
        ColumnType::Bigint
    );
}

#[test]
fn a_key_that_is_not_brought_is_refused_or_left_out() {
    let host = host();
    let with = |table: Value| host.check::<Keboola>(&settings(&json!([table])));
    let verified = host_with_token();
    let check = |table: Value| verified.check::<Keboola>(&settings(&json!([table])));
    assert!(
        with(json!({"id": "in.c-crm.orders"})).is_err(),
        "no answer to the token is scripted"
    );
    check(json!({"id": "in.c-crm.orders", "columns": ["amount"]})).unwrap();
    let failure =
        check(json!({"id": "in.c-crm.orders", "columns": ["amount"], "primary_key": ["id"]}))
            .unwrap_err();
    assert!(
        failure
            .message()
            .contains("do not hold all of its `primary_key`"),
        "{failure}"
    );
    let failure = check(json!({"id": "in.c-crm.orders", "columns": ["other"]})).unwrap_err();
    assert!(
        failure.message().contains("it has no column `other`"),
        "{failure}"
    );
}

fn host_with_token() -> FakeHost {
    host().reply(&url("tokens/verify"), Reply::text("{}"))
}

/// The type of a column with these notes, each a provider, the rest of its key, and its value.
fn type_of(notes: &[[&str; 3]]) -> ColumnType {
    let note = |[provider, key, value]: &[&str; 3]| json!({"provider": provider, "key": format!("KBC.datatype.{key}"), "value": value});
    let mut table = stored("in.c-crm.orders");
    table["columnMetadata"] = json!({"id": notes.iter().map(note).collect::<Vec<_>>()});
    let table: StorageTable = serde_json::from_value(table).unwrap();
    let text = types::columns(&table, &["id".into()], false);
    assert_eq!(text[0].column_type, ColumnType::Varchar);
    types::columns(&table, &["id".into()], true)[0].column_type
}

#[test]
fn the_word_of_people_counts_more_than_that_of_programs() {
    let transformation = "keboola.snowflake-transformation";
    let notes = [
        [transformation, "basetype", "STRING"],
        ["ai-metadata-enrichment", "basetype", "DATE"],
        ["user", "basetype", "BOOLEAN"],
    ];
    assert_eq!(type_of(&notes), ColumnType::Boolean);
    assert_eq!(type_of(&notes[..2]), ColumnType::Date);
    assert_eq!(type_of(&notes[..1]), ColumnType::Varchar);
    assert_eq!(type_of(&[]), ColumnType::Varchar);
}

#[test]
fn a_length_decides_how_exact_a_number_is() {
    let number =
        |kind: &str, length: &str| type_of(&[["x", "basetype", kind], ["x", "length", length]]);
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    for (kind, length, expected) in [
        ("NUMERIC", "12,2", decimal(12, 2)),
        ("NUMERIC", "", ColumnType::Double),
        ("NUMERIC", "2,12", ColumnType::Double),
        ("NUMERIC", "999999999,1", ColumnType::Double),
        ("INTEGER", "", ColumnType::Bigint),
        ("INTEGER", "18,0", ColumnType::Bigint),
        ("INTEGER", "38,0", decimal(38, 0)),
        ("FLOAT", "12,2", ColumnType::Double),
        ("TIMESTAMP", "9", ColumnType::Timestamp),
    ] {
        assert_eq!(number(kind, length), expected, "{kind} {length}");
    }
    let of_another = [["x", "basetype", "NUMERIC"], ["user", "length", "9,9"]];
    assert_eq!(type_of(&of_another), ColumnType::Double);
    assert_eq!(
        type_of(&[["x", "type", "TIMESTAMP_NTZ"]]),
        ColumnType::Timestamp
    );
}
