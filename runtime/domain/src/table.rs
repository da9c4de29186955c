//! Tables and columns as connectors declare them and people see them.

use serde::{Deserialize, Serialize};

use crate::names::TableName;

/// The type of a stored column; see `column-type` of the connector interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnType {
    /// `true` or `false`.
    Boolean,
    /// A signed 64-bit integer.
    Bigint,
    /// A 64-bit floating point number.
    Double,
    /// An exact decimal number.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// UTF-8 text.
    Varchar,
    /// A day.
    Date,
    /// Microseconds in UTC.
    Timestamp,
    /// Any JSON value as its text.
    Json,
}

/// A declared column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// As it stands in the rows.
    pub name: String,
    /// How it is stored.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
}

/// What a run does with the rows that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// The rows of this run are the table.
    Replace,
    /// The rows of this run follow the ones that are there.
    Append,
    /// Rows whose primary key is there already take its place.
    Merge,
}

/// Where a table's rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryMode {
    /// In parquet files of the extract.
    Local,
    /// In an attached database.
    Remote,
}

impl QueryMode {
    /// The word that stands in `_meta.query_mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// A table as a connector opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Its name.
    pub name: TableName,
    /// What it holds; may be empty.
    pub description: String,
    /// Types that must not be inferred.
    pub columns: Vec<Column>,
    /// Columns that name a row.
    pub primary_key: Vec<String>,
    /// What happens to earlier rows.
    pub mode: WriteMode,
    /// A column whose values split the table into files.
    pub partition_by: Option<String>,
}

/// A table that a source can yield, as `discover` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableInfo {
    /// Its name.
    pub name: TableName,
    /// What it holds; may be empty.
    pub description: String,
    /// The columns that are known beforehand.
    pub columns: Vec<Column>,
    /// Columns that name a row.
    pub primary_key: Vec<String>,
}

/// A remote database as a connector declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The name under which it is attached.
    pub alias: crate::names::Alias,
    /// The DuckDB extension that attaches it.
    pub extension: String,
    /// Where it is, without a credential.
    pub url: String,
    /// The credential slot whose value opens it.
    pub credential_slot: Option<crate::names::SlotName>,
}

/// A table of an attached database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTable {
    /// The name under which people query it.
    pub name: TableName,
    /// What it holds; may be empty.
    pub description: String,
    /// The attachment that it comes from.
    pub alias: crate::names::Alias,
    /// Its name there.
    pub remote_name: String,
}
