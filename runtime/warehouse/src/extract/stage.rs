//! Where a run writes until it is published.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use domain::format::{Appended, BodyFormat, JsonOptions};
use domain::ports::{self, Cursors, Published};
use domain::table::{Attachment, RemoteTable};
use domain::{
    Failure, FailureKind, QueryMode, RunId, SourceName, TableName, TableRules, TableSpec,
};
use jiff::Timestamp;

use super::contents::{AttachRow, Contents, Entry};
use super::intake::{Intake, Surveyed, Tally};
use super::publish::{NewTable, Publish};
use super::staged::Staged;
use super::{Shared, disk_failure, extract_failure};
use crate::decode::{self, Columns, DecodeError, Sink};

/// A run's stage. Dropping it drops what was not published.
#[derive(Debug)]
pub(super) struct Stage {
    extracts: Arc<Shared>,
    source: SourceName,
    run: RunId,
    folder: PathBuf,
    rules: TableRules,
    tables: BTreeMap<String, Staged>,
    attachments: Vec<AttachRow>,
    remote: Vec<Entry>,
    rows: u64,
    tally: Arc<Tally>,
}

impl Stage {
    pub(super) fn open(
        extracts: Arc<Shared>,
        source: &SourceName,
        run: RunId,
    ) -> Result<Self, Failure> {
        let folder = extracts.paths.extract(source).join(format!(".stage-{run}"));
        std::fs::create_dir_all(&folder).map_err(|error| disk_failure(&folder, &error))?;
        Ok(Self {
            extracts,
            source: source.clone(),
            run,
            tally: Arc::new(Tally::new(folder.clone(), run)),
            folder,
            rules: TableRules::default(),
            tables: BTreeMap::new(),
            attachments: Vec::new(),
            remote: Vec::new(),
            rows: 0,
        })
    }

    /// An open table.
    fn staged(&mut self, table: &TableName) -> Result<&mut Staged, Failure> {
        self.tables.get_mut(&table.folded()).ok_or_else(|| {
            Failure::bug(format!(
                "the table `{table}` was not opened before rows were added"
            ))
        })
    }

    /// Runs a decoder on an open table.
    fn append<T>(
        &mut self,
        table: &TableName,
        kind: FailureKind,
        work: impl FnOnce(&mut Columns, &mut dyn Sink) -> Result<T, DecodeError>,
    ) -> Result<T, Failure> {
        let staged = self.staged(table)?;
        let rows = staged.intake.rows()?;
        let result = rows.take(work);
        let appended = rows.columns.appended();
        self.count(table, appended)?;
        result.map_err(|error| error.into_failure(table.as_str(), kind))
    }

    fn count(&mut self, table: &TableName, rows: u64) -> Result<(), Failure> {
        self.staged(table)?.rows += rows;
        self.rows += rows;
        Ok(())
    }

    /// Takes a JSON document. One that is found to be whole is decoded while the connector goes on; what is wrong with its
    /// values is told at the next append, or by the publish.
    fn append_document(
        &mut self,
        table: &TableName,
        kind: FailureKind,
        options: &JsonOptions,
        text: Vec<u8>,
    ) -> Result<Appended, Failure> {
        let surveyed = match Intake::is_worth(text.len()) {
            true => decode::survey(&text, options),
            false => None,
        };
        let Some(appended) = surveyed else {
            return self.append(table, kind, |columns, sink| {
                decode::json(columns, sink, &text, options)
            });
        };
        self.staged(table)?.intake.decode_behind(Surveyed {
            text,
            records: options.records.clone(),
            rows: appended.rows,
            kind,
        })?;
        self.count(table, appended.rows)?;
        Ok(appended)
    }

    /// Ends the files of the tables that have something new. Says also which tables were to be brought
    /// anew, and are with this publish.
    fn finish_tables(&mut self) -> Result<(Vec<NewTable>, Vec<String>), Failure> {
        let before = Contents::read(&self.extracts.paths.extract(&self.source))
            .map_err(|error| extract_failure(&self.source, &error))?
            .unwrap_or_default();
        let (mut finished, mut begun_anew) = (Vec::new(), Vec::new());
        let mut next_path = || self.tally.next_path();
        for (key, staged) in &mut self.tables {
            let anew = before.anew.contains(key);
            let mut known = before.entries.iter();
            let known = known.find(|entry| entry.name.folded() == *key);
            if let Some(files) = staged.settle(known, anew, &mut next_path)? {
                finished.push(NewTable {
                    name: staged.spec.name.clone(),
                    description: staged.spec.description.clone(),
                    files,
                });
            }
            if anew {
                begun_anew.push(key.clone());
            }
        }
        Ok((finished, begun_anew))
    }
}

impl ports::Stage for Stage {
    fn open_table(&mut self, spec: &TableSpec) -> Result<(), Failure> {
        let name = &spec.name;
        if let Some(staged) = self.tables.get(&name.folded()) {
            return match staged.spec == *spec {
                true => Ok(()),
                false => Err(Failure::bug(format!(
                    "the table `{name}` was opened before with another specification"
                ))),
            };
        }
        let staged = Staged::open(spec, &self.rules, &self.tally)?;
        self.tables.insert(name.folded(), staged);
        Ok(())
    }

    fn append_body(
        &mut self,
        table: &TableName,
        format: &BodyFormat,
        body: Box<dyn Read + Send>,
    ) -> Result<Appended, Failure> {
        if let BodyFormat::Json(options) = format {
            let buffer = self.staged(table)?.intake.buffer();
            let text = decode::read_document(body, options.compression, buffer)
                .map_err(|error| error.into_failure(table.as_str(), FailureKind::Upstream))?;
            return self.append_document(table, FailureKind::Upstream, options, text);
        }
        let scratch = self.folder.clone();
        self.append(table, FailureKind::Upstream, |columns, sink| {
            decode::body(columns, sink, format, body, &scratch)
        })
    }

    fn append_json(&mut self, table: &TableName, records: &[u8]) -> Result<u64, Failure> {
        if decode::is_array(records) {
            let mut text = self.staged(table)?.intake.buffer();
            text.extend_from_slice(records);
            let whole = JsonOptions::whole();
            let appended = self.append_document(table, FailureKind::Bug, &whole, text)?;
            return Ok(appended.rows);
        }
        self.append(table, FailureKind::Bug, |columns, sink| {
            decode::lines(columns, sink, records)
        })
    }

    fn append_arrow(&mut self, table: &TableName, stream: &[u8]) -> Result<u64, Failure> {
        self.append(table, FailureKind::Bug, |columns, sink| {
            decode::arrow_stream(columns, sink, stream)
        })
    }

    fn follow(&mut self, rules: &TableRules) {
        self.rules = rules.clone();
    }

    fn attach(&mut self, attachment: &Attachment) -> Result<(), Failure> {
        let alias = attachment.alias.as_str();
        if self
            .attachments
            .iter()
            .any(|row| row.alias.eq_ignore_ascii_case(alias))
        {
            return Err(Failure::bug(format!(
                "the alias `{alias}` was declared before"
            )));
        }
        let slot = attachment.credential_slot.as_ref();
        self.attachments.push(AttachRow {
            alias: alias.to_owned(),
            extension: attachment.extension.clone(),
            url: attachment.url.clone(),
            token_env: slot.map(ToString::to_string).unwrap_or_default(),
        });
        Ok(())
    }

    fn expose(&mut self, table: &RemoteTable) -> Result<(), Failure> {
        let alias = table.alias.as_str();
        if !self.attachments.iter().any(|row| row.alias == alias) {
            return Err(Failure::bug(format!(
                "the alias `{alias}` was not declared before its table `{}`",
                table.name
            )));
        }
        self.remote.push(Entry {
            name: table.name.clone(),
            description: table.description.clone(),
            rows: 0,
            size_bytes: 0,
            extracted_at: Timestamp::now(),
            query_mode: QueryMode::Remote,
            files: Vec::new(),
            remote: Some((table.alias.clone(), table.remote_name.clone())),
        });
        Ok(())
    }

    fn limit_rows(&mut self, most: u64) {
        self.tally.most_rows.store(most, Ordering::Relaxed);
    }

    fn limit_bytes(&mut self, most: u64) {
        self.tally.most_bytes.store(most, Ordering::Relaxed);
    }

    fn written(&self) -> (u64, u64) {
        (self.rows, self.tally.written.load(Ordering::Relaxed))
    }

    fn publish(&mut self, cursors: &Cursors) -> Result<Published, Failure> {
        let lock = self.extracts.lock(&self.source);
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let (tables, begun_anew) = self.finish_tables()?;
        self.tally.check_bytes()?;
        let rows = self
            .tables
            .values()
            .map(|staged| (staged.spec.name.clone(), staged.rows));
        let published = Published {
            tables: rows.collect(),
            bytes: tables.iter().map(NewTable::new_bytes).sum(),
        };
        let declared = !self.attachments.is_empty();
        let publish = Publish {
            source: &self.source,
            run: self.run,
            folder: &self.extracts.paths.extract(&self.source),
            tables,
            remote: self.remote.clone(),
            attachments: declared.then(|| self.attachments.clone()),
            cursors,
            begun_anew,
        };
        publish.run(&self.extracts.pins)?;
        for staged in self.tables.values_mut() {
            (staged.rows, staged.published) = (0, true);
        }
        Ok(published)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // First the encoders, which still write there.
        self.tables.clear();
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(path = %self.folder.display(), %error, "cannot remove a stage");
        }
    }
}
