//! Against programs that move data from APIs, as people use them today.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::Stage;
use crate::peer::figure;
use crate::report::{Aim, Row};
use crate::samples::Samples;

const PYTHON: &str = ".tools/peers/bin/python";

/// The rows over HTTP, and which versions they were compared with.
pub fn bench(stage: &Stage, rows: u64, turns: usize) -> (Vec<Row>, String) {
    let url = stage.internet.url("/orders");
    let [mut ours, mut dlt, mut airbyte] = [const { Vec::new() }; 3];
    for turn in 0..turns {
        let began = Instant::now();
        stage.app.run("json");
        ours.push(began.elapsed().as_secs_f64());
        let folder = tempfile::tempdir().expect("a temporary folder");
        dlt.push(seconds(
            &["dlt", &url, &folder.path().display().to_string()],
            rows,
        ));
        airbyte.push(seconds(&["airbyte", &url], rows));
        println!("dlt and airbyte-cdk: turn {} of {turns}", turn + 1);
    }
    let a_second = |seconds: Vec<f64>| Samples::from(seconds).map(|s| rows as f64 / s);
    let ours = a_second(ours);
    let versions = measured(&["versions"]);
    let line = |name: &str, peer: Vec<f64>| Row {
        work: format!("the pages of JSON; peer: {name}"),
        ours: ours.clone(),
        peer: Some(a_second(peer)),
        unit: "rows/s",
        aim: Aim::TimesPeer(30.0),
    };
    let lines = vec![
        line("dlt", dlt),
        line("airbyte-cdk, reading alone", airbyte),
    ];
    let [dlt, airbyte] = ["dlt", "airbyte-cdk"].map(|name| versions[name].as_str().unwrap_or("?"));
    (
        lines,
        format!("dlt {dlt}, airbyte-cdk {airbyte}, from PyPI."),
    )
}

fn seconds(arguments: &[&str], rows: u64) -> f64 {
    let measured = measured(arguments);
    assert_eq!(measured["rows"], json!(rows), "the peer reads all of them");
    figure(&measured, "seconds")
}

fn measured(arguments: &[&str]) -> Value {
    let mut command = Command::new(PYTHON);
    command
        .arg("tests/bench/peers.py")
        .args(arguments)
        .stdin(Stdio::null());
    let output = command.output();
    let output = output.unwrap_or_else(|error| {
        panic!("{PYTHON} cannot be started: {error}. `./dev bench extract` makes it.")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the peer failed: {errors}");
    // What these print themselves stands before it.
    let said = String::from_utf8_lossy(&output.stdout);
    let document = said.lines().last().unwrap_or_default();
    serde_json::from_str(document).expect("the peer prints JSON")
}
