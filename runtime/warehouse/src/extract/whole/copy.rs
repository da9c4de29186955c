//! Several parquet files as one. Where their columns are the same, pages are copied as they are, without being decoded
//! or held in memory; else rows are moved into the columns that hold all of them. The same files make the same bytes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use domain::Failure;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::super::encoder::{close, create, encode_failure};
use super::super::hashing::{Hashing, Written};
use super::super::input::Input;
use super::super::known::{self, FileColumns};
use crate::extract::TableFile;

/// Writes the rows of files, in their order, to a new file.
pub(super) fn merge(files: &[TableFile], to: &Path) -> Result<Written, Failure> {
    let parts = files.iter().map(|file| Part::open(&file.path));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let first = parts.first();
    let is_same = |part: &Part| first.is_some_and(|first| first.schema() == part.schema());
    match parts.iter().all(is_same) {
        true => copy(&parts, to).map_err(|error| encode_failure(to, &error)),
        false => rewrite(files, to),
    }
}

/// A file and its footer.
struct Part {
    file: File,
    metadata: ParquetMetaData,
}

impl Part {
    fn open(path: &Path) -> Result<Self, Failure> {
        let open = || {
            let file = File::open(path)?;
            let metadata = ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Optional)
                .parse_and_finish(&file)?;
            Ok(Self { file, metadata })
        };
        open().map_err(|error: ParquetError| {
            Failure::limit(format!("cannot read `{}`: {error}", path.display()))
        })
    }

    fn schema(&self) -> &parquet::schema::types::Type {
        self.metadata.file_metadata().schema_descr().root_schema()
    }
}

fn copy(parts: &[Part], to: &Path) -> Result<Written, ParquetError> {
    let first = parts.first().ok_or(ParquetError::EOF("no file".into()))?;
    let about = first.metadata.file_metadata();
    let properties = WriterProperties::builder()
        .set_created_by("sluice".to_owned())
        .set_key_value_metadata(about.key_value_metadata().cloned())
        .build();
    let schema = about.schema_descr().root_schema_ptr();
    let out = Hashing::create(to, &Arc::default())?;
    let mut writer = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    for part in parts {
        for number in 0..part.metadata.num_row_groups() {
            copy_group(part, number, writer.next_row_group()?)?;
        }
    }
    let rows = writer.finish()?.file_metadata().num_rows();
    Ok(writer.inner_mut().finish(to.to_owned(), rows)?)
}

fn copy_group(
    part: &Part,
    number: usize,
    mut to: SerializedRowGroupWriter<'_, Hashing>,
) -> Result<(), ParquetError> {
    let group = part.metadata.row_group(number);
    let (columns, offsets) = (part.metadata.column_index(), part.metadata.offset_index());
    for (at, column) in group.columns().iter().enumerate() {
        let result = ColumnCloseResult {
            bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
            rows_written: u64::try_from(group.num_rows()).unwrap_or(0),
            metadata: column.clone(),
            // Our files have none.
            bloom_filter: None,
            column_index: columns.and_then(|all| all.get(number)?.get(at)).cloned(),
            offset_index: offsets.and_then(|all| all.get(number)?.get(at)).cloned(),
        };
        to.append_column(&part.file, result)?;
    }
    to.close().map(drop)
}

fn rewrite(files: &[TableFile], to: &Path) -> Result<Written, Failure> {
    let columns = files.iter().map(|file| FileColumns::of(&file.path));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let schema = known::storable_schema(&known::unify(columns.iter().map(|file| &file.needed)));
    let failed = |error: ParquetError| encode_failure(to, &error);
    let written = Arc::new(AtomicU64::new(0));
    let mut writer = create(to, &schema, &[], &written).map_err(failed)?;
    for file in files {
        Input::all(&file.path).each(&schema, |batch| writer.write(&batch).map_err(failed))?;
    }
    close(writer, to.to_owned()).map_err(failed)
}
