//! Groups of people, and what they may see.

use serde_json::json;

use super::{done, id, list};
use crate::args::{GrantCommand, GroupCommand};
use crate::error::Error;
use crate::http::{Api, part};

/// Runs `da admin group …`.
pub(super) fn group(api: &Api, command: &GroupCommand, as_json: bool) -> Result<(), Error> {
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

/// Runs `da admin grant …`.
pub(super) fn grant(api: &Api, command: &GrantCommand, as_json: bool) -> Result<(), Error> {
    match command {
        GrantCommand::List { kind, group } => {
            let fields = [
                ("GROUP", "group_name"),
                ("TYPE", "resource_type"),
                ("RESOURCE", "resource_id"),
                ("ID", "id"),
            ];
            let mut asked = Vec::new();
            if let Some(kind) = kind {
                asked.push(format!("resource_type={}", part(kind)));
            }
            if let Some(group) = group {
                let group = id(api, "/api/admin/groups", "name", group)?;
                asked.push(format!("group_id={group}"));
            }
            let asked = asked.join("&");
            list(
                &api.get(&format!("/api/admin/grants?{asked}"))?,
                &fields,
                as_json,
            )
        }
        GrantCommand::Create {
            group,
            kind,
            resource,
        } => {
            let id = id(api, "/api/admin/groups", "name", group)?;
            let made = api.post(
                "/api/admin/grants",
                &json!({"group_id": id, "resource_type": kind, "resource_id": resource}),
            )?;
            done(
                &made,
                &format!("{group} may see {kind} {resource}."),
                as_json,
            )
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
