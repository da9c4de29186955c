//! How a server that nobody can come into yet gets its first admin.

use domain::people::ADMINS;
use domain::{Membership, Origin, User};
use jiff::Timestamp;
use warehouse::{AuditEntry, State, StateError};

use crate::app::App;
use crate::auth::token::{code_hash, new_code};
use crate::cli::output::{CliError, CliResult, say};
use crate::config::Bootstrap;

/// Prints how to claim the server while nobody can come in, and warns of what stands open.
pub(super) fn announce(app: &App) -> CliResult<()> {
    if let Some(email) = &app.config.auth.seed_admin_email {
        seed(app.state(), email).map_err(|error| CliError::advised(&error))?;
    }
    if let Some(code) = claim_code(app.state())? {
        let url = app.url();
        say(format!("Set up: {url}/setup?code={code}"));
        say(format!("Code: {code}"));
    }
    let open = app.config.auth.bootstrap == Bootstrap::Open;
    if open && app.state().has_passwords().is_ok_and(|any| !any) {
        tracing::warn!(
            "auth.bootstrap is `open`: whoever comes first becomes the admin, without a code, until somebody has a password"
        );
    }
    Ok(())
}

/// A new code while nobody can come in. Only its hash is kept, so each start makes one.
fn claim_code(state: &State) -> CliResult<Option<String>> {
    let failed = |error: StateError| CliError::advised(&error);
    if state.is_claimed().map_err(failed)? {
        return Ok(None);
    }
    let code = new_code().map_err(|error| CliError::advised(&error))?;
    state
        .set_bootstrap_code(&code_hash(&code))
        .map_err(failed)?;
    Ok(Some(code))
}

/// Makes sure that the configured admin is one. How that person comes in is another matter: by a
/// provider, a link, or the code.
fn seed(state: &State, email: &str) -> Result<(), StateError> {
    let entry = |action, user: &User| AuditEntry {
        resource: Some(format!("user:{}", user.id)),
        result: Some("ok".into()),
        ..AuditEntry::new(action)
    };
    let user = match state.user_by_email(email)? {
        Some(user) => user,
        None => {
            let user = User::new(email, "");
            state.insert_user(&user, &entry("user.seed", &user))?;
            user
        }
    };
    let membership = Membership {
        user: user.id,
        group: ADMINS,
        origin: Origin::Seed,
        added_at: Timestamp::now(),
        added_by: None,
    };
    match state.insert_member(&membership, &entry("user_group.member_added", &user)) {
        Ok(()) | Err(StateError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
