//! Answers as columns: an Arrow IPC stream, and a parquet file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{Counted, Encode, Exported, Fault, Shape};
use crate::decode::storable;

/// Rows of a group, as in published tables.
const GROUP_ROWS: usize = 122_880;
/// A group is ended when its encoded pages hold so much: they stay in memory until then.
const GROUP_BYTES: usize = 16 << 20;

/// An Arrow IPC stream.
pub(super) struct Ipc<'a> {
    writer: StreamWriter<Counted<'a>>,
    schema: SchemaRef,
}

impl<'a> Ipc<'a> {
    pub(super) fn begin(shape: &Shape, out: Counted<'a>) -> Result<Self, Fault> {
        let schema = mapped(&shape.schema, plain);
        Ok(Self {
            writer: StreamWriter::try_new(out, &schema)?,
            schema,
        })
    }
}

impl Encode for Ipc<'_> {
    fn rows(&mut self, batch: &RecordBatch, _: u64) -> Result<usize, Fault> {
        self.writer.write(&moved(batch, &self.schema)?)?;
        Ok(batch.num_rows())
    }

    fn bytes(&self) -> u64 {
        self.writer.get_ref().bytes
    }

    fn finish(mut self: Box<Self>, _: Exported) -> Result<(), Fault> {
        Ok(self.writer.finish()?)
    }
}

/// A parquet file.
pub(super) struct Parquet<'a> {
    writer: ArrowWriter<Counted<'a>>,
    schema: SchemaRef,
}

impl<'a> Parquet<'a> {
    pub(super) fn begin(shape: &Shape, out: Counted<'a>) -> Result<Self, Fault> {
        let schema = mapped(&shape.schema, |kind| match plain(kind) {
            // Parquet has no such type that all readers know.
            DataType::Interval(IntervalUnit::MonthDayNano) => DataType::Utf8,
            kind => storable(&kind),
        });
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by("sluice".to_owned())
            .build();
        Ok(Self {
            writer: ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties))?,
            schema,
        })
    }
}

impl Encode for Parquet<'_> {
    fn rows(&mut self, batch: &RecordBatch, _: u64) -> Result<usize, Fault> {
        self.writer.write(&moved(batch, &self.schema)?)?;
        if self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(batch.num_rows())
    }

    fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    fn finish(mut self: Box<Self>, exported: Exported) -> Result<(), Fault> {
        if let Some(cut) = exported.cut {
            let said = KeyValue::new("sluice.truncated".to_owned(), cut.as_str().to_owned());
            self.writer.append_key_value_metadata(said);
        }
        self.writer.finish()?;
        Ok(())
    }
}

/// A schema whose columns have the types that `to` gives.
fn mapped(schema: &SchemaRef, to: impl Fn(&DataType) -> DataType) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| Field::new(field.name(), to(field.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Without dictionaries, which a stream would have to replace with every batch.
fn plain(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        kind => kind.clone(),
    }
}

/// A batch in a schema of as many columns.
fn moved(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Fault> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(
        |(array, field)| match array.data_type() == field.data_type() {
            true => Ok(Arc::clone(array)),
            false => arrow::compute::cast(array, field.data_type()),
        },
    );
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
