//! Measures, and writes down what it measured: `./dev bench extract|query|start|auth|sandbox`.
//!
//! Each bench measures Sluice and a peer in turns, in the same minutes on the same machine, and says by how much the
//! repetitions differed. A debug build measures too, to see that the bench works, and writes nothing.

mod auth;
mod connection;
mod extract;
mod load;
mod machine;
mod native;
mod peer;
mod process;
mod query;
mod rebuild;
mod report;
mod samples;
mod sandbox;
mod start;

use std::path::Path;
use std::process::ExitCode;

use crate::report::Report;

const USAGE: &str = "usage: bench extract|query|start|auth|sandbox [--quick]

  extract   200,000 rows over HTTP through a connector into parquet; beside it DuckDB, dlt, airbyte-cdk and native code
  query     500 tables in 50 sources: rebuild, first query, queries a second; 5,000 in 500: rebuild
  start     from the command to the first answer, and what starting a run costs
  auth      with a token and without, few users and many, and while a hundred sign in
  sandbox   instances, starts, runs with walls and without, and a hundred runs at once

  --quick   less of everything, to see that it works; writes nothing";

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Little, to try the bench out.
    pub quick: bool,
}

impl Scale {
    /// One of two numbers.
    pub fn of<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let names: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|a| *a != "--quick")
        .collect();
    if let ["native", work, rows, folder] = names[..] {
        native::publish(work, rows, folder);
        return ExitCode::SUCCESS;
    }
    let scale = Scale { quick };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the checkout");
    std::env::set_current_dir(root).expect("the checkout can be entered");
    let load = machine::load();
    let report: Report = match names[..] {
        ["extract"] => extract::bench(scale),
        ["query"] => query::bench(scale),
        ["start"] => start::bench(scale),
        ["auth"] => auth::bench(scale),
        ["sandbox"] => sandbox::bench(scale),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let machine = machine::describe(&load);
    println!("\n{}", report.markdown(&machine));
    if quick || cfg!(debug_assertions) {
        println!("Nothing is written: a quick or a debug measurement says nothing about speed.");
    } else {
        report.write(&machine);
    }
    ExitCode::SUCCESS
}
