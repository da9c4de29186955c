//! What the two walls cost: instances, starts, runs, memory, and what many of them do to the server.

mod cancel;
mod crowd;
mod health;
mod rehearsal;
mod start;

use integration_tests::{App, Internet, Options};

use crate::Scale;
use crate::report::{Aim, Report, Row};
use crate::samples::Samples;

const METHOD: &str = "\
Where a line names no peer, the peer is the very same measured again, in turns: how far both are apart is noise. *Warm* is one
instance of a Rust component of 190 kB in one confined runner, from an empty store to the return of its `check` and the end
of the store. *Cold* is a run of `check` from the request that starts it to the moment when a web server on this machine has the
component's first own request in its hands: API, state, signature, process, confinement, loading, instance, resolving, gate
and connection are in it. *Without walls* is the extraction bench's very connector, rows, broker, gate and
warehouse, with the component on a thread of the broker's own process; socket and frames stay, what goes is the process, its
confinement and the switch between the two. *At once* is a server with `runs.max_at_once` of 100 whose components all
wait for the same web server to go on. *Health* is `GET /api/health` every 2 ms from one client, counted from when a request was due.";

/// The same measured twice.
pub type Twice = [Samples; 2];

/// Measures.
pub fn bench(scale: Scale) -> Report {
    let internet = Internet::start();
    let mut rows = rehearsal::warm(scale);
    rows.extend(rehearsal::walls(scale, &internet));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("sluice.yaml");
    let text = "config_version: 1\nruns:\n  max_at_once: 100\n";
    std::fs::write(&config, text).expect("it can be written");
    let app = App::with(Options {
        arguments: vec!["--config".into(), config.display().to_string()],
        ..Options::default()
    });
    app.install("files");
    app.install("fixtures");
    let starts = [
        start::cold(scale, &app, &internet),
        start::runner_alone(scale),
    ];
    rows.splice(1..1, starts);
    rows.extend(health::under_load(scale, &app));
    rows.extend(cancel::cancelled(scale, &app, &internet));
    rows.extend(crowd::at_once(scale, &app, &internet));
    Report {
        name: "sandbox",
        title: "Sandbox: what the two walls cost",
        method: METHOD,
        rows,
        notes: vec![
            "The first line is what a receiver's warm runner pays for each batch of webhooks, beside the frames of their \
             deliveries and the publish."
                .into(),
            "A runner spends most of its start in the dynamic loader, on the library of DuckDB, which the one binary needs and a \
             runner does not. The rest of a cold run is mostly the state, which writes down durably that the run is wanted before \
             anything starts."
                .into(),
            "Runners stand back behind the server by their priority (`nice` 10). The health check is answered from a look at the \
             state that is at most a second old; a route that asks the state each time needs a few milliseconds of processor \
             time, and waits for its share of it while eight components compute on two cores."
                .into(),
            "Memory of a runner is what only it has; program and library are shared by all runners and the server."
                .into(),
        ],
    }
}

/// A line whose peer is the same measured again.
fn twice(work: impl Into<String>, measured: Twice, unit: &'static str, aim: Aim) -> Row {
    let [ours, again] = measured;
    Row {
        work: work.into(),
        ours,
        peer: Some(again),
        unit,
        aim,
    }
}
