//! What an admin does to people, groups, grants and the registry.

use serde_json::{Value, json};
use ureq::http::Method;

use crate::args::{AdminCommand, GrantCommand, GroupCommand};
use crate::error::Error;
use crate::http::{Api, part};
use crate::output;

/// Runs `da admin …`.
pub(super) fn run(api: &Api, command: &AdminCommand, as_json: bool) -> Result<(), Error> {
    match command {
        AdminCommand::AddUser { email, name, role } => {
            let user = api.post(
                "/api/users",
                &json!({"email": email, "name": name, "role": role}),
            )?;
            done(
                &user,
                &format!("Created user: {email} (id: {})", output::plain(&user["id"])),
                as_json,
            )
        }
        AdminCommand::ListUsers => {
            let fields = [
                ("EMAIL", "email"),
                ("ROLE", "role"),
                ("ACTIVE", "active"),
                ("ID", "id"),
            ];
            list(&api.get("/api/users")?, &fields, as_json)
        }
        AdminCommand::RemoveUser { user } => {
            let removed = api.delete(&path(api, user, "")?)?;
            done(&removed, "User removed.", as_json)
        }
        AdminCommand::SetRole { user, role } => {
            let changed = api.ask(
                Method::PATCH,
                &path(api, user, "")?,
                Some(&json!({"role": role})),
            )?;
            done(&changed, &format!("Role of {user}: {role}"), as_json)
        }
        AdminCommand::Deactivate { user } => {
            let changed = api.post(&path(api, user, "/deactivate")?, &json!({}))?;
            done(&changed, &format!("Deactivated {user}."), as_json)
        }
        AdminCommand::Activate { user } => {
            let changed = api.post(&path(api, user, "/activate")?, &json!({}))?;
            done(&changed, &format!("Activated {user}."), as_json)
        }
        AdminCommand::ListTables => {
            let registry = api.get("/api/admin/registry")?;
            let fields = [
                ("ID", "id"),
                ("NAME", "name"),
                ("SOURCE", "source_type"),
                ("MODE", "query_mode"),
            ];
            list(&registry["tables"], &fields, as_json)
        }
        AdminCommand::Group(command) => group(api, command, as_json),
        AdminCommand::Grant(command) => grant(api, command, as_json),
    }
}

fn done(answer: &Value, text: &str, as_json: bool) -> Result<(), Error> {
    if as_json {
        output::json(answer);
    } else {
        output::line(text);
    }
    Ok(())
}

fn list(rows: &Value, fields: &[(&str, &str)], as_json: bool) -> Result<(), Error> {
    if as_json {
        output::json(rows);
    } else {
        output::objects(
            rows.as_array().map(Vec::as_slice).unwrap_or_default(),
            fields,
        );
    }
    Ok(())
}

/// The id of what has this id or this name.
fn id(api: &Api, place: &str, field: &str, reference: &str) -> Result<String, Error> {
    let all = api.get(place)?;
    let fits = |item: &&Value| item["id"] == reference || item[field] == reference;
    let found = all.as_array().and_then(|all| all.iter().find(fits));
    let id = found.and_then(|found| found["id"].as_str());
    id.map(part).ok_or_else(|| {
        Error::Said(format!(
            "{place} has nothing with the id or {field} `{reference}`"
        ))
    })
}

fn path(api: &Api, user: &str, action: &str) -> Result<String, Error> {
    Ok(format!(
        "/api/users/{}{action}",
        id(api, "/api/users", "email", user)?
    ))
}

fn group(api: &Api, command: &GroupCommand, as_json: bool) -> Result<(), Error> {
    let find = |group: &str| {
        Ok::<_, Error>(format!(
            "/api/admin/groups/{}",
            id(api, "/api/admin/groups", "name", group)?
        ))
    };
    match command {
        GroupCommand::List => {
            let fields = [
                ("NAME", "name"),
                ("MEMBERS", "member_count"),
                ("GRANTS", "grant_count"),
                ("ID", "id"),
            ];
            list(&api.get("/api/admin/groups")?, &fields, as_json)
        }
        GroupCommand::Create { name, description } => {
            let made = api.post(
                "/api/admin/groups",
                &json!({"name": name, "description": description}),
            )?;
            done(&made, &format!("Created group {name}."), as_json)
        }
        GroupCommand::Delete { group } => done(
            &api.delete(&find(group)?)?,
            &format!("Deleted group {group}."),
            as_json,
        ),
        GroupCommand::Members { group } => {
            let fields = [("EMAIL", "email"), ("NAME", "name"), ("SOURCE", "source")];
            list(
                &api.get(&format!("{}/members", find(group)?))?,
                &fields,
                as_json,
            )
        }
        GroupCommand::AddMember { group, email } => {
            let added = api.post(
                &format!("{}/members", find(group)?),
                &json!({"email": email}),
            )?;
            done(&added, &format!("{email} is in {group}."), as_json)
        }
        GroupCommand::RemoveMember { group, email } => {
            let user = id(api, "/api/users", "email", email)?;
            let removed = api.delete(&format!("{}/members/{user}", find(group)?))?;
            done(
                &removed,
                &format!("{email} is no longer in {group}."),
                as_json,
            )
        }
    }
}

fn grant(api: &Api, command: &GrantCommand, as_json: bool) -> Result<(), Error> {
    match command {
        GrantCommand::List => {
            let fields = [
                ("GROUP", "group_name"),
                ("TYPE", "resource_type"),
                ("RESOURCE", "resource_id"),
                ("ID", "id"),
            ];
            list(&api.get("/api/admin/grants")?, &fields, as_json)
        }
        GrantCommand::Delete { grant } => {
            let gone = api.delete(&format!("/api/admin/grants/{}", part(grant)))?;
            done(&gone, "Grant deleted.", as_json)
        }
        GrantCommand::ResourceTypes => {
            let fields = [
                ("KEY", "key"),
                ("NAME", "display_name"),
                ("ID FORMAT", "id_format"),
            ];
            list(&api.get("/api/admin/resource-types")?, &fields, as_json)
        }
    }
}
