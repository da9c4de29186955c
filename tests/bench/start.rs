//! What it costs to start: the server, and a run.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use integration_tests::{App, Client, Internet, sluice};
use serde_json::json;
use ureq::http::Method;

use crate::Scale;
use crate::peer::python;
use crate::report::{Aim, Report, Row};
use crate::samples::Samples;

const METHOD: &str = "\
Server: from the start of the process to the first answer of its health check, on a data folder that does not exist yet and
on one that does. Peer: Python's own web server with DuckDB loaded, the least that a server in Python needs. Run: a run
that does nothing (`discover`, which asks no one), from the request that starts it to its last event: process, confinement,
loading the component, the call, the end. Peer: a Python process that imports `duckdb`, `json` and `urllib.request` and
ends, the least that a connector as a Python script needs.";

/// Measures.
pub fn bench(scale: Scale) -> Report {
    let turns = scale.of(15, 3);
    let app = App::start();
    app.install("files");
    let internet = Internet::start();
    internet.page("/t.csv", "text/csv", "a\n1\n");
    let settings =
        json!({"tables": [{"name": "t", "url": internet.url("/t.csv"), "format": "csv"}]});
    app.add_source("empty", "files", &settings, &[&internet.exception()]);
    let known = tempfile::tempdir().expect("a temporary folder");
    first_answer(server(known.path()));
    let [mut fresh, mut again, mut peer, mut run, mut script] =
        std::array::from_fn(|_| Samples::default());
    for turn in 0..=turns {
        let new = tempfile::tempdir().expect("a temporary folder");
        let measured = [
            first_answer(server(&new.path().join("data"))),
            first_answer(server(known.path())),
            first_answer(python_server),
            empty_run(&app),
            script_start(),
        ];
        // The first turn warms caches up on both sides.
        if turn > 0 {
            let all = [&mut fresh, &mut again, &mut peer, &mut run, &mut script];
            all.into_iter()
                .zip(measured)
                .for_each(|(samples, seconds)| samples.push(seconds));
        }
    }
    println!("{turns} turns");
    let line = |work: &str, ours: Samples, peer: &Samples| Row {
        work: work.to_owned(),
        ours: ours.map(|s| s * 1e3),
        peer: Some(peer.map(|s| s * 1e3)),
        unit: "ms",
        aim: Aim::Nothing,
    };
    Report {
        name: "start",
        title: "Start: the server, and a run",
        method: METHOD,
        rows: vec![
            line(
                "server on a new data folder, to the first answer",
                fresh,
                &peer,
            ),
            line(
                "server on a known data folder, to the first answer",
                again,
                &peer,
            ),
            line("a run that does nothing", run, &script),
        ],
        notes: vec!["Less is better.".into()],
    }
}

fn server(data: &Path) -> impl Fn(u16) -> Command {
    move |port| {
        let mut command = sluice();
        command
            .args([
                "serve",
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--data-dir",
            ])
            .arg(data);
        command
    }
}

fn python_server(port: u16) -> Command {
    python(&["tests/bench/peer.py", "serve", &port.to_string()])
}

/// A process that is killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server on a free port; seconds until it answers its health check.
fn first_answer(command: impl Fn(u16) -> Command) -> f64 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a free port").port();
    let client = Client::new(&format!("http://127.0.0.1:{port}"), None);
    let began = Instant::now();
    let child = command(port)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _running = Running(child.expect("it starts"));
    while began.elapsed() < Duration::from_secs(60) {
        match client.try_send(Method::GET, "/api/health", &[], &[]) {
            Ok(answer) if answer.status == 200 => return began.elapsed().as_secs_f64(),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("nobody answers on port {port}")
}

fn empty_run(app: &App) -> f64 {
    let began = Instant::now();
    let run = app
        .post("/api/sources/empty/runs", &json!({"operation": "discover"}))
        .ok();
    let run = app.wait(run["id"].as_str().expect("a run has an id"));
    assert_eq!(run["state"], "succeeded", "{run}");
    began.elapsed().as_secs_f64()
}

fn script_start() -> f64 {
    let began = Instant::now();
    let status = python(&["-c", "import duckdb, json, urllib.request"]).status();
    assert!(status.expect("the peer starts").success());
    began.elapsed().as_secs_f64()
}
