//! `sluice query` and `sluice tables`: SQL from the command line, for people and for pipes.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::Remote;
use super::client::{list, text};
use super::output::{CliResult, number, print, remark, say, table};

#[derive(Args)]
pub(super) struct Query {
    /// One SELECT
    sql: String,
    /// At most so many rows
    #[arg(long, default_value_t = 1000)]
    limit: u32,
    /// How to print the rows
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct Tables {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Columns for people
    Table,
    /// One JSON object a row, in a list
    Json,
    /// RFC 4180
    Csv,
}

pub(super) async fn query(query: Query) -> CliResult<()> {
    let body = json!({"sql": query.sql, "limit": query.limit});
    let answer = query.remote.client()?.post("/api/query", &body).await?;
    let columns: Vec<_> = list(&answer, "columns")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let rows = list(&answer, "rows");
    match query.format {
        Format::Table => print(&table(
            &columns,
            &rows.iter().map(cells).collect::<Vec<_>>(),
        )),
        Format::Json => say(to_json(&columns, rows)),
        Format::Csv => print(&to_csv(&columns, rows)),
    }
    if answer["truncated"] == true {
        remark(format!(
            "Only the first {} rows are shown; --limit shows more.",
            number(rows.len() as u64)
        ));
    }
    Ok(())
}

pub(super) async fn tables(tables: Tables) -> CliResult<()> {
    let client = tables.remote.client()?;
    let manifest = client.get("/api/sync/manifest").await?;
    let catalog = client.get("/api/catalog/tables").await?;
    let rows: Vec<_> = list(&catalog, "tables")
        .iter()
        .map(|found| {
            let name = text(found, "name");
            let entry = &manifest["tables"][name];
            vec![
                name.to_owned(),
                number(entry["rows"].as_u64().unwrap_or_default()),
                text(found, "query_mode").to_owned(),
                text(found, "source_type").to_owned(),
                text(entry, "updated")
                    .get(..19)
                    .unwrap_or_default()
                    .to_owned(),
                text(found, "description").to_owned(),
            ]
        })
        .collect();
    let headings = [
        "name",
        "rows",
        "mode",
        "connector",
        "updated",
        "description",
    ];
    print(&table(&headings, &rows));
    Ok(())
}

fn cells(row: &Value) -> Vec<String> {
    let cells = row.as_array().map_or(&[][..], Vec::as_slice);
    cells.iter().map(|cell| shown(cell, "NULL")).collect()
}

fn shown(cell: &Value, null: &str) -> String {
    match cell {
        Value::Null => null.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn to_json(columns: &[&str], rows: &[Value]) -> String {
    let objects = rows.iter().map(|row| {
        let cells = row.as_array().cloned().unwrap_or_default();
        let fields = columns.iter().map(ToString::to_string).zip(cells);
        Value::Object(fields.collect::<Map<_, _>>())
    });
    format!("{:#}", Value::Array(objects.collect()))
}

fn to_csv(columns: &[&str], rows: &[Value]) -> String {
    let mut text = csv_line(columns.iter().map(ToString::to_string));
    for row in rows {
        let cells = row.as_array().map_or(&[][..], Vec::as_slice);
        text.push_str(&csv_line(cells.iter().map(|cell| shown(cell, ""))));
    }
    text
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quoted: Vec<_> = cells
        .map(|cell| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell
            }
        })
        .collect();
    quoted.join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_csv_that_other_programs_read() {
        let rows = [json!(["a,b", 1, null]), json!(["say \"x\"\n", true, 1.5])];
        assert_eq!(
            to_csv(&["t", "n", "x"], &rows),
            "t,n,x\r\n\"a,b\",1,\r\n\"say \"\"x\"\"\n\",true,1.5\r\n"
        );
    }

    #[test]
    fn rows_become_objects_in_the_order_of_their_columns() {
        let text = to_json(&["b", "a"], &[json!([1, null])]);
        assert_eq!(text, "[\n  {\n    \"b\": 1,\n    \"a\": null\n  }\n]");
    }
}
