//! What the sandbox costs a connector that shapes its rows itself: against the same code without it.

use std::process::Command;
use std::time::Instant;

use serde_json::json;

use super::Stage;
use crate::report::{Aim, Row, number};
use crate::samples::Samples;

/// Records of JSON and batches of Arrow, from the component and natively.
pub fn bench(stage: &Stage, rows: u64, turns: usize) -> Vec<Row> {
    let kinds = [
        ("records", "shaped as JSON", 0.5),
        ("arrow", "as Arrow", 0.7),
    ];
    for (work, ..) in kinds {
        stage.add_workload(work, &json!({"work": work, "rows": rows}));
    }
    let mut measured = [const { [Vec::new(), Vec::new()] }; 2];
    for turn in 0..=turns {
        for ((work, ..), [ours, native]) in kinds.iter().zip(&mut measured) {
            let began = Instant::now();
            let run = stage.app.run(work);
            let seconds = began.elapsed().as_secs_f64();
            assert_eq!(run["state"], "succeeded", "{run}");
            let alone = natively(work, rows);
            // The first turn warms caches up.
            if turn > 0 {
                ours.push(seconds);
                native.push(alone);
            }
        }
        println!("native: turn {turn} of {turns}");
    }
    let lines = kinds.into_iter().zip(measured);
    let line = lines.map(|((_, how, aim), sides)| {
        let [ours, native] = sides.map(|s| Samples::from(s).map(|s| rows as f64 / s));
        Row {
            work: format!(
                "{} rows {how} by a guest; peer: the same code native",
                number(rows as f64)
            ),
            ours,
            peer: Some(native),
            unit: "rows/s",
            aim: Aim::TimesPeer(aim),
        }
    });
    line.collect()
}

/// The seconds of the same work in a process of its own.
fn natively(work: &str, rows: u64) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = std::env::current_exe().expect("a program has a path");
    let mut command = Command::new(own);
    command
        .args(["native", work, &rows.to_string()])
        .arg(folder.path());
    let output = command.output().expect("this very program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().expect("it prints seconds")
}
