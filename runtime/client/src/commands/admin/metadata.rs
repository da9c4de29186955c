//! What is said about the columns of tables.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, io};
use crate::http::{Api, part};
use crate::output;

/// The largest proposal that is read.
const LARGEST: u64 = 64 << 20;

/// Shows what is said about a table's columns.
pub(super) fn show(api: &Api, table: &str, as_json: bool) -> Result<(), Error> {
    let found = api.get(&format!("/api/admin/metadata/{}", part(table)))?;
    if as_json {
        output::json(&found);
        return Ok(());
    }
    let columns = found["columns"].as_array().cloned().unwrap_or_default();
    if columns.is_empty() {
        output::line(&format!("Nothing is said about the columns of {table}."));
        return Ok(());
    }
    let fields = [
        ("COLUMN", "column_name"),
        ("TYPE", "basetype"),
        ("CONFIDENCE", "confidence"),
        ("DESCRIPTION", "description"),
    ];
    output::objects(&columns, &fields);
    Ok(())
}

/// Writes a proposal to the server, table by table.
pub(super) fn apply(
    api: &Api,
    file: &Path,
    push: bool,
    dry_run: bool,
    as_json: bool,
) -> Result<(), Error> {
    let tables = read(file)?;
    let (mut applied, mut errors) = (Vec::new(), Vec::new());
    for (table, proposal) in &tables {
        let columns = columns(proposal);
        if dry_run {
            applied.push(json!({"table": table, "columns": columns.len()}));
            continue;
        }
        match send(api, table, &columns, push) {
            Ok(done) => applied.push(done),
            Err(error) => errors.push(json!({"table": table, "error": error.to_string()})),
        }
    }
    if as_json {
        output::json(&json!({"dry_run": dry_run, "tables": applied, "errors": errors}));
    } else {
        let word = if dry_run {
            "Would describe"
        } else {
            "Described"
        };
        for done in &applied {
            let (table, count) = (output::plain(&done["table"]), &done["columns"]);
            output::line(&format!("{word} {count} columns of {table}"));
        }
    }
    for error in &errors {
        let said = |field: &str| output::plain(&error[field]);
        output::note(&format!("  {}: {}", said("table"), said("error")));
    }
    match errors.len() {
        0 => Ok(()),
        n => Err(Error::Said(format!(
            "{n} tables failed; the others are described"
        ))),
    }
}

fn read(file: &Path) -> Result<Map<String, Value>, Error> {
    let length = fs::metadata(file).map_err(io("cannot read", file))?.len();
    if length > LARGEST {
        return Err(Error::Said(format!(
            "{} has more than {}; split it by tables",
            file.display(),
            output::bytes(LARGEST)
        )));
    }
    let text = fs::read(file).map_err(io("cannot read", file))?;
    let parsed: Option<Value> = serde_json::from_slice(&text).ok();
    let tables = parsed.and_then(|mut parsed| match parsed["tables"].take() {
        Value::Object(tables) => Some(tables),
        _ => None,
    });
    tables.ok_or_else(|| {
        Error::Said(format!(
            "{} is no proposal. It begins {{\"tables\": {{\"TABLE\": {{\"columns\": {{\"COLUMN\": {{\"description\": …}}}}}}}}}}",
            file.display()
        ))
    })
}

/// The columns of a proposal as the server takes them.
fn columns(proposal: &Value) -> Vec<Value> {
    let columns = proposal["columns"].as_object().into_iter().flatten();
    let column = |(name, said): (&String, &Value)| {
        let confidence = said["confidence"].as_str().unwrap_or("high");
        json!({"column_name": name, "basetype": said["basetype"], "description": said["description"], "confidence": confidence})
    };
    columns.map(column).collect()
}

fn send(api: &Api, table: &str, columns: &[Value], push: bool) -> Result<Value, Error> {
    let path = format!("/api/admin/metadata/{}", part(table));
    api.post(&path, &json!({"columns": columns}))?;
    let mut done = json!({"table": table, "columns": columns.len()});
    if push {
        done["pushed"] = api.post(&format!("{path}/push"), &json!({}))?["pushed"].take();
    }
    Ok(done)
}
