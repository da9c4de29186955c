//! `sluice admin break-glass` and `sluice admin rotate-token-key`.

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

pub(super) async fn rotate(place: &Place) -> CliResult<ExitCode> {
    place.rotate_token_key().await?;
    say("A new key signs tokens from now on.");
    say(
        "Those of the key before stay good until the next rotation; rotate twice to end all of them.",
    );
    Ok(ExitCode::SUCCESS)
}
