//! Tables, handles and cursors used as no honest connector does.

use serde_json::{Value, json};

use super::world::{Case, World};

fn opens(name: &str) -> Value {
    json!({"behaviour": "opens_table", "text": name})
}

#[test]
fn names_that_would_be_paths_or_statements_are_no_table_names() {
    let world = World::start();
    world.suffers(&[
        Case::new(
            "a path",
            opens("../../x"),
            "failed (bug): `../../x` is not a valid table name",
        ),
        Case::new(
            "a statement",
            opens("a\"; DROP TABLE users"),
            "failed (bug): `a\"; DROP TABLE users` is not a valid table name",
        ),
        Case::new(
            "10 KB",
            opens(&"a".repeat(10_000)),
            "failed (bug): `aaaaaaaa",
        ),
        Case::new(
            "nothing",
            opens(""),
            "failed (bug): `` is not a valid table name",
        ),
        Case::new(
            "a name of the host's own",
            opens("_meta"),
            "failed (bug): `_meta` is not a valid table name: use another",
        ),
        Case::new(
            "a name of the host's own, in capitals",
            opens("_SLUICE_FILE"),
            "failed (bug): `_SLUICE_FILE` is not a valid table name: use another",
        ),
        Case::new("control characters", opens("a\n\u{0}b"), "failed (bug): `a"),
        Case::new(
            "letters that look like others",
            opens("оrders"),
            "failed (bug): `оrders` is not a valid table name",
        ),
        Case::new(
            "bytes that are no text",
            json!({"behaviour": "opens_no_text"}),
            "failed (bug): the connector crashed: invalid utf-8",
        ),
    ]);
}

#[test]
fn tables_handles_and_cursors_have_their_order_and_their_limits() {
    let world = World::start();
    let rows = world.serves("/rows.csv", "id\n1\n");
    world.suffers(&[
        Case::new(
            "ten thousand writers",
            json!({"behaviour": "opens_tables", "rows": 10_000}),
            "failed (limit): 256 tables are open: close one before the next",
        ),
        Case::new(
            "ten thousand tables, one after the other",
            json!({"behaviour": "opens_and_closes", "rows": 10_000}),
            "failed (limit): a run writes at most 1000 tables",
        ),
        Case::new(
            "a writer that is never closed",
            json!({"behaviour": "never_closes"}),
            "failed (bug): the table `rows` is open already",
        ),
        Case::new(
            "rows after the table was closed",
            json!({"behaviour": "appends_after_close"}),
            "failed (bug): the connector crashed: unknown handle index",
        ),
        Case::new(
            "a response handed over twice",
            json!({"behaviour": "uses_response_twice", "url": rows}),
            "failed (bug): the connector crashed: unknown handle index",
        ),
        Case::new(
            "a hundred open responses",
            json!({"behaviour": "hoards_responses", "url": rows, "rows": 100}),
            "failed (bug): 16 responses are open: drop one before the next request",
        ),
        Case::new(
            "a cursor of 2 MiB",
            json!({"behaviour": "sets_huge_cursor", "rows": 2 << 20}),
            "failed (bug): the cursor of `rows` has 2097152 bytes, more than 1048576",
        ),
        Case::new(
            "a cursor of 6 MiB",
            json!({"behaviour": "sets_huge_cursor", "rows": 6 << 20}),
            "failed (limit): the connector passed too much at once",
        ),
        Case::new(
            "going on after a failed append",
            json!({"behaviour": "out_of_order"}),
            "failed (bug): table `rows`, row 1: not valid JSON",
        ),
    ]);
}
