//! A thousand sources, and a hundred of them at once.

use std::time::Instant;

use integration_tests::{App, Internet, files};

use super::{Twice, twice};
use crate::Scale;
use crate::process::{own_bytes, resident};
use crate::report::{Aim, Row};

const PAGE: &str = "/crowd.csv";

/// What a thousand sources cost that do nothing, and a hundred that run.
pub fn at_once(scale: Scale, app: &App, internet: &Internet) -> Vec<Row> {
    let (sources, runs) = scale.of((1_000, 100), (40, 8));
    let gate = internet.gated(PAGE, "text/csv", "id\n1\n", "2\n");
    let mut idle = Twice::default();
    for (half, idle) in idle.iter_mut().enumerate() {
        let before = resident(app.pid());
        let some = sources / 2;
        (half * some..(half + 1) * some).for_each(|source| add(app, internet, source));
        let more = resident(app.pid()) as f64 - before as f64;
        idle.push(more / 1e3 / some as f64);
    }
    println!("{sources} sources are there");
    let [mut memory, mut until_all_run, mut until_all_are_done] = <[Twice; 3]>::default();
    for turn in 0..2 {
        let began = Instant::now();
        let names = (0..runs).map(|run| name(run * (sources / runs)));
        let started: Vec<String> = names.map(|name| app.start(&name)).collect();
        internet.wait_for(PAGE, (turn + 1) * runs);
        until_all_run[turn % 2].push(began.elapsed().as_secs_f64());
        let runners = app.runners();
        assert_eq!(runners.len(), runs, "they run at once");
        let bytes: u64 = runners.into_iter().map(own_bytes).sum();
        memory[turn % 2].push(bytes as f64 / 1e6 / runs as f64);
        let began = Instant::now();
        (0..runs).for_each(|_| gate.let_one_through());
        for run in started {
            let run = app.wait(&run);
            assert_eq!(run["state"], "succeeded", "{run}");
        }
        until_all_are_done[turn % 2].push(began.elapsed().as_secs_f64());
    }
    let all = format!("{sources} sources, {runs} of them at once");
    vec![
        twice(
            "memory of a source that does nothing",
            idle,
            "kB",
            Aim::Nothing,
        ),
        twice(
            "memory of a runner that waits for a body",
            memory,
            "MB",
            Aim::Nothing,
        ),
        twice(
            format!("{all}: until every component waits"),
            until_all_run,
            "s",
            Aim::Nothing,
        ),
        twice(
            "until all of them have succeeded",
            until_all_are_done,
            "s",
            Aim::Nothing,
        ),
    ]
}

fn name(source: usize) -> String {
    format!("crowd_{source:04}")
}

fn add(app: &App, internet: &Internet, source: usize) {
    let name = name(source);
    let table = files::csv(&name, &internet.url(PAGE));
    app.add_source(
        &name,
        "files",
        &files::settings([table]),
        &[&internet.exception()],
    );
}
