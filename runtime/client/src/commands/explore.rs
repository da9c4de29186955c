//! `da explore`: what a table looks like, here or by the server's count.

use serde_json::{Value, json};

use crate::error::Error;
use crate::http::{Api, part};
use crate::workspace::Workspace;
use crate::{local, output};

/// How many rows are shown of a local table.
const SAMPLE: usize = 5;

/// Shows a table.
pub(super) fn run(api: &Api, table: &str, remote: bool, as_json: bool) -> Result<(), Error> {
    if remote {
        profile(api, table, as_json)
    } else {
        here(table, as_json)
    }
}

fn here(table: &str, as_json: bool) -> Result<(), Error> {
    let database = local::read(&Workspace::open()?)?;
    let about = local::look(&database, table).map_err(|error| match error {
        Error::Database(_) => Error::Said(format!(
            "the local database has no table `{table}` that can be read: {error}. Run `da sync`, or look with --remote."
        )),
        other => other,
    })?;
    let sample = local::query(
        &database,
        &format!("SELECT * FROM {}", local::quoted(table)),
        SAMPLE,
        true,
    )?;
    if as_json {
        let object = |row: &Vec<Value>| {
            let cells = sample.names.iter().cloned().zip(row.iter().cloned());
            Value::Object(cells.collect())
        };
        let rows: Vec<Value> = sample.rows.iter().map(object).collect();
        output::json(
            &json!({"table": table, "row_count": about.rows, "columns": about.columns, "sample_rows": rows}),
        );
        return Ok(());
    }
    output::line(&format!("Table: {table}  ({} rows)", about.rows));
    let fields = [("COLUMN", "name"), ("TYPE", "type"), ("NULL", "nullable")];
    output::objects(&about.columns, &fields);
    output::line("");
    output::table(&sample.names, &sample.rows);
    Ok(())
}

fn profile(api: &Api, table: &str, as_json: bool) -> Result<(), Error> {
    let profile = api.get(&format!("/api/catalog/profile/{}", part(table)))?;
    if as_json {
        output::json(&profile);
        return Ok(());
    }
    let said = |field: &str| output::plain(&profile[field]);
    output::line(&format!(
        "Table: {table}  ({} rows, profiled {})",
        said("row_count"),
        said("profiled_at")
    ));
    let fields = [
        ("COLUMN", "name"),
        ("TYPE", "type"),
        ("FILLED %", "completeness_pct"),
        ("DIFFERENT", "unique_count"),
    ];
    let columns = profile["columns"].as_array().cloned().unwrap_or_default();
    output::objects(&columns, &fields);
    for alert in profile["alerts"].as_array().into_iter().flatten() {
        output::line(&format!("! {}", output::plain(&alert["message"])));
    }
    Ok(())
}
