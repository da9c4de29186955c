//! Which rows a merge leaves: of rows with one key the last, and none that was deleted.
//!
//! Memory is bounded: keys are looked at a million at a time, in as many passes over the key columns as
//! that takes. A bit a row stays.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use domain::{Failure, TableName};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::input::{Stored, position};
use super::known::storable_schema;
use crate::decode::{conform_batch, shorten};

/// About 64 MiB of keys and row numbers; in tests so few that there are several passes.
const KEYS_A_PASS: usize = if cfg!(test) { 3 } else { 1 << 20 };

/// Finds rows by their keys. A key is told by 128 bits of a hash whose seeds nobody knows, so that nobody
/// can make two keys meet.
pub(super) struct Keys<'a> {
    table: &'a TableName,
    schema: SchemaRef,
    rows: RowConverter,
    seeds: (RandomState, RandomState),
}

/// What a merge leaves of its files.
#[derive(Debug)]
pub(super) struct Left {
    /// Of the staged rows; `None` where all count.
    pub(super) staged: Option<BooleanBuffer>,
    /// Of each earlier file; `None` where all rows stay.
    pub(super) earlier: Vec<Option<BooleanBuffer>>,
}

/// A bit for each row of a file, all set at first.
struct Bits {
    bits: BooleanBufferBuilder,
    cleared: bool,
}

impl Bits {
    fn all(rows: usize) -> Self {
        let mut bits = BooleanBufferBuilder::new(rows);
        bits.append_n(rows, true);
        Self {
            bits,
            cleared: false,
        }
    }

    fn clear(&mut self, row: usize) {
        self.bits.set_bit(row, false);
        self.cleared = true;
    }

    fn finish(mut self) -> Option<BooleanBuffer> {
        self.cleared.then(|| self.bits.finish())
    }
}

impl<'a> Keys<'a> {
    /// For a table with these key columns, in the types that its rows have together.
    pub(super) fn new(
        table: &'a TableName,
        key: &[String],
        columns: &Schema,
    ) -> Result<Self, Failure> {
        let mut fields = Vec::new();
        for name in key {
            let at = position(columns, name);
            let Some(field) = at.and_then(|at| columns.fields().get(at)) else {
                return Err(Failure::upstream(format!(
                    "table `{table}`: no row has the column `{}` of its primary key",
                    shorten(name)
                )));
            };
            if field.data_type().is_nested() {
                return Err(Failure::bug(format!(
                    "table `{table}`: the column `{}` of its primary key holds objects or arrays; a key must be made of plain values",
                    shorten(name)
                )));
            }
            fields.push(Field::new(field.name(), field.data_type().clone(), true));
        }
        let schema = storable_schema(&Schema::new(fields));
        let sort = schema
            .fields()
            .iter()
            .map(|field| SortField::new(field.data_type().clone()));
        let rows = RowConverter::new(sort.collect()).map_err(|error| {
            Failure::bug(format!(
                "table `{table}`: its primary key cannot be compared: {error}"
            ))
        })?;
        Ok(Self {
            table,
            schema,
            rows,
            seeds: (RandomState::new(), RandomState::new()),
        })
    }

    /// Finds out which rows stay.
    pub(super) fn resolve(
        &self,
        staged: &Stored<'_>,
        earlier: &[Stored<'_>],
        tombstone: Option<&str>,
    ) -> Result<Left, Failure> {
        let mut wins = Bits::all(staged.rows()?);
        let mut stays = earlier
            .iter()
            .map(|file| Ok(Bits::all(file.rows()?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        let passes = staged.rows()?.div_ceil(KEYS_A_PASS).max(1) as u128;
        for pass in 0..passes {
            let newest = self.newest(staged, &mut wins, |hash| hash % passes == pass)?;
            for (file, stays) in earlier.iter().zip(&mut stays) {
                self.overtaken(staged, file, &newest, stays)?;
            }
        }
        if let Some(column) = tombstone {
            bury(staged, column, &mut wins)?;
        }
        Ok(Left {
            staged: wins.finish(),
            earlier: stays.into_iter().map(Bits::finish).collect(),
        })
    }

    /// The last staged row of each key of a pass; earlier ones lose.
    fn newest(
        &self,
        staged: &Stored<'_>,
        wins: &mut Bits,
        of_pass: impl Fn(u128) -> bool,
    ) -> Result<HashMap<u128, usize>, Failure> {
        let mut newest = HashMap::new();
        let mut at = 0;
        for batch in staged.read(&self.schema, None)? {
            let batch = staged.told(batch.and_then(|batch| conform_batch(&batch, &self.schema)))?;
            self.whole(&batch, at)?;
            for hash in self.hashes(&batch)? {
                if of_pass(hash)
                    && let Some(older) = newest.insert(hash, at)
                {
                    wins.clear(older);
                }
                at += 1;
            }
        }
        Ok(newest)
    }

    /// Clears the rows of an earlier file whose keys came again.
    fn overtaken(
        &self,
        staged: &Stored<'_>,
        file: &Stored<'_>,
        newest: &HashMap<u128, usize>,
        stays: &mut Bits,
    ) -> Result<(), Failure> {
        let span = self.span(staged.metadata().metadata().row_groups());
        let mut start = 0;
        for (number, group) in file.metadata().metadata().row_groups().iter().enumerate() {
            let mut at = start;
            start += usize::try_from(group.num_rows()).unwrap_or(0);
            if apart(
                span.as_ref(),
                self.span(std::slice::from_ref(group)).as_ref(),
            ) {
                continue;
            }
            for batch in file.read(&self.schema, Some(number))? {
                let batch =
                    file.told(batch.and_then(|batch| conform_batch(&batch, &self.schema)))?;
                for hash in self.hashes(&batch)? {
                    if newest.contains_key(&hash) {
                        stays.clear(at);
                    }
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// A row without its whole key cannot be found again.
    fn whole(&self, batch: &RecordBatch, before: usize) -> Result<(), Failure> {
        for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
            if let Some(row) = (0..array.len()).find(|row| array.is_null(*row)) {
                return Err(Failure::upstream(format!(
                    "table `{}`, row {} of those since its last publish: the column `{}` of the primary key is null",
                    self.table,
                    before + row + 1,
                    shorten(field.name())
                )));
            }
        }
        Ok(())
    }

    fn hashes(&self, batch: &RecordBatch) -> Result<Vec<u128>, Failure> {
        let rows = self.rows.convert_columns(batch.columns());
        let rows = rows.map_err(|error| {
            Failure::bug(format!(
                "table `{}`: its keys cannot be compared: {error}",
                self.table
            ))
        })?;
        let (high, low) = &self.seeds;
        let hash =
            |row: &[u8]| u128::from(high.hash_one(row)) << 64 | u128::from(low.hash_one(row));
        Ok(rows.iter().map(|row| hash(row.as_ref())).collect())
    }

    /// The least and the greatest value of the first key column, where that is a whole number in the
    /// files and the table.
    fn span(&self, groups: &[RowGroupMetaData]) -> Option<Range<i64>> {
        let first = self.schema.fields().first()?;
        if *first.data_type() != DataType::Int64 {
            return None;
        }
        let mut span: Option<Range<i64>> = None;
        for group in groups {
            let mut columns = group.columns().iter();
            let column =
                columns.find(|column| column.column_path().parts() == [first.name().as_str()])?;
            let Some(Statistics::Int64(values)) = column.statistics() else {
                return None;
            };
            let (least, greatest) = (*values.min_opt()?, *values.max_opt()?);
            let known = span.unwrap_or(least..greatest);
            span = Some(known.start.min(least)..known.end.max(greatest));
        }
        span
    }
}

/// Whether no value can be in both spans, whose ends belong to them.
fn apart(a: Option<&Range<i64>>, b: Option<&Range<i64>>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a.end < b.start || b.end < a.start)
}

/// Clears the rows that say that they were deleted.
fn bury(staged: &Stored<'_>, column: &str, wins: &mut Bits) -> Result<(), Failure> {
    let wanted = Schema::new(vec![Field::new(column, DataType::Null, true)]);
    let mut at = 0;
    for batch in staged.read(&wanted, None)? {
        let batch = staged.told(batch)?;
        if let Some(array) = batch.columns().first() {
            for row in (0..array.len()).filter(|row| is_dead(array, *row)) {
                wins.clear(at + row);
            }
        }
        at += batch.num_rows();
    }
    Ok(())
}

/// Anything but null, false, zero and empty text.
fn is_dead(array: &ArrayRef, row: usize) -> bool {
    if array.is_null(row) {
        return false;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row) != 0,
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row) != 0.0,
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value(row).trim();
            !(text.is_empty() || text == "0" || text.eq_ignore_ascii_case("false"))
        }
        _ => true,
    }
}
