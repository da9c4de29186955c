//! `sluice admin audit`: whether the log is what the server wrote, and the log itself.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use domain::Digest;
use jiff::Timestamp;

use super::place::Place;
use crate::cli::output::{CliError, CliResult, counted, say};
use crate::control::operations::AuditQuery;
use crate::control::routes::NotedHead;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check that no entry was altered, removed, moved or slipped in
    Verify(Verify),
    /// Print the entries as JSON lines, oldest first
    Export(Export),
}

#[derive(Args)]
pub(super) struct Verify {
    /// A head that was noted earlier, which must still be in the log: the only way to see that the
    /// newest entries were cut off
    #[arg(long, value_name = "HASH", value_parser = Digest::parse)]
    head: Option<Digest>,
}

#[derive(Args)]
pub(super) struct Export {
    /// Only entries from this time on, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only entries before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

pub(super) async fn audit(place: &Place, command: Command) -> CliResult<ExitCode> {
    match command {
        Command::Verify(verify) => self::verify(place, verify).await,
        Command::Export(export) => {
            let wanted = AuditQuery {
                after: 0,
                since: export.since,
                until: export.until,
            };
            place
                .export_audit(wanted, |entry| say(entry.to_string()))
                .await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn verify(place: &Place, verify: Verify) -> CliResult<ExitCode> {
    let report = place.verify_audit(NotedHead { head: verify.head }).await?;
    if let Some(found) = report.first_break {
        return Err(
            CliError::new(format!("the audit log was tampered with: {found}"))
                .hint("compare it with the latest backup or export before you go on"),
        );
    }
    say(format!(
        "the audit log holds: {} checked, {} removed by retention",
        counted(report.entries, "row"),
        report.removed
    ));
    say(format!("head {}", report.head));
    Ok(ExitCode::SUCCESS)
}
