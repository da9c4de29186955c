//! What the server has: catalog, schema and samples.

use serde_json::{Value, json};

use crate::error::Error;
use crate::http::{Api, part};
use crate::output;

/// A script tells by it what went wrong with a table.
fn exit(status: u16) -> u8 {
    match status {
        500.. => 5,
        403 => 8,
        _ => 2,
    }
}

fn array(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Lists the tables.
pub(super) fn catalog(api: &Api, as_json: bool) -> Result<(), Error> {
    let catalog = api
        .get("/api/v2/catalog")
        .map_err(|error| error.exit(|_| 5))?;
    if as_json {
        output::json(&catalog);
    } else {
        let fields = [
            ("ID", "id"),
            ("SOURCE", "source_type"),
            ("MODE", "query_mode"),
            ("FLAVOR", "sql_flavor"),
            ("NAME", "name"),
        ];
        output::objects(&array(&catalog["tables"]), &fields);
    }
    Ok(())
}

fn get(api: &Api, path: &str) -> Result<Value, Error> {
    api.get(path).map_err(|error| error.exit(exit))
}

/// Shows the columns of a table.
pub(super) fn schema(api: &Api, table: &str, as_json: bool) -> Result<(), Error> {
    let schema = get(api, &format!("/api/v2/schema/{}", part(table)))?;
    if as_json {
        output::json(&schema);
    } else {
        show(&schema);
    }
    Ok(())
}

fn show(schema: &Value) {
    let said = |field: &str| output::plain(&schema[field]);
    let dialect = said("sql_flavor").to_uppercase();
    output::line(&format!(
        "Table: {}  ({} — use {dialect} SQL dialect)",
        said("table_id"),
        said("source_type")
    ));
    let fields = [
        ("COLUMN", "name"),
        ("TYPE", "type"),
        ("NULL", "nullable"),
        ("DESCRIPTION", "description"),
    ];
    output::objects(&array(&schema["columns"]), &fields);
    if !schema["partition_by"].is_null() {
        output::line(&format!("Partition: {}", said("partition_by")));
    }
    if let Some(hints) = schema["where_dialect_hints"].as_object() {
        for (name, hint) in hints {
            output::line(&format!("{name}: {}", output::plain(hint)));
        }
    }
}

/// Shows the columns and some rows.
pub(super) fn describe(api: &Api, table: &str, n: u8, as_json: bool) -> Result<(), Error> {
    let schema = get(api, &format!("/api/v2/schema/{}", part(table)))?;
    let sample = get(api, &format!("/api/v2/sample/{}?n={n}", part(table)))?;
    if as_json {
        output::json(&json!({"schema": schema, "sample": sample}));
        return Ok(());
    }
    show(&schema);
    output::line("");
    let columns: Vec<String> = array(&schema["columns"])
        .iter()
        .map(|column| output::plain(&column["name"]))
        .collect();
    let fields: Vec<(&str, &str)> = columns
        .iter()
        .map(|name| (name.as_str(), name.as_str()))
        .collect();
    output::objects(&array(&sample["rows"]), &fields);
    Ok(())
}
