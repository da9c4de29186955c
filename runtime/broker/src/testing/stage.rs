//! A stage that remembers what it was given.

use std::io::Read;
use std::sync::{Arc, Mutex};

use domain::format::{Appended, BodyFormat};
use domain::ports::{Cursors, Published, Stage};
use domain::table::{Attachment, RemoteTable};
use domain::{Failure, TableName, TableSpec};

/// What a stage was given, in order, and how it shall behave.
#[derive(Debug, Default)]
pub(crate) struct Wrote {
    pub(crate) calls: Vec<String>,
    pub(crate) published: Vec<Cursors>,
    rows: u64,
    /// Fails the next append or publish.
    pub(crate) fails: Option<Failure>,
    /// Panics at the next append.
    pub(crate) panics: bool,
}

/// A row is a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Wrote>>);

impl Lines {
    pub(crate) fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.clone()
    }

    fn note(&self, call: String) -> Result<(), Failure> {
        let mut wrote = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(!wrote.panics, "the stage was told to panic");
        wrote.calls.push(call);
        wrote.fails.take().map_or(Ok(()), Err)
    }

    fn append(&self, table: &TableName, bytes: &[u8]) -> Result<u64, Failure> {
        let text = String::from_utf8_lossy(bytes);
        self.note(format!("append {table}: {text}"))?;
        let rows = text.lines().count() as u64;
        self.0.lock().unwrap().rows += rows;
        Ok(rows)
    }
}

impl Stage for Lines {
    fn open_table(&mut self, spec: &TableSpec) -> Result<(), Failure> {
        self.note(format!("open {}", spec.name))
    }

    fn append_body(
        &mut self,
        table: &TableName,
        _: &BodyFormat,
        mut body: Box<dyn Read + Send>,
    ) -> Result<Appended, Failure> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|error| {
            error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<Failure>())
                .unwrap()
                .clone()
        })?;
        let rows = self.append(table, &bytes)?;
        let first = String::from_utf8_lossy(&bytes)
            .lines()
            .next()
            .map(str::to_owned);
        Ok(Appended {
            rows,
            values: vec![first, None],
        })
    }

    fn append_json(&mut self, table: &TableName, records: &[u8]) -> Result<u64, Failure> {
        self.append(table, records)
    }

    fn append_arrow(&mut self, table: &TableName, stream: &[u8]) -> Result<u64, Failure> {
        self.append(table, stream)
    }

    fn attach(&mut self, attachment: &Attachment) -> Result<(), Failure> {
        self.note(format!("attach {}", attachment.alias))
    }

    fn expose(&mut self, table: &RemoteTable) -> Result<(), Failure> {
        self.note(format!("expose {}", table.name))
    }

    fn limit_rows(&mut self, _: u64) {}

    fn limit_bytes(&mut self, _: u64) {}

    fn written(&self) -> (u64, u64) {
        let rows = self.0.lock().unwrap().rows;
        (rows, rows * 10)
    }

    fn publish(&mut self, cursors: &Cursors) -> Result<Published, Failure> {
        self.note("publish".into())?;
        let mut wrote = self.0.lock().unwrap();
        wrote.published.push(cursors.clone());
        let table = TableName::parse("orders").unwrap();
        Ok(Published {
            tables: vec![(table, wrote.rows)],
            bytes: wrote.rows * 10,
        })
    }
}
