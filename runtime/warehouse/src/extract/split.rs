//! Writes rows into one file a partition.
//!
//! No value ever becomes a part of a path: files are named by run and number, and which partition a file
//! is stands beside it in the extract. Memory is bounded: a few writers are open at once, what they hold
//! is written as soon as it is much, and partitions beyond that wait for another pass over the rows.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use domain::{Digest, Failure, Partitioning, TableName};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::encoder::{self, encode_failure};
use super::hashing::{Hashing, Written};
use super::input::{Input, position};
use crate::decode::{TIMESTAMP, shorten};

/// Files that are written at once; in tests so few that there are several passes.
const WRITERS: usize = if cfg!(test) { 2 } else { 32 };
/// What all open writers may hold together.
const HELD: usize = 96 << 20;
/// A table with more files than this is slow to plan for every query.
const MOST_PARTITIONS: usize = if cfg!(test) { 20 } else { 2_000 };
/// Microseconds.
const DAY: i64 = 86_400_000_000;
/// A longer value stands as its hash.
const MAX_LABEL: usize = 200;

/// A file with the partition that it holds.
#[derive(Debug, Clone)]
pub(super) struct NewFile {
    pub(super) written: Written,
    pub(super) partition: Option<String>,
    /// The file in whose place it stands, by the name that marks know it by.
    pub(super) origin: Option<PathBuf>,
}

impl NewFile {
    /// A file that holds whatever the table has.
    pub(super) fn whole(written: Written) -> Self {
        Self {
            written,
            partition: None,
            origin: None,
        }
    }
}

/// Writes a table's rows.
pub(super) struct Splitter<'a> {
    pub(super) table: &'a TableName,
    pub(super) by: Option<&'a Partitioning>,
    pub(super) schema: SchemaRef,
    /// Names the next file.
    pub(super) next_path: &'a mut dyn FnMut() -> PathBuf,
    pub(super) written: &'a Arc<AtomicU64>,
}

/// The partitions in the order in which they were found.
#[derive(Debug, Default)]
struct Found {
    places: HashMap<Option<String>, usize>,
    labels: Vec<Option<String>>,
}

impl Found {
    fn place(&mut self, label: Option<String>) -> usize {
        let next = self.labels.len();
        *self.places.entry(label).or_insert_with_key(|label| {
            self.labels.push(label.clone());
            next
        })
    }
}

struct Open {
    path: PathBuf,
    writer: ArrowWriter<Hashing>,
}

impl Splitter<'_> {
    /// Writes the rows of all inputs, in their order within each partition.
    pub(super) fn write(mut self, inputs: &[Input]) -> Result<Vec<NewFile>, Failure> {
        let mut found = Found::default();
        let mut files = Vec::new();
        let mut first = 0;
        loop {
            let open = self.pass(inputs, &mut found, first)?;
            for (place, Open { path, writer }) in open {
                let written = encoder::close(writer, path.clone());
                files.push(NewFile {
                    written: written.map_err(|error| encode_failure(&path, &error))?,
                    partition: found.labels.get(place).cloned().flatten(),
                    origin: None,
                });
            }
            first += WRITERS;
            if first >= found.labels.len() {
                return Ok(files);
            }
        }
    }

    /// The partitions that rows are in.
    pub(super) fn labels(&self, inputs: &[Input]) -> Result<Vec<Option<String>>, Failure> {
        let mut found = Found::default();
        let column = self.by.and_then(|by| position(&self.schema, by.column()));
        let fields = column.and_then(|at| self.schema.fields().get(at)).cloned();
        let only = Arc::new(arrow::datatypes::Schema::new(Vec::from_iter(fields)));
        for input in inputs {
            input.each(&only, |batch| self.group(&batch, &mut found).map(drop))?;
        }
        Ok(found.labels)
    }

    /// Writes the partitions from one number on.
    fn pass(
        &mut self,
        inputs: &[Input],
        found: &mut Found,
        first: usize,
    ) -> Result<BTreeMap<usize, Open>, Failure> {
        let mut open = BTreeMap::new();
        let schema = Arc::clone(&self.schema);
        for input in inputs {
            input.each(&schema, |batch| {
                for (place, rows) in self.group(&batch, found)? {
                    if (first..first + WRITERS).contains(&place) {
                        self.put(&mut open, place, &batch, rows)?;
                    }
                }
                relieve(&mut open)
            })?;
        }
        Ok(open)
    }

    /// The rows of a batch by the number of their partition.
    fn group(
        &self,
        batch: &RecordBatch,
        found: &mut Found,
    ) -> Result<BTreeMap<usize, Vec<u32>>, Failure> {
        let mut groups: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        let Some(by) = self.by else {
            groups.insert(found.place(None), (0..rows).collect());
            return Ok(groups);
        };
        let labels = Labels::of(self.table, by, batch)?;
        // A label is put together once for each value of a batch, not for each row.
        let mut seen: HashMap<Value<'_>, usize> = HashMap::new();
        for row in 0..rows {
            let at = row as usize;
            let place = seen.entry(labels.value(at));
            let place = *place.or_insert_with(|| found.place(Some(labels.at(at))));
            groups.entry(place).or_default().push(row);
        }
        within_most(self.table, found.labels.len())?;
        Ok(groups)
    }

    fn put(
        &mut self,
        open: &mut BTreeMap<usize, Open>,
        place: usize,
        batch: &RecordBatch,
        rows: Vec<u32>,
    ) -> Result<(), Failure> {
        let batch = match rows.len() == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from(rows))
                .map_err(|error| Failure::limit(format!("cannot split rows: {error}")))?,
        };
        let Open { path, writer } = match open.entry(place) {
            std::collections::btree_map::Entry::Occupied(held) => held.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let path = (self.next_path)();
                let writer = encoder::create(
                    &path,
                    &self.schema,
                    std::slice::from_ref(&batch),
                    self.written,
                );
                let writer = writer.map_err(|error| encode_failure(&path, &error))?;
                free.insert(Open { path, writer })
            }
        };
        let written = writer.write(&batch);
        written.map_err(|error: ParquetError| encode_failure(path, &error))
    }
}

/// Whether a table has not too many partitions.
pub(super) fn within_most(table: &TableName, partitions: usize) -> Result<(), Failure> {
    if partitions > MOST_PARTITIONS {
        return Err(Failure::limit(format!(
            "table `{table}`: it is split into more than {MOST_PARTITIONS} partitions; split it by a column with fewer values, or by month"
        )));
    }
    Ok(())
}

/// Writes out the largest of the open row groups until all together are small enough.
fn relieve(open: &mut BTreeMap<usize, Open>) -> Result<(), Failure> {
    let held = |open: &BTreeMap<usize, Open>| {
        open.values()
            .map(|one| one.writer.memory_size())
            .sum::<usize>()
    };
    while held(open) > HELD {
        let largest = open.values_mut().max_by_key(|one| one.writer.memory_size());
        let Some(Open { path, writer }) = largest.filter(|one| one.writer.in_progress_rows() > 0)
        else {
            break;
        };
        writer
            .flush()
            .map_err(|error| encode_failure(path, &error))?;
    }
    Ok(())
}

/// What a row's label follows from, as it stands in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Value<'a> {
    Null,
    Text(&'a str),
    /// Days since 1970.
    Day(i64),
}

/// Names the partition of each row of a batch.
struct Labels<'a> {
    by: &'a Partitioning,
    values: ArrayRef,
}

impl<'a> Labels<'a> {
    fn of(table: &TableName, by: &'a Partitioning, batch: &RecordBatch) -> Result<Self, Failure> {
        let name = shorten(by.column());
        let column = position(&batch.schema(), by.column()).and_then(|at| batch.columns().get(at));
        let Some(column) = column else {
            return Err(Failure::bug(format!(
                "table `{table}`: it is split by the column `{name}`, which none of its rows has"
            )));
        };
        let kind = column.data_type();
        let to = match by {
            Partitioning::Column(_) if !kind.is_nested() && *kind != DataType::Binary => {
                DataType::Utf8
            }
            Partitioning::Time(_) if *kind == DataType::Date32 || *kind == TIMESTAMP => TIMESTAMP,
            // No row has a value: all are in the partition of null.
            Partitioning::Time(_) if column.null_count() == column.len() => TIMESTAMP,
            Partitioning::Time(_) => {
                return Err(Failure::upstream(format!(
                    "table `{table}`: it is split by month of the column `{name}`, which holds neither dates nor timestamps"
                )));
            }
            Partitioning::Column(_) => {
                return Err(Failure::upstream(format!(
                    "table `{table}`: it is split by the column `{name}`, which holds no plain values"
                )));
            }
        };
        let values = cast(column, &to).map_err(|error| {
            Failure::upstream(format!(
                "table `{table}`: it cannot be split by the column `{name}`: {error}"
            ))
        })?;
        Ok(Self { by, values })
    }

    fn value(&self, row: usize) -> Value<'_> {
        if self.values.is_null(row) {
            return Value::Null;
        }
        match self.by {
            Partitioning::Column(_) => Value::Text(self.values.as_string::<i32>().value(row)),
            Partitioning::Time(_) => {
                let times = self.values.as_primitive::<TimestampMicrosecondType>();
                Value::Day(times.value(row).div_euclid(DAY))
            }
        }
    }

    fn at(&self, row: usize) -> String {
        let column = self.by.column();
        if self.values.is_null(row) {
            return format!("{column} is null");
        }
        let label = match self.by {
            Partitioning::Column(_) => {
                format!("{column}={}", self.values.as_string::<i32>().value(row))
            }
            Partitioning::Time(_) => {
                let at = self
                    .values
                    .as_primitive::<TimestampMicrosecondType>()
                    .value(row);
                format!("{column}={}", month(at))
            }
        };
        match label.len() {
            0..=MAX_LABEL => label,
            _ => Digest::of(label.as_bytes()).to_string(),
        }
    }
}

fn month(microseconds: i64) -> String {
    match Timestamp::from_microsecond(microseconds) {
        Ok(at) => at.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string(),
        Err(_) => "beyond all calendars".to_owned(),
    }
}
