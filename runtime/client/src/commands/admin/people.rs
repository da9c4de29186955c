//! Who may come in, and as what.

use serde_json::json;
use ureq::http::Method;

use super::{done, id, list};
use crate::args::PersonCommand;
use crate::commands::auth;
use crate::error::Error;
use crate::http::Api;
use crate::output;

/// Runs what is said about a person.
pub(super) fn run(api: &Api, command: &PersonCommand, as_json: bool) -> Result<(), Error> {
    match command {
        PersonCommand::AddUser { email, name, role } => {
            let user = api.post(
                "/api/users",
                &json!({"email": email, "name": name, "role": role}),
            )?;
            let text = format!("Created user: {email} (id: {})", output::plain(&user["id"]));
            done(&user, &text, as_json)
        }
        PersonCommand::ListUsers => {
            let fields = [
                ("EMAIL", "email"),
                ("ROLE", "role"),
                ("ACTIVE", "active"),
                ("ID", "id"),
            ];
            list(&api.get("/api/users")?, &fields, as_json)
        }
        PersonCommand::RemoveUser { user } => {
            let removed = api.delete(&path(api, user, "")?)?;
            done(&removed, "User removed.", as_json)
        }
        PersonCommand::SetRole { user, role } => {
            let changed = api.ask(
                Method::PATCH,
                &path(api, user, "")?,
                Some(&json!({"role": role})),
            )?;
            done(&changed, &format!("Role of {user}: {role}"), as_json)
        }
        PersonCommand::Deactivate { user } => {
            let changed = api.post(&path(api, user, "/deactivate")?, &json!({}))?;
            done(&changed, &format!("Deactivated {user}."), as_json)
        }
        PersonCommand::Activate { user } => {
            let changed = api.post(&path(api, user, "/activate")?, &json!({}))?;
            done(&changed, &format!("Activated {user}."), as_json)
        }
        PersonCommand::ResetPassword { user } => reset(api, user, as_json),
        PersonCommand::SetPassword { user, password } => {
            set(api, user, password.as_deref(), as_json)
        }
    }
}

fn path(api: &Api, user: &str, action: &str) -> Result<String, Error> {
    Ok(format!(
        "/api/users/{}{action}",
        id(api, "/api/users", "email", user)?
    ))
}

fn reset(api: &Api, user: &str, as_json: bool) -> Result<(), Error> {
    let made = api.post(&path(api, user, "/reset-password")?, &json!({}))?;
    let sent = match made["email_sent"] == true {
        true => "It was also sent by mail.",
        false => "Hand it over yourself: this server sends no mail.",
    };
    output::note(&format!("{user} sets a password with this link. {sent}"));
    done(&made, &output::plain(&made["reset_url"]), as_json)
}

fn set(api: &Api, user: &str, password: Option<&str>, as_json: bool) -> Result<(), Error> {
    let path = path(api, user, "/set-password")?;
    let password = password.map_or_else(auth::ask_twice, |given| Ok(given.to_owned()))?;
    let set = api.post(&path, &json!({"password": password}))?;
    done(&set, &format!("Password of {user} set."), as_json)
}
