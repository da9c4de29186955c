//! What one source published when its extract was last read well: it is served until it is read well
//! again, also by the next server.

use std::path::Path;
use std::sync::Arc;

use domain::{QueryMode, SourceName};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::catalog::{CatalogColumn, CatalogTable, RemotePlace};
use crate::extract::{AttachRow, Contents, Entry, ExtractError, rows_of};
use crate::open::Reader;
use crate::paths::Paths;

/// The tables of a source before anybody asks who owns their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    identity: Identity,
    #[serde(with = "shared")]
    pub(super) tables: Vec<Arc<CatalogTable>>,
    /// Tables that are not served, and why.
    pub(super) passed_over: Vec<(String, String)>,
}

impl Kept {
    /// Reads an extract; `None` where there is none. What `before` knows of files that never change is
    /// not looked up again.
    pub(super) fn read(
        reader: &Reader,
        paths: &Paths,
        source: &SourceName,
        before: Option<&Self>,
    ) -> Result<Option<Self>, ExtractError> {
        let folder = paths.extract(source);
        let database = folder.join("extract.duckdb");
        if !database.exists() {
            return Ok(None);
        }
        let mut identity = Identity::default();
        identity.note(database.clone());
        identity.note(folder.join("extract.duckdb.wal"));
        let contents = match Contents::known(&folder) {
            Some(contents) => contents,
            None => reader.read(&database, |connection| {
                Contents::read_from(connection, &folder)
            })?,
        };
        if !contents.ours {
            // Others add and exchange files without a word in their extract.
            identity.note(folder.join("data"));
            for entry in &contents.entries {
                identity.note(folder.join("data").join(entry.name.as_str()));
            }
        }
        for file in contents.entries.iter().flat_map(|entry| &entry.files) {
            identity.note(file.path.clone());
        }
        let mut kept = Self {
            identity,
            tables: Vec::with_capacity(contents.entries.len()),
            passed_over: contents.refused,
        };
        let before = before.filter(|_| contents.ours);
        for entry in contents.entries {
            let read = remote_place(&entry, &contents.attachments)
                .and_then(|remote| Ok((remote, columns(reader, before, &entry)?)));
            match read {
                Ok((remote, columns)) => {
                    let table = table(source, entry, columns, remote);
                    kept.tables.push(Arc::new(table));
                }
                Err(reason) => kept.passed_over.push((entry.name.to_string(), reason)),
            }
        }
        Ok(Some(kept))
    }

    /// Whether the extract is still the one that was read.
    pub(super) fn is_current(&self) -> bool {
        self.identity.holds()
    }

    /// Without the tables that cannot be served any more.
    pub(super) fn still_there(&self) -> Self {
        let whole = |table: &&Arc<CatalogTable>| table.files.iter().all(|f| f.path.exists());
        Self {
            tables: self.tables.iter().filter(whole).cloned().collect(),
            ..self.clone()
        }
    }

    fn same_files(&self, entry: &Entry) -> Option<&Arc<CatalogTable>> {
        let mut tables = self.tables.iter();
        tables.find(|table| table.name == entry.name && table.files == entry.files)
    }
}

fn columns(
    reader: &Reader,
    before: Option<&Kept>,
    entry: &Entry,
) -> Result<Vec<CatalogColumn>, String> {
    if entry.query_mode == QueryMode::Remote {
        return Ok(Vec::new());
    }
    if entry.files.is_empty() {
        return Err("it has no files".to_owned());
    }
    if let Some(table) = before.and_then(|before| before.same_files(entry)) {
        return Ok(table.columns.clone());
    }
    let files: Vec<&Path> = entry.files.iter().map(|file| file.path.as_path()).collect();
    let described = reader.describe(&rows_of(&files));
    let described = described.map_err(|error| format!("its files cannot be read: {error}"))?;
    let columns = described.into_iter();
    Ok(columns
        .map(|(name, data_type)| CatalogColumn { name, data_type })
        .collect())
}

/// Where a remote table is. An extract of another program may say no more than the database.
fn remote_place(entry: &Entry, databases: &[AttachRow]) -> Result<Option<RemotePlace>, String> {
    if entry.query_mode == QueryMode::Local {
        return Ok(None);
    }
    let (database, name) = match (&entry.remote, databases) {
        (Some((alias, name)), _) => {
            let mut databases = databases.iter();
            let found = databases.find(|row| row.alias.eq_ignore_ascii_case(alias.as_str()));
            let missing = || format!("its database `{alias}` is not in `_remote_attach`");
            (found.ok_or_else(missing)?, name.clone())
        }
        (None, [only]) => (only, entry.name.to_string()),
        (None, _) => return Err("the extract does not say in which database it is".to_owned()),
    };
    Ok(Some(RemotePlace {
        database: database.clone(),
        name,
    }))
}

fn table(
    source: &SourceName,
    entry: Entry,
    columns: Vec<CatalogColumn>,
    remote: Option<RemotePlace>,
) -> CatalogTable {
    CatalogTable {
        name: entry.name,
        source: source.clone(),
        description: entry.description,
        rows: entry.rows,
        size_bytes: entry.size_bytes,
        extracted_at: entry.extracted_at,
        query_mode: entry.query_mode,
        files: match entry.query_mode {
            QueryMode::Local => entry.files,
            QueryMode::Remote => Vec::new(),
        },
        columns,
        remote,
    }
}

/// Tables are shared in memory, and plain values in a file.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::catalog::CatalogTable;

    pub(super) fn serialize<S: Serializer>(
        tables: &[Arc<CatalogTable>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let tables: Vec<&CatalogTable> = tables.iter().map(AsRef::as_ref).collect();
        tables.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Arc<CatalogTable>>, D::Error> {
        let tables = Vec::<CatalogTable>::deserialize(deserializer)?;
        Ok(tables.into_iter().map(Arc::new).collect())
    }
}
