//! Runs the peers: plain DuckDB in Python, a fresh process for each measurement.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::samples::Samples;

const PYTHON: &str = ".tools/py/bin/python";

/// A peer's process, not started yet.
pub fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new(PYTHON);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a measurement of peer.py.
pub fn measure(arguments: &[&str]) -> Value {
    let output = python(&["tests/bench/peer.py"]).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{PYTHON} cannot be started: {error}. `./dev setup` makes it.")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the peer failed: {errors}");
    serde_json::from_slice(&output.stdout).expect("the peer prints JSON")
}

/// One number of a measurement.
pub fn figure(measured: &Value, name: &str) -> f64 {
    measured[name].as_f64().expect("the peer measured this")
}

/// All latencies of a measurement, in seconds.
pub fn latencies(measured: &Value) -> Samples {
    let latencies = measured["latencies"]
        .as_array()
        .expect("the peer measured latencies");
    latencies
        .iter()
        .filter_map(Value::as_f64)
        .collect::<Vec<_>>()
        .into()
}

/// The peer's version of DuckDB, which the launcher keeps equal to ours.
pub fn version() -> String {
    let output = python(&["-c", "import duckdb; print(duckdb.__version__)"]).output();
    let output = output.expect("the peer starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
