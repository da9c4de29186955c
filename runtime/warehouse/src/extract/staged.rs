//! A table that a run has opened: what it was opened as, and what becomes of its rows at a publish.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use domain::{Failure, FailureKind, TableRule, TableRules, TableSpec, WriteMode};

use super::contents::{Entry, TableFile};
use super::encoder;
use super::intake::{Intake, Tally};
use super::known::{self, FileColumns};
use super::settle::{Settled, Settling};
use super::split::NewFile;
use crate::decode::{Columns, storable_field};

/// A table that the run has opened.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) spec: TableSpec,
    rule: TableRule,
    pub(super) intake: Intake,
    /// Rows since the last publish.
    pub(super) rows: u64,
    /// Whether this run has published it before, so that further rows follow those.
    pub(super) published: bool,
}

impl Staged {
    /// Opens a table, if it can be written as it is declared.
    pub(super) fn open(
        spec: &TableSpec,
        rules: &TableRules,
        tally: &Arc<Tally>,
    ) -> Result<Self, Failure> {
        let name = &spec.name;
        check_key(spec)?;
        let rule = rules.of(spec);
        let columns = Columns::new(&spec.columns, &rule.json_columns)
            .map_err(|error| error.into_failure(name.as_str(), FailureKind::Bug))?;
        Ok(Self {
            spec: spec.clone(),
            rule,
            intake: Intake::new(name.as_str(), columns, Arc::clone(tally)),
            rows: 0,
            published: false,
        })
    }

    /// The files that the table has from now on; `None` where nothing changes.
    pub(super) fn settle(
        &mut self,
        known: Option<&Entry>,
        anew: bool,
        next_path: &mut dyn FnMut() -> PathBuf,
    ) -> Result<Option<Vec<Settled>>, Failure> {
        let replaces = !self.published && (anew || self.spec.mode == WriteMode::Replace);
        let name = self.spec.name.as_str();
        let rows = self.intake.rows()?;
        rows.take(|columns, sink| columns.flush(sink))
            .map_err(|error| error.into_failure(name, FailureKind::Upstream))?;
        let schema = rows.columns.schema();
        let writer = rows.writer.take();
        let staged = writer.map(|writer| writer.finish(Arc::clone(&schema)));
        let Some(staged) = staged.transpose()?.flatten() else {
            return match replaces || known.is_none() {
                true => self.without_rows(known, next_path),
                false => Ok(None),
            };
        };
        let files: &[TableFile] = known.map_or(&[], |entry| &entry.files);
        if self.rule.strict && !anew {
            self.check_strict(files, &schema)?;
        }
        let path = staged.path.clone();
        let settling = Settling {
            spec: &self.spec,
            rule: &self.rule,
            earlier: if replaces { &[] } else { files },
            staged,
            schema,
            merge: self.spec.mode == WriteMode::Merge,
            next_path,
            // What is written again is not the connector's doing, so no limit of the run counts it.
            written: &Arc::default(),
        };
        let settled = settling.settle()?;
        let used = |file: &Settled| matches!(file, Settled::New(new) if new.written.path == path);
        if !settled.iter().any(used)
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove rows that were staged");
        }
        Ok(Some(settled))
    }

    /// A pinned table takes no rows with other columns than it has.
    fn check_strict(&self, files: &[TableFile], staged: &Schema) -> Result<(), Failure> {
        let files = files.iter().map(|file| FileColumns::of(&file.path));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        if files.is_empty() {
            return Ok(());
        }
        let known = known::unify(files.iter().map(|file| &file.needed));
        match known::difference(&known, staged) {
            None => Ok(()),
            Some(difference) => Err(Failure::upstream(format!(
                "table `{}` is strict, and its columns are not those that it has: {difference}. A full refresh takes the new columns",
                self.spec.name
            ))),
        }
    }

    /// The one file of a table without rows, if anything is known of its columns.
    fn without_rows(
        &mut self,
        known: Option<&Entry>,
        next_path: &mut dyn FnMut() -> PathBuf,
    ) -> Result<Option<Vec<Settled>>, Failure> {
        let Some(schema) = self.empty_schema(known)? else {
            return Ok(None);
        };
        let written = encoder::empty(&next_path(), &schema)?;
        Ok(Some(vec![Settled::New(NewFile::whole(written))]))
    }

    /// The columns of a table without rows: those that are declared, else those that it had.
    fn empty_schema(&mut self, known: Option<&Entry>) -> Result<Option<SchemaRef>, Failure> {
        let columns = &self.intake.rows()?.columns;
        if !columns.is_empty() {
            let schema = columns.schema();
            let fields: Vec<_> = schema.fields().iter().map(storable_field).collect();
            return Ok(Some(Arc::new(Schema::new(fields))));
        }
        let known = known.and_then(|entry| entry.files.last());
        if known.is_none() {
            tracing::warn!(table = %self.spec.name, "a table without rows and columns is not published");
        }
        known.map(|file| encoder::schema_of(&file.path)).transpose()
    }
}

/// A merge needs a key to merge by.
fn check_key(spec: &TableSpec) -> Result<(), Failure> {
    let name = &spec.name;
    if spec.mode == WriteMode::Merge && spec.primary_key.is_empty() {
        return Err(Failure::bug(format!(
            "the table `{name}` is opened for `merge` without a primary key, by which rows would be found again"
        )));
    }
    let mut columns: Vec<_> = spec
        .primary_key
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    columns.sort();
    columns.dedup();
    if columns.len() < spec.primary_key.len() {
        return Err(Failure::bug(format!(
            "the table `{name}` has a primary key that names a column twice"
        )));
    }
    Ok(())
}
