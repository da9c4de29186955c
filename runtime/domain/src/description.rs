//! What is known about tables beside their rows: words about columns, and profiles.

use jiff::Timestamp;
use serde_json::Value;

/// What somebody says about a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNote {
    /// The column, unique in its table without regard to case.
    pub column: String,
    /// What kind of value it holds, in words such as `NUMERIC`.
    pub basetype: Option<String>,
    /// What it means.
    pub description: Option<String>,
    /// How sure that is: `manual`, or a word of whoever guessed it.
    pub confidence: String,
    /// Where it comes from.
    pub source: String,
    /// When it was said.
    pub updated_at: Timestamp,
}

/// What the rows of a table look like.
#[derive(Debug, Clone, PartialEq)]
pub struct TableProfile {
    /// The table.
    pub table: String,
    /// Counts, columns and samples: a JSON object.
    pub profile: Value,
    /// When the rows were looked at.
    pub profiled_at: Timestamp,
}
