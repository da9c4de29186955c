//! How the host reads a response body that a connector handed over unread.

use serde::{Deserialize, Serialize};

/// How a body is compressed beyond its `Content-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, whatever the headers say.
    Gzip,
    /// By the body's first bytes.
    Auto,
}

/// How to read CSV.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// The separator; a comma by default.
    pub delimiter: Option<char>,
    /// The quoting character; a double quote by default.
    pub quote: Option<char>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// The columns' names where there is no header line, or in its place.
    pub names: Vec<String>,
    /// How the body is compressed.
    pub compression: Compression,
}

/// How to read one JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonOptions {
    /// An RFC 6901 pointer to the records.
    pub records: String,
    /// RFC 6901 pointers to values that shall be returned.
    pub values: Vec<String>,
    /// How the body is compressed.
    pub compression: Compression,
}

impl JsonOptions {
    /// A document that is nothing but its records.
    pub fn whole() -> Self {
        Self {
            records: String::new(),
            values: Vec::new(),
            compression: Compression::None,
        }
    }
}

/// How to read a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyFormat {
    /// Rows of text.
    Csv(CsvOptions),
    /// One JSON document.
    Json(JsonOptions),
    /// One JSON object a line.
    Ndjson(Compression),
    /// A parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Appended {
    /// Rows that were added.
    pub rows: u64,
    /// The JSON text at each pointer of `JsonOptions::values`.
    pub values: Vec<Option<String>>,
}
