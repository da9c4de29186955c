//! What a run holds in memory, and that it holds no more for many rows than for few.

use serde_json::json;

use super::Stage;
use crate::Scale;
use crate::load;
use crate::process::{Watch, resident};
use crate::report::{Aim, Row, number};
use crate::samples::Samples;

const PAGE: u64 = 1_000;

/// Few rows and twenty times as many, each by a server that has done nothing before.
pub fn bench(scale: Scale) -> Vec<Row> {
    let few = scale.of(200_000, 20_000);
    let [mut with_few, mut with_many] = [const { Vec::new() }; 2];
    for turn in 0..scale.of(3, 1) {
        with_few.push(peak(few, few));
        with_many.push(peak(few, 20 * few));
        println!("memory: turn {}", turn + 1);
    }
    let [with_few, with_many] = [with_few, with_many].map(Samples::from);
    let line = |rows: u64, ours, peer, unit, aim| Row {
        work: format!(
            "peak memory over the idle server, {} rows of JSON",
            number(rows as f64)
        ),
        ours,
        peer,
        unit,
        aim,
    };
    let mut against = line(
        20 * few,
        with_many.clone(),
        Some(with_few.clone()),
        "MB",
        Aim::AtMostTimesPeer(1.2),
    );
    against
        .work
        .push_str(&format!("; peer: {} rows", number(few as f64)));
    vec![
        line(few, with_few, None, "MB", Aim::AtMost(150.0)),
        line(20 * few, with_many, None, "MB", Aim::AtMost(150.0)),
        against,
    ]
}

/// How many megabytes server and runner hold at most beyond those of the server before.
fn peak(served: u64, rows: u64) -> f64 {
    let stage = Stage::open();
    load::serve_pages(&stage.internet, served, PAGE);
    let url = stage.internet.url(&format!("/orders?of={}", rows / PAGE));
    let table = json!({"name": "orders", "url": url, "format": "json", "records": "/orders", "next": "/next"});
    let exception = stage.internet.exception();
    stage.app.add_source(
        "orders",
        "files",
        &json!({"tables": [table]}),
        &[&exception],
    );
    let idle = resident(stage.app.pid()) as f64 / 1e6;
    let watch = Watch::start(stage.app.pid());
    let run = stage.app.run("orders");
    assert_eq!(run["state"], "succeeded", "{run}");
    let held = watch.megabytes();
    assert_eq!(
        stage.app.rows("SELECT count(*) FROM orders")[0][0],
        json!(rows)
    );
    held - idle
}
