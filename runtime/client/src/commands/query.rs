//! `da query`: on the local tables, or on the server.

use std::io::Read;

use serde_json::{Value, json};

use crate::args::QueryArgs;
use crate::error::Error;
use crate::http::Api;
use crate::workspace::Workspace;
use crate::{local, output};

/// Runs the query and prints its rows.
pub(super) fn run(api: &Api, args: &QueryArgs, as_json: bool) -> Result<(), Error> {
    let sql = sql(args)?;
    let format = if as_json {
        "json"
    } else {
        args.format.as_str()
    };
    let rows = if args.remote {
        remote(api, &sql, args.limit)?
    } else {
        let database = local::read(&Workspace::open()?)?;
        local::query(&database, &sql, args.limit, format == "json")?
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

/// From the one place that was named.
fn sql(args: &QueryArgs) -> Result<String, Error> {
    match (&args.positional, &args.sql, args.stdin) {
        (Some(sql), None, false) | (None, Some(sql), false) => Ok(sql.clone()),
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
            let sql = request.and_then(|request| request["sql"].as_str().map(str::to_owned));
            sql.ok_or_else(|| {
                Error::Said("--stdin wants JSON such as {\"sql\": \"SELECT 1\"}".into())
            })
        }
        _ => Err(Error::Said(
            "name the query once: as an argument, with --sql, or with --stdin".into(),
        )),
    }
}

fn remote(api: &Api, sql: &str, limit: usize) -> Result<local::Rows, Error> {
    let answer = api.post("/api/query", &json!({"sql": sql, "limit": limit}));
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
    parsed.ok_or_else(|| Error::Said(format!("{} sent a result that cannot be read", api.server)))
}
