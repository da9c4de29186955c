//! What is asked of Storage, and how its jobs are waited for.

use super::*;
use crate::api::StorageTable;
use crate::position::{Next, Position, Shape, next};

#[test]
fn a_first_run_brings_the_whole_table_and_leaves_a_cursor() {
    let host = host();
    host.sync::<Keboola>(&orders(), &[]).unwrap();
    assert_eq!(
        host.rows("crm_orders"),
        [
            json!({"id": "1", "amount": "10"}),
            json!({"id": "2", "amount": "20"})
        ]
    );
    let spec = host.spec("crm_orders").unwrap();
    assert_eq!(
        (spec.mode, spec.primary_key),
        (WriteMode::Replace, vec!["id".to_owned()])
    );
    assert_eq!(spec.description, "What was sold");
    assert_eq!(
        form(&host),
        ["format=rfc", "gzip=1", "columns[0]=id", "columns[1]=amount"]
    );
    assert_eq!(host.checkpoints(), 1);
    let cursor = host.cursor("crm_orders").unwrap();
    assert!(
        String::from_utf8(cursor)
            .unwrap()
            .contains("2026-02-01T10:00:00+0100")
    );
}

#[test]
fn the_next_run_brings_what_was_imported_since_the_one_before_began() {
    let first = host();
    first.sync::<Keboola>(&orders(), &[]).unwrap();
    let cursor = first.cursor("crm_orders").unwrap();
    let mut later = stored("in.c-crm.orders");
    later["lastImportDate"] = json!("2026-02-02T10:00:00+0100");
    let host = exporting(FakeHost::new(), "in.c-crm.orders", 7)
        .reply(&url("tables/in.c-crm.orders"), reply(&later))
        .with_cursor("crm_orders", &cursor);
    host.sync::<Keboola>(&orders(), &[]).unwrap();
    assert!(form(&host).contains(&"changedSince=2026-02-01T10:00:00+0100".to_owned()));
    assert_eq!(host.spec("crm_orders").unwrap().mode, WriteMode::Merge);
}

#[test]
fn a_table_that_nobody_touched_is_not_exported() {
    let first = host();
    first.sync::<Keboola>(&orders(), &[]).unwrap();
    let host = host().with_cursor("crm_orders", &first.cursor("crm_orders").unwrap());
    host.sync::<Keboola>(&orders(), &[]).unwrap();
    assert_eq!(host.sent().len(), 1);
    assert!(host.spec("crm_orders").is_none());
}

#[test]
fn columns_filters_and_the_oldest_rows_are_passed_on() {
    let host = host();
    let settings = settings(
        &json!([{"id": "in.c-crm.orders", "name": "orders", "columns": ["id"],
        "changed_since": "-90 days", "types": "text",
        "where": [{"column": "amount", "values": ["10", "a&b"]}, {"column": "id", "operator": "ne", "values": [""]}]}]),
    );
    // The slices have one column then.
    let failure = host.sync::<Keboola>(&settings, &["ORDERS"]).unwrap_err();
    assert!(matches!(failure, Failure::Upstream(_)), "{failure:?}");
    assert_eq!(
        form(&host),
        [
            "format=rfc",
            "gzip=1",
            "changedSince=-90%20days",
            "columns[0]=id",
            "whereFilters[0][column]=amount",
            "whereFilters[0][operator]=eq",
            "whereFilters[0][values][0]=10",
            "whereFilters[0][values][1]=a%26b",
            "whereFilters[1][column]=id",
            "whereFilters[1][operator]=ne",
            "whereFilters[1][values][0]=",
        ]
    );
    assert_eq!(
        host.spec("orders").unwrap().columns[0].column_type,
        ColumnType::Varchar
    );
}

/// A host whose job goes through these states.
fn working(states: &[Value]) -> FakeHost {
    let mut host = FakeHost::new()
        .reply(
            &url("tables/in.c-crm.orders"),
            reply(&stored("in.c-crm.orders")),
        )
        .reply(
            &url("tables/in.c-crm.orders/export-async"),
            reply(&json!({"id": 5, "status": "waiting"})),
        );
    for state in states {
        host = host.reply(&url("jobs/5"), reply(state));
    }
    host
}

#[test]
fn a_job_is_waited_for_with_growing_patience() {
    let going = json!({"id": 5, "status": "processing", "results": null});
    let done = json!({"id": 5, "status": "success", "results": {"file": {"id": 7}}});
    let host = working(&[going.clone(), going.clone(), going, done]);
    // The file is not scripted: that is as far as it gets.
    host.sync::<Keboola>(&orders(), &[]).unwrap_err();
    let waits: Vec<_> = host
        .waits()
        .iter()
        .map(std::time::Duration::as_millis)
        .collect();
    assert_eq!(waits, [1_000, 1_500, 2_250, 3_375]);
}

#[test]
fn a_job_that_fails_is_told_with_its_reason() {
    let failed = json!({"id": 5, "status": "error", "results": [],
        "error": {"code": "storage.backend", "message": "Column amount not found", "exceptionId": "x"}});
    let failure = working(&[failed])
        .sync::<Keboola>(&orders(), &[])
        .unwrap_err();
    assert_eq!(
        failure,
        Failure::Upstream(
            "table `crm_orders` (in.c-crm.orders): the job 5 ended with `error`: storage.backend Column amount not found"
                .into()
        )
    );
}

#[test]
fn a_job_that_never_ends_is_given_up() {
    let host = working(&[json!({"id": 5, "status": "processing"})]);
    let settings =
        json!({"url": STACK, "tables": [{"id": "in.c-crm.orders"}], "job_minutes": 1}).to_string();
    let failure = host.sync::<Keboola>(&settings, &[]).unwrap_err();
    assert!(
        failure
            .message()
            .contains("still `processing` after 1 minutes"),
        "{failure}"
    );
    assert_eq!(
        host.waits().iter().max().unwrap().as_secs(),
        15,
        "and never longer than 15 s"
    );
}

#[test]
fn an_export_that_was_turned_away_is_asked_for_again_after_the_pause_that_storage_wants() {
    let export = url("tables/in.c-crm.orders/export-async");
    let busy = Reply::status(429).header("Retry-After", "7");
    let host = FakeHost::new()
        .reply(&export, busy.clone())
        .reply(&export, busy);
    let host = exporting(host, "in.c-crm.orders", 7).reply(
        &url("tables/in.c-crm.orders"),
        reply(&stored("in.c-crm.orders")),
    );
    host.sync::<Keboola>(&orders(), &[]).unwrap();
    assert_eq!(
        host.waits()
            .iter()
            .map(|wait| wait.as_secs())
            .collect::<Vec<_>>(),
        [7, 7]
    );

    let busy = Reply::status(429).header("Retry-After", "600");
    let host = FakeHost::new()
        .reply(
            &url("tables/in.c-crm.orders"),
            reply(&stored("in.c-crm.orders")),
        )
        .reply(&export, busy);
    let failure = host.sync::<Keboola>(&orders(), &[]).unwrap_err();
    let Failure::RateLimited {
        retry_after_seconds,
        ..
    } = failure
    else {
        panic!("{failure:?}")
    };
    assert_eq!((retry_after_seconds, host.waits().len()), (Some(600), 0));
}

#[test]
fn deleted_rows_and_other_shapes_have_a_table_brought_whole() {
    let position = |change: &dyn Fn(&mut Value), filters: &[&str]| {
        let mut table = stored("in.c-crm.orders");
        change(&mut table);
        let table: StorageTable = serde_json::from_value(table).unwrap();
        let shape = Shape {
            columns: filters.iter().map(ToString::to_string).collect(),
            keys: Vec::new(),
            filters: Vec::new(),
            changed_since: None,
            types: Vec::new(),
        };
        Position::of(&table, shape)
    };
    let last = position(&|_| {}, &[]).unwrap();
    let now = |change: &dyn Fn(&mut Value)| next(Some(&last), position(change, &[]).as_ref());
    assert_eq!(now(&|_| {}), Next::Nothing);
    assert_eq!(
        now(&|table| table["lastImportDate"] = json!("later")),
        Next::Since(last.imported.clone())
    );
    assert_eq!(
        now(&|table| table["rowsCount"] = json!(1)),
        Next::Whole("rows were deleted")
    );
    assert!(matches!(
        now(&|table| table["lastChangeDate"] = json!("later")),
        Next::Whole(_)
    ));
    assert!(matches!(
        now(&|table| table["lastImportDate"] = Value::Null),
        Next::Whole(_)
    ));
    assert!(matches!(
        next(Some(&last), position(&|_| {}, &["id"]).as_ref()),
        Next::Whole(_)
    ));
    assert!(matches!(next(None, Some(&last)), Next::Whole(_)));
    assert_eq!(Position::read(Some(&last.to_cursor())), Some(last));
    assert_eq!(Position::read(Some(b"")), None);
}

#[test]
fn a_filtered_table_is_merged_only_where_somebody_said_that_it_may_be() {
    let filter = json!([{"column": "amount", "values": ["10"]}]);
    for (incremental, left) in [
        (Value::Null, false),
        (json!(false), false),
        (json!(true), true),
    ] {
        let host = host();
        let table = json!({"id": "in.c-crm.orders", "where": filter, "incremental": incremental});
        host.sync::<Keboola>(&settings(&json!([table])), &[])
            .unwrap();
        assert_eq!(host.cursor("crm_orders").is_some(), left, "{incremental}");
    }
}

#[test]
fn a_few_exports_are_started_before_the_first_is_waited_for() {
    let ids: Vec<_> = (0..6).map(|number| format!("in.c-crm.t{number}")).collect();
    let mut host = FakeHost::new();
    for (file, id) in (10..).zip(&ids) {
        host = exporting(host, id, file).reply(&url(&format!("tables/{id}")), reply(&stored(id)));
    }
    let tables: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
    host.sync::<Keboola>(&settings(&json!(tables)), &[])
        .unwrap();
    let sent = host.sent();
    let first_file = sent
        .iter()
        .position(|sent| sent.url.contains("/files/"))
        .unwrap();
    let started = |sent: &[connector_sdk::testing::Sent]| {
        sent.iter().filter(|sent| sent.method == "POST").count()
    };
    assert_eq!((started(&sent[..first_file]), started(&sent)), (4, 6));
    assert_eq!(host.checkpoints(), 6);
}
