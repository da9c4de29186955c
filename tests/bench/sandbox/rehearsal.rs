//! What a program of its own measures, since no command of the server does: warm instances, and runs without walls.

use std::process::Command;

use integration_tests::{Internet, component, sluice};
use serde_json::{Value, json};

use super::{Twice, twice};
use crate::Scale;
use crate::load;
use crate::report::{Aim, Row};
use crate::samples::Samples;

const PAGE: u64 = 5_000;

/// Instances that are made before one counts.
const WARMING: usize = 50;

/// Instance and call in a warm runner.
pub fn warm(scale: Scale) -> Vec<Row> {
    let mut measured = Twice::default();
    let settings = json!({"behaviour": "rows"}).to_string();
    let file = component("fixtures").display().to_string();
    for turn in 0..2 * scale.of(9, 2) {
        let said = rehearsed(&["warm", &file, &settings, "1000"]);
        let times = numbers(&said).into_iter().skip(WARMING);
        let times = Samples::from(times.collect::<Vec<_>>());
        measured[turn % 2].push(times.median());
    }
    let work = "warm: an instance and a call";
    vec![twice(work, measured, "µs", Aim::AtMost(50.0))]
}

/// The same runs with walls and without.
pub fn walls(scale: Scale, internet: &Internet) -> Vec<Row> {
    let rows = scale.of(200_000, 20_000);
    load::serve_pages(internet, rows, PAGE);
    load::serve_body(internet, "/orders.csv", "text/csv", load::csv(0, rows));
    let pages = json!({"name": "orders_json", "url": internet.url("/orders"), "format": "json",
        "records": "/orders", "next": "/next"});
    let file = json!({"name": "orders_csv", "url": internet.url("/orders.csv"), "format": "csv"});
    let settings = [pages, file].map(|table| json!({"tables": [table]}).to_string());
    let program = sluice().get_program().display().to_string();
    let connector = component("files").display().to_string();
    let turns = scale.of(9, 2).to_string();
    let said = rehearsed(&[
        "walls",
        &connector,
        &program,
        &internet.exception(),
        &turns,
        &settings[0],
        &settings[1],
    ]);
    let kinds = said.as_array().expect("a list").iter().zip(["JSON", "CSV"]);
    kinds
        .flat_map(|(sides, kind)| contest(kind, sides))
        .collect()
}

fn contest(kind: &str, sides: &Value) -> [Row; 2] {
    let side = |index: usize| Samples::from(numbers(&sides[index])).map(|seconds| seconds * 1e3);
    let walled = twice(
        format!("a run over {kind} with both walls; peer: without walls"),
        [side(0), side(1)],
        "ms",
        Aim::AtMostTimesPeer(1.1),
    );
    let work = format!("the same over {kind} without walls");
    [walled, twice(work, [side(1), side(2)], "ms", Aim::Nothing)]
}

/// What the program `rehearsal` of the server's examples says.
fn rehearsed(arguments: &[&str]) -> Value {
    let sluice = sluice();
    let folder = std::path::Path::new(sluice.get_program()).parent();
    let program = folder
        .expect("it lies in a folder")
        .join("examples/rehearsal");
    let output = Command::new(&program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "{} cannot be started: {error}. `cargo build --package server --examples` makes it",
            program.display()
        )
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn numbers(list: &Value) -> Vec<f64> {
    let numbers = list.as_array().expect("a list of numbers");
    numbers.iter().filter_map(Value::as_f64).collect()
}
