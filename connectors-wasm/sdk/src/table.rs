//! Tables: what they are made of, and the three ways to put rows into them.

use std::collections::HashSet;

use serde::Serialize;

use crate::http::{self, Response};
use crate::{Appended, Failure, Format, host, link};

/// The type of a stored column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// UTF-8 text.
    Varchar,
    /// A day.
    Date,
    /// A point in time in microseconds, kept in UTC.
    Timestamp,
    /// Any JSON value, kept as its text.
    Json,
}

/// A declared column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name as it stands in the rows, 1 to 255 bytes.
    pub name: String,
    /// How it is stored. A value that does not fit fails the append.
    pub column_type: ColumnType,
    /// What it means, for the people who query it.
    pub description: Option<String>,
}

/// What a run does with the rows that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteMode {
    /// The rows of this run are the table.
    #[default]
    Replace,
    /// The rows of this run follow the ones that are there.
    Append,
    /// Rows with a primary key that is there already take its place.
    Merge,
}

/// A table as [`Table::open`] declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// `[A-Za-z_][A-Za-z0-9_]{0,63}`, unique in the source without regard to case.
    pub name: String,
    /// What the table holds, for the people who query it.
    pub description: String,
    /// Types that must not be inferred from the rows.
    pub columns: Vec<Column>,
    /// Columns that name a row; required for [`WriteMode::Merge`].
    pub primary_key: Vec<String>,
    /// What happens to earlier rows.
    pub mode: WriteMode,
    /// A column whose values split the table into files.
    pub partition_by: Option<String>,
}

impl TableSpec {
    /// A table that each run replaces, with all columns inferred.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            mode: WriteMode::Replace,
            partition_by: None,
        }
    }

    /// A table to which each run adds.
    pub fn append(name: impl Into<String>) -> Self {
        Self::new(name).mode(WriteMode::Append)
    }

    /// Says what the table holds.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Declares a column's type.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, column_type: ColumnType) -> Self {
        self.columns.push(Column {
            name: name.into(),
            column_type,
            description: None,
        });
        self
    }

    /// Names the columns that name a row.
    #[must_use]
    pub fn primary_key<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.primary_key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Chooses what happens to earlier rows.
    #[must_use]
    pub fn mode(mut self, mode: WriteMode) -> Self {
        self.mode = mode;
        self
    }

    /// Splits the table into files by a column's values.
    #[must_use]
    pub fn partition_by(mut self, column: impl Into<String>) -> Self {
        self.partition_by = Some(column.into());
        self
    }
}

/// A table that a source can yield, as `discover` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableInfo {
    /// Its name, as `sync` will open it.
    pub name: String,
    /// What it holds; may be empty.
    pub description: String,
    /// The columns that are known beforehand.
    pub columns: Vec<Column>,
    /// Columns that name a row.
    pub primary_key: Vec<String>,
}

impl TableInfo {
    /// A table of which only the name is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

impl From<&TableSpec> for TableInfo {
    fn from(spec: &TableSpec) -> Self {
        Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            columns: spec.columns.clone(),
            primary_key: spec.primary_key.clone(),
        }
    }
}

/// An open table. Dropping it closes it; its rows stay in the run.
#[derive(Debug)]
pub struct Table(host::Table);

impl Table {
    /// Opens a table for writing. Fails with [`Failure::Bug`] for a malformed specification, for a table that is open
    /// already, and outside of `sync`.
    pub fn open(spec: &TableSpec) -> Result<Self, Failure> {
        host::Table::open(spec).map(Self)
    }

    /// Hands a body to the table unread: its bytes never enter the sandbox. Fails with [`Failure::Upstream`] when the
    /// body is not what `format` says; the run is then unusable, so return the failure from `sync`.
    pub fn append_body(&self, body: Response, format: &Format) -> Result<Appended, Failure> {
        self.0.append_body(body.into_host(), format)
    }

    /// Appends a JSON page and those that follow it: `next` points to the next page's address, relative or not, and the
    /// last page has none there. Returns all rows, and the values of the last page. Fails with [`Failure::Upstream`] when
    /// the pages go round in a circle.
    pub fn append_pages(
        &self,
        first: &str,
        format: &Format,
        next: &str,
    ) -> Result<Appended, Failure> {
        let format = format.clone().value(next);
        let mut seen = HashSet::new();
        let mut url = first.to_owned();
        let mut rows = 0;
        while seen.insert(url.clone()) {
            let mut page = self.append_body(http::get(&url).fetch()?, &format)?;
            rows += page.rows;
            match link::following(&url, page.values.pop().flatten())? {
                Some(after) => url = after,
                None => return Ok(Appended { rows, ..page }),
            }
        }
        Err(Failure::upstream(format!(
            "the pages of {} lead back to one that was read before",
            http::without_query(first)
        )))
    }

    /// Adds records that the connector shaped, at most 4 MiB of JSON. Returns how many rows were added.
    pub fn append_json<T: Serialize>(&self, records: &[T]) -> Result<u64, Failure> {
        let json = serde_json::to_vec(records)
            .map_err(|error| Failure::bug(format!("a record cannot be JSON: {error}")))?;
        self.append_json_bytes(&json)
    }

    /// Adds records that are JSON already: an array of objects, or one object a line; at most 4 MiB.
    pub fn append_json_bytes(&self, records: &[u8]) -> Result<u64, Failure> {
        self.0.append_json(records)
    }

    /// Adds an Arrow IPC stream of at most 4 MiB. Returns how many rows were added.
    pub fn append_arrow(&self, ipc_stream: &[u8]) -> Result<u64, Failure> {
        self.0.append_arrow(ipc_stream)
    }
}

#[cfg(test)]
mod tests;
