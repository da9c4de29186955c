//! Changing the master key: whatever moment it is cut off at, every credential can be read afterwards.

use std::path::Path;

use broker::vault::rotate;
use domain::{Capabilities, Digest, Source};
use serde_json::json;
use warehouse::Paths;

use super::*;

const CANARY: &str = "cAnary-9d21f";

fn source() -> SourceName {
    SourceName::parse("shop").unwrap()
}

fn slot() -> SlotName {
    SlotName::parse("key").unwrap()
}

fn open(state: &Arc<State>, file: &Path) -> CredentialStore {
    let keys = Keys::in_file(file.to_owned());
    let opened = CredentialStore::open(state.clone(), keys, "SLUICE_CREDENTIAL_".into());
    opened.unwrap().0
}

/// A state with one credential, and the file of its key.
fn filled_state() -> (tempfile::TempDir, Arc<State>, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::new(folder.path()).unwrap();
    paths.create().unwrap();
    let state = Arc::new(State::open(&paths).unwrap());
    let shop = Source {
        name: source(),
        connector: "files".parse().unwrap(),
        version: Digest::of(b"a"),
        settings: json!({}),
        granted: Capabilities::default(),
        enabled: true,
        created_at: Timestamp::now(),
    };
    state.insert_source(&shop).unwrap();
    let file = folder.path().join("state/master.key");
    let store = open(&state, &file);
    let entry = AuditEntry::new("test");
    store
        .put(
            &source(),
            &slot(),
            &Secret::new(CANARY),
            Uuid::now_v7(),
            &entry,
        )
        .unwrap();
    (folder, state, file)
}

#[track_caller]
fn assert_readable(store: &CredentialStore) {
    let values = store.credentials(&source()).unwrap();
    assert_eq!(values[&slot()], Secret::new(CANARY));
}

#[test]
fn a_changed_key_opens_what_the_old_one_sealed_and_the_old_one_opens_nothing() {
    let (folder, state, file) = filled_state();
    let old_key = folder.path().join("old.key");
    std::fs::copy(&file, &old_key).unwrap();
    let store = open(&state, &file);
    assert_eq!(store.rotate(&AuditEntry::new("test")).unwrap(), 1);
    assert_readable(&store);
    assert_readable(&open(&state, &file));
    assert!(!rotate::previous_file(&file).exists());
    let failure = open(&state, &old_key).credentials(&source()).unwrap_err();
    assert!(
        failure.message.contains("`key` of source `shop`"),
        "{failure}"
    );
    assert!(!failure.message.contains(CANARY));
}

#[test]
fn a_change_that_was_cut_off_at_any_step_is_finished_at_the_next_start() {
    for step in 0..4 {
        let (_folder, state, file) = filled_state();
        let previous = rotate::previous_file(&file);
        match step {
            // The draft of the new key was written in part.
            0 => std::fs::write(file.with_file_name("master.key.next"), "half").unwrap(),
            // The old key has its second name.
            1 => std::fs::hard_link(&file, &previous).unwrap(),
            // The new key is in its place, nothing is sealed with it.
            2 => drop(rotate::renew(&file).unwrap()),
            // Everything is sealed with it, the old one is still there.
            _ => {
                let old = std::fs::read(&file).unwrap();
                open(&state, &file)
                    .rotate(&AuditEntry::new("test"))
                    .unwrap();
                std::fs::write(&previous, old).unwrap();
                use std::os::unix::fs::PermissionsExt as _;
                let mode = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(&previous, mode).unwrap();
            }
        }
        let store = open(&state, &file);
        assert_readable(&store);
        assert!(!previous.exists(), "step {step}");
        store.rotate(&AuditEntry::new("test")).unwrap();
        assert_readable(&open(&state, &file));
    }
}

#[test]
fn a_change_whose_transaction_fails_leaves_both_keys_and_is_finished_later() {
    let (_folder, state, file) = filled_state();
    rotate::renew(&file).unwrap();
    // Nothing was sealed anew, and values that come now are sealed with the new key.
    let again = open(&state, &file);
    assert_readable(&again);
    let entry = AuditEntry::new("test");
    again
        .put(
            &source(),
            &slot(),
            &Secret::new("other"),
            Uuid::now_v7(),
            &entry,
        )
        .unwrap();
    let values = open(&state, &file).credentials(&source()).unwrap();
    assert_eq!(values[&slot()], Secret::new("other"));
}

#[test]
fn what_a_service_gave_takes_the_place_of_what_it_was_given_for_alone() {
    let (_folder, state, file) = filled_state();
    let store = open(&state, &file);
    let replace = |old: &str, new: &str| {
        store
            .replace(&source(), &slot(), &Secret::new(old), &Secret::new(new))
            .unwrap();
        store.credentials(&source()).unwrap()[&slot()].clone()
    };
    assert_eq!(replace("entered meanwhile", "x"), Secret::new(CANARY));
    assert_eq!(replace(CANARY, "second"), Secret::new("second"));
}

#[test]
fn only_variables_that_are_meant_for_it_fill_a_slot() {
    let (_folder, state, file) = filled_state();
    let store = open(&state, &file);
    for name in [
        "SLUICE_MASTER_KEY",
        "PATH",
        "",
        "XSLUICE_CREDENTIAL_A",
        "SLUICE_CREDENTIAL_A=B",
    ] {
        let error = store.variable(name).unwrap_err();
        assert!(
            error.contains("begin with `SLUICE_CREDENTIAL_`"),
            "{name}: {error}"
        );
    }
    let error = store.variable("SLUICE_CREDENTIAL_NOT_SET").unwrap_err();
    assert!(error.contains("is not set"), "{error}");
}
