//! Whether components that compute without an end delay the API.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration_tests::{App, until};
use serde_json::json;

use super::{Twice, twice};
use crate::Scale;
use crate::connection::Connection;
use crate::report::{Aim, Row};

const GUESTS: usize = 8;

/// How often the health of the server is asked for.
const PAUSE: Duration = Duration::from_millis(2);

/// p99 of the health check while nobody computes, and while eight components do.
pub fn under_load(scale: Scale, app: &App) -> Vec<Row> {
    let seconds = scale.of(5.0, 2.0);
    let names: Vec<String> = (0..GUESTS).map(|guest| format!("spins_{guest}")).collect();
    for name in &names {
        // Without a service to ask, it needs no address.
        let settings = json!({"behaviour": "loops_forever", "url": "https://example.com"});
        app.add_source(name, "fixtures", &settings, &[]);
    }
    let (mut idle, mut busy) = (Twice::default(), Twice::default());
    for turn in 0..2 * scale.of(5, 1) {
        idle[turn % 2].push(p99(app, seconds));
        let runs: Vec<String> = names.iter().map(|name| app.start(name)).collect();
        // What a start writes down, and waits for the disk to keep, is not what is measured here.
        until("all of them run", || {
            let state = |run: &String| app.get(&format!("/api/runs/{run}")).ok()["state"].take();
            runs.iter().all(|run| state(run) == "running")
        });
        busy[turn % 2].push(p99(app, seconds));
        for run in &runs {
            app.post(&format!("/api/runs/{run}/cancel"), &json!({}))
                .ok();
        }
        for run in &runs {
            assert_eq!(app.wait(run)["state"], "cancelled");
        }
    }
    let work = format!("p99 of the health check while {GUESTS} components compute without an end");
    vec![
        twice(work, busy, "ms", Aim::AtMost(50.0)),
        twice("the same while nobody computes", idle, "ms", Aim::Nothing),
    ]
}

fn p99(app: &App, seconds: f64) -> f64 {
    let over = AtomicBool::new(false);
    let url = &app.url;
    let latencies = std::thread::scope(|scope| {
        let asking =
            scope.spawn(|| Connection::new(url, "/api/health", None).ask_every(PAUSE, &over));
        std::thread::sleep(Duration::from_secs_f64(seconds));
        over.store(true, Ordering::Relaxed);
        asking.join().expect("the client went on")
    });
    latencies.percentile(0.99) * 1e3
}
