//! Settings of the connector `files`, as short as tests want them.

use serde_json::{Value, json};

/// Settings of these tables.
pub fn settings(tables: impl IntoIterator<Item = Value>) -> Value {
    json!({"tables": tables.into_iter().collect::<Vec<_>>()})
}

/// A table of CSV with a header line.
pub fn csv(name: &str, url: &str) -> Value {
    json!({"name": name, "url": url, "format": "csv"})
}

/// A table of one JSON object a line.
pub fn ndjson(name: &str, url: &str) -> Value {
    json!({"name": name, "url": url, "format": "ndjson"})
}

/// A table of JSON documents that hold their records in `data` and the next page's URL in `next`.
pub fn pages(name: &str, url: &str) -> Value {
    json!({"name": name, "url": url, "format": "json", "records": "/data", "next": "/next"})
}
