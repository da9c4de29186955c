//! `sluice admin`: backup, restore, checks and the audit log, at the machine itself. Works while the
//! server serves and while it is stopped.

mod audit;
mod backup;
mod keys;
mod place;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{CliResult, counted, say};
use place::Place;

#[derive(Args)]
pub(super) struct Admin {
    /// The data folder of the server
    #[arg(
        long,
        env = "SLUICE_DATA_DIR",
        default_value = "data",
        value_name = "DIR",
        global = true
    )]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy the state into a new folder, while the server serves
    Backup(backup::Backup),
    /// Put a backup in the place of the state, while no server runs
    Restore(backup::Restore),
    /// Read all of the state and say what is wrong with it
    Check,
    /// Compare the published files with the receipts that were taken when they were written
    Verify(verify::Verify),
    /// Let an admin in who is locked out: makes a link to set a password
    BreakGlass(keys::Who),
    /// Seal all credentials with a new master key
    RotateKey(keys::KeyFile),
    /// Sign tokens with a new key; those of the last one stay good until the next rotation
    RotateTokenKey,
    /// Check and export the audit log
    #[command(subcommand)]
    Audit(audit::Command),
}

pub(super) async fn admin(admin: Admin) -> CliResult<ExitCode> {
    match admin.command {
        // Never through a server: that one has to be stopped.
        Command::Restore(restore) => backup::restore(&admin.data_dir, &restore),
        Command::Verify(verify) => verify::verify(&admin.data_dir, &verify),
        Command::Backup(request) => backup::back_up(&Place::find(&admin.data_dir)?, request).await,
        Command::Check => check(&Place::find(&admin.data_dir)?).await,
        Command::BreakGlass(who) => keys::break_glass(&Place::find(&admin.data_dir)?, who).await,
        Command::RotateKey(file) => keys::rotate_master(&Place::find(&admin.data_dir)?, file).await,
        Command::RotateTokenKey => keys::rotate(&Place::find(&admin.data_dir)?).await,
        Command::Audit(command) => audit::audit(&Place::find(&admin.data_dir)?, command).await,
    }
}

async fn check(place: &Place) -> CliResult<ExitCode> {
    let report = place.check().await?;
    for problem in &report.problems {
        say(format!("problem: {problem}"));
    }
    say(format!(
        "schema {} of {}, {} with {}",
        report.schema,
        report.newest,
        counted(report.tables, "table"),
        counted(report.rows, "row")
    ));
    if report.problems.is_empty() {
        say("the state is sound");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
