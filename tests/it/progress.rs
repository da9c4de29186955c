//! How far a run is, live and afterwards: over the API, on a terminal, and for programs.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Output;

use integration_tests::internet::Gate;
use integration_tests::{App, Internet, outcome, shown};
use serde_json::{Value, json};

/// A server whose source `shop` reads two pages, each of which ends when the gate says so.
struct World {
    app: App,
    _internet: Internet,
    gate: Gate,
}

impl World {
    fn open() -> Self {
        let (app, internet) = (App::start(), Internet::start());
        app.install("fixtures");
        let head = r#"[{"id": 1, "at": "2026-01-01T00:00:00Z"}, {"id": 2, "at": null}"#;
        let gate = internet.gated("/rows", "application/json", head, "]");
        let settings = json!({"behaviour": "pages", "url": internet.url("/rows"), "kind": "append",
            "text": "orders", "rows": 2});
        app.add_source("shop", "fixtures", &settings, &[&internet.exception()]);
        Self {
            app,
            _internet: internet,
            gate,
        }
    }

    /// Reads the progress of a run until one is like this, and gives it.
    #[track_caller]
    fn progress_until(&self, run: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        self.app.events(run, |name, event| {
            let progress = &event["progress"];
            if name == "progress" && is_it(progress) {
                found = Some(progress.clone());
            }
            found.is_none()
        });
        found.expect("it came before the run ended")
    }

    /// A command that watches a run to its end.
    fn watched(&self, program: &str, arguments: &[&str]) -> Output {
        let sluice = self.app.cli();
        let mut command = std::process::Command::new(program);
        command.args(arguments);
        for (name, value) in sluice.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("SLUICE", sluice.get_program());
        // A terminal that says nothing of itself is taken for one that cannot draw.
        command.env("TERM", "xterm");
        self.gate.let_one_through();
        self.gate.let_one_through();
        command.output().expect("it starts")
    }
}

#[test]
fn progress_comes_each_second_with_counts_percent_and_table_also_to_who_comes_late() {
    let mut world = World::open();
    let run = world.app.start("shop");
    world.gate.let_one_through();
    let progress = world.progress_until(&run, |progress| progress["done"] == 1);
    for (key, value) in [
        ("percent", json!(50)),
        ("total", json!(2)),
        ("rows", json!(2)),
    ] {
        assert_eq!(progress[key], value, "{progress}");
    }
    assert_eq!(
        (&progress["table"], &progress["requests"]),
        (&json!("orders"), &json!(2))
    );
    assert_eq!(progress["message"], "reading pages");
    for key in ["bytes_in", "bytes_out"] {
        assert!(progress[key].as_u64() > Some(0), "{key}: {progress}");
    }
    assert!(progress["rate"].is_u64(), "{progress}");

    // Who comes now is told at once how it stands, and then again and again although nothing happens.
    let mut told = Vec::new();
    world.app.events(&run, |name, event| {
        told.push((name.to_owned(), event.clone()));
        told.len() < 5
    });
    assert_eq!(told[0].1["run"]["state"], "running");
    for (name, event) in &told[1..] {
        assert_eq!(
            (name.as_str(), &event["progress"]["percent"]),
            ("progress", &json!(50))
        );
    }

    world.gate.let_one_through();
    let ended = world.app.wait(&run);
    assert_eq!(outcome(&ended), "succeeded");
    let series = world.app.get(&format!("/api/runs/{run}/series")).ok();
    world.app.restart();
    let kept = world.app.get(&format!("/api/runs/{run}/series")).ok();
    assert_eq!(kept, series, "it outlives the run and the server");
    let points = series["points"].as_array().unwrap();
    assert!((3..=120).contains(&points.len()), "{series}");
    assert!(
        points.is_sorted_by_key(|point| (point["milliseconds"].as_u64(), point["rows"].as_u64()))
    );
    let last = points.last().unwrap();
    for key in ["rows", "bytes_in", "bytes_out", "requests"] {
        assert_eq!(last[key], ended["counts"][key], "{key}");
    }
    assert_eq!(last["rows"], 4);
}

#[test]
fn who_may_not_run_a_source_does_not_see_how_its_runs_went() {
    let world = World::open();
    let nobody = "00000000-0000-7000-8000-000000000000";
    let unknown = world.app.get(&format!("/api/runs/{nobody}/series"));
    assert_eq!(unknown.status, 404);
    let path = format!("/api/runs/{nobody}/series");
    assert_eq!(world.app.anonymous().get(&path).status, 401);
}

#[test]
fn on_a_terminal_a_bar_fills_and_elsewhere_there_are_plain_lines_or_one_of_json() {
    let world = World::open();
    let bar = world.watched(
        "script",
        &[
            "--quiet",
            "--return",
            "--command",
            "\"$SLUICE\" run shop",
            "/dev/null",
        ],
    );
    assert!(bar.status.success(), "{}", shown(&bar));
    let drawn = String::from_utf8_lossy(&bar.stdout).into_owned();
    assert!(drawn.contains('\u{1b}'), "the line is drawn anew: {drawn}");
    assert!(drawn.contains("succeeded"), "{drawn}");

    let plain = world.watched("sh", &["-c", "\"$SLUICE\" run shop"]);
    assert!(plain.status.success(), "{}", shown(&plain));
    assert!(!shown(&plain).contains('\u{1b}'), "{}", shown(&plain));
    assert!(shown(&plain).contains("4 rows, "), "{}", shown(&plain));

    let json = world.watched("sh", &["-c", "\"$SLUICE\" run shop --json"]);
    assert!(json.status.success(), "{}", shown(&json));
    assert_eq!(String::from_utf8_lossy(&json.stderr), "");
    let run: Value = serde_json::from_slice(&json.stdout).expect("nothing but JSON");
    assert_eq!(
        (&run["state"], &run["counts"]["rows"]),
        (&json!("succeeded"), &json!(4))
    );
}

#[test]
fn a_watcher_who_reads_nothing_holds_no_run_up() {
    let app = App::start();
    app.install("fixtures");
    let settings = json!({"behaviour": "logs_lines", "rows": 5_000});
    app.add_source("shop", "fixtures", &settings, &[]);
    let run = app.start("shop");
    let mut idle = TcpStream::connect(app.url.strip_prefix("http://").unwrap()).unwrap();
    let token = app.token.as_deref().unwrap();
    let request = format!(
        "GET /api/runs/{run}/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    idle.write_all(request.as_bytes()).unwrap();
    // More lines than a watcher may fall behind, and it takes none of them.
    assert_eq!(
        outcome(&app.wait(&run)),
        "failed (upstream): every line was logged"
    );
    assert!(app.log(&run).lines().count() >= 5_000);
    drop(idle);
}
