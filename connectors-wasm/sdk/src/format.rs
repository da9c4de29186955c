//! How the host reads a body that it is handed unread.

use crate::Failure;

/// How a body is compressed beyond its `Content-Encoding`, which the host undoes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, whatever the response's headers say.
    Gzip,
    /// gzip if the body's first bytes say so.
    #[default]
    Auto,
}

/// How to read CSV. Made by [`Format::csv`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    /// The separator, one ASCII character; a comma by default.
    pub delimiter: Option<char>,
    /// The quoting character, one ASCII character; a double quote by default.
    pub quote: Option<char>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// The columns' names, where there is no header line or in its place.
    pub names: Vec<String>,
    /// How the body is compressed.
    pub compression: Compression,
}

/// How to read a JSON document. Made by [`Format::json`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Json {
    /// An RFC 6901 pointer to the array of records; empty for the whole document.
    pub records: String,
    /// Pointers to other values that the append shall return, at most 16.
    pub values: Vec<String>,
    /// How the body is compressed.
    pub compression: Compression,
}

/// How the host reads a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Rows of text, RFC 4180 with options.
    Csv(Csv),
    /// One JSON document.
    Json(Json),
    /// One JSON object a line.
    Ndjson(Compression),
    /// A parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

impl Format {
    /// CSV with commas, double quotes and a header line, gzip found by itself.
    pub fn csv() -> Self {
        Self::Csv(Csv {
            delimiter: None,
            quote: None,
            header: true,
            names: Vec::new(),
            compression: Compression::Auto,
        })
    }

    /// A JSON document that is the array of records, gzip found by itself.
    pub fn json() -> Self {
        Self::Json(Json::default())
    }

    /// A JSON document with the records at an RFC 6901 pointer such as `/data/items`.
    pub fn json_at(records: impl Into<String>) -> Self {
        Self::Json(Json {
            records: records.into(),
            ..Json::default()
        })
    }

    /// One JSON object a line, gzip found by itself.
    pub fn ndjson() -> Self {
        Self::Ndjson(Compression::Auto)
    }

    /// Has the append also return the value at a pointer, such as the next page's URL. Only JSON has any: of other
    /// formats this changes nothing.
    #[must_use]
    pub fn value(mut self, pointer: impl Into<String>) -> Self {
        if let Self::Json(json) = &mut self {
            json.values.push(pointer.into());
        }
        self
    }
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// Rows that were added.
    pub rows: u64,
    /// For each pointer of [`Json::values`] the JSON text found there.
    pub values: Vec<Option<String>>,
}

impl Appended {
    /// The text that an append returned for the pointer at this place. Fails with [`Failure::Upstream`] when there was
    /// none.
    pub fn text(&self, pointer: usize) -> Result<String, Failure> {
        let value = self.values.get(pointer).and_then(Option::as_deref);
        value
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(|| {
                Failure::upstream(format!(
                    "the answer has no text at pointer {pointer} of those that were asked for"
                ))
            })
    }
}
