//! A backup is whole, taken under way, and comes back as it was; what is altered is refused.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::paths::lock_data_dir;
use crate::state::AuditEntry;
use crate::state::tests::{entry, state};
use domain::User;

fn user(name: &str) -> User {
    User::new(&format!("{name}@example.com"), "")
}

/// A state with a user, an audit entry and keys; its folder, and one for backups.
fn furnished() -> (tempfile::TempDir, Paths, State, PathBuf) {
    let (folder, state) = state();
    let paths = Paths::new(folder.path()).unwrap();
    state.insert_user(&user("ann"), &entry()).unwrap();
    std::fs::write(paths.state_dir().join(".jwt_secret"), "signs").unwrap();
    std::fs::write(paths.state_dir().join("master.key"), "seals").unwrap();
    let to = folder.path().join("backup");
    (folder, paths, state, to)
}

/// The number that the next line of a log would get.
fn next_number(state: &State) -> i64 {
    let sql = "SELECT nextval('line_numbers')";
    let next = state.write(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?));
    next.unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_comes_back_as_it_was_and_keeps_what_it_replaces() {
    let (_folder, paths, state, to) = furnished();
    assert_eq!(next_number(&state), 1);
    let manifest = state.backup(&paths, &to, None).unwrap();
    assert_eq!(
        names(&to),
        [".jwt_secret", "manifest.json", "system.duckdb"]
    );
    let before = state.verify_audit(None).unwrap();
    assert_eq!(
        (manifest.audit_seq, &manifest.audit_head),
        (1, &before.head)
    );
    let kept = state.users().unwrap();
    assert_eq!(next_number(&state), 2);
    state.insert_user(&user("bob"), &entry()).unwrap();
    drop(state);
    std::fs::write(paths.state_dir().join(".jwt_secret"), "another").unwrap();

    let error = restore(&paths, &to, false).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    let restored = restore(&paths, &to, true).unwrap();
    assert_eq!(restored.check.problems, [""; 0]);
    assert!(restored.has_master_key, "the one that was there stays");
    let replaced = restored.replaced.unwrap();
    assert!(names(&replaced).contains(&"system.duckdb".to_owned()));
    let secret = std::fs::read_to_string(paths.state_dir().join(".jwt_secret")).unwrap();
    assert_eq!(secret, "signs");
    let state = State::open(&paths).unwrap();
    assert_eq!(state.users().unwrap(), kept);
    assert_eq!(state.verify_audit(None).unwrap(), before);
    assert_eq!(next_number(&state), 2, "numbers go on where they were");
    let rows = crate::open::Database::read(&replaced.join("system.duckdb")).unwrap();
    let users = "SELECT count(*) FROM users";
    assert_eq!(rows.query_row(users, [], |row| row.get(0)), Ok(2));
}

#[test]
fn the_master_key_goes_along_only_when_it_is_asked_for() {
    let (folder, paths, state, to) = furnished();
    let key = paths.state_dir().join("master.key");
    state.backup(&paths, &to, Some(&key)).unwrap();
    assert!(names(&to).contains(&"master.key".to_owned()));
    let mode = to
        .join("master.key")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let fresh = Paths::new(folder.path().join("fresh")).unwrap();
    assert!(restore(&fresh, &to, false).unwrap().has_master_key);
    let missing = state.backup(
        &paths,
        &folder.path().join("b"),
        Some(Path::new("/nowhere")),
    );
    assert!(missing.unwrap_err().to_string().contains("/nowhere"));
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.contains("partial"))
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_left() {
    let (folder, paths, state, to) = furnished();
    std::fs::write(&to, "precious").unwrap();
    let error = state.backup(&paths, &to, None).unwrap_err();
    assert!(matches!(error, BackupError::Exists(_)), "{error:?}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "precious");
    let nowhere = folder.path().join("no/such/folder");
    assert!(state.backup(&paths, &nowhere, None).is_err());
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.contains("partial"))
    );
}

#[test]
fn a_backup_under_way_is_one_moment_of_the_state() {
    let (_folder, paths, state, to) = furnished();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !done.load(Ordering::SeqCst) {
                // One transaction each: the chain's head and its entries go together.
                state.audit(&AuditEntry::new("user.create")).unwrap();
                written += 1;
            }
            written
        });
        for number in 0..5 {
            let to = to.with_extension(number.to_string());
            let manifest = state.backup(&paths, &to, None).unwrap();
            let found = State::check_file(&to.join("system.duckdb")).unwrap();
            assert_eq!(found.problems, [""; 0]);
            assert_eq!(found.audit.unwrap().head, manifest.audit_head);
        }
        done.store(true, Ordering::SeqCst);
        assert!(writer.join().unwrap() > 5, "the writer went on meanwhile");
    });
}

#[test]
fn what_is_damaged_or_foreign_is_refused_before_anything_is_touched() {
    let (folder, paths, state, to) = furnished();
    state.backup(&paths, &to, None).unwrap();
    drop(state);
    let before = names(&paths.state_dir());
    let refused = |what: &str| {
        let error = restore(&paths, &to, true).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert_eq!(names(&paths.state_dir()), before, "{what}");
    };
    let manifest = std::fs::read_to_string(to.join("manifest.json")).unwrap();
    let with = |text: &str| std::fs::write(to.join("manifest.json"), text).unwrap();
    with(&manifest.replace("\".jwt_secret\"", "\"../../escaped\""));
    refused("../../escaped");
    with(&manifest.replace("\"format\": 1", "\"format\": 2"));
    refused("format is 2");
    with("{}");
    refused("no backup");
    with(&manifest);
    std::fs::write(to.join(".jwt_secret"), "forged").unwrap();
    refused("damaged");
    assert!(!folder.path().join("escaped").exists());
}

#[test]
fn a_running_server_keeps_its_state() {
    let (_folder, paths, state, to) = furnished();
    state.backup(&paths, &to, None).unwrap();
    let _lock = lock_data_dir(&paths).unwrap();
    let error = restore(&paths, &to, true).unwrap_err();
    assert!(matches!(error, BackupError::Dir(_)), "{error:?}");
}

#[test]
fn a_restore_that_was_cut_off_is_not_opened_and_can_be_done_again() {
    let (_folder, paths, state, to) = furnished();
    state.backup(&paths, &to, None).unwrap();
    drop(state);
    std::fs::write(paths.restore_marker(), "").unwrap();
    // What another file's log holds must not be replayed onto the restored one.
    let log = paths.state_dir().join("system.duckdb.wal");
    std::fs::write(&log, "of another file").unwrap();
    let error = State::open(&paths).unwrap_err().to_string();
    assert!(error.contains("--force"), "{error}");
    let replaced = restore(&paths, &to, true).unwrap().replaced.unwrap();
    assert!(names(&replaced).contains(&"system.duckdb.wal".to_owned()));
    assert_eq!(State::open(&paths).unwrap().users().unwrap().len(), 1);
}

#[test]
fn what_is_restored_belongs_to_whom_the_folder_belongs() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let (_folder, paths, state, to) = furnished();
    state.backup(&paths, &to, None).unwrap();
    drop(state);
    // Only root can give it to another; anybody else restores for themselves.
    let _ = chown(paths.state_dir(), Some(12_345), None);
    restore(&paths, &to, true).unwrap();
    let owner = |path: &Path| path.metadata().unwrap().uid();
    assert_eq!(owner(&paths.system_db()), owner(&paths.state_dir()));
}
