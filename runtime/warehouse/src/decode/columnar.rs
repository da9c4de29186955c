//! Bodies that are columnar already: read by the Rust implementations, and written anew like every
//! other, so that DuckDB never parses what somebody else wrote.

use std::io::{Read, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{Columns, Sink};
use super::error::DecodeError;

/// A message beyond this is no batch; its length is only what somebody claims.
const MAX_MESSAGE: usize = 512 << 20;
const CHUNK: usize = 1 << 20;

/// An Arrow IPC stream. Memory grows with the bytes that arrive, not with the lengths they claim.
pub(super) fn arrow(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    mut input: Box<dyn Read + '_>,
) -> Result<(), DecodeError> {
    let malformed = |error: &dyn std::fmt::Display| {
        DecodeError::Body(format!("not a valid Arrow IPC stream: {error}"))
    };
    let mut decoder = StreamDecoder::new();
    let mut since_batch = 0;
    loop {
        let mut chunk = Vec::new();
        let take = (&mut input).take(CHUNK as u64).read_to_end(&mut chunk);
        if take.map_err(DecodeError::Read)? == 0 {
            break;
        }
        since_batch += chunk.len();
        let mut chunk = Buffer::from_vec(chunk);
        while let Some(batch) =
            guarded(|| decoder.decode(&mut chunk))?.map_err(|e| malformed(&e))?
        {
            columns.push_batch(&batch, sink)?;
            since_batch = 0;
        }
        if since_batch > MAX_MESSAGE {
            let reason = format!("an Arrow batch is larger than {} MiB", MAX_MESSAGE >> 20);
            return Err(DecodeError::Limit(reason));
        }
    }
    if decoder.schema().is_none() {
        return Err(malformed(&"it has no schema"));
    }
    decoder.finish().map_err(|e| malformed(&e))
}

/// A parquet file. Its directory stands at its end, so it is kept in a file until it is whole.
pub(super) fn parquet(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    mut input: Box<dyn Read + Send>,
    scratch: &Path,
) -> Result<(), DecodeError> {
    let mut file = tempfile::tempfile_in(scratch).map_err(DecodeError::Read)?;
    std::io::copy(&mut input, &mut file).map_err(DecodeError::Read)?;
    file.seek(SeekFrom::Start(0)).map_err(DecodeError::Read)?;
    let malformed = |error: &dyn std::fmt::Display| {
        DecodeError::Body(format!("not a valid parquet file: {error}"))
    };
    let open = || {
        ParquetRecordBatchReaderBuilder::try_new(file)?
            .with_batch_size(8_192)
            .build()
    };
    let mut reader = guarded(open)?.map_err(|e| malformed(&e))?;
    while let Some(batch) = guarded(|| reader.next())? {
        let batch: RecordBatch = batch.map_err(|e| malformed(&e))?;
        columns.push_batch(&batch, sink)?;
    }
    Ok(())
}

/// The readers check much, but some malformed files make them panic, which must end the append and
/// nothing else.
fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| {
        DecodeError::Body(
            "the body is malformed in a way that its reader cannot describe".to_owned(),
        )
    })
}
