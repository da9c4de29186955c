//! What must hold when sources move between versions.

use domain::connector::Version;
use domain::{ConnectorName, TableMark};
use serde_json::json;

use super::*;
use crate::state::tests::{entry, state};

fn version(state: &State, bytes: &[u8]) -> Digest {
    let manifest = json!({"wit": "0.1.0", "name": "files", "version": "1", "title": "",
        "description": "", "worlds": ["source"], "settings": {}});
    let version = Version {
        digest: Digest::of(bytes),
        manifest: serde_json::from_value(manifest).unwrap(),
        publisher: "acme".into(),
        trusted: true,
        size_bytes: 1,
        compiled: None,
        uploaded_at: Timestamp::now(),
    };
    state.insert_version(&version).unwrap();
    version.digest
}

fn source(state: &State, version: Digest) -> Source {
    let source = Source {
        name: SourceName::parse("shop").unwrap(),
        connector: ConnectorName::parse("files").unwrap(),
        version,
        settings: json!({}),
        granted: Capabilities::default(),
        enabled: true,
        created_at: Timestamp::now(),
    };
    state.insert_source(&source).unwrap();
    source
}

fn mark(cursor: &str) -> Mark {
    let table = TableMark {
        cursor: Some(cursor.into()),
        files: 1,
        last: Some("a".into()),
    };
    Mark([("orders".to_owned(), table)].into())
}

fn upgrade(state: &State, to: Digest, mark: &Mark) -> Result<(), StateError> {
    let source = now(state);
    let upgrade = Upgrade {
        source: &source,
        to,
        granted: None,
        mark,
        by: None,
    };
    state.upgrade_source(&upgrade, &[entry()])
}

fn now(state: &State) -> Source {
    let name = SourceName::parse("shop").unwrap();
    state.source(&name).unwrap().unwrap()
}

fn planned(version: Digest, kind: MoveKind) -> Move {
    Move {
        source: SourceName::parse("shop").unwrap(),
        version,
        kind,
        asked_at: Timestamp::now(),
        asked_by: Some(Uuid::nil()),
    }
}

#[test]
fn a_source_goes_back_the_way_it_came() {
    let (_folder, state) = state();
    let (one, two) = (version(&state, b"1"), version(&state, b"2"));
    let shop = source(&state, one);
    upgrade(&state, two, &mark("01")).unwrap();
    assert_eq!(now(&state).version, two);
    let pin = state.pins(&shop.name).unwrap().pop().unwrap();
    assert_eq!((pin.version, &pin.mark), (one, &mark("01")));

    let unbegun = state.finish_rollback(&shop.name, &pin, &entry());
    assert!(matches!(unbegun, Err(StateError::NotFound { .. })));
    let begun = planned(one, MoveKind::Rollback);
    state.insert_move(&begun, &entry()).unwrap();
    assert_eq!(state.moves().unwrap(), [begun]);
    state.finish_rollback(&shop.name, &pin, &entry()).unwrap();
    assert_eq!(now(&state), shop);
    assert_eq!(state.pins(&shop.name).unwrap(), []);
    assert_eq!(state.moves().unwrap(), []);
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

#[test]
fn a_source_that_somebody_else_moved_is_not_moved_from_where_it_was() {
    let (_folder, state) = state();
    let (one, two) = (version(&state, b"1"), version(&state, b"2"));
    let shop = source(&state, one);
    upgrade(&state, two, &Mark::default()).unwrap();
    let stale = Upgrade {
        source: &shop,
        to: one,
        granted: None,
        mark: &Mark::default(),
        by: None,
    };
    let refused = state.upgrade_source(&stale, &[entry()]);
    assert!(matches!(refused, Err(StateError::NotFound { .. })));
    assert_eq!(state.pins(&shop.name).unwrap().len(), 1);
}

#[test]
fn a_grant_ends_the_waiting_of_an_upgrade_in_one_transaction() {
    let (_folder, state) = state();
    let (one, two) = (version(&state, b"1"), version(&state, b"2"));
    let shop = source(&state, one);
    let waiting = planned(two, MoveKind::Upgrade);
    state.insert_move(&waiting, &entry()).unwrap();
    // A second wish takes the place of the first.
    state.insert_move(&waiting, &entry()).unwrap();
    assert_eq!(state.waiting_move(&shop.name).unwrap(), Some(waiting));
    let granted = Capabilities {
        remote_extensions: vec!["bigquery".into()],
        ..Default::default()
    };
    let upgrade = Upgrade {
        source: &shop,
        to: two,
        granted: Some(&granted),
        mark: &Mark::default(),
        by: None,
    };
    state.upgrade_source(&upgrade, &[entry()]).unwrap();
    assert_eq!(now(&state).granted, granted);
    assert_eq!(state.waiting_move(&shop.name).unwrap(), None);
    let kind = MoveKind::Upgrade;
    assert!(state.delete_move(&shop.name, kind, &entry()).is_err());
}

#[test]
fn no_version_is_forgotten_that_a_source_is_at_left_or_waits_for() {
    let (_folder, state) = state();
    let all = [b"0", b"1", b"2", b"3"].map(|bytes| version(&state, bytes));
    let shop = source(&state, all[0]);
    upgrade(&state, all[1], &Mark::default()).unwrap();
    state
        .insert_move(&planned(all[2], MoveKind::Upgrade), &entry())
        .unwrap();
    for needed in &all[..3] {
        assert!(!state.delete_version(needed, &entry()).unwrap());
    }
    assert_eq!(state.needed_versions().unwrap().len(), 3);
    assert!(state.delete_version(&all[3], &entry()).unwrap());
    assert!(state.delete_version(&all[3], &entry()).is_err());
    // What goes with the source is needed no more.
    state.delete_source(&shop.name).unwrap();
    assert!(state.needed_versions().unwrap().is_empty());
    assert_eq!(state.check().unwrap().problems, [""; 0]);
}

#[test]
fn the_way_back_is_a_few_versions_long() {
    let (_folder, state) = state();
    let all: Vec<_> = (0..9_u8).map(|n| version(&state, &[n])).collect();
    let shop = source(&state, all[0]);
    for next in &all[1..] {
        upgrade(&state, *next, &Mark::default()).unwrap();
    }
    let pins = state.pins(&shop.name).unwrap();
    let versions: Vec<_> = pins.iter().map(|pin| pin.version).collect();
    assert_eq!(versions, [all[7], all[6], all[5], all[4], all[3]]);
}

#[test]
fn a_source_is_switched_off_and_on_and_granted_anew() {
    let (_folder, state) = state();
    let shop = source(&state, version(&state, b"1"));
    state.set_enabled(&shop.name, false, &entry()).unwrap();
    assert!(!now(&state).enabled);
    let granted = Capabilities {
        remote_extensions: vec!["bigquery".into()],
        ..Default::default()
    };
    state.set_granted(&shop.name, &granted, &entry()).unwrap();
    assert_eq!(now(&state).granted, granted);
    let nothing = SourceName::parse("nothing").unwrap();
    assert!(state.set_enabled(&nothing, true, &entry()).is_err());
}

#[test]
fn no_upgrade_takes_the_place_of_a_rollback_that_has_begun() {
    let (_folder, state) = state();
    let (one, two) = (version(&state, b"1"), version(&state, b"2"));
    let shop = source(&state, one);
    upgrade(&state, two, &Mark::default()).unwrap();
    let begun = planned(one, MoveKind::Rollback);
    state.insert_move(&begun, &entry()).unwrap();
    let waiting = planned(two, MoveKind::Upgrade);
    let refused = state.insert_move(&waiting, &entry());
    assert!(matches!(refused, Err(StateError::AlreadyExists { .. })));
    let refused = state.delete_move(&shop.name, MoveKind::Upgrade, &entry());
    assert!(matches!(refused, Err(StateError::NotFound { .. })));
    assert_eq!(state.waiting_move(&shop.name).unwrap(), Some(begun));
}
