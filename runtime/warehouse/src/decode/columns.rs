//! A table's columns while rows come in: finds the column of each value, keeps the rows aligned, and
//! gives out batches in a schema that only grows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use domain::{Column, ColumnType, Failure};

use super::error::DecodeError;
use super::lane::{Cell, Lane};
use super::shape::{Shape, typed};
use super::widen::{conform, join};
use super::{arrived, declared};

/// A batch is given out when it has this many rows or bytes: enough to encode well, little enough
/// to keep a few in flight.
const BATCH_ROWS: usize = 16_384;
const BATCH_BYTES: usize = 8 << 20;
/// A document with fewer rows and bytes than these waits for the next one: small batches cost more to encode.
const HELD_ROWS: usize = 4_096;
const HELD_BYTES: usize = 2 << 20;
/// More columns than any table that people query; a hostile body could invent one a row.
const MAX_COLUMNS: usize = 2_000;
const MAX_NAME: usize = 255;

/// Takes the batches of a table.
pub(crate) trait Sink {
    /// Takes a batch. Blocks while too many wait.
    fn take(&mut self, batch: RecordBatch) -> Result<(), Failure>;
}

#[derive(Debug)]
struct ColumnState {
    /// As it stands in the rows.
    key: String,
    /// As it is stored: unique without regard to case.
    name: String,
    declared: Option<ColumnType>,
    /// What all batches so far need.
    stored: DataType,
    lane: Lane,
    /// Of the nested values; `Some` while the lane holds nothing else.
    nested: Option<Shape>,
    rows: usize,
}

/// The columns of a table.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    columns: Vec<ColumnState>,
    by_key: HashMap<String, usize>,
    names: HashSet<String>,
    /// Keys whose values are kept as JSON text where nothing else is declared.
    json: HashSet<String>,
    /// Where the next key probably is: records tend to have their keys in one order.
    expected: usize,
    rows: usize,
    bytes: usize,
    /// Rows of the append that is going on, for errors.
    row_of_append: u64,
    buffer: String,
    scratch: String,
    error: Option<DecodeError>,
}

impl Columns {
    /// The declared columns, before any row, and the keys whose values are JSON text.
    pub(crate) fn new(declared: &[Column], json: &[String]) -> Result<Self, DecodeError> {
        let mut columns = Self {
            json: json.iter().cloned().collect(),
            ..Self::default()
        };
        for column in declared {
            if columns.by_key.contains_key(&column.name) {
                let reason = format!(
                    "the column `{}` is declared twice",
                    arrived::shorten(&column.name)
                );
                return Err(DecodeError::Body(reason));
            }
            columns.add(&column.name, Some(column.column_type))?;
        }
        Ok(columns)
    }

    /// Starts counting the rows of an append.
    pub(crate) fn begin_append(&mut self) {
        self.row_of_append = 0;
    }

    /// Rows of the append so far.
    pub(crate) fn appended(&self) -> u64 {
        self.row_of_append
    }

    /// Whether nothing is known of the table.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The column for a key, added where it is new; `None` where this row has a value for it already.
    pub(crate) fn find(&mut self, key: &str) -> Result<Option<usize>, DecodeError> {
        let hit = self
            .columns
            .get(self.expected)
            .is_some_and(|column| column.key == key);
        let index = match hit {
            true => self.expected,
            false => match self.by_key.get(key) {
                Some(index) => *index,
                None => self.add(key, None)?,
            },
        };
        self.expected = index + 1;
        let free = self
            .columns
            .get(index)
            .is_some_and(|column| column.rows == self.rows);
        Ok(free.then_some(index))
    }

    fn add(&mut self, key: &str, declared: Option<ColumnType>) -> Result<usize, DecodeError> {
        if self.columns.len() >= MAX_COLUMNS {
            let reason = format!(
                "there are more than {MAX_COLUMNS} columns; is the key of a dictionary taken for a column's name?"
            );
            return Err(DecodeError::Limit(reason));
        }
        if key.len() > MAX_NAME || key.chars().any(char::is_control) {
            let shown = arrived::shorten(key);
            let reason = format!(
                "`{shown}` cannot name a column: at most {MAX_NAME} bytes and no control characters"
            );
            return Err(self.row_error(reason));
        }
        let index = self.columns.len();
        let name = self.unique_name(key, index);
        let declared = declared.or_else(|| self.json.contains(key).then_some(ColumnType::Json));
        let stored = declared.map_or(DataType::Null, declared::data_type);
        let mut lane = Lane::new(&stored);
        lane.nulls(self.rows);
        self.columns.push(ColumnState {
            key: key.to_owned(),
            name,
            declared,
            stored,
            lane,
            nested: None,
            rows: self.rows,
        });
        self.by_key.insert(key.to_owned(), index);
        Ok(index)
    }

    fn unique_name(&mut self, key: &str, index: usize) -> String {
        let base = if key.is_empty() {
            format!("column{}", index + 1)
        } else {
            key.to_owned()
        };
        let mut name = base.clone();
        let mut count = 1;
        while !self.names.insert(name.to_lowercase()) {
            name = format!("{base}_{count}");
            count += 1;
        }
        name
    }

    /// Adds a value to a column of the current row.
    pub(crate) fn push(&mut self, index: usize, cell: Cell<'_>) -> Result<(), DecodeError> {
        let Some(column) = self.columns.get_mut(index) else {
            return Ok(());
        };
        let fits = match column.declared {
            Some(kind) => declared::push(&mut column.lane, kind, cell, &mut self.buffer).is_some(),
            None => {
                column.infer(cell, &mut self.buffer);
                true
            }
        };
        if fits {
            column.rows += 1;
            return Ok(());
        }
        let kind = column.declared.map(declared::describe).unwrap_or_default();
        Err(DecodeError::Value {
            row: self.row_of_append + 1,
            column: column.name.clone(),
            value: arrived::shorten(cell.text(&mut self.buffer).unwrap_or_default()),
            declared: kind,
        })
    }

    /// Adds a nested value: `copy` writes its text and widens its shape.
    pub(crate) fn push_nested<E>(
        &mut self,
        index: usize,
        copy: impl FnOnce(&mut String, &mut Shape) -> Result<(), E>,
    ) -> Result<Result<(), DecodeError>, E> {
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        let mut ignored = Shape::Mixed;
        let shape = match self.columns.get_mut(index) {
            Some(column) => column.begin_nested().unwrap_or(&mut ignored),
            None => &mut ignored,
        };
        copy(&mut text, shape)?;
        let pushed = self.push(index, Cell::Nested(&text));
        self.scratch = text;
        Ok(pushed)
    }

    /// Ends a row; `bytes` is how long it was. Gives out a batch when there is enough.
    pub(crate) fn end_row(&mut self, bytes: usize, sink: &mut dyn Sink) -> Result<(), DecodeError> {
        self.rows += 1;
        self.bytes += bytes;
        self.row_of_append += 1;
        self.expected = 0;
        for column in &mut self.columns {
            if column.rows < self.rows {
                column.lane.nulls(1);
                column.rows += 1;
            }
        }
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.flush(sink)?;
        }
        Ok(())
    }

    /// Ends a document of this many bytes. Gives out what is there, unless that is little.
    pub(crate) fn end_document(
        &mut self,
        bytes: usize,
        sink: &mut dyn Sink,
    ) -> Result<(), DecodeError> {
        self.bytes += bytes;
        if self.rows >= HELD_ROWS || self.bytes >= HELD_BYTES {
            self.flush(sink)?;
        }
        Ok(())
    }

    /// Gives out what is there.
    pub(crate) fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), DecodeError> {
        if self.rows == 0 {
            return Ok(());
        }
        let arrays = self
            .columns
            .iter_mut()
            .map(ColumnState::finish)
            .collect::<Result<Vec<_>, _>>()?;
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        sink.take(self.batch(arrays, rows)?)
            .map_err(DecodeError::Sink)
    }

    /// Adds a batch that is columnar already.
    pub(crate) fn push_batch(
        &mut self,
        batch: &RecordBatch,
        sink: &mut dyn Sink,
    ) -> Result<(), DecodeError> {
        self.flush(sink)?;
        let mut taken: HashMap<usize, ArrayRef> = HashMap::new();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            if let Some(index) = self.find(field.name())? {
                let array = arrived::normal(array, field.name())?;
                taken.insert(index, self.typed(index, array)?);
            }
        }
        let arrays =
            self.columns
                .iter()
                .enumerate()
                .map(|(index, column)| match taken.remove(&index) {
                    Some(array) => Ok(array),
                    None => Ok(arrow::array::new_null_array(
                        &column.stored,
                        batch.num_rows(),
                    )),
                });
        let arrays = arrays.collect::<Result<Vec<_>, DecodeError>>()?;
        self.row_of_append += batch.num_rows() as u64;
        self.expected = 0;
        sink.take(self.batch(arrays, batch.num_rows())?)
            .map_err(DecodeError::Sink)
    }

    /// An array in the type of its column, which it may widen unless that was declared.
    fn typed(&mut self, index: usize, array: ArrayRef) -> Result<ArrayRef, DecodeError> {
        let row = self.row_of_append;
        let Some(column) = self.columns.get_mut(index) else {
            return Ok(array);
        };
        if let Some(kind) = column.declared {
            return arrived::strict(&array, &column.stored).map_err(|(at, value)| {
                DecodeError::Value {
                    row: row + at as u64 + 1,
                    column: column.name.clone(),
                    value,
                    declared: declared::describe(kind),
                }
            });
        }
        column.stored = join(&column.stored, array.data_type());
        Ok(conform(&array, &column.stored)?)
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, DecodeError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            self.schema(),
            arrays,
            &options,
        )?)
    }

    /// The schema as far as it is known.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        let fields = self
            .columns
            .iter()
            .map(|c| Field::new(&c.name, c.stored.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// An error at the row that is being read.
    pub(crate) fn row_error(&self, reason: impl Into<String>) -> DecodeError {
        DecodeError::Row {
            row: self.row_of_append + 1,
            reason: reason.into(),
        }
    }

    /// Keeps an error that must travel through a foreign error type.
    pub(crate) fn keep(&mut self, error: DecodeError) -> String {
        let text = error.to_string();
        self.error = Some(error);
        text
    }

    /// The error that was kept.
    pub(crate) fn kept(&mut self) -> Option<DecodeError> {
        self.error.take()
    }
}

impl ColumnState {
    fn infer(&mut self, cell: Cell<'_>, buffer: &mut String) {
        if self.nested.is_some() && !matches!(cell, Cell::Nested(_) | Cell::Null) {
            // A scalar among nested values: all of them are text from now on.
            self.nested = None;
        }
        self.lane.infer(cell, buffer);
    }

    /// The shape to widen, while the column can still be nested.
    fn begin_nested(&mut self) -> Option<&mut Shape> {
        if self.declared.is_none() && matches!(self.lane, Lane::Null(_)) {
            self.lane.widen(&DataType::Utf8);
            self.nested = Some(Shape::Null);
        }
        self.nested.as_mut()
    }

    /// Takes the batch's values out in the type that the column has by now.
    fn finish(&mut self) -> Result<ArrayRef, DecodeError> {
        self.rows = 0;
        let mut array = self.lane.finish();
        if let Some(shape) = &self.nested {
            match typed(array.as_string::<i32>(), shape) {
                Ok(nested) => array = nested,
                Err(_) => self.nested = None,
            }
        }
        if self.declared.is_none() {
            self.stored = join(&self.stored, array.data_type());
        }
        Ok(conform(&array, &self.stored)?)
    }
}
