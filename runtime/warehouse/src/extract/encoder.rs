//! Batches into one parquet file with a receipt, even where types move while it is written.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use domain::Failure;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::hashing::{Hashing, Written};
use super::{disk_failure, layout};
use crate::decode::{conform_batch, storable_field};

/// What is held back before a file is begun, so that types which are still moving cost no rewrite.
pub(super) const HEAD_ROWS: usize = 16_384;
const HEAD_BYTES: usize = 16 << 20;
/// DuckDB scans row groups of this many rows in parallel.
const GROUP_ROWS: usize = 122_880;
const GROUP_BYTES: usize = 64 << 20;

/// Encodes one table.
pub(super) struct Encoder {
    path: PathBuf,
    written: Arc<AtomicU64>,
    schema: SchemaRef,
    head: Vec<RecordBatch>,
    head_rows: usize,
    head_bytes: usize,
    part: Option<ArrowWriter<Hashing>>,
    parts: Vec<Written>,
    rows: u64,
}

impl Encoder {
    /// Writes to `path`, and beside it while types still move; `written` counts all bytes.
    pub(super) fn new(path: PathBuf, written: Arc<AtomicU64>) -> Self {
        Self {
            path,
            written,
            schema: Arc::new(Schema::empty()),
            head: Vec::new(),
            head_rows: 0,
            head_bytes: 0,
            part: None,
            parts: Vec::new(),
            rows: 0,
        }
    }

    /// Adds a batch, whose schema holds all that came before.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.widen(&batch.schema())?;
        let batch = conform_batch(batch, &self.schema)?;
        self.rows += batch.num_rows() as u64;
        if let Some(part) = &mut self.part {
            return part.write(&batch);
        }
        self.head_rows += batch.num_rows();
        self.head_bytes += batch.get_array_memory_size();
        self.head.push(batch);
        if self.head_rows >= HEAD_ROWS || self.head_bytes >= HEAD_BYTES {
            self.drain()?;
        }
        Ok(())
    }

    /// Takes over a schema that may have grown: what is held back is moved into it, what is in a
    /// file stays there until the end.
    fn widen(&mut self, schema: &Schema) -> Result<(), ParquetError> {
        let storable = Arc::new(Schema::new(
            schema
                .fields()
                .iter()
                .map(storable_field)
                .collect::<Vec<_>>(),
        ));
        if storable == self.schema {
            return Ok(());
        }
        self.schema = storable;
        self.close_part()?;
        for batch in &mut self.head {
            *batch = conform_batch(batch, &self.schema)?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), ParquetError> {
        if self.schema.fields().is_empty() {
            // Records without members: there is nothing that a file could hold.
            self.head.clear();
        }
        if !self.head.is_empty() {
            let part = match &mut self.part {
                Some(part) => part,
                None => {
                    let name = self
                        .path
                        .with_extension(format!("part{}", self.parts.len()));
                    let part = create(&name, &self.schema, &self.head, &self.written)?;
                    self.part.insert(part)
                }
            };
            for batch in self.head.drain(..) {
                part.write(&batch)?;
            }
        }
        (self.head_rows, self.head_bytes) = (0, 0);
        Ok(())
    }

    fn close_part(&mut self) -> Result<(), ParquetError> {
        if let Some(part) = self.part.take() {
            let path = self
                .path
                .with_extension(format!("part{}", self.parts.len()));
            self.parts.push(close(part, path)?);
        }
        Ok(())
    }

    /// Ends the file in this schema; `None` where that has no column.
    pub(super) fn finish(mut self, schema: &Schema) -> Result<Option<Written>, ParquetError> {
        self.widen(schema)?;
        if self.schema.fields().is_empty() {
            return Ok(None);
        }
        if self.parts.is_empty() {
            self.drain()?;
            self.close_part()?;
            if let Some(only) = self.parts.pop() {
                std::fs::rename(&only.path, &self.path)?;
                return Ok(Some(Written {
                    path: self.path,
                    ..only
                }));
            }
        }
        self.drain()?;
        self.close_part()?;
        self.merge().map(Some)
    }

    /// Writes the parts once more, all in the last schema.
    fn merge(&mut self) -> Result<Written, ParquetError> {
        let mut whole = create(&self.path, &self.schema, &[], &self.written)?;
        for part in std::mem::take(&mut self.parts) {
            let file = File::open(&part.path)?;
            let size = batch_rows(part.rows, part.size_bytes);
            for batch in ParquetRecordBatchReaderBuilder::try_new(file)?
                .with_batch_size(size)
                .build()?
            {
                whole.write(&conform_batch(&batch?, &self.schema)?)?;
            }
            std::fs::remove_file(&part.path)?;
        }
        close(whole, self.path.clone())
    }
}

/// How many rows of a file are a few MiB, whatever they are like.
pub(super) fn batch_rows(rows: u64, size_bytes: u64) -> usize {
    let size = (rows.saturating_mul(8 << 20) / size_bytes.max(1)).clamp(64, 8_192);
    usize::try_from(size).unwrap_or(1_024)
}

/// Begins a file whose first rows these are.
pub(super) fn create(
    path: &Path,
    schema: &SchemaRef,
    head: &[RecordBatch],
    written: &Arc<AtomicU64>,
) -> Result<ArrowWriter<Hashing>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_created_by("sluice".to_owned());
    let properties = layout::choose(properties, head).build();
    let file = Hashing::create(path, written)?;
    ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
}

/// Ends a file and makes it durable.
pub(super) fn close(
    mut writer: ArrowWriter<Hashing>,
    path: PathBuf,
) -> Result<Written, ParquetError> {
    let rows = writer.finish()?.file_metadata().num_rows();
    Ok(writer.inner_mut().finish(path, rows)?)
}

/// The failure for a file that cannot be written.
pub(super) fn encode_failure(path: &Path, error: &ParquetError) -> Failure {
    if let ParquetError::External(inner) = error
        && let Some(io) = inner.downcast_ref::<io::Error>()
    {
        return disk_failure(path, io);
    }
    Failure::limit(format!("cannot write parquet: {error}"))
}

/// Writes an empty file with a schema.
pub(crate) fn empty(path: &Path, schema: &SchemaRef) -> Result<Written, Failure> {
    let written = Arc::new(AtomicU64::new(0));
    let work = || close(create(path, schema, &[], &written)?, path.to_owned());
    work().map_err(|error| encode_failure(path, &error))
}

/// The schema of a file of the host.
pub(crate) fn schema_of(path: &Path) -> Result<SchemaRef, Failure> {
    let read = || {
        let file = File::open(path)?;
        Ok(Arc::clone(
            ParquetRecordBatchReaderBuilder::try_new(file)?.schema(),
        ))
    };
    read().map_err(|error: ParquetError| encode_failure(path, &error))
}
