//! `da query`: on the local tables, or on the server.

use std::io::Read;

use serde_json::{Map, Value, json};

use crate::args::QueryArgs;
use crate::error::Error;
use crate::http::Api;
use crate::workspace::Workspace;
use crate::{local, output};

/// Runs the query and prints its rows.
pub(super) fn run(api: &Api, args: &QueryArgs, as_json: bool) -> Result<(), Error> {
    let asked = asked(args)?;
    let sql = asked.sql.as_str();
    let format = if as_json {
        "json"
    } else {
        args.format.as_str()
    };
    let rows = if !asked.parts.is_empty() {
        hybrid(api, asked, args.limit)?
    } else if args.remote {
        remote(api, "/api/query", &json!({"sql": sql, "limit": args.limit}))
            .map(|(rows, _)| rows)?
    } else {
        let database = local::read(&Workspace::open()?)?;
        local::query(&database, sql, args.limit, format == "json")?
    };
    output::rows(format, &rows.names, &rows.rows)?;
    if rows.cut {
        output::note(&format!(
            "(truncated at {} rows; --limit N shows more)",
            rows.rows.len()
        ));
    }
    Ok(())
}

/// What is asked: SQL, and what other engines compute for it, as the server's route takes it.
struct Asked {
    sql: String,
    parts: Map<String, Value>,
}

/// From the one place that was named.
fn asked(args: &QueryArgs) -> Result<Asked, Error> {
    let (sql, mut parts) = request(args)?;
    if !args.register_bq.is_empty() {
        let pairs = args.register_bq.iter().map(|pair| {
            let (alias, sql) = pair.split_once('=').ok_or_else(|| {
                Error::Said(format!("--register-bq wants ALIAS=SQL, not `{pair}`"))
            })?;
            Ok((alias.trim().to_owned(), Value::from(sql)))
        });
        let named = pairs.collect::<Result<Map<_, _>, Error>>()?;
        match parts.get_mut("register_bq").and_then(Value::as_object_mut) {
            Some(there) => there.extend(named),
            None => drop(parts.insert("register_bq".into(), named.into())),
        }
    }
    Ok(Asked { sql, parts })
}

fn request(args: &QueryArgs) -> Result<(String, Map<String, Value>), Error> {
    match (&args.positional, &args.sql, args.stdin) {
        (Some(sql), None, false) | (None, Some(sql), false) => Ok((sql.clone(), Map::new())),
        (None, None, true) => {
            let mut text = String::new();
            let read = std::io::stdin()
                .lock()
                .take(16 * 1024 * 1024)
                .read_to_string(&mut text);
            read.map_err(|source| Error::Io {
                what: "cannot read stdin".into(),
                source,
            })?;
            let request: Option<Value> = serde_json::from_str(&text).ok();
            let sql = request.as_ref().and_then(|request| request["sql"].as_str());
            let sql = sql.map(str::to_owned).ok_or_else(|| {
                Error::Said("--stdin wants JSON such as {\"sql\": \"SELECT 1\"}".into())
            })?;
            let mut parts = request.and_then(|request| request.as_object().cloned());
            let parts = parts.get_or_insert_default();
            parts.retain(|key, _| ["register_bq", "register"].contains(&key.as_str()));
            Ok((sql, std::mem::take(parts)))
        }
        _ => Err(Error::Said(
            "name the query once: as an argument, with --sql, or with --stdin".into(),
        )),
    }
}

/// On the server, which asks the other engines with its own credentials; says what came of them.
fn hybrid(api: &Api, asked: Asked, limit: usize) -> Result<local::Rows, Error> {
    let mut body = asked.parts;
    body.insert("sql".into(), asked.sql.into());
    body.insert("limit".into(), limit.into());
    let (rows, answer) = remote(api, "/api/query/hybrid", &body.into())?;
    for part in answer["registered"].as_array().into_iter().flatten() {
        let bytes = part["bytes"].as_f64().unwrap_or_default();
        output::note(&format!(
            "Registered alias '{}': {} rows, {:.1} MiB",
            output::plain(&part["alias"]),
            part["rows"],
            bytes / 1_048_576.0
        ));
    }
    Ok(rows)
}

fn remote(api: &Api, path: &str, body: &Value) -> Result<(local::Rows, Value), Error> {
    let answer = api.post(path, body);
    let answer = answer.map_err(|error| match error {
        Error::Api { status, detail, .. } if status != 401 => {
            Error::Said(format!("Query failed: {detail}"))
        }
        other => other,
    })?;
    let parsed = (|| {
        let names = answer["columns"]
            .as_array()?
            .iter()
            .map(output::plain)
            .collect();
        let rows = answer["rows"]
            .as_array()?
            .iter()
            .map(|row| row.as_array().cloned())
            .collect::<Option<_>>()?;
        Some(local::Rows {
            names,
            rows,
            cut: answer["truncated"] == true,
        })
    })();
    parsed
        .map(|rows| (rows, answer))
        .ok_or_else(|| Error::Said(format!("{} sent a result that cannot be read", api.server)))
}
