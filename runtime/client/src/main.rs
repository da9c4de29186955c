//! `da`, the analyst's client: tables of a server kept in a local DuckDB, and everything else over its REST API.

mod args;
mod commands;
mod config;
mod error;
mod http;
mod local;
mod output;
mod snapshots;
mod sync;
mod update;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("Error: {error}"));
            ExitCode::from(error.code())
        }
    }
}
