//! `sluice admin backup` and `restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use warehouse::{Paths, Restored, State};

use super::place::Place;
use crate::cli::output::{CliError, CliResult, bytes, counted, remark, say};
use crate::control::operations::{BackupRequest, entry};
use crate::control::socket::Operator;

#[derive(Args)]
pub(super) struct Backup {
    /// A folder that is not there yet
    to: PathBuf,
    /// Take the master key along: whoever holds the backup can then open every stored credential.
    /// Without it, the credentials in the backup are of use only together with a copy of the key
    /// that you keep elsewhere
    #[arg(long)]
    with_master_key: bool,
}

#[derive(Args)]
pub(super) struct Restore {
    /// The folder of a backup
    from: PathBuf,
    /// Replace the state that is there; it is kept beside the new one
    #[arg(long)]
    force: bool,
}

pub(super) async fn back_up(place: &Place, backup: Backup) -> CliResult<ExitCode> {
    // The server has another working folder.
    let to = std::path::absolute(&backup.to).map_err(|error| CliError::advised(&error))?;
    let request = BackupRequest {
        to,
        with_master_key: backup.with_master_key,
    };
    let manifest = place.back_up(&request).await?;
    let size = manifest.files.values().map(|file| file.bytes).sum();
    say(format!(
        "{}: {}, {}, schema {}",
        request.to.display(),
        counted(manifest.files.len() as u64, "file"),
        bytes(size),
        manifest.schema
    ));
    say(format!(
        "audit log up to number {}, head {}",
        manifest.audit_seq, manifest.audit_head
    ));
    remark(if request.with_master_key {
        "The master key is in it: guard it as you guard the key, it opens every credential."
    } else {
        "The master key is not in it: keep a copy of that elsewhere, it opens the credentials."
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(data_dir: &Path, restore: &Restore) -> CliResult<ExitCode> {
    let paths = Paths::new(data_dir).map_err(|error| CliError::advised(&error))?;
    let restored = warehouse::restore(&paths, &restore.from, restore.force)
        .map_err(|error| CliError::advised(&error))?;
    note(&paths, restore, &restored)?;
    say(format!(
        "restored the state of {}, schema {}",
        restored.manifest.taken_at, restored.manifest.schema
    ));
    if let Some(replaced) = &restored.replaced {
        say(format!("the earlier state lies in {}", replaced.display()));
    }
    for problem in &restored.check.problems {
        remark(format!("problem in the backup: {problem}"));
    }
    if !restored.has_master_key {
        remark(
            "There is no state/master.key: put your copy there, or set SLUICE_MASTER_KEY; without it no credential can be opened.",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The restored log goes on with the fact that it was restored.
fn note(paths: &Paths, restore: &Restore, restored: &Restored) -> CliResult<()> {
    let failed = |error: warehouse::StateError| CliError::advised(&error);
    let params = json!({"taken_at": restored.manifest.taken_at, "force": restore.force});
    let entry = warehouse::AuditEntry {
        resource: Some(restore.from.display().to_string()),
        ..entry("state.restore", Operator::this(), params)
    };
    let state = State::open(paths).map_err(failed)?;
    state.audit(&entry).map_err(failed)?;
    state.checkpoint().map_err(failed)
}
