//! Whatever is done to the log behind the server's back is found.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::chain::{AuditFault, Chain, Walk};
use super::*;
use crate::state::tests::state;
use domain::Digest;

const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn entry(resource: &str) -> AuditEntry {
    AuditEntry {
        user: Some(Uuid::from_u128(7)),
        resource: Some(resource.to_owned()),
        params: json!({"z": 1, "a": ["ü"]}),
        result: Some("ok".to_owned()),
        ..AuditEntry::new("source.create")
    }
}

/// A state with five entries.
fn logged() -> (tempfile::TempDir, State) {
    let (folder, state) = state();
    for name in ["a", "b", "c", "d", "e"] {
        state.audit(&entry(name)).unwrap();
    }
    (folder, state)
}

fn tamper(state: &State, sql: &str) {
    state
        .write(|connection| Ok(connection.execute_batch(sql)?))
        .unwrap();
}

#[track_caller]
fn found(state: &State) -> (u64, AuditFault) {
    let report = state.verify_audit(None).unwrap();
    let found = report.first_break.expect("the chain is broken");
    (found.seq, found.fault)
}

#[test]
fn an_entry_comes_back_as_it_was_and_the_chain_holds() {
    let (_folder, state) = state();
    let given = AuditEntry {
        token: Some(Uuid::from_u128(8)),
        duration_ms: Some(12),
        address: Some("2001:db8::1".parse().unwrap()),
        request_id: Some("r-1".to_owned()),
        ..entry("shop")
    };
    state.audit(&given).unwrap();
    state.audit(&AuditEntry::new("server.start")).unwrap();
    let all = state.audit_page(&AuditFilter::default(), 0, 10).unwrap();
    let first = serde_json::to_value(&all[0]).unwrap();
    assert_eq!(first["user_id"], Uuid::from_u128(7).to_string());
    assert_eq!(first["token_id"], Uuid::from_u128(8).to_string());
    assert_eq!(first["params"], given.params);
    assert_eq!(first["address"], "2001:db8::1");
    assert_eq!(first["duration_ms"], 12);
    assert_eq!(all[0].previous_hash, NOTHING);
    assert_eq!(all[1].previous_hash, all[0].hash);
    assert_eq!(all[1].user_id, None);
    let report = state.verify_audit(None).unwrap();
    assert_eq!((report.entries, report.head_seq), (2, 2));
    assert_eq!(
        (report.head, report.first_break),
        (all[1].hash.clone(), None)
    );
}

#[test]
fn each_kind_of_tampering_is_found_where_it_was_done() {
    let cases = [
        (
            "UPDATE audit_log SET user_id = 'x' WHERE seq = 2",
            2,
            AuditFault::Altered,
        ),
        (
            "UPDATE audit_log SET params = NULL WHERE seq = 3",
            3,
            AuditFault::Altered,
        ),
        (
            "UPDATE audit_log SET timestamp = timestamp + INTERVAL 1 SECOND WHERE seq = 5",
            5,
            AuditFault::Altered,
        ),
        (
            "DELETE FROM audit_log WHERE seq = 3",
            3,
            AuditFault::Numbering,
        ),
        (
            "DELETE FROM audit_log WHERE seq = 1",
            1,
            AuditFault::Numbering,
        ),
        (
            "UPDATE audit_log SET seq = CASE seq WHEN 2 THEN 3 ELSE 2 END WHERE seq IN (2, 3)",
            2,
            AuditFault::Unlinked,
        ),
        (
            "INSERT INTO audit_log SELECT * FROM audit_log WHERE seq = 4",
            5,
            AuditFault::Numbering,
        ),
        (
            "INSERT INTO audit_log SELECT -1, * EXCLUDE seq FROM audit_log WHERE seq = 4",
            5,
            AuditFault::Numbering,
        ),
        ("DELETE FROM audit_log WHERE seq = 5", 4, AuditFault::End),
        (
            "DELETE FROM audit_log WHERE seq < 3; \
             UPDATE audit_chain SET anchor_seq = 2, anchor_hash = \
                (SELECT previous_hash FROM audit_log WHERE seq = 3)",
            3,
            AuditFault::Unvouched,
        ),
    ];
    for (sql, seq, fault) in cases {
        let (_folder, state) = logged();
        tamper(&state, sql);
        assert_eq!(found(&state), (seq, fault), "{sql}");
    }
}

#[test]
fn a_tail_that_is_cut_off_with_its_trace_is_found_by_a_head_noted_earlier() {
    let (_folder, state) = logged();
    let noted = Digest::parse(&state.verify_audit(None).unwrap().head).unwrap();
    state.audit(&entry("f")).unwrap();
    let later = state.verify_audit(Some(&noted)).unwrap();
    assert_eq!(
        later.first_break, None,
        "a log that grew still has its old head"
    );
    tamper(
        &state,
        "DELETE FROM audit_log WHERE seq > 3; UPDATE audit_chain SET head_seq = 3, head_hash = \
            (SELECT hash FROM audit_log WHERE seq = 3)",
    );
    assert_eq!(state.verify_audit(None).unwrap().first_break, None);
    let fault = state
        .verify_audit(Some(&noted))
        .unwrap()
        .first_break
        .unwrap();
    assert_eq!((fault.seq, fault.fault), (3, AuditFault::HeadMissing));
}

#[test]
fn a_log_without_its_head_takes_no_entries_and_says_why() {
    let (_folder, state) = logged();
    tamper(&state, "DELETE FROM audit_chain");
    let error = state.audit(&entry("f")).unwrap_err().to_string();
    assert!(
        error.contains("audit_chain") && error.contains("backup"),
        "{error}"
    );
    assert!(state.verify_audit(None).is_err());
}

#[test]
fn an_entry_is_undone_with_the_transaction_that_it_belongs_to() {
    let (_folder, state) = logged();
    let failed = state.write(|connection| {
        append(connection, &entry("never"))?;
        Err::<(), _>(StateError::missing("source", &"never"))
    });
    assert!(failed.is_err());
    let report = state.verify_audit(None).unwrap();
    assert_eq!((report.entries, report.first_break), (5, None));
}

#[test]
fn what_retention_left_verifies_and_its_removal_is_in_the_log() {
    let (_folder, state) = state();
    let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
    for second in 0..6 {
        let late = AuditEntry {
            at: at(second),
            ..entry("x")
        };
        state.audit(&late).unwrap();
    }
    assert_eq!(state.expire_audit(at(0)).unwrap(), 0, "nothing is older");
    assert_eq!(state.expire_audit(at(2)).unwrap(), 2);
    assert_eq!(state.expire_audit(at(4)).unwrap(), 2);
    let report = state.verify_audit(None).unwrap();
    assert_eq!((report.entries, report.removed), (4, 4));
    assert_eq!(report.first_break, None);
    // Everything, the entries of the earlier removals too.
    assert_eq!(state.expire_audit(Timestamp::MAX).unwrap(), 4);
    let left = state.audit_page(&AuditFilter::default(), 0, 10).unwrap();
    assert_eq!((left.len(), left[0].action.as_str()), (1, "audit.expire"));
    assert_eq!(left[0].seq, 9);
    assert_eq!(state.verify_audit(None).unwrap().first_break, None);
    tamper(&state, "UPDATE audit_chain SET removed = 2");
    assert_eq!(found(&state), (9, AuditFault::Unvouched));
}

#[test]
fn retention_does_not_remove_evidence() {
    let (_folder, state) = logged();
    tamper(&state, "UPDATE audit_log SET user_id = 'x' WHERE seq = 2");
    let error = state.expire_audit(Timestamp::MAX).unwrap_err().to_string();
    assert!(error.contains("entry 2"), "{error}");
    assert_eq!(state.verify_audit(None).unwrap().entries, 5);
}

#[test]
fn a_page_holds_what_was_asked_for_in_order() {
    let (_folder, state) = logged();
    let start = AuditEntry::new("server.start");
    state.audit(&start).unwrap();
    let resources = |filter: &AuditFilter, after, limit| -> Vec<_> {
        let page = state.audit_page(filter, after, limit).unwrap();
        page.into_iter()
            .filter_map(|entry| entry.resource)
            .collect()
    };
    let all = AuditFilter::default();
    assert_eq!(resources(&all, 2, 2), ["c", "d"]);
    let one = AuditFilter {
        resource: Some("b".into()),
        ..all.clone()
    };
    assert_eq!(resources(&one, 0, 9), ["b"]);
    let stranger = AuditFilter {
        user: Some(Uuid::nil()),
        ..all.clone()
    };
    assert!(state.audit_page(&stranger, 0, 9).unwrap().is_empty());
    let starts = AuditFilter {
        action: Some(start.action.into()),
        ..all.clone()
    };
    assert_eq!(state.audit_page(&starts, 0, 9).unwrap()[0].seq, 6);
    let since = AuditFilter {
        since: Some(start.at),
        ..all.clone()
    };
    assert_eq!(state.audit_page(&since, 0, 9).unwrap().len(), 1);
    let until = AuditFilter {
        until: Some(start.at),
        ..all
    };
    assert_eq!(state.audit_page(&until, 0, 9).unwrap().len(), 5);
}

#[test]
fn what_strangers_send_cannot_swell_the_log() {
    let (_folder, state) = state();
    let long = AuditEntry {
        resource: Some("ü".repeat(10_000)),
        params: json!("x".repeat(100_000)),
        ..AuditEntry::new("source.create")
    };
    state.audit(&long).unwrap();
    let kept = state.audit_page(&AuditFilter::default(), 0, 1).unwrap();
    assert_eq!(kept[0].resource.as_ref().unwrap().chars().count(), MAX_TEXT);
    assert_eq!(
        kept[0].params.as_deref(),
        Some("{\"left_out_bytes\":100002}")
    );
}

/// What somebody may do to a log of any length, at some place.
#[derive(Debug, Clone)]
enum Mutation {
    Alter(Index, String),
    AlterAndRehash(Index, String),
    Delete(Index),
    Swap(Index, Index),
    Repeat(Index, Index),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    prop_oneof![
        (place(), ".{0,8}").prop_map(|(at, text)| Mutation::Alter(at, text)),
        (place(), ".{0,8}").prop_map(|(at, text)| Mutation::AlterAndRehash(at, text)),
        place().prop_map(Mutation::Delete),
        (place(), place()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (place(), place()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
        place().prop_map(Mutation::Cut),
    ]
}

fn apply(mutation: &Mutation, log: &mut Vec<AuditRecord>) {
    let alter = |entry: &mut AuditRecord, text: &str| match entry.seq % 3 {
        0 => entry.resource = Some(text.to_owned()),
        1 => entry.request_id = Some(text.to_owned()),
        _ => entry.action = text.to_owned(),
    };
    let length = log.len();
    match mutation {
        Mutation::Alter(at, text) => alter(&mut log[at.index(length)], text),
        Mutation::AlterAndRehash(at, text) => {
            let entry = &mut log[at.index(length)];
            alter(entry, text);
            entry.hash = entry.computed_hash();
        }
        Mutation::Delete(at) => drop(log.remove(at.index(length))),
        Mutation::Swap(a, b) => log.swap(a.index(length), b.index(length)),
        Mutation::Repeat(from, to) => {
            let entry = log[from.index(length)].clone();
            log.insert(to.index(length), entry);
        }
        Mutation::Cut(at) => log.truncate(at.index(length)),
    }
}

fn intact(log: &[AuditRecord], chain: &Chain) -> bool {
    let mut walk = Walk::new(chain, None);
    for entry in log {
        walk.step(entry.clone());
    }
    walk.finish(log.len() as u64).first_break.is_none()
}

proptest! {
    #[test]
    fn a_random_log_verifies_and_with_any_one_change_it_does_not(
        texts in prop::collection::vec((".{0,8}", prop::option::of(any::<u32>())), 1..12),
        mutation in mutation(),
    ) {
        let mut chain = Chain {
            head_seq: 0,
            head_hash: NOTHING.to_owned(),
            anchor_seq: 0,
            anchor_hash: NOTHING.to_owned(),
            removed: 0,
        };
        let mut log = Vec::new();
        for (text, duration_ms) in &texts {
            let entry = AuditEntry { duration_ms: *duration_ms, ..entry(text) };
            let record = entry.record(chain.head_seq + 1, chain.head_hash.clone()).unwrap();
            (chain.head_seq, chain.head_hash) = (record.seq, record.hash.clone());
            log.push(record);
        }
        prop_assert!(intact(&log, &chain));
        let mut changed = log.clone();
        apply(&mutation, &mut changed);
        prop_assert_eq!(intact(&changed, &chain), changed == log);
    }
}
