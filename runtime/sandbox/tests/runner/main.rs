//! Components in a real runner process, against a broker that the test plays.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "this is a test, and its tables are read from top to bottom"
)]

mod broker;
mod escape;
mod guests;

use std::process::ExitCode;

use domain::protocol::{Call, End, Reply};
use domain::run::Level;
use domain::{Failure, FailureKind, Operation};
use libtest_mimic::{Arguments, Trial};

use broker::{compile, done, hang_up, run, start};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("runner") => return sandbox::runner_main(),
        Some("escaped") => return sandbox::escaped_main(escape::escaped),
        _ => {}
    }
    let tests: [(&str, fn()); 20] = [
        ("tables_end_at_their_limit", tables_end_at_their_limit),
        (
            "memories_tables_and_instances_are_counted",
            memories_tables_and_instances_are_counted,
        ),
        (
            "every_wall_stands_that_every_kernel_has",
            escape::every_wall_stands_that_every_kernel_has,
        ),
        (
            "an_escaped_guest_gets_nothing_from_the_kernel",
            escape::an_escaped_guest_gets_nothing_from_the_kernel,
        ),
        (
            "an_escaped_guest_dies_of_running_data_and_of_writing_files",
            escape::an_escaped_guest_dies_of_running_data_and_of_writing_files,
        ),
        (
            "an_escaped_guest_that_does_not_end_is_ended_by_the_kernel",
            escape::an_escaped_guest_that_does_not_end_is_ended_by_the_kernel,
        ),
        (
            "equal_input_makes_equal_files",
            equal_input_makes_equal_files,
        ),
        ("a_component_returns", a_component_returns),
        (
            "a_component_gets_settings_and_logs",
            a_component_gets_settings_and_logs,
        ),
        (
            "wasi_has_nothing_behind_it_and_prints_into_the_log",
            wasi_has_nothing_behind_it_and_prints_into_the_log,
        ),
        (
            "a_failure_keeps_its_kind_and_words",
            a_failure_keeps_its_kind_and_words,
        ),
        (
            "an_endless_loop_is_interrupted",
            an_endless_loop_is_interrupted,
        ),
        ("memory_ends_at_its_limit", memory_ends_at_its_limit),
        ("the_stack_ends_at_its_limit", the_stack_ends_at_its_limit),
        (
            "a_crash_is_told_in_the_words_that_were_logged",
            a_crash_is_told_in_the_words_that_were_logged,
        ),
        (
            "too_much_at_once_fails_the_guest",
            too_much_at_once_fails_the_guest,
        ),
        ("garbage_does_not_compile", garbage_does_not_compile),
        (
            "an_unknown_interface_is_refused",
            an_unknown_interface_is_refused,
        ),
        (
            "a_component_of_another_shape_is_refused",
            a_component_of_another_shape_is_refused,
        ),
        (
            "a_runner_without_a_broker_ends",
            a_runner_without_a_broker_ends,
        ),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn failure(end: End) -> Failure {
    match end {
        End::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn ended(body: &str) -> Failure {
    let compiled = compile(&guests::component(body)).unwrap();
    failure(run(&compiled, &start(Operation::Check), done))
}

fn equal_input_makes_equal_files() {
    assert_eq!(
        guests::component(guests::RETURNS),
        guests::component(guests::RETURNS)
    );
}

fn a_component_returns() {
    let compiled = compile(&guests::component(guests::RETURNS)).unwrap();
    assert_eq!(run(&compiled, &start(Operation::Check), done), End::Done);
    assert_eq!(run(&compiled, &start(Operation::Sync), done), End::Done);
    let end = run(&compiled, &start(Operation::Discover), done);
    assert_eq!(end, End::Discovered { tables: vec![] });
}

fn a_component_gets_settings_and_logs() {
    let compiled = compile(&guests::component(guests::LOGS_SETTINGS)).unwrap();
    let mut calls = Vec::new();
    let end = run(&compiled, &start(Operation::Check), |call, _| {
        calls.push(call);
        Reply::Done
    });
    assert_eq!(end, End::Done);
    let message = r#"{"url":"https://a.org"}"#.to_owned();
    assert_eq!(
        calls,
        [Call::Log {
            level: Level::Error,
            message
        }]
    );
}

fn wasi_has_nothing_behind_it_and_prints_into_the_log() {
    let compiled = compile(&guests::wasi()).unwrap();
    let mut calls = Vec::new();
    let end = run(&compiled, &start(Operation::Check), |call, _| {
        calls.push(call);
        Reply::Done
    });
    assert_eq!(end, End::Done);
    let message = "no such key".to_owned();
    assert_eq!(
        calls,
        [Call::Log {
            level: Level::Debug,
            message
        }]
    );
}

fn a_failure_keeps_its_kind_and_words() {
    assert_eq!(ended(guests::FAILS), Failure::auth("no such key"));
}

fn an_endless_loop_is_interrupted() {
    assert_eq!(
        ended("(loop (br 0)) unreachable"),
        Failure::limit("the connector ran for more than its 1 seconds")
    );
}

fn memory_ends_at_its_limit() {
    let grow = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    assert_eq!(
        ended(grow),
        Failure::limit("the connector needs more than its 8 MiB of memory")
    );
}

fn tables_end_at_their_limit() {
    let grow = "(loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 4096)) (i32.const -1)))) unreachable";
    assert_eq!(
        ended(grow),
        Failure::limit("the connector needs more than 1048576 table elements")
    );
}

fn memories_tables_and_instances_are_counted() {
    // A module may have a hundred of either, so it takes three of them to have more than 256.
    let memories = ("(memory 0)".repeat(100), 3);
    let tables = ("(table 0 funcref)".repeat(100), 3);
    let instances = (String::new(), 256);
    for (what, (module, times), few) in [
        ("memories", memories, 2),
        ("tables", tables, 2),
        ("instances", instances, 255),
    ] {
        let ended = |times| {
            let compiled = compile(&guests::crowd(&module, times)).unwrap();
            failure(run(&compiled, &start(Operation::Check), done))
        };
        assert_eq!(
            ended(times),
            Failure::limit(format!("the connector has more than 256 {what}"))
        );
        // As many as are allowed are instantiated, and only then is seen that nothing else fits.
        assert_eq!(ended(few).kind, FailureKind::Config, "{few} of {what}");
    }
}

fn the_stack_ends_at_its_limit() {
    assert_eq!(
        ended("call $check"),
        Failure::limit("the connector used up its stack")
    );
}

fn a_crash_is_told_in_the_words_that_were_logged() {
    let crash = format!("{} drop unreachable", guests::LOGS_SETTINGS);
    let failure = ended(&crash);
    assert_eq!(
        failure,
        Failure::bug(r#"the connector crashed: {"url":"https://a.org"}"#)
    );
    assert_eq!(ended("unreachable").kind, FailureKind::Bug);
}

fn too_much_at_once_fails_the_guest() {
    // A line of 10 MiB: more than one call may pass, less than the guest's memory.
    let log = "(drop (memory.grow (i32.const 200))) (call $log (i32.const 0) (i32.const 0) (i32.const 10485760)) i32.const 16";
    let compiled = compile(&guests::component(log)).unwrap();
    let mut start = start(Operation::Check);
    start.memory_bytes = 32 << 20;
    let failure = failure(run(&compiled, &start, done));
    assert_eq!(
        failure,
        Failure::limit("the connector passed too much to the host in one call")
    );
}

fn garbage_does_not_compile() {
    for bytes in [
        b"".to_vec(),
        b"\0asm\x0d\0\x01\0\xff".to_vec(),
        wat::parse_str("(module)").unwrap(),
    ] {
        assert_eq!(compile(&bytes).unwrap_err().kind, FailureKind::Config);
    }
}

fn an_unknown_interface_is_refused() {
    let compiled = compile(&guests::component(guests::RETURNS)).unwrap();
    let mut start = start(Operation::Check);
    start.wit = "7.0.0".into();
    let failure = failure(run(&compiled, &start, done));
    assert_eq!(failure.kind, FailureKind::Config);
    assert!(failure.message.contains("7.0.0"), "{failure}");
}

fn a_component_of_another_shape_is_refused() {
    let empty = "(component)";
    let http = r#"(component (import "wasi:http/types@0.2.0" (instance (export "x" (func)))))"#;
    for component in [empty, http] {
        let compiled = compile(&wat::parse_str(component).unwrap()).unwrap();
        let failure = failure(run(&compiled, &start(Operation::Check), done));
        assert_eq!(failure.kind, FailureKind::Config, "{failure}");
    }
    let failure = failure(run(b"not compiled code", &start(Operation::Check), done));
    assert!(failure.message.contains("cannot be loaded"), "{failure}");
}

fn a_runner_without_a_broker_ends() {
    let (status, said) = hang_up();
    assert!(!status.success());
    assert!(
        said.contains("runner: the socket to the broker failed"),
        "{said}"
    );
}
