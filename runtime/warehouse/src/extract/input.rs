//! Reads files of the host again, a few MiB at a time, for what a publish has to write anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use domain::Failure;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::encoder::batch_rows;
use crate::decode::{conform_batch, normal};

/// A file and which of its rows count.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    /// All rows where there is none.
    pub(super) keep: Option<BooleanBuffer>,
}

impl Input {
    /// A whole file.
    pub(super) fn all(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            keep: None,
        }
    }

    /// Gives each batch of rows that count, moved into a schema.
    pub(super) fn each(
        &self,
        schema: &SchemaRef,
        mut take: impl FnMut(RecordBatch) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let file = Stored::open(&self.path)?;
        let mut row = 0;
        for batch in file.read(schema, None)? {
            let batch = file.told(batch)?;
            let mask = self
                .keep
                .as_ref()
                .map(|keep| keep.slice(row, batch.num_rows()));
            row += batch.num_rows();
            let batch = match mask {
                Some(mask) => {
                    file.told(filter_record_batch(&batch, &BooleanArray::new(mask, None)))?
                }
                None => batch,
            };
            if batch.num_rows() > 0 {
                take(file.told(conform_batch(&batch, schema))?)?;
            }
        }
        Ok(())
    }
}

/// A parquet file whose metadata was read.
pub(super) struct Stored<'a> {
    path: &'a Path,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl<'a> Stored<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, Failure> {
        let open = || {
            let file = File::open(path)?;
            let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
            Ok((file, metadata))
        };
        let (file, metadata) = open().map_err(|error: ParquetError| unreadable(path, &error))?;
        Ok(Self {
            path,
            file,
            metadata,
        })
    }

    pub(super) fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> Result<usize, Failure> {
        let rows = self.metadata.metadata().file_metadata().num_rows();
        usize::try_from(rows).map_err(|error| unreadable(self.path, &error))
    }

    /// Its rows, only with columns that a schema has; those of one row group where that is said.
    pub(super) fn read(
        &self,
        wanted: &Schema,
        group: Option<usize>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, Failure> {
        let reader = self
            .reader(wanted, group)
            .map_err(|error| unreadable(self.path, &error))?;
        let wanted = wanted.clone();
        Ok(reader.map(move |batch| renamed(&batch?, &wanted)))
    }

    fn reader(
        &self,
        wanted: &Schema,
        group: Option<usize>,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let fields = self.metadata.schema().fields().iter().enumerate();
        let roots = fields.filter(|(_, field)| position(wanted, field.name()).is_some());
        let mask = ProjectionMask::roots(
            self.metadata.parquet_schema(),
            roots.map(|(at, _)| at).collect::<Vec<_>>(),
        );
        let size = self.file.metadata()?.len();
        let rows = u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let file = self.file.try_clone()?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let builder = match group {
            Some(group) => builder.with_row_groups(vec![group]),
            None => builder,
        };
        builder
            .with_projection(mask)
            .with_batch_size(batch_rows(rows, size))
            .build()
    }

    /// The failure of a file that cannot be read after all.
    pub(super) fn told<T>(&self, result: Result<T, ArrowError>) -> Result<T, Failure> {
        result.map_err(|error| unreadable(self.path, &error))
    }
}

/// The place of a column; SQL does not tell names apart that differ in case only.
pub(super) fn position(schema: &Schema, name: &str) -> Option<usize> {
    let exact = schema.index_of(name).ok();
    exact.or_else(|| {
        let folded = name.to_lowercase();
        let mut names = schema
            .fields()
            .iter()
            .map(|field| field.name().to_lowercase());
        names.position(|known| known == folded)
    })
}

/// A batch in the types by which the host stores values, since another program may have written the
/// file, and with the names of the wanted columns.
fn renamed(batch: &RecordBatch, wanted: &Schema) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns
        .map(|(array, field)| {
            normal(array, field.name()).map_err(|error| ArrowError::CastError(error.to_string()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, array)| {
        let known = position(wanted, field.name()).and_then(|at| wanted.fields().get(at));
        let name = known.map_or(field.name(), |known| known.name());
        Field::new(name, array.data_type().clone(), true)
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(
        Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        columns,
        &options,
    )
}

/// The failure for a published file that is not what was written.
fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let path = path.display();
    Failure::limit(format!(
        "cannot read `{path}`, which a publish must write anew: {error}; `sluice verify` says which files are damaged"
    ))
}
