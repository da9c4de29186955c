//! Which user a person is that a provider has named.

use domain::User;
use identity::oidc::{Person, domain_allowed};
use serde_json::json;
use uuid::Uuid;

use super::Refusal;
use crate::app::App;
use crate::auth::by::Caller;
use crate::error::ApiResult;

/// The user: whom the provider's subject belongs to, or else whoever has the address that the
/// provider has made sure of and is not known to it by another subject, or else a new one.
pub(super) fn user_of(
    app: &App,
    caller: &Caller,
    provider: &str,
    person: &Person,
) -> Result<User, Refusal> {
    match find_or_add(app, caller, provider, person) {
        // Somebody else was quicker, most likely the same person in another window.
        Err(Refusal::Server(error)) if error.code == "already-exists" => {
            find_or_add(app, caller, provider, person)
        }
        done => done,
    }
}

fn find_or_add(
    app: &App,
    caller: &Caller,
    provider: &str,
    person: &Person,
) -> Result<User, Refusal> {
    let state = app.state();
    if let Some(user) = state.user_by_identity(&person.issuer, &person.subject)? {
        return active(user);
    }
    let email = person.email.as_deref().filter(|_| person.email_verified);
    let email = email.ok_or(Refusal::NoEmail)?;
    let user = match state.user_by_email(email)? {
        // An address that is given to somebody else must not bring the account with it.
        Some(user) if state.is_linked(user.id, &person.issuer)? => {
            return Err(Refusal::Replaced(user.id));
        }
        Some(user) => active(user)?,
        None => add(app, caller, provider, email, &person.name)?,
    };
    let mut entry = caller.entry("user.link_identity", on(user.id));
    entry.user = Some(user.id);
    entry.params = json!({"provider": provider});
    state.link_identity(user.id, &person.issuer, &person.subject, &entry)?;
    Ok(user)
}

fn active(user: User) -> Result<User, Refusal> {
    match user.active {
        true => Ok(user),
        false => Err(Refusal::Deactivated(user.id)),
    }
}

fn on(user: Uuid) -> String {
    format!("user:{user}")
}

/// Adds a user of a domain that may come in.
fn add(
    app: &App,
    caller: &Caller,
    provider: &str,
    email: &str,
    name: &str,
) -> Result<User, Refusal> {
    let creates = app.oidc.find(provider)?.create_users;
    if !creates || !domain_allowed(email, &app.oidc.allowed_domains) {
        return Err(Refusal::Domain);
    }
    let user = User::new(&email.to_lowercase(), name);
    let mut entry = caller.entry("user.create", on(user.id));
    entry.user = Some(user.id);
    entry.params = json!({"by": "oidc", "provider": provider});
    app.state().insert_user(&user, &entry)?;
    Ok(user)
}

/// Makes the user a member of the groups that the provider names, and of no others of its groups.
pub(super) fn take_groups(
    app: &App,
    caller: &Caller,
    user: Uuid,
    groups: &[String],
) -> ApiResult<()> {
    let mut entry = caller.entry("user.sync_groups", on(user));
    entry.user = Some(user);
    entry.params = json!({"groups": groups.len()});
    let changed = app.state().sync_groups(user, groups, &entry)?;
    if changed {
        tracing::info!(%user, "memberships follow the provider");
    }
    Ok(())
}
