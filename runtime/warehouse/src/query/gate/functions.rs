//! Which functions a query may call.

use serde_json::{Map, Value};

use super::{QueryError, shorten, text};

/// Functions that may stand where a table stands.
pub(super) const TABLE_FUNCTIONS: [&str; 5] = [
    "range",
    "generate_series",
    "unnest",
    "json_each",
    "json_tree",
];

/// Functions that tell of the server, its files or other sessions, change something, or run SQL that
/// the gate would not see.
const REFUSED: [&str; 33] = [
    "add_parquet_key",
    "checkpoint",
    "current_catalog",
    "current_connection_id",
    "current_database",
    "current_query",
    "current_query_id",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_transaction_id",
    "currval",
    "force_checkpoint",
    "get_block_size",
    "getenv",
    "getvariable",
    "glob",
    "in_search_path",
    "json_deserialize_sql",
    "json_execute_serialized_sql",
    "json_serialize_plan",
    "json_serialize_sql",
    "nextval",
    "pg_sleep",
    "query",
    "query_table",
    "set_config",
    "setseed",
    "sleep_ms",
    "sniff_csv",
    "sql_auto_complete",
    "txid_current",
    "which_secret",
];

/// Beginnings of names of such functions.
const REFUSED_STARTS: [&str; 18] = [
    "has_",
    "duckdb_",
    "pragma_",
    "pg_",
    "read_",
    "write_",
    "parquet_",
    "http",
    "sqlite_",
    "postgres_",
    "mysql_",
    "iceberg_",
    "delta_",
    "ducklake_",
    "enable_",
    "disable_",
    "test_",
    "__internal",
];

/// Endings of names of such functions.
const REFUSED_ENDS: [&str; 4] = ["_scan", "_attach", "_query", "_execute"];

/// Functions that make a value as large as they are told, in one step that nothing interrupts and no limit of DuckDB
/// counts.
const MAKERS: [&str; 12] = [
    "array_resize",
    "bitstring",
    "format",
    "generate_series",
    "list_resize",
    "lpad",
    "printf",
    "range",
    "repeat",
    "repeat_row",
    "rpad",
    "space",
];

/// The most that such a function may be told outright.
const MOST_MADE: f64 = 10_000_000.0;

/// Refuses a function within an expression that is not harmless.
pub(super) fn scalar(fields: &Map<String, Value>) -> Result<(), QueryError> {
    unqualified(fields)?;
    let name = text(fields, "function_name")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let refused = REFUSED.contains(&name.as_str())
        || REFUSED_STARTS.iter().any(|start| name.starts_with(start))
        || REFUSED_ENDS.iter().any(|end| name.ends_with(end));
    if refused {
        return Err(QueryError::refused(format!(
            "the function `{}` is not allowed",
            shorten(&name)
        )));
    }
    let mut arguments = fields
        .get("children")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    if MAKERS.contains(&name.as_str()) && arguments.any(is_huge) {
        return Err(QueryError::refused(format!(
            "`{}` would make a value of more than {MOST_MADE} elements",
            shorten(&name)
        )));
    }
    Ok(())
}

/// Whether an argument is a number that is too large, or a text that names one, such as a width.
fn is_huge(argument: &Value) -> bool {
    match argument.pointer("/value/value") {
        Some(Value::Number(number)) => number.as_f64().is_some_and(|n| n.abs() > MOST_MADE),
        Some(Value::String(text)) => {
            let numbers = text.split(|c: char| !c.is_ascii_digit());
            numbers
                .filter_map(|digits| digits.parse::<f64>().ok())
                .any(|n| n > MOST_MADE)
        }
        _ => false,
    }
}

/// A qualified function could be one that a shorter name does not reach.
pub(super) fn unqualified(fields: &Map<String, Value>) -> Result<(), QueryError> {
    let schema = text(fields, "schema").unwrap_or_default();
    let catalog = text(fields, "catalog").unwrap_or_default();
    match catalog.is_empty() && matches!(schema, "" | "main") {
        true => Ok(()),
        false => Err(QueryError::refused(
            "functions are named without a database or schema",
        )),
    }
}
