//! `sluice admin break-glass`, `sluice admin rotate-key` and `sluice admin rotate-token-key`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::place::Place;
use crate::cli::output::{CliResult, say};
use crate::control::break_glass::BreakGlass;

#[derive(Args)]
pub(super) struct Who {
    /// The e-mail address of the admin; added where there is no such user
    email: String,
}

pub(super) async fn break_glass(place: &Place, who: Who) -> CliResult<ExitCode> {
    let request = BreakGlass { email: who.email };
    let admitted = place.break_glass(&request).await?;
    say("This user is an admin and comes in by this link, which works once:");
    match admitted.link.starts_with('/') {
        true => say(format!("  https://YOUR-SERVER{}", admitted.link)),
        false => say(format!("  {}", admitted.link)),
    }
    say(format!("It ends at {}.", admitted.expires_at));
    Ok(ExitCode::SUCCESS)
}

#[derive(Args)]
pub(super) struct KeyFile {
    /// The file of the master key, where no server runs and it lies elsewhere than in the data folder
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(super) async fn rotate_master(place: &Place, file: KeyFile) -> CliResult<ExitCode> {
    let rotated = place.rotate_key(file.key_file).await?;
    say(format!(
        "A new master key is in use; {} sealed with it.",
        match rotated.credentials {
            1 => "1 credential was".to_owned(),
            count => format!("{count} credentials were"),
        }
    ));
    say("Keep a copy of its file, and throw away copies of the old one.");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rotate(place: &Place) -> CliResult<ExitCode> {
    place.rotate_token_key().await?;
    say("A new key signs tokens from now on.");
    say(
        "Those of the key before stay good until the next rotation; rotate twice to end all of them.",
    );
    Ok(ExitCode::SUCCESS)
}
