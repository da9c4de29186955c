//! Groups of people, and what they may see.

use serde_json::{Map, Value, json};

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
                ("ROWS", "row_filter"),
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
            row_filter,
            masks,
        } => {
            let mut grant = restriction(row_filter.as_deref(), masks)?;
            grant.insert("resource_type".to_owned(), json!(kind));
            grant.insert("resource_id".to_owned(), json!(resource));
            let group_id = id(api, "/api/admin/groups", "name", group)?;
            grant.insert("group_id".to_owned(), json!(group_id));
            let made = api.post("/api/admin/grants", &grant.into())?;
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

/// What a grant leaves out of a table, as the server reads it.
fn restriction(row_filter: Option<&str>, masks: &[String]) -> Result<Map<String, Value>, Error> {
    let masks = masks.iter().map(|text| mask(text));
    let masks = masks.collect::<Result<Map<_, _>, Error>>()?;
    let mut restriction = Map::new();
    if let Some(filter) = row_filter {
        restriction.insert("row_filter".to_owned(), json!(filter));
    }
    if !masks.is_empty() {
        restriction.insert("column_masks".to_owned(), masks.into());
    }
    Ok(restriction)
}

/// `email=hash`, `phone=null`, `salary=constant:0`: a constant that is a whole number, `true` or `false` is one.
fn mask(text: &str) -> Result<(String, Value), Error> {
    let unknown = || {
        Error::Said(format!(
            "`{text}` is no mask; write COLUMN=null, COLUMN=hash or COLUMN=constant:VALUE"
        ))
    };
    let (column, mask) = text.split_once('=').ok_or_else(unknown)?;
    let mask = match mask.split_once(':') {
        None if matches!(mask, "null" | "hash") => json!(mask),
        Some(("constant", value)) => {
            let typed = serde_json::from_str::<Value>(value).ok();
            let typed = typed.filter(|value| value.is_i64() || value.is_boolean());
            json!({"constant": typed.unwrap_or_else(|| json!(value))})
        }
        _ => return Err(unknown()),
    };
    Ok((column.to_owned(), mask))
}
