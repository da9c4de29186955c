//! `sluice doctor`: prints what `crate::doctor` found; with `--health`, asks a server instead.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::client::{Client, text};
use super::output::{CliError, CliResult, print, say, table};
use crate::doctor::{Verdict, examine};

#[derive(Args)]
pub(super) struct Doctor {
    /// The data folder that a server uses or shall use
    #[arg(
        long,
        env = "SLUICE_DATA_DIR",
        default_value = "data",
        value_name = "DIR"
    )]
    data_dir: PathBuf,
    /// Only ask this server whether it is healthy
    #[arg(long, value_name = "URL")]
    health: Option<String>,
}

pub(super) fn doctor(doctor: &Doctor) -> CliResult<ExitCode> {
    match &doctor.health {
        Some(url) => super::wait(health(url)),
        None => Ok(report(doctor)),
    }
}

fn report(doctor: &Doctor) -> ExitCode {
    let checks = examine(&doctor.data_dir);
    let rows: Vec<_> = checks
        .iter()
        .map(|check| {
            let verdict = check.verdict.as_str().to_owned();
            vec![verdict, check.name.to_owned(), check.found.clone()]
        })
        .collect();
    print(&table(&["", "check", "found"], &rows));
    for check in checks.iter().filter(|check| !check.advice.is_empty()) {
        say(format!("{}: {}", check.name, check.advice));
    }
    if checks.iter().any(|check| check.verdict == Verdict::Fail) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn health(url: &str) -> CliResult<ExitCode> {
    let health = Client::new(url, None)?.get("/api/health").await?;
    match text(&health, "status") {
        "ok" => {
            say("ok");
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(
            CliError::new(format!("the server at {url} is not healthy: {health}"))
                .hint("its log says why"),
        ),
    }
}
