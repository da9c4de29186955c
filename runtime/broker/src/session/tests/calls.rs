//! Single calls: what they answer, and what they refuse without ending the run.

use domain::Alias;
use domain::format::{BodyFormat, Compression};
use domain::table::{Attachment, RemoteTable};

use super::*;
use crate::testing::server::{Server, page};

fn server(body: &'static str) -> Server {
    runtime().block_on(Server::start(move |_, _| {
        page(200, "X-Echo: cAnary-5e1f\r\n", body)
    }))
}

fn append(table: &str, response: u32) -> Call {
    Call::AppendBody {
        table: name(table),
        response,
        format: BodyFormat::Ndjson(Compression::None),
    }
}

#[test]
fn a_body_is_read_in_parts_to_its_end() {
    let server = server("abcdef");
    let url = server.url("/");
    let scene = Scene::of(Operation::Check).reaching(server.address);
    let result = scene.play(|runner| {
        let response = runner.get(&url);
        let mut read = |max_bytes| {
            runner.call(
                Call::Read {
                    response,
                    max_bytes,
                },
                &[],
            )
        };
        assert_eq!(read(4), (Reply::Body { end: false }, b"abcd".to_vec()));
        assert_eq!(read(0), (Reply::Body { end: false }, b"e".to_vec()));
        assert_eq!(read(u32::MAX), (Reply::Body { end: false }, b"f".to_vec()));
        assert_eq!(read(4), (Reply::Body { end: true }, vec![]));
        assert_eq!(read(4), (Reply::Body { end: true }, vec![]));
        runner.ok(Call::Close { response }, &[]);
        runner.fails(
            Call::Read {
                response,
                max_bytes: 1,
            },
            &[],
        );
        runner.end(End::Done);
    });
    assert_eq!(result.unwrap(), Outcome::Checked);
}

#[test]
fn a_body_goes_into_a_table_unread_and_without_credentials() {
    let server = server("first cAnary-5e1f\nsecond\n");
    let url = server.url("/");
    let scene = Scene::sync().reaching(server.address);
    let result = scene.play(|runner| {
        runner.ok(open("orders"), &[]);
        let response = runner.get(&url);
        let (reply, _) = runner.call(append("orders", response), &[]);
        let Reply::Appended(appended) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(appended.rows, 2);
        assert_eq!(appended.values, [Some("first ***********".into()), None]);
        let failure = runner.fails(append("orders", response), &[]);
        assert_eq!(failure.kind, FailureKind::Bug, "a response is consumed");
        runner.end(End::Done);
    });
    assert!(matches!(result, Ok(Outcome::Synced(_))), "{result:?}");
    assert_eq!(server.seen()[0].matches("x-key: canary-5e1f").count(), 1);
    let shown = format!("{:?} {}", scene.stage.calls(), scene.heard.everything());
    assert!(!shown.contains(CANARY), "{shown}");
}

#[test]
fn a_response_is_consumed_even_where_its_append_is_refused() {
    let server = server("a");
    let url = server.url("/");
    for scene in [Scene::sync(), Scene::of(Operation::Check)] {
        let scene = scene.reaching(server.address);
        let result = scene.play(|runner| {
            let response = runner.get(&url);
            runner.fails(append("nowhere", response), &[]);
            let failure = runner.fails(Call::Close { response }, &[]);
            assert!(failure.message.contains("no open response"), "{failure}");
            runner.end(End::Done);
        });
        assert!(result.is_ok(), "{result:?}");
    }
}

#[test]
fn one_response_more_than_may_be_open_is_a_bug() {
    let server = server("a");
    let url = server.url("/");
    let scene = Scene::of(Operation::Check).reaching(server.address);
    let result = scene.play(|runner| {
        let first = runner.get(&url);
        for _ in 1..requests::MOST_OPEN {
            runner.get(&url);
        }
        assert_eq!(runner.fails(get(&url), &[]).kind, FailureKind::Bug);
        runner.ok(Call::Close { response: first }, &[]);
        runner.get(&url);
        runner.end(End::Done);
    });
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn calls_that_write_belong_into_sync() {
    for operation in [Operation::Check, Operation::Discover] {
        let scene = Scene::of(operation);
        let result = scene.play(|runner| {
            for (call, payload) in [
                (open("orders"), &b""[..]),
                (json("orders"), b"a"),
                (
                    Call::AppendArrow {
                        table: name("orders"),
                    },
                    b"a",
                ),
                (
                    Call::SetCursor {
                        table: "orders".into(),
                    },
                    b"a",
                ),
                (Call::Checkpoint, b""),
                (Call::Attach(attachment("db", "postgres")), b""),
                (Call::Expose(remote("t", "db")), b""),
            ] {
                let failure = runner.fails(call, payload);
                assert_eq!(failure.kind, FailureKind::Bug);
                assert!(failure.message.contains("`sync` only"), "{failure}");
            }
            runner.end(End::Failed(Failure::config("done")));
        });
        assert_eq!(failed(result), Failure::config("done"));
    }
}

#[test]
fn tables_are_opened_once_and_written_while_open() {
    let scene = Scene::sync();
    let result = scene.play(|runner| {
        runner.fails(json("orders"), b"a");
        runner.ok(open("orders"), &[]);
        assert!(
            runner
                .fails(open("ORDERS"), &[])
                .message
                .contains("open already")
        );
        runner.ok(
            Call::CloseTable {
                table: name("orders"),
            },
            &[],
        );
        runner.fails(json("orders"), b"a");
        runner.fails(
            Call::CloseTable {
                table: name("orders"),
            },
            &[],
        );
        runner.ok(open("orders"), &[]);
        for number in 1..256 {
            runner.ok(open(&format!("t{number}")), &[]);
        }
        assert_eq!(runner.fails(open("one_more"), &[]).kind, FailureKind::Limit);
        runner.end(End::Done);
    });
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn cursors_are_read_as_they_were_left_or_set() {
    let mut scene = Scene::sync();
    scene.cursors.insert("orders".into(), b"1".to_vec());
    let result = scene.play(|runner| {
        let get = |runner: &mut Runner, table: &str| {
            runner.call(
                Call::GetCursor {
                    table: table.into(),
                },
                &[],
            )
        };
        assert_eq!(
            get(runner, "Orders"),
            (Reply::Cursor { found: true }, b"1".to_vec())
        );
        assert_eq!(
            get(runner, "other"),
            (Reply::Cursor { found: false }, vec![])
        );
        runner.ok(
            Call::SetCursor {
                table: "orders".into(),
            },
            b"",
        );
        assert_eq!(
            get(runner, "orders"),
            (Reply::Cursor { found: true }, vec![])
        );
        for table in ["", "../x", "a b", "a\"; DROP", &"x".repeat(65)] {
            runner.fails(
                Call::GetCursor {
                    table: table.into(),
                },
                &[],
            );
            runner.fails(
                Call::SetCursor {
                    table: table.into(),
                },
                b"x",
            );
        }
        let large = vec![0; (1 << 20) + 1];
        runner.fails(
            Call::SetCursor {
                table: "orders".into(),
            },
            &large,
        );
        runner.ok(
            Call::SetCursor {
                table: "orders".into(),
            },
            &large[1..],
        );
        runner.end(End::Failed(Failure::config("done")));
    });
    assert_eq!(failed(result), Failure::config("done"));
}

#[test]
fn cursors_of_many_tables_have_a_limit_together() {
    let scene = Scene::sync();
    let result = scene.play(|runner| {
        let cursor = vec![0; 1 << 20];
        let set = |number: u32| Call::SetCursor {
            table: format!("t{number}"),
        };
        for number in 0..64 {
            runner.ok(set(number), &cursor);
        }
        assert_eq!(runner.fails(set(64), &cursor).kind, FailureKind::Limit);
        runner.ok(set(0), &cursor);
        runner.end(End::Failed(Failure::config("done")));
    });
    assert_eq!(failed(result), Failure::config("done"));
}

fn attachment(alias: &str, extension: &str) -> Attachment {
    Attachment {
        alias: Alias::parse(alias).unwrap(),
        extension: extension.into(),
        url: "host=db".into(),
        credential_slot: None,
    }
}

fn remote(table: &str, alias: &str) -> RemoteTable {
    RemoteTable {
        name: name(table),
        description: String::new(),
        alias: Alias::parse(alias).unwrap(),
        remote_name: "public.t".into(),
    }
}

#[test]
fn remote_databases_need_a_granted_extension_and_a_known_slot() {
    let mut scene = Scene::sync();
    scene.capabilities.remote_extensions.push("postgres".into());
    let result = scene.play(|runner| {
        let refused = runner.fails(Call::Attach(attachment("db", "httpfs")), &[]);
        assert_eq!(refused.kind, FailureKind::Limit);
        assert!(
            refused.message.contains("`httpfs` was refused"),
            "{refused}"
        );
        runner.fails(Call::Expose(remote("t", "db")), &[]);
        let mut with_slot = attachment("db", "postgres");
        with_slot.credential_slot = Some(SlotName::parse("unknown").unwrap());
        runner.fails(Call::Attach(with_slot.clone()), &[]);
        with_slot.credential_slot = Some(SlotName::parse("key").unwrap());
        runner.ok(Call::Attach(with_slot), &[]);
        runner.fails(Call::Attach(attachment("DB", "postgres")), &[]);
        runner.ok(Call::Expose(remote("t", "db")), &[]);
        runner.fails(Call::Expose(remote("T", "db")), &[]);
        runner.end(End::Done);
    });
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(scene.stage.calls(), ["attach db", "expose t", "publish"]);
}

#[test]
fn log_and_progress_pass_the_redactor_and_the_budget() {
    let mut scene = Scene::of(Operation::Check);
    scene.capabilities.limits.log_bytes = 100;
    let result = scene.play(|runner| {
        for _ in 0..20 {
            let message = format!("token is {CANARY}");
            runner.ok(
                Call::Log {
                    level: Level::Info,
                    message: message.clone(),
                },
                &[],
            );
            runner.ok(
                Call::Report {
                    message,
                    done: 1,
                    total: Some(2),
                },
                &[],
            );
        }
        runner.end(End::Done);
    });
    assert!(result.is_ok());
    let lines = scene.heard.lines();
    assert_eq!(lines[0], "token is [redacted]");
    assert_eq!(
        lines.last().unwrap(),
        "15 lines left out: the run's log is full"
    );
    assert_eq!(
        scene.heard.progress().last().unwrap().message,
        "token is [redacted]"
    );
}

#[test]
fn a_request_that_is_refused_or_malformed_does_not_end_the_run() {
    let scene = Scene::of(Operation::Check);
    let result = scene.play(|runner| {
        assert_eq!(
            runner.fails(get("https://evil.example/"), &[]).kind,
            FailureKind::Limit
        );
        assert_eq!(
            runner.fails(get("not a url"), &[]).kind,
            FailureKind::Config
        );
        let mut odd = get("https://evil.example/");
        if let Call::Send { method, .. } = &mut odd {
            "CONNECT".clone_into(method);
        }
        assert_eq!(runner.fails(odd, &[]).kind, FailureKind::Bug);
        runner.end(End::Done);
    });
    assert_eq!(result.unwrap(), Outcome::Checked);
}
