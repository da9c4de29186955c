//! Hostile connectors: each can fail its own run, with a reason that people understand, and nothing else.

use std::collections::BTreeSet;

use integration_tests::{App, Internet, component, files, outcome, until, wasm};
use serde_json::{Value, json};

use crate::shop::{Shop, count};

/// A server with the hostile connector, which asks for these limits.
#[track_caller]
fn hostile(limits: &Value) -> App {
    let app = App::start();
    let fixtures = std::fs::read(component("fixtures")).unwrap();
    app.install_bytes(&wasm::with_manifest(&fixtures, |manifest| {
        manifest["limits"] = limits.clone();
    }));
    app
}

/// Runs a behaviour, and sees that the server is well and the runner gone afterwards.
#[track_caller]
fn behaves(app: &App, behaviour: &str) -> Value {
    behaves_with(app, &json!({"behaviour": behaviour}), &[])
}

#[track_caller]
fn behaves_with(app: &App, settings: &Value, private: &[&str]) -> Value {
    let sources = app.get("/api/sources").ok()["sources"].take();
    let name = format!("source_{}", sources.as_array().expect("a list").len());
    app.add_source(&name, "fixtures", settings, private);
    let run = app.run(&name);
    assert_well(app);
    run
}

#[track_caller]
fn assert_well(app: &App) {
    assert_eq!(app.get("/api/health").ok()["status"], "ok");
    assert_eq!(app.rows("SELECT 1"), json!([[1]]));
    until("the runner is gone", || app.runners().is_empty());
}

#[test]
fn a_connector_that_behaves_succeeds() {
    let app = hostile(&json!({}));
    let run = behaves_with(&app, &json!({"behaviour": "rows", "rows": 1000}), &[]);
    assert_eq!(outcome(&run), "succeeded");
    assert_eq!(app.rows("SELECT count(*) FROM rows"), count(1000));
}

#[test]
fn a_loop_without_end_is_stopped_by_the_clock() {
    let app = hostile(&json!({"wall_seconds": 1}));
    insta::assert_snapshot!(outcome(&behaves(&app, "loops_forever")), @"failed (limit): the connector ran for more than its 1 seconds");
}

#[test]
fn a_loop_without_end_is_stopped_by_the_processor_time() {
    let app = hostile(&json!({"cpu_seconds": 1}));
    insta::assert_snapshot!(outcome(&behaves(&app, "loops_forever")), @"failed (limit): the runner was killed by the operating system: it used more than 1 s of processor time, or memory ran out");
}

#[test]
fn memory_is_limited() {
    let app = hostile(&json!({"memory_bytes": 33_554_432}));
    insta::assert_snapshot!(outcome(&behaves(&app, "eats_memory")), @"failed (limit): the connector needs more than its 32 MiB of memory");
}

#[test]
fn an_admin_may_lower_every_limit_below_what_a_connector_asks_for() {
    let app = hostile(&json!({}));
    let mut told = Vec::new();
    for (limit, most, behaviour) in [
        ("memory_bytes", 16 << 20, "eats_memory"),
        ("wall_seconds", 1, "loops_forever"),
        ("cpu_seconds", 1, "loops_forever"),
        ("rows", 5_000, "endless_rows"),
        ("bytes_out", 100, "rows"),
    ] {
        let settings = json!({"behaviour": behaviour, "rows": 5_000});
        let limits = json!({limit: most});
        let source = json!({"name": limit, "connector": "fixtures", "settings": settings,
            "grant": {"limits": limits}});
        app.post("/api/sources", &source).ok();
        told.push(outcome(&app.run(limit)));
        assert_well(&app);
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    failed (limit): the connector needs more than its 16 MiB of memory
    failed (limit): the connector ran for more than its 1 seconds
    failed (limit): the runner was killed by the operating system: it used more than 1 s of processor time, or memory ran out
    failed (limit): the run wrote 10000 rows, more than its limit `rows` of 5000
    failed (limit): the run wrote more bytes than its limit `bytes_out` of 100
    ");
}

#[test]
fn a_panic_is_told_with_its_words() {
    let app = hostile(&json!({}));
    insta::assert_snapshot!(outcome(&behaves(&app, "panics")), @r"
    failed (bug): the connector crashed: panicked at connectors-wasm/fixtures/src/resources.rs:23:9:
    index out of bounds: the len is 0 but the index is 7
    ");
    insta::assert_snapshot!(outcome(&behaves(&app, "stack_overflow")), @"failed (bug): the connector crashed: it left its memory, as a stack does that grew too large");
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let app = hostile(&json!({"log_bytes": 10_000, "wall_seconds": 2}));
    let run = behaves(&app, "floods_log");
    insta::assert_snapshot!(outcome(&run), @"failed (limit): the connector ran for more than its 2 seconds");
    let log = app.log(run["id"].as_str().unwrap());
    assert!(log.len() < 20_000, "{} bytes", log.len());
    assert!(
        log.contains("lines left out: the run's log is full"),
        "{log}"
    );
}

#[test]
fn rows_without_end_are_cut() {
    let app = hostile(&json!({"rows": 10_000}));
    insta::assert_snapshot!(outcome(&behaves(&app, "endless_rows")), @"failed (limit): the run wrote 20000 rows, more than its limit `rows` of 10000");
    assert_eq!(app.get("/api/catalog/tables").ok()["count"], 0);
}

#[test]
fn hosts_that_were_not_granted_are_not_reached() {
    let internet = Internet::start();
    let app = App::start();
    let fixtures = std::fs::read(component("fixtures")).unwrap();
    // As it comes, it asks for whatever host its settings name.
    app.install_bytes(&wasm::with_manifest(&fixtures, |manifest| {
        manifest["egress"] = json!(["api.example.com"]);
    }));
    let private = [internet.exception(), "169.254.169.254:80".into()];
    let private = private.each_ref().map(String::as_str);
    let dial = |url: String| {
        let run = behaves_with(&app, &json!({"behaviour": "dials", "url": url}), &private);
        internet.named(&outcome(&run))
    };
    insta::assert_snapshot!(dial(internet.url("/secret")), @"failed (limit): `http://internet` was refused: no egress rule in effect for the source `source_0` allows this request. A rule must be in what the connector asks for and in what the source was granted; add `http://internet` to both");
    insta::assert_snapshot!(dial("http://169.254.169.254/latest/meta-data/".into()), @"failed (limit): `http://169.254.169.254` was refused: no egress rule in effect for the source `source_1` allows this request. A rule must be in what the connector asks for and in what the source was granted; add `http://169.254.169.254` to both");
    assert!(internet.seen().is_empty());
}

#[test]
fn lies_and_calls_out_of_order_are_told_as_bugs() {
    let app = hostile(&json!({}));
    insta::assert_snapshot!(outcome(&behaves(&app, "lies_about_table")), @r#"failed (bug): `x"; DROP TABLE users; --` is not a valid table name: use a letter or underscore, then letters, digits and underscores, at most 64"#);
    insta::assert_snapshot!(outcome(&behaves(&app, "out_of_order")), @"failed (bug): table `rows`, row 1: not valid JSON: expected ident at line 1 column 2");
    let as_operation = |source: &str, operation: &str| {
        let run = app.wait(&app.start_as(source, &json!({"operation": operation})));
        outcome(&run)
    };
    insta::assert_snapshot!(as_operation("source_0", "discover"), @"failed (bug): `../../etc/passwd` is not a valid table name: use a letter or underscore, then letters, digits and underscores, at most 64");
    insta::assert_snapshot!(as_operation("source_1", "check"), @"failed (bug): tables, cursors and checkpoints can be written in `sync` only, tables and cursors in `receive` too");
    assert_eq!(app.get("/api/catalog/tables").ok()["count"], 0);
}

#[test]
fn every_kind_of_failure_arrives_as_it_was_returned() {
    let app = hostile(&json!({}));
    for kind in ["config", "auth", "rate-limited", "upstream", "limit", "bug"] {
        let settings = json!({"behaviour": "returns_failure", "kind": kind});
        let run = behaves_with(&app, &settings, &[]);
        assert_eq!(
            outcome(&run),
            format!("failed ({kind}): a failure of kind {kind}")
        );
        let wait = (kind == "rate-limited").then_some(1);
        assert_eq!(run["failure"]["retry_after_seconds"].as_u64(), wait);
    }
}

#[test]
fn what_a_checkpoint_published_stays_when_the_run_fails_later() {
    let app = hostile(&json!({}));
    let settings = json!({"behaviour": "checkpoints", "rows": 3});
    insta::assert_snapshot!(outcome(&behaves_with(&app, &settings, &[])), @"failed (upstream): failed after the checkpoint");
    assert_eq!(
        app.rows("SELECT count(*), max(id) FROM rows"),
        json!([[3, 2]])
    );
}

#[test]
fn a_run_can_be_cancelled_whatever_it_does() {
    let app = hostile(&json!({}));
    let internet = Internet::start();
    internet.page("/tick", "text/plain", "tick");
    internet.held("/held", "text/plain", "it begins");
    let private = [internet.exception()];
    let private = private.each_ref().map(String::as_str);
    let add = |name: &str, behaviour: &str, url: String| {
        let settings = json!({"behaviour": behaviour, "url": url});
        app.add_source(name, "fixtures", &settings, &private);
    };
    add("computes", "loops_forever", internet.url("/"));
    add("writes", "slow_rows", internet.url("/tick"));
    add("waits", "slow_rows", internet.url("/held"));

    let run = app.start("computes");
    until("the runner runs", || !app.runners().is_empty());
    let waiting = app.start("computes");
    let path = format!("/api/runs/{waiting}/cancel");
    assert_eq!(outcome(&app.post(&path, &json!({})).ok()), "cancelled");
    cancel(&app, &run);
    let run = app.start("writes");
    internet.wait_for("/tick", 10);
    cancel(&app, &run);
    let run = app.start("waits");
    internet.wait_for("/held", 1);
    cancel(&app, &run);
    assert_eq!(app.get("/api/catalog/tables").ok()["count"], 0);
}

#[test]
fn a_body_that_is_on_its_way_to_a_table_can_be_cancelled() {
    let shop = Shop::with_orders();
    shop.internet
        .held("/orders.csv", "text/csv", "id,customer\n1,Ada\n");
    let run = shop.start("shop");
    shop.internet.wait_for("/orders.csv", 2);
    cancel(&shop, &run);
    assert_eq!(shop.orders(), count(3));
}

#[track_caller]
fn cancel(app: &App, run: &str) {
    app.post(&format!("/api/runs/{run}/cancel"), &json!({}))
        .ok();
    assert_eq!(outcome(&app.wait(run)), "cancelled");
    assert_well(app);
    let again = app.post(&format!("/api/runs/{run}/cancel"), &json!({}));
    insta::allow_duplicates! {
        insta::assert_snapshot!(again.detail().replace(run, "RUN"), @"409 run RUN is not under way");
    }
}

#[test]
fn the_runner_owns_nothing() {
    let internet = Internet::start();
    internet.held("/a.csv", "text/csv", "id\n1\n");
    let app = App::with(integration_tests::Options {
        environment: vec![("CANARY".into(), "in the server's environment".into())],
        ..Default::default()
    });
    app.install("files");
    let settings = files::settings([files::csv("a", &internet.url("/a.csv"))]);
    app.add_source("shop", "files", &settings, &[&internet.exception()]);
    let run = app.start("shop");
    internet.wait_for("/a.csv", 1);

    let runners = app.runners();
    assert_eq!(runners.len(), 1);
    let proc = format!("/proc/{}", runners[0]);
    let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
    let walls = [
        "NoNewPrivs:\t1",
        "CapEff:\t0000000000000000",
        "Seccomp:\t2",
        // What may be called, and that nothing new may be executed.
        "Seccomp_filters:\t2",
    ];
    for line in walls {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    // Behind the name, which ends with the last bracket, it is field 19 of which the state is field 3.
    let stat = std::fs::read_to_string(format!("{proc}/stat")).unwrap();
    let nice = stat.rsplit(')').next().unwrap().split_whitespace().nth(16);
    assert_eq!(nice, Some("10"), "a guest stands back behind the server");
    // Whoever is not root may not even look: the runner is not dumpable.
    if let Some(environment) = allowed(std::fs::read(format!("{proc}/environ"))) {
        assert_eq!(environment, b"");
        let descriptors = std::fs::read_dir(format!("{proc}/fd")).unwrap();
        let targets = descriptors.map(|entry| {
            let target = std::fs::read_link(entry.unwrap().path()).unwrap();
            target.display().to_string()
        });
        // Two names of one thing count once.
        let targets: BTreeSet<_> = targets.collect();
        let kinds = targets
            .iter()
            .map(|target| target.split([':', ' ']).next().unwrap());
        insta::assert_snapshot!(kinds.collect::<Vec<_>>().join(" "), @"/memfd pipe socket");
        let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
    }
    cancel(&app, &run);
}

fn allowed<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => None,
        Err(error) => panic!("{error}"),
    }
}
