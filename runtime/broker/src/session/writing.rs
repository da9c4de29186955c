//! `tables`, `remote` and `checkpoint` as the runner calls them: order, limits, and that nothing is
//! published after something broke.

use std::collections::{BTreeMap, BTreeSet};

use domain::format::{Appended, BodyFormat};
use domain::ports::{Cursors, Published, Stage};
use domain::protocol::Reply;
use domain::table::{Attachment, RemoteTable};
use domain::{Capabilities, Failure, TableName, TableSpec};

use super::{Answered, done};
use crate::body::BodyReader;
use crate::journal::Journal;

/// The most tables that are open at once.
const MOST_OPEN: usize = 256;
/// The most tables that a run writes: each keeps a file and a thread until the publish.
const MOST_WRITTEN: usize = 1_000;
/// The most tables, remote ones included, and attachments of a run.
const MOST_NAMED: usize = 10_000;

/// What a `sync` writes.
pub(crate) struct Writing {
    stage: Box<dyn Stage>,
    capabilities: Capabilities,
    journal: Journal,
    open: BTreeSet<String>,
    named: BTreeSet<String>,
    written: BTreeSet<String>,
    aliases: BTreeSet<String>,
    published: BTreeMap<String, (TableName, u64)>,
    published_bytes: u64,
    broken: Option<Failure>,
}

impl Writing {
    pub(crate) fn new(
        mut stage: Box<dyn Stage>,
        capabilities: Capabilities,
        journal: Journal,
    ) -> Self {
        // A single body may have more; the check after each append does not see that in time.
        stage.limit_rows(capabilities.limits.rows);
        stage.limit_bytes(capabilities.limits.bytes_out);
        Self {
            stage,
            capabilities,
            journal,
            open: BTreeSet::new(),
            named: BTreeSet::new(),
            written: BTreeSet::new(),
            aliases: BTreeSet::new(),
            published: BTreeMap::new(),
            published_bytes: 0,
            broken: None,
        }
    }

    /// Why nothing can be written any more.
    pub(super) fn broken(&self) -> Option<Failure> {
        self.broken.clone()
    }

    /// What was published over the whole run.
    pub(super) fn published(&self) -> Published {
        Published {
            tables: self.published.values().cloned().collect(),
            bytes: self.published_bytes,
        }
    }

    pub(super) fn open(&mut self, spec: &TableSpec) -> Answered {
        self.usable()?;
        let name = spec.name.folded();
        if self.open.contains(&name) {
            return Err(Failure::bug(format!(
                "the table `{}` is open already",
                spec.name
            )));
        }
        if self.open.len() >= MOST_OPEN {
            return Err(Failure::limit(format!(
                "{MOST_OPEN} tables are open: close one before the next"
            )));
        }
        self.name(&name)?;
        let is_new = !self.written.contains(&name);
        if is_new && self.written.len() >= MOST_WRITTEN {
            return Err(Failure::limit(format!(
                "a run writes at most {MOST_WRITTEN} tables"
            )));
        }
        self.stage.open_table(spec)?;
        self.named.insert(name.clone());
        self.written.insert(name.clone());
        self.open.insert(name);
        done()
    }

    pub(super) fn close(&mut self, table: &TableName) -> Answered {
        self.is_open(table)?;
        self.open.remove(&table.folded());
        done()
    }

    pub(super) fn append_body(
        &mut self,
        table: &TableName,
        format: &BodyFormat,
        body: BodyReader,
    ) -> Answered {
        self.appendable(table)?;
        let result = self.stage.append_body(table, format, Box::new(body));
        let Appended { rows, values } = self.appended(table, result)?;
        // These come out of the body on a way that the body's redactor may not have seen through.
        let redactor = self.journal.redactor();
        let clean = |value: String| redactor.text(&value).into_owned();
        let values = values.into_iter().map(|value| value.map(clean)).collect();
        Ok((Reply::Appended(Appended { rows, values }), Vec::new()))
    }

    pub(super) fn append_json(&mut self, table: &TableName, records: &[u8]) -> Answered {
        self.appendable(table)?;
        let result = self.stage.append_json(table, records);
        let rows = self.appended(table, result)?;
        Ok((Reply::Rows { rows }, Vec::new()))
    }

    pub(super) fn append_arrow(&mut self, table: &TableName, stream: &[u8]) -> Answered {
        self.appendable(table)?;
        let result = self.stage.append_arrow(table, stream);
        let rows = self.appended(table, result)?;
        Ok((Reply::Rows { rows }, Vec::new()))
    }

    pub(super) fn attach(&mut self, attachment: &Attachment) -> Answered {
        self.usable()?;
        let Attachment {
            alias,
            extension,
            credential_slot,
            ..
        } = attachment;
        if !self.capabilities.remote_extensions.contains(extension) {
            return Err(Failure::limit(format!(
                "the extension `{}` was refused: it must be in what the connector asks for and in what the source was granted",
                extension.escape_debug()
            )));
        }
        let slots = &self.capabilities.credentials;
        if let Some(slot) = credential_slot
            && !slots.iter().any(|binding| binding.slot == *slot)
        {
            return Err(Failure::bug(format!(
                "there is no credential slot `{slot}`"
            )));
        }
        let folded = alias.as_str().to_ascii_lowercase();
        if self.aliases.contains(&folded) {
            return Err(Failure::bug(format!(
                "the alias `{alias}` is declared already"
            )));
        }
        if self.aliases.len() >= MOST_NAMED {
            return Err(Failure::limit(format!(
                "a run declares at most {MOST_NAMED} remote databases"
            )));
        }
        self.stage.attach(attachment)?;
        self.aliases.insert(folded);
        done()
    }

    pub(super) fn expose(&mut self, table: &RemoteTable) -> Answered {
        self.usable()?;
        if !self
            .aliases
            .contains(&table.alias.as_str().to_ascii_lowercase())
        {
            return Err(Failure::bug(format!(
                "the alias `{}` was not declared by `attach` in this run",
                table.alias
            )));
        }
        let name = table.name.folded();
        if self.named.contains(&name) {
            return Err(Failure::bug(format!(
                "the table `{}` is there already",
                table.name
            )));
        }
        self.name(&name)?;
        self.stage.expose(table)?;
        self.named.insert(name);
        done()
    }

    /// Makes what is written visible, with these cursors.
    pub(super) fn publish(&mut self, cursors: &Cursors) -> Result<(), Failure> {
        self.usable()?;
        let result = self.stage.publish(cursors);
        let published = result.map_err(|failure| self.broke(failure))?;
        self.journal.wrote(None, self.stage.written());
        self.published_bytes = published.bytes;
        self.published.extend(
            published
                .tables
                .into_iter()
                .map(|(name, rows)| (name.folded(), (name, rows))),
        );
        Ok(())
    }

    fn usable(&self) -> Result<(), Failure> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn is_open(&self, table: &TableName) -> Result<(), Failure> {
        if self.open.contains(&table.folded()) {
            return Ok(());
        }
        Err(Failure::bug(format!("the table `{table}` is not open")))
    }

    fn appendable(&self, table: &TableName) -> Result<(), Failure> {
        self.usable()?;
        self.is_open(table)
    }

    /// Whether there is room for one more name.
    fn name(&self, name: &str) -> Result<(), Failure> {
        if self.named.len() >= MOST_NAMED && !self.named.contains(name) {
            return Err(Failure::limit(format!(
                "a run has at most {MOST_NAMED} tables"
            )));
        }
        Ok(())
    }

    /// After an append: half a body may be in the table, so a failure is the end of writing.
    fn appended<T>(&mut self, table: &TableName, result: Result<T, Failure>) -> Result<T, Failure> {
        let value = result.map_err(|failure| self.broke(failure))?;
        let (rows, bytes) = self.stage.written();
        self.journal.wrote(Some(table.as_str()), (rows, bytes));
        let limit = self.capabilities.limits.rows;
        if rows > limit {
            let message =
                format!("the run wrote {rows} rows, more than its limit `rows` of {limit}");
            return Err(self.broke(Failure::limit(message)));
        }
        Ok(value)
    }

    fn broke(&mut self, failure: Failure) -> Failure {
        self.broken.get_or_insert(failure).clone()
    }
}
