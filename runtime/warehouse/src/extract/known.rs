//! The columns that a table has in its files, those that a run brings, and the ones that hold both.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use domain::Failure;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::metadata::RowGroupMetaData;

use super::input::{Stored, position};
use crate::decode::{join, storable, stored_type};

/// Differences that an error lists.
const SHOWN: usize = 20;

/// The columns of a file.
#[derive(Debug, Clone)]
pub(super) struct FileColumns {
    /// As they are stored.
    stored: Schema,
    /// What their values need: [`DataType::Null`] where none was ever seen, which is stored as text.
    pub(super) needed: Schema,
}

impl FileColumns {
    /// Of a file that is there already.
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        let file = Stored::open(path)?;
        let stored = file.metadata().schema();
        let needed = stored.fields().iter().map(|field| {
            let kept = stored_type(field.data_type(), 0).unwrap_or(DataType::Utf8);
            let seen = !only_nulls(file.metadata(), field.name());
            Field::new(field.name(), if seen { kept } else { DataType::Null }, true)
        });
        Ok(Self {
            needed: Schema::new(needed.collect::<Vec<_>>()),
            stored: stored.as_ref().clone(),
        })
    }

    /// Of the rows that a run has staged.
    pub(super) fn staged(schema: &Schema) -> Self {
        let stored = schema.fields().iter();
        let stored =
            stored.map(|field| Field::new(field.name(), storable(field.data_type()), true));
        Self {
            stored: Schema::new(stored.collect::<Vec<_>>()),
            needed: schema.clone(),
        }
    }

    /// Whether its values stand in the types that the table has. One that lacks a column does: that
    /// reads as null.
    pub(super) fn fit(&self, table: &Schema) -> bool {
        self.stored.fields().iter().all(|field| {
            let own = position(table, field.name()).and_then(|at| table.fields().get(at));
            own.is_some_and(|own| storable(own.data_type()) == *field.data_type())
        })
    }
}

/// Whether a column without structure has no value in any row; unknown counts as no.
fn only_nulls(metadata: &ArrowReaderMetadata, name: &str) -> bool {
    let leaves = metadata.parquet_schema().columns().iter();
    let mut leaves = leaves
        .enumerate()
        .filter(|(_, leaf)| leaf.path().parts() == [name]);
    let Some((at, _)) = leaves.next() else {
        return false;
    };
    let empty = |group: &RowGroupMetaData| {
        let nulls = group
            .columns()
            .get(at)
            .and_then(|column| column.statistics()?.null_count_opt());
        nulls.is_some_and(|nulls| i64::try_from(nulls).is_ok_and(|nulls| nulls == group.num_rows()))
    };
    metadata.metadata().row_groups().iter().all(empty)
}

/// The narrowest columns that hold the values of all, in the order in which they were first seen.
pub(super) fn unify<'a>(schemas: impl IntoIterator<Item = &'a Schema>) -> Schema {
    let mut fields: Vec<Field> = Vec::new();
    let mut known = Schema::empty();
    for schema in schemas {
        for field in schema.fields() {
            match position(&known, field.name()).and_then(|at| fields.get_mut(at)) {
                Some(held) => {
                    *held =
                        Field::new(held.name(), join(held.data_type(), field.data_type()), true);
                }
                None => fields.push(field.as_ref().clone()),
            }
        }
        known = Schema::new(fields.clone());
    }
    known
}

/// The same columns as a file can hold them.
pub(super) fn storable_schema(schema: &Schema) -> Arc<Schema> {
    Arc::new(FileColumns::staged(schema).stored)
}

/// How the columns of a run differ from those of its table, in words; `None` where they do not.
pub(super) fn difference(known: &Schema, staged: &Schema) -> Option<String> {
    let mut lines = Vec::new();
    for field in staged.fields() {
        let kind = field.data_type();
        match position(known, field.name()).and_then(|at| known.fields().get(at)) {
            None => lines.push(format!("`{}` ({}) is new", shown(field.name()), word(kind))),
            Some(held) if widens(held.data_type(), kind) => lines.push(format!(
                "`{}` was {} and would be {}",
                shown(field.name()),
                word(held.data_type()),
                word(&join(held.data_type(), kind))
            )),
            Some(_) => {}
        }
    }
    for field in known.fields() {
        if position(staged, field.name()).is_none() {
            lines.push(format!(
                "`{}` ({}) is missing",
                shown(field.name()),
                word(field.data_type())
            ));
        }
    }
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn widens(held: &DataType, kind: &DataType) -> bool {
    *held != DataType::Null && join(held, kind) != *held
}

fn shown(name: &str) -> String {
    crate::decode::shorten(name)
}

/// A type by the name that it has in `docs/types.md`.
fn word(kind: &DataType) -> String {
    match kind {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Null => "without values".to_owned(),
        DataType::Binary => "blob".to_owned(),
        DataType::Struct(fields) => {
            let fields = fields.iter().take(SHOWN);
            let fields = fields.map(|f| format!("{} {}", shown(f.name()), word(f.data_type())));
            format!("struct({})", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::List(item) => format!("{}[]", word(item.data_type())),
        _ => "varchar".to_owned(),
    }
}
