//! Where a table's rows come in. A document that was looked over already is decoded on a thread of its own, so that the
//! connector has the next one fetched meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use domain::format::JsonOptions;
use domain::{Failure, FailureKind, RunId};

use super::writer::Writer;
use crate::decode::{self, Columns, DecodeError, Sink};
use crate::priority::stand_back;

/// Smaller documents are not worth a thread; of larger ones no two shall be in memory at once.
const BEHIND: std::ops::RangeInclusive<usize> = 64 << 10..=16 << 20;

/// What all tables of a run count together, and the most that they may.
#[derive(Debug)]
pub(super) struct Tally {
    folder: PathBuf,
    run: RunId,
    files: AtomicU64,
    /// Rows that have left the decoders.
    encoded: AtomicU64,
    pub(super) most_rows: AtomicU64,
    pub(super) written: Arc<AtomicU64>,
    pub(super) most_bytes: AtomicU64,
}

impl Tally {
    /// Of a run that stages into a folder.
    pub(super) fn new(folder: PathBuf, run: RunId) -> Self {
        Self {
            folder,
            run,
            files: AtomicU64::new(0),
            encoded: AtomicU64::new(0),
            most_rows: AtomicU64::new(u64::MAX),
            written: Arc::default(),
            most_bytes: AtomicU64::new(u64::MAX),
        }
    }

    /// Where the run's next file is staged.
    pub(super) fn next_path(&self) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{}-{number}.parquet", self.run))
    }

    fn count(&self, rows: u64) -> Result<(), Failure> {
        let encoded = self.encoded.fetch_add(rows, Ordering::Relaxed) + rows;
        let most = self.most_rows.load(Ordering::Relaxed);
        if encoded > most {
            return Err(Failure::limit(format!(
                "the run wrote more rows than its limit `rows` of {most}"
            )));
        }
        self.check_bytes()
    }

    /// Whether what was written is not too much.
    pub(super) fn check_bytes(&self) -> Result<(), Failure> {
        let most = self.most_bytes.load(Ordering::Relaxed);
        if self.written.load(Ordering::Relaxed) > most {
            return Err(Failure::limit(format!(
                "the run wrote more bytes than its limit `bytes_out` of {most}"
            )));
        }
        Ok(())
    }
}

/// A table's columns and encoder.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) columns: Columns,
    pub(super) writer: Option<Writer>,
    tally: Arc<Tally>,
}

/// Starts a table's encoder with its first batch.
struct Lazy<'a> {
    writer: &'a mut Option<Writer>,
    tally: &'a Tally,
}

impl Sink for Lazy<'_> {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        self.tally.count(batch.num_rows() as u64)?;
        let writer = match self.writer {
            Some(writer) => writer,
            None => {
                let written = Arc::clone(&self.tally.written);
                let writer = Writer::start(self.tally.next_path(), written)?;
                self.writer.insert(writer)
            }
        };
        writer.take(batch)
    }
}

impl Rows {
    /// Runs a decoder.
    pub(super) fn take<T>(
        &mut self,
        work: impl FnOnce(&mut Columns, &mut dyn Sink) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut sink = Lazy {
            writer: &mut self.writer,
            tally: &self.tally,
        };
        work(&mut self.columns, &mut sink)
    }
}

/// A document that was found to be one.
pub(super) struct Surveyed {
    pub(super) text: Vec<u8>,
    /// The pointer to its records, and how many there are.
    pub(super) records: String,
    pub(super) rows: u64,
    /// Of the failure where they do not fit the table.
    pub(super) kind: FailureKind,
}

/// What a thread leaves behind.
#[derive(Debug)]
struct Decoded {
    rows: Box<Rows>,
    text: Vec<u8>,
    result: Result<(), Failure>,
}

/// A table's rows, wherever they are at the moment.
#[derive(Debug)]
pub(super) struct Intake {
    table: String,
    here: Option<Box<Rows>>,
    behind: Option<JoinHandle<Decoded>>,
    /// What went wrong behind: from then on nothing is taken or published any more.
    failed: Option<Failure>,
    /// The buffer of a document that was decoded, for the next one.
    spare: Vec<u8>,
}

impl Intake {
    pub(super) fn new(table: &str, columns: Columns, tally: Arc<Tally>) -> Self {
        Self {
            table: table.to_owned(),
            here: Some(Box::new(Rows {
                columns,
                writer: None,
                tally,
            })),
            behind: None,
            failed: None,
            spare: Vec::new(),
        }
    }

    /// An empty buffer for a document.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }

    /// The rows, once nothing is decoded behind any more. Fails with what went wrong there, however often it is asked.
    pub(super) fn rows(&mut self) -> Result<&mut Rows, Failure> {
        self.settle();
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        let rows = self.here.as_deref_mut();
        rows.ok_or_else(|| lost(&self.table))
    }

    /// Waits for what is decoded behind.
    fn settle(&mut self) {
        let Some(Ok(decoded)) = self.behind.take().map(JoinHandle::join) else {
            return;
        };
        self.here = Some(decoded.rows);
        self.failed = decoded.result.err();
        self.spare = decoded.text;
        self.spare.clear();
    }

    /// Whether a document of this size should be decoded behind.
    pub(super) fn is_worth(bytes: usize) -> bool {
        BEHIND.contains(&bytes)
    }

    /// Begins to decode a document, after the one before is done.
    pub(super) fn decode_behind(&mut self, document: Surveyed) -> Result<(), Failure> {
        self.rows()?;
        let rows = self.here.take().ok_or_else(|| lost(&self.table))?;
        let table = self.table.clone();
        let thread = std::thread::Builder::new().name("decode".to_owned());
        let thread = thread.spawn(move || decode(&table, rows, document));
        let thread = thread.map_err(|error| {
            Failure::limit(format!("cannot start a thread to decode rows: {error}"))
        })?;
        self.behind = Some(thread);
        Ok(())
    }
}

/// Of a thread that did not give the rows back.
fn lost(table: &str) -> Failure {
    Failure::bug(format!("table `{table}`: the decoder panicked"))
}

fn decode(table: &str, mut rows: Box<Rows>, document: Surveyed) -> Decoded {
    stand_back();
    let Surveyed {
        text,
        records,
        rows: promised,
        kind,
    } = document;
    let options = JsonOptions {
        records,
        ..JsonOptions::whole()
    };
    let result = rows.take(|columns, sink| decode::json(columns, sink, &text, &options));
    let result = match result {
        Ok(appended) if appended.rows == promised => Ok(()),
        Ok(appended) => Err(Failure::bug(format!(
            "table `{table}`: {promised} rows were counted and {} decoded",
            appended.rows
        ))),
        Err(error) => Err(error.into_failure(table, kind)),
    };
    Decoded { rows, text, result }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // The stage removes the files, so nobody may write to them any more.
        drop(self.behind.take().map(JoinHandle::join));
    }
}
