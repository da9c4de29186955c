//! Encodes a table's batches as parquet on a thread of its own, so that decoding and encoding
//! overlap. The channel is bounded: a fast source waits instead of filling memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use domain::Failure;

use super::encoder::{Encoder, encode_failure};
use super::hashing::Written;
use crate::decode::Sink;
use crate::priority::stand_back;

/// Batches that may wait: with 8 MiB each, a bounded amount of memory a table.
const WAITING: usize = 4;

enum Message {
    Batch(RecordBatch),
    Finish(SchemaRef),
}

/// The near end of a table's encoder. Dropping it ends the thread and leaves its files to the stage.
#[derive(Debug)]
pub(crate) struct Writer {
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<Result<Option<Written>, Failure>>>,
}

impl Writer {
    /// Starts an encoder that writes to `path`, and beside it while types still move. `written`
    /// counts the bytes of all files.
    pub(crate) fn start(path: PathBuf, written: Arc<AtomicU64>) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("parquet".to_owned())
            .spawn(move || encode(&path, written, &receiver))
            .map_err(|error| {
                Failure::limit(format!("cannot start a thread to write parquet: {error}"))
            })?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    /// Ends the file with this schema. `None` when there is no column to write.
    pub(crate) fn finish(mut self, schema: SchemaRef) -> Result<Option<Written>, Failure> {
        self.send(Message::Finish(schema))?;
        self.sender = None;
        self.join()
    }

    fn send(&mut self, message: Message) -> Result<(), Failure> {
        let sent = self
            .sender
            .as_ref()
            .is_some_and(|sender| sender.send(message).is_ok());
        if sent {
            return Ok(());
        }
        // The thread is gone: it knows why.
        self.sender = None;
        self.join()?;
        Err(Failure::bug("the parquet writer ended before its table"))
    }

    fn join(&mut self) -> Result<Option<Written>, Failure> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Failure::bug("the parquet writer panicked")),
            None => Err(Failure::bug("the parquet writer has ended")),
        }
    }
}

impl Sink for Writer {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.send(Message::Batch(batch))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // The stage removes the files, so nobody may write to them any more.
            drop(thread.join());
        }
    }
}

/// What the thread does: until the near end finishes the table, or is dropped.
fn encode(
    path: &Path,
    written: Arc<AtomicU64>,
    receiver: &Receiver<Message>,
) -> Result<Option<Written>, Failure> {
    stand_back();
    let mut encoder = Encoder::new(path.to_owned(), written);
    let failed = |error| encode_failure(path, &error);
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Batch(batch) => encoder.push(&batch).map_err(failed)?,
            Message::Finish(schema) => return encoder.finish(&schema).map_err(failed),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::encoder::{HEAD_ROWS, schema_of};
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use domain::Digest;
    use md5::{Digest as _, Md5};
    use std::sync::atomic::Ordering;

    fn batch(name: &str, array: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([(name, array)]).unwrap()
    }

    #[test]
    fn a_type_that_moves_after_a_file_was_begun_costs_a_rewrite_and_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let written = Arc::new(AtomicU64::new(0));
        let mut writer = Writer::start(path.clone(), Arc::clone(&written)).unwrap();
        let count = HEAD_ROWS as i64 + 1;
        writer
            .take(batch("a", Arc::new(Int64Array::from_iter_values(0..count))))
            .unwrap();
        let text = batch("a", Arc::new(StringArray::from(vec!["x"])));
        writer.take(text.clone()).unwrap();
        let done = writer.finish(text.schema()).unwrap().unwrap();
        assert_eq!(done.rows, count as u64 + 1);
        let stored = schema_of(&path).unwrap();
        assert_eq!(
            stored.field(0).data_type(),
            text.schema().field(0).data_type()
        );
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(done.sha256, Digest::of(&bytes));
        assert_eq!(done.md5, hex::encode(Md5::digest(&bytes)));
        assert_eq!(done.size_bytes, bytes.len() as u64);
        assert!(written.load(Ordering::Relaxed) >= done.size_bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_the_thread_could_not_write_fails_the_table() {
        let path = PathBuf::from("/nonexistent/t.parquet");
        let mut writer = Writer::start(path, Arc::default()).unwrap();
        let batch = batch("a", Arc::new(Int64Array::from(vec![1])));
        writer.take(batch.clone()).unwrap();
        let failure = writer.finish(batch.schema()).unwrap_err();
        assert!(failure.message.contains("/nonexistent"), "{failure}");
    }
}
