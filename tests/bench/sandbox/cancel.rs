//! How long a run goes on that somebody cancels.

use std::time::Instant;

use integration_tests::{App, Internet, until};
use serde_json::json;

use super::{Twice, twice};
use crate::Scale;
use crate::report::{Aim, Row};

const HELD: &str = "/held";

/// In a loop that calls nobody, and in a host call that does not return.
pub fn cancelled(scale: Scale, app: &App, internet: &Internet) -> Vec<Row> {
    internet.held(HELD, "text/plain", "it begins");
    for (name, behaviour) in [("loops", "loops_forever"), ("waits", "slow_rows")] {
        let settings = json!({"behaviour": behaviour, "url": internet.url(HELD)});
        app.add_source(name, "fixtures", &settings, &[&internet.exception()]);
    }
    let (mut looping, mut waiting) = (Twice::default(), Twice::default());
    for turn in 0..2 * scale.of(9, 1) {
        let run = app.start("loops");
        until("the runner runs", || !app.runners().is_empty());
        looping[turn % 2].push(ended(app, &run));
        let run = app.start("waits");
        internet.wait_for(HELD, turn + 1);
        waiting[turn % 2].push(ended(app, &run));
    }
    let aim = Aim::AtMost(1_000.0);
    vec![
        twice(
            "cancelled in a loop: until the run's end is told",
            looping,
            "ms",
            aim,
        ),
        twice(
            "cancelled in a host call: until the run's end is told",
            waiting,
            "ms",
            aim,
        ),
    ]
}

/// Milliseconds from the request that cancels to the last event.
fn ended(app: &App, run: &str) -> f64 {
    let began = Instant::now();
    app.post(&format!("/api/runs/{run}/cancel"), &json!({}))
        .ok();
    assert_eq!(app.wait(run)["state"], "cancelled");
    began.elapsed().as_secs_f64() * 1e3
}
