//! What is brought of a table: its columns and keys, and how much of it.

use connector_sdk::{Column, Failure, TableSpec, WriteMode, cursor};

use crate::api::StorageTable;
use crate::position::{self, Next, Position, Shape};
use crate::settings::{TableSettings, Types};
use crate::types;

/// What is brought of a table.
pub(crate) struct Plan {
    pub(crate) name: String,
    description: String,
    columns: Vec<Column>,
    pub(crate) shape: Shape,
    pub(crate) incremental: bool,
    pub(crate) now: Option<Position>,
}

impl Plan {
    /// After what the settings say of a table and what Storage does.
    pub(crate) fn of(table: &TableSettings, stored: &StorageTable) -> Result<Self, Failure> {
        let names = chosen(&table.columns, &stored.columns);
        let keys = keys(table, stored, names)?;
        let columns = types::columns(stored, names, table.types == Types::Metadata);
        let kind = |column: &Column| format!("{:?}", column.column_type);
        let shape = Shape {
            columns: names.to_vec(),
            filters: table.filters.clone(),
            changed_since: table.changed_since.clone(),
            types: columns.iter().map(kind).collect(),
            keys,
        };
        Ok(Self {
            name: table.name(),
            description: types::description(&stored.metadata).unwrap_or_default(),
            incremental: table.incremental() && !shape.keys.is_empty(),
            now: Position::of(stored, shape.clone()),
            columns,
            shape,
        })
    }

    /// How the table is opened.
    pub(crate) fn spec(&self, mode: WriteMode) -> TableSpec {
        TableSpec {
            columns: self.columns.clone(),
            primary_key: self.shape.keys.clone(),
            mode,
            ..TableSpec::new(&self.name).description(&self.description)
        }
    }

    /// What to export.
    pub(crate) fn next(&self) -> Next {
        if !self.incremental {
            return Next::Whole("it is not incremental");
        }
        let last = Position::read(cursor::get(&self.name).as_deref());
        position::next(last.as_ref(), self.now.as_ref())
    }
}

/// What the settings name, or else what Storage has.
fn chosen<'a>(named: &'a [String], stored: &'a [String]) -> &'a [String] {
    match named.is_empty() {
        true => stored,
        false => named,
    }
}

/// The columns that name a row of these columns.
fn keys(
    table: &TableSettings,
    stored: &StorageTable,
    names: &[String],
) -> Result<Vec<String>, Failure> {
    let keys = chosen(&table.primary_key, &stored.primary_key);
    let unknown = |name: &&String| !stored.columns.contains(name);
    if let Some(name) = names.iter().chain(keys).find(unknown) {
        return Err(Failure::config(format!("it has no column `{name}`")));
    }
    match keys.iter().all(|key| names.contains(key)) {
        true => Ok(keys.to_vec()),
        // Whoever leaves out a part of Storage's key gets rows that nothing names.
        false if table.primary_key.is_empty() => Ok(Vec::new()),
        false => Err(Failure::config(
            "its `columns` do not hold all of its `primary_key`",
        )),
    }
}
