//! A corpus of hostile components: whatever one does, its run ends with the reason that fits, and nobody else notices.
//!
//! One source is told one misdeed after the other. After each, the server is well, what the source had published is
//! there byte by byte, the runner is gone, and a neighbour's run that went on meanwhile succeeds.

mod bodies;
mod components;
mod requests;
mod tables;
mod world;

use serde_json::json;

use world::{Case, World};

#[test]
fn using_up_time_memory_stack_or_log_ends_the_run() {
    let world = World::start();
    world.suffers(&[
        Case::new(
            "an endless loop",
            json!({"behaviour": "loops_forever"}),
            "failed (limit): the connector ran for more than its 3 seconds",
        ),
        Case::new(
            "endless recursion",
            json!({"behaviour": "stack_overflow"}),
            "failed (bug): the connector crashed: it left its memory, as a stack does that grew too large",
        ),
        Case::new(
            "endless calls",
            json!({"behaviour": "call_overflow"}),
            "failed (limit): the connector used up its stack",
        ),
        Case::new(
            "memory growth to the limit",
            json!({"behaviour": "eats_memory"}),
            "failed (limit): the connector needs more than its 64 MiB of memory",
        ),
        Case::new(
            "a million log lines",
            json!({"behaviour": "logs_lines", "rows": 1_000_000}),
            "failed (limit): the connector ran for more than its 3 seconds",
        ),
        Case::new(
            "one log line of 16 MiB",
            json!({"behaviour": "logs_huge_line", "rows": 16 << 20}),
            "failed (limit): the connector passed too much to the host in one call",
        ),
        Case::new(
            "one log line of 1 MiB",
            json!({"behaviour": "logs_huge_line", "rows": 1 << 20}),
            "failed (upstream): the line was logged",
        ),
        Case::new(
            "rows without an end",
            json!({"behaviour": "endless_rows"}),
            "failed (limit): the run wrote 110000 rows, more than its limit `rows` of 100000",
        ),
    ]);
}

#[test]
fn traps_and_exits_are_told_wherever_they_happen() {
    let world = World::start();
    let crashed = "failed (bug): the connector crashed: panicked at";
    world.suffers(&[
        Case::new("a trap in sync", json!({"behaviour": "panics"}), crashed),
        Case::new("a trap in check", json!({"behaviour": "panics"}), crashed).of("check"),
        Case::new(
            "a trap in discover",
            json!({"behaviour": "panics"}),
            crashed,
        )
        .of("discover"),
        Case::new(
            "a name that is a path in discover",
            json!({"behaviour": "lies_about_table"}),
            "failed (bug): `../../etc/passwd` is not a valid table name",
        )
        .of("discover"),
        Case::new(
            "writing in check",
            json!({"behaviour": "out_of_order"}),
            "failed (bug): tables, cursors and checkpoints can be written in `sync` only",
        )
        .of("check"),
        Case::new(
            "bytes that are no text in a log line",
            json!({"behaviour": "logs_no_text"}),
            "failed (bug): the connector crashed: invalid utf-8",
        ),
    ]);
}
