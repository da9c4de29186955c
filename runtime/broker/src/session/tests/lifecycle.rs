//! From the greeting to the end, and what is published in between.

use super::*;
use domain::ports::Published;
use domain::table::TableInfo;

#[test]
fn a_sync_publishes_its_rows_with_its_cursors() {
    let mut scene = Scene::sync();
    scene.cursors.insert("old".into(), b"kept".to_vec());
    let outcome = scene.play(|runner| {
        runner.ok(open("orders"), &[]);
        runner.ok(json("Orders"), b"a\nb");
        runner.ok(
            Call::SetCursor {
                table: "Orders".into(),
            },
            b"2",
        );
        runner.ok(
            Call::CloseTable {
                table: name("orders"),
            },
            &[],
        );
        runner.end(End::Done);
    });
    let published = Published {
        tables: vec![(name("orders"), 2)],
        bytes: 20,
    };
    assert_eq!(outcome.unwrap(), Outcome::Synced(published));
    assert_eq!(
        scene.stage.calls(),
        ["open orders", "append Orders: a\nb", "publish"]
    );
    let cursors = &scene.stage.0.lock().unwrap().published[0];
    assert_eq!(cursors["orders"], b"2");
    assert_eq!(cursors["old"], b"kept", "cursors of other tables stay");
    let progress = scene.heard.progress().pop().unwrap();
    assert_eq!((progress.counts.rows, progress.counts.bytes_out), (2, 20));
    assert_eq!(progress.table.as_deref(), Some("Orders"));
}

#[test]
fn a_checkpoint_publishes_what_is_there_and_the_cursors_so_far() {
    let scene = Scene::sync();
    let result = scene.play(|runner| {
        runner.ok(open("orders"), &[]);
        runner.ok(json("orders"), b"a");
        runner.ok(
            Call::SetCursor {
                table: "orders".into(),
            },
            b"1",
        );
        runner.ok(Call::Checkpoint, &[]);
        runner.ok(
            Call::SetCursor {
                table: "orders".into(),
            },
            b"2",
        );
        runner.end(End::Failed(Failure::upstream("gone")));
    });
    assert_eq!(failed(result), Failure::upstream("gone"));
    let published = scene.stage.0.lock().unwrap().published.clone();
    assert_eq!(
        published,
        [Cursors::from([("orders".into(), b"1".to_vec())])]
    );
}

#[test]
fn check_and_discover_end_with_their_own_results() {
    let done = Scene::of(Operation::Check).play(|runner| runner.end(End::Done));
    assert_eq!(done.unwrap(), Outcome::Checked);
    let tables = vec![TableInfo {
        name: name("orders"),
        description: String::new(),
        columns: vec![],
        primary_key: vec![],
    }];
    let listed = End::Discovered {
        tables: tables.clone(),
    };
    let found = Scene::of(Operation::Discover).play(|runner| runner.end(listed));
    assert_eq!(found.unwrap(), Outcome::Discovered(tables.clone()));
    for (operation, end) in [
        (
            Operation::Check,
            End::Discovered {
                tables: tables.clone(),
            },
        ),
        (Operation::Discover, End::Done),
        (Operation::Sync, End::Discovered { tables }),
    ] {
        let scene = Scene::of(operation);
        let failure = failed(scene.play(|runner| runner.end(end)));
        assert_eq!(failure.kind, FailureKind::Bug);
        assert!(scene.stage.calls().is_empty());
    }
}

#[test]
fn a_failed_append_is_the_end_of_writing_and_of_the_run() {
    let scene = Scene::sync();
    let first = Failure::upstream("row 3 is not JSON");
    let result = scene.play(|runner| {
        runner.ok(open("orders"), &[]);
        scene.stage.0.lock().unwrap().fails = Some(first.clone());
        assert_eq!(runner.fails(json("orders"), b"x"), first);
        assert_eq!(runner.fails(json("orders"), b"y"), first);
        assert_eq!(runner.fails(open("other"), &[]), first);
        assert_eq!(runner.fails(Call::Checkpoint, &[]), first);
        runner.end(End::Done);
    });
    assert_eq!(failed(result), first);
    assert_eq!(
        scene.stage.calls(),
        ["open orders", "append orders: x"],
        "nothing is published"
    );
}

#[test]
fn a_failed_publish_fails_the_run() {
    let scene = Scene::sync();
    let result = scene.play(|runner| {
        scene.stage.0.lock().unwrap().fails = Some(Failure::limit("the disk is full"));
        runner.end(End::Done);
    });
    assert_eq!(failed(result), Failure::limit("the disk is full"));
}

#[test]
fn the_row_limit_ends_the_run() {
    let mut scene = Scene::sync();
    scene.capabilities.limits.rows = 2;
    let result = scene.play(|runner| {
        runner.ok(open("orders"), &[]);
        runner.ok(json("orders"), b"a\nb");
        assert_eq!(runner.fails(json("orders"), b"c").kind, FailureKind::Limit);
        runner.end(End::Done);
    });
    assert!(failed(result).message.contains("`rows`"));
    assert!(!scene.stage.calls().contains(&"publish".to_owned()));
}

#[test]
fn a_cancelled_run_does_nothing_more() {
    let scene = Scene::sync();
    let result = scene.play(|runner| {
        runner.ok(open("orders"), &[]);
        scene.cancel.cancel();
        runner.end(End::Done);
    });
    assert!(
        matches!(result, Err(SessionError::Ended(Ended::Cancelled))),
        "{result:?}"
    );
    assert_eq!(scene.stage.calls(), ["open orders"]);
}

#[test]
fn a_failure_of_the_guest_is_cleaned_and_cut() {
    let message = format!("{CANARY} \u{1b}[2J{}", "x".repeat(100_000));
    let scene = Scene::of(Operation::Check);
    let failure = failed(scene.play(|runner| runner.end(End::Failed(Failure::auth(message)))));
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(
        failure.message.starts_with("[redacted]  [2Jxxx"),
        "{failure}"
    );
    assert_eq!(failure.message.len(), crate::journal::MAX_LINE);
}

#[test]
fn a_wall_that_is_missing_fails_the_run_where_it_is_required() {
    let ready = FromRunner::Ready {
        missing: vec![MissingWall {
            wall: Wall::Landlock,
            reason: "not here".into(),
        }],
    };
    let greet = |socket: UnixStream| {
        write_frame(&mut &socket, &ready, &[]).unwrap();
        if read_frame::<ToRunner>(&mut &socket).is_ok() {
            write_frame(&mut &socket, &FromRunner::End(End::Done), &[]).unwrap();
        }
    };
    let mut scene = Scene::of(Operation::Check);
    let failure = failed(scene.play_raw(greet));
    assert!(failure.message.contains("landlock: not here"), "{failure}");
    scene.required_walls.retain(|wall| *wall != Wall::Landlock);
    assert_eq!(scene.play_raw(greet).unwrap(), Outcome::Checked);
    assert!(scene.heard.lines()[0].contains("landlock"));
}
