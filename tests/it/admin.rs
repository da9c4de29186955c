//! `sluice admin` at the machine itself, while the server serves and while it is stopped.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};

use integration_tests::{App, shown, sluice};
use serde_json::Value;

/// `sluice admin` on a data folder.
fn admin(data: &Path, arguments: &[&str]) -> Command {
    let mut command = sluice();
    command.arg("admin").args(arguments);
    command.arg("--data-dir").arg(data);
    command
}

#[track_caller]
fn run(data: &Path, arguments: &[&str], code: i32) -> Output {
    let output = admin(data, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
    output
}

#[track_caller]
fn works(data: &Path, arguments: &[&str]) -> String {
    String::from_utf8(run(data, arguments, 0).stdout).unwrap()
}

#[track_caller]
fn fails(data: &Path, arguments: &[&str]) -> String {
    String::from_utf8(run(data, arguments, 1).stderr).unwrap()
}

/// The actions of the exported log, oldest first.
#[track_caller]
fn actions(data: &Path) -> Vec<String> {
    let export = works(data, &["audit", "export"]);
    let entries = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let actions = entries.map(|entry| entry["action"].as_str().unwrap().to_owned());
    actions.collect()
}

#[test]
fn a_backup_of_a_serving_server_comes_back_with_its_users_and_tokens() {
    let mut app = App::start();
    let data = app.data.clone();
    let beside = tempfile::tempdir().unwrap();
    let to = beside.path().join("monday");
    let to = to.to_str().unwrap();
    assert!(works(&data, &["check"]).contains("the state is sound"));
    let said = works(&data, &["backup", to]);
    assert!(said.contains("head "), "{said}");
    assert!(!Path::new(to).join("master.key").exists());
    let again = fails(&data, &["backup", to]);
    assert!(again.contains("never overwrites"), "{again}");
    let serving = fails(&data, &["restore", to, "--force"]);
    assert!(serving.contains("in use by another server"), "{serving}");

    app.trust_publisher();
    assert!(app.stop().success());
    let there = fails(&data, &["restore", to]);
    assert!(there.contains("--force"), "{there}");
    works(&data, &["restore", to, "--force"]);
    app.restart();
    let publishers = app.get("/api/publishers").ok();
    assert_eq!(
        publishers["publishers"],
        serde_json::json!([]),
        "what came after the backup is gone, and the token of before is good"
    );
    let log = actions(&data);
    assert!(log.ends_with(&["state.restore".to_owned()]), "{log:?}");
}

#[test]
fn every_command_works_without_a_server_too() {
    let mut app = App::start();
    let data = app.data.clone();
    let beside = tempfile::tempdir().unwrap();
    let to = |name: &str| beside.path().join(name).to_str().unwrap().to_owned();
    works(&data, &["backup", &to("serving")]);
    // The socket of a server that was killed stays behind.
    app.kill();
    assert!(data.join("state/admin.sock").exists());
    works(&data, &["backup", &to("stopped"), "--with-master-key"]);
    assert!(beside.path().join("stopped/master.key").exists());
    works(&data, &["check"]);
    let log = actions(&data);
    assert_eq!(
        log.iter()
            .filter(|action| *action == "state.backup")
            .count(),
        2
    );
    let head = works(&data, &["audit", "verify"]);
    let head = head.lines().find_map(|line| line.strip_prefix("head "));
    let head = head.unwrap().to_owned();
    app.restart();
    works(&data, &["audit", "verify", "--head", &head]);
    let forged = "0".repeat(63) + "1";
    let cut = fails(&data, &["audit", "verify", "--head", &forged]);
    assert!(cut.contains("the head that was noted"), "{cut}");
    let nothing = works(
        &data,
        &["audit", "export", "--since", "2999-01-01T00:00:00Z"],
    );
    assert_eq!(nothing, "");
}

#[test]
fn the_door_is_the_owners_and_closes_with_the_server() {
    let mut app = App::start();
    let socket = app.data.join("state/admin.sock");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    UnixStream::connect(&socket).unwrap();
    assert!(app.stop().success());
    let gone = UnixStream::connect(&socket).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let log = app.data.join("state/system.duckdb.wal");
    assert!(!log.exists(), "an orderly end leaves nothing to replay");
}

#[test]
fn what_cannot_be_reached_is_told_with_advice() {
    let empty = tempfile::tempdir().unwrap();
    let nothing = fails(empty.path(), &["check"]);
    assert!(nothing.contains("there is no state"), "{nothing}");
    assert!(
        !empty.path().join("state").exists(),
        "looking makes nothing"
    );

    let mut app = App::start();
    // The server is there but not its door.
    std::fs::remove_file(app.data.join("state/admin.sock")).unwrap();
    let held = fails(&app.data, &["check"]);
    assert!(held.contains("in use by another server"), "{held}");
    app.kill();
    // A stranger's socket that nobody serves.
    drop(UnixListener::bind(app.data.join("state/admin.sock")).unwrap());
    works(&app.data, &["check"]);
    app.restart();
    works(&app.data, &["check"]);
}
