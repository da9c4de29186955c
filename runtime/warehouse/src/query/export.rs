//! An answer on its way out: rows are encoded as DuckDB makes them, so that an answer of any size needs the memory
//! of a few batches.

mod columnar;
mod text;

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use duckdb::{Connection, Statement};
use parquet::errors::ParquetError;

use super::{QueryError, QueryOptions, value};
use columnar::{Ipc, Parquet};
use text::{Csv, Json};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"columns", "rows", "row_count", "truncated"}`.
    Json,
    /// A line a row, the first one with the names; null is nothing, an empty text is `""`.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// A parquet file, whose metadata has `sluice.truncated` where a limit cut it.
    Parquet,
}

/// Which limit cut an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// That of rows.
    Rows,
    /// That of bytes.
    Bytes,
}

impl Cut {
    /// As headers and metadata say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub rows: usize,
    /// Whether and why there are no more of them.
    pub cut: Option<Cut>,
}

/// Why writing ended early.
pub(super) enum Fault {
    /// DuckDB could not go on.
    Sql(duckdb::Error),
    /// Nobody takes what is written.
    Out,
    /// The format has no way to say it.
    Format(String),
}

impl From<duckdb::Error> for Fault {
    fn from(error: duckdb::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Self::Out
    }
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(..) => Self::Out,
            error => Self::Format(error.to_string()),
        }
    }
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) if inner.is::<io::Error>() => Self::Out,
            error => Self::Format(error.to_string()),
        }
    }
}

impl Fault {
    /// What the asker is told; `failed` says what DuckDB's error means.
    pub(super) fn told(self, failed: impl FnOnce(&duckdb::Error) -> QueryError) -> QueryError {
        match self {
            Self::Sql(error) => failed(&error),
            Self::Out => QueryError::Cancelled,
            Self::Format(reason) => QueryError::Sql {
                message: format!(
                    "the result cannot be written in this format: {reason}; cast that column to another type"
                ),
            },
        }
    }
}

/// The columns of an answer.
struct Shape {
    schema: SchemaRef,
    /// Whether a column is a DECIMAL, which looks like HUGEINT in Arrow.
    decimals: Vec<bool>,
}

/// Writes batches in one format.
trait Encode {
    /// Writes rows of a batch, all of them where the format does not count; returns how many.
    fn rows(&mut self, batch: &RecordBatch, most_bytes: u64) -> Result<usize, Fault>;
    /// How many bytes there are so far.
    fn bytes(&self) -> u64;
    /// Ends the answer.
    fn finish(self: Box<Self>, exported: Exported) -> Result<(), Fault>;
}

/// Counts what passes.
struct Counted<'a> {
    out: &'a mut (dyn Write + Send),
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Runs what the gate has let pass, and writes it as far as the limits allow. Nothing is written before the first
/// rows are there, so that what fails until then can be told in another way.
pub(super) fn run(
    connection: &Connection,
    sql: &str,
    format: Format,
    options: &QueryOptions,
    out: &mut (dyn Write + Send),
) -> Result<Exported, Fault> {
    let mut statement = connection.prepare(sql)?;
    let schema = statement.stream_arrow([])?.get_schema();
    let decimals = (0..schema.fields().len()).map(|at| value::is_decimal(&statement, at));
    let shape = Shape {
        decimals: decimals.collect(),
        schema: Arc::clone(&schema),
    };
    let mut next = step(&statement, &schema)?;
    let mut encoder = begin(format, shape, Counted { out, bytes: 0 })?;
    let most_bytes = u64::try_from(options.max_bytes).unwrap_or(u64::MAX);
    let mut exported = Exported { rows: 0, cut: None };
    while let Some(batch) = next {
        let room = options.limit.saturating_sub(exported.rows);
        let fitting = batch.slice(0, batch.num_rows().min(room));
        let taken = encoder.rows(&fitting, most_bytes)?;
        exported.rows += taken;
        if taken < fitting.num_rows() {
            exported.cut = Some(Cut::Bytes);
        } else if fitting.num_rows() < batch.num_rows() {
            exported.cut = Some(Cut::Rows);
        }
        if exported.cut.is_some() {
            break;
        }
        next = step(&statement, &schema)?;
        if encoder.bytes() >= most_bytes && next.is_some() {
            exported.cut = Some(Cut::Bytes);
            break;
        }
    }
    encoder.finish(exported)?;
    Ok(exported)
}

/// The next batch that has rows. By steps and not by the iterator, which panics where a step fails.
fn step(statement: &Statement<'_>, schema: &SchemaRef) -> Result<Option<RecordBatch>, Fault> {
    while let Some(batch) = statement.step()? {
        if batch.len() > 0 {
            let columns = batch.columns().to_vec();
            return Ok(Some(RecordBatch::try_new(Arc::clone(schema), columns)?));
        }
    }
    Ok(None)
}

fn begin<'a>(
    format: Format,
    shape: Shape,
    out: Counted<'a>,
) -> Result<Box<dyn Encode + 'a>, Fault> {
    Ok(match format {
        Format::Json => Box::new(Json::begin(shape, out)?),
        Format::Csv => Box::new(Csv::begin(shape, out)?),
        Format::Arrow => Box::new(Ipc::begin(&shape, out)?),
        Format::Parquet => Box::new(Parquet::begin(&shape, out)?),
    })
}

#[cfg(test)]
mod tests;
