//! The register under publishes, failures and admins.

use domain::registry::SyncStatus;
use domain::{PublishedTable, QueryMode, RegisteredTable, SourceName, SyncReport, TableName};
use jiff::{Timestamp, ToSpan as _};

use crate::paths::Paths;
use crate::state::tests::{entry, state};
use crate::state::{State, StateError};

fn published(name: &str, rows: u64, at: Timestamp) -> PublishedTable {
    PublishedTable {
        name: TableName::parse(name).unwrap(),
        description: "as the source says".to_owned(),
        rows,
        size_bytes: 10,
        columns: 2,
        types: Vec::new(),
        hash: Some("abc".to_owned()),
        query_mode: QueryMode::Local,
        published_at: at,
    }
}

fn report(tables: Vec<PublishedTable>) -> SyncReport {
    SyncReport {
        run: None,
        source: SourceName::parse("shop").unwrap(),
        connector: "files".to_owned(),
        at: Timestamp::now(),
        duration_ms: 7,
        asked: Vec::new(),
        failure: None,
        tables,
    }
}

fn registered(id: &str) -> RegisteredTable {
    RegisteredTable {
        id: id.to_owned(),
        name: id.to_owned(),
        source: None,
        source_type: Some("files".to_owned()),
        bucket: None,
        source_table: None,
        sync_strategy: "full_refresh".to_owned(),
        query_mode: QueryMode::Local,
        sync_schedule: Some("every 1h".to_owned()),
        profile_after_sync: false,
        primary_key: vec!["id".to_owned()],
        folder: Some("Sales".to_owned()),
        description: Some("as the admin says".to_owned()),
        registered_by: None,
        registered_at: Timestamp::now(),
    }
}

fn statuses(state: &State, table: &str) -> Vec<(SyncStatus, u64)> {
    let history = state.sync_history(table).unwrap().into_iter();
    history.map(|event| (event.status, event.rows)).collect()
}

#[test]
fn a_publish_registers_its_tables_once_and_leaves_a_line_of_history_each_time() {
    let (folder, state) = state();
    let first = Timestamp::now();
    let mut sync = report(vec![published("Orders", 3, first)]);
    state.record_sync(&sync).unwrap();
    // The same publish, seen again.
    state.record_sync(&sync).unwrap();
    sync.tables = vec![published("Orders", 5, first + 1.second())];
    state.record_sync(&sync).unwrap();
    drop(state);
    let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
    let tables = state.registered_tables().unwrap();
    let [table] = tables.as_slice() else {
        panic!("{tables:?}")
    };
    assert_eq!(
        (table.id.as_str(), table.name.as_str()),
        ("orders", "Orders")
    );
    assert_eq!(table.source_type.as_deref(), Some("files"));
    assert_eq!(table.description.as_deref(), Some("as the source says"));
    assert_eq!(
        statuses(&state, "orders"),
        [(SyncStatus::Ok, 5), (SyncStatus::Ok, 3)]
    );
    let known = state.sync_states().unwrap();
    assert_eq!((known[0].rows, known[0].columns), (5, 2));
    assert_eq!(known[0].hash.as_deref(), Some("abc"));
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

#[test]
fn a_failure_is_noted_at_the_tables_that_were_asked_for_and_a_publish_clears_it() {
    let (_folder, state) = state();
    let at = Timestamp::now();
    let tables = vec![published("orders", 3, at), published("people", 4, at)];
    state.record_sync(&report(tables.clone())).unwrap();
    let failed = SyncReport {
        failure: Some("it is down".to_owned()),
        asked: vec![TableName::parse("Orders").unwrap()],
        ..report(tables)
    };
    state.record_sync(&failed).unwrap();
    let known = state.sync_states().unwrap();
    assert_eq!(known[0].status, SyncStatus::Error);
    assert_eq!(known[0].error.as_deref(), Some("it is down"));
    assert_eq!((known[0].rows, known[0].last_sync), (3, at));
    assert_eq!(known[1].status, SyncStatus::Ok);
    assert_eq!(statuses(&state, "people"), [(SyncStatus::Ok, 4)]);
    let again = report(vec![published("orders", 6, at + 1.second())]);
    state.record_sync(&again).unwrap();
    let known = state.sync_states().unwrap();
    assert_eq!((known[0].status, &known[0].error), (SyncStatus::Ok, &None));
}

#[test]
fn what_an_admin_says_stays_when_a_source_publishes() {
    let (_folder, state) = state();
    state
        .register_table(&registered("orders"), &entry())
        .unwrap();
    let again = state.register_table(&registered("orders"), &entry());
    assert!(matches!(again, Err(StateError::AlreadyExists { .. })));
    state
        .record_sync(&report(vec![published("orders", 3, Timestamp::now())]))
        .unwrap();
    let table = state.registered_tables().unwrap().remove(0);
    assert_eq!(table.description.as_deref(), Some("as the admin says"));
    assert_eq!(table.primary_key, ["id"]);
    assert_eq!(table.source, SourceName::parse("shop").ok());
    state
        .change_table("orders", |table| table.folder = None, &entry())
        .unwrap();
    assert_eq!(state.registered_tables().unwrap()[0].folder, None);
}

#[test]
fn a_table_goes_with_its_syncs_and_what_is_not_there_is_not_found() {
    let (_folder, state) = state();
    state
        .record_sync(&report(vec![published("orders", 3, Timestamp::now())]))
        .unwrap();
    state.unregister_table("orders", &entry()).unwrap();
    assert_eq!(state.registered_tables().unwrap(), []);
    assert_eq!(state.sync_states().unwrap(), []);
    assert_eq!(state.sync_history("orders").unwrap(), []);
    let gone = state.unregister_table("orders", &entry());
    assert!(matches!(gone, Err(StateError::NotFound { .. })));
    let gone = state.change_table("orders", |_| {}, &entry());
    assert!(matches!(gone, Err(StateError::NotFound { .. })));
}

#[test]
fn what_changed_in_the_columns_of_a_table_is_kept_by_run_and_date() {
    use domain::RunId;
    use domain::schema_change::{ChangeKind, StoredColumn};
    let (_folder, state) = state();
    let shop = SourceName::parse("shop").unwrap();
    let run = RunId::generate();
    let start = Timestamp::now();
    let sync = |minutes: i64, columns: &[(&str, &str)]| {
        let column = |(name, data_type): &(&str, &str)| StoredColumn {
            name: (*name).to_owned(),
            data_type: (*data_type).to_owned(),
        };
        let table = PublishedTable {
            types: columns.iter().map(column).collect(),
            ..published("Orders", 1, start + minutes.minutes())
        };
        let told = SyncReport {
            run: Some(run),
            ..report(vec![table])
        };
        state.record_sync(&told).unwrap();
        state.record_sync(&told).unwrap();
    };
    sync(0, &[("id", "BIGINT"), ("old", "DATE")]);
    assert!(state.schema_history(&shop, None, 10).unwrap().is_empty());
    sync(1, &[("id", "VARCHAR"), ("new", "DATE")]);
    sync(2, &[("id", "VARCHAR"), ("new", "DATE")]);
    let found = state.schema_history(&shop, Some("orders"), 10).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|change| (change.kind, change.column.as_str()))
        .collect();
    let expected = [
        (ChangeKind::Widened, "id"),
        (ChangeKind::Added, "new"),
        (ChangeKind::Removed, "old"),
    ];
    assert_eq!(told, expected);
    assert_eq!(found[0].run, Some(run));
    assert_eq!(found[0].at, start + 1.minutes());
    assert_eq!(found[0].before.as_deref(), Some("BIGINT"));
    assert_eq!(found[0].after.as_deref(), Some("VARCHAR"));
    assert!(
        state
            .schema_history(&shop, Some("other"), 10)
            .unwrap()
            .is_empty()
    );
    assert_eq!(state.schema_history(&shop, None, 1).unwrap().len(), 1);
}
