//! What an admin does to people, groups, grants and the registry.

mod discover;
mod groups;
mod metadata;
mod people;
mod tables;

use serde_json::Value;

use crate::args::{AdminCommand, BreakGlassCommand};
use crate::error::Error;
use crate::http::{Api, part};
use crate::output;

/// Runs `da admin …`.
pub(super) fn run(api: &Api, command: &AdminCommand, as_json: bool) -> Result<(), Error> {
    match command {
        AdminCommand::Person(command) => people::run(api, command, as_json),
        AdminCommand::ListTables => tables::list(api, as_json),
        AdminCommand::RegisterTable(table) => tables::register(api, table, as_json),
        AdminCommand::DiscoverAndRegister(discovery) => discover::run(api, discovery, as_json),
        AdminCommand::MetadataShow { table } => metadata::show(api, table, as_json),
        AdminCommand::MetadataApply {
            file,
            push_to_source,
            dry_run,
        } => metadata::apply(api, file, *push_to_source, *dry_run, as_json),
        AdminCommand::Group(command) => groups::group(api, command, as_json),
        AdminCommand::Grant(command) => groups::grant(api, command, as_json),
        AdminCommand::BreakGlass(BreakGlassCommand::GrantAdmin { email, .. }) => {
            Err(Error::Said(format!(
                "this is done at the server itself, as the user it runs as: sluice admin break-glass {email}"
            )))
        }
    }
}

fn done(answer: &Value, text: &str, as_json: bool) -> Result<(), Error> {
    output::done(answer, text, as_json);
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
