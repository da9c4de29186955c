//! A run from the request that starts it to the first that its component makes itself.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::response::IntoResponse;
use integration_tests::{App, Internet, sluice};
use serde_json::json;

use super::{Twice, twice};
use crate::Scale;
use crate::report::{Aim, Row};

/// Process start and confinement included.
pub fn cold(scale: Scale, app: &App, internet: &Internet) -> Row {
    let arrived = Arc::new(Mutex::new(None));
    let arrival = arrived.clone();
    internet.handle("/first", move |_| {
        *arrival.lock().expect("not poisoned") = Some(Instant::now());
        "here it is".into_response()
    });
    let settings = json!({"behaviour": "dials", "url": internet.url("/first")});
    app.add_source("cold", "fixtures", &settings, &[&internet.exception()]);
    let mut measured = Twice::default();
    let turns = 2 * scale.of(25, 3);
    for turn in 0..turns + 2 {
        let began = Instant::now();
        let run = app.start_as("cold", &json!({"operation": "check"}));
        let run = app.wait(&run);
        assert_eq!(run["state"], "succeeded", "{run}");
        let arrived = arrived.lock().expect("not poisoned").take();
        let taken = arrived.expect("the component asked").duration_since(began);
        // The first turns warm caches up.
        if turn > 1 {
            measured[turn % 2].push(taken.as_secs_f64() * 1e3);
        }
    }
    let work = "cold: from the request that starts a run to the component's first own";
    twice(work, measured, "ms", Aim::AtMost(25.0))
}

/// The part of that which is the process: it starts, confines itself, finds nobody to work for, and ends.
pub fn runner_alone(scale: Scale) -> Row {
    let mut measured = Twice::default();
    for turn in 0..2 * scale.of(25, 3) {
        let began = Instant::now();
        let ended = sluice()
            .arg("runner")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert_eq!(ended.expect("it starts").code(), Some(1));
        measured[turn % 2].push(began.elapsed().as_secs_f64() * 1e3);
    }
    let work = "of that, a runner's process: start, confinement, end";
    twice(work, measured, "ms", Aim::Nothing)
}
