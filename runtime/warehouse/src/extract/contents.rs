//! What an `extract.duckdb` says, read and written. This is the contract with other programs: they
//! may write what is read here, and read what is written here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::ports::Cursors;
use domain::sql_ident::{quote_ident, quote_text};
use domain::{Alias, Digest, QueryMode, TableName};
use duckdb::{Connection, params};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::remembered;
use crate::open::{Database, OpenError, write_new};
use crate::stamp::Stamp;

/// Why an extract cannot be read or written.
#[derive(Debug, Error)]
pub(crate) enum ExtractError {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("DuckDB refused it: {0}")]
    Sql(#[from] duckdb::Error),
    #[error("{0}")]
    Content(String),
}

/// A parquet file of a table. The hashes are missing where another program wrote the extract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFile {
    /// Where it lies.
    pub path: PathBuf,
    /// How many rows it has.
    pub rows: u64,
    /// How large it is.
    pub size_bytes: u64,
    /// The sha256 of its bytes.
    pub sha256: Option<Digest>,
    /// The md5 of its bytes as 32 hexadecimal digits, for clients that compare it.
    pub md5: Option<String>,
    /// The partition that it holds, where the table is split.
    pub partition: Option<String>,
    /// The file in whose place it stands, with the same rows.
    pub origin: Option<PathBuf>,
}

/// A table of an extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: TableName,
    pub(crate) description: String,
    pub(crate) rows: u64,
    pub(crate) size_bytes: u64,
    pub(crate) extracted_at: Timestamp,
    pub(crate) query_mode: QueryMode,
    pub(crate) files: Vec<TableFile>,
    /// The attachment and the table's name there.
    pub(crate) remote: Option<(Alias, String)>,
}

/// A remote database of an extract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachRow {
    /// What the extract calls it.
    pub alias: String,
    /// The DuckDB extension that attaches it.
    pub extension: String,
    /// Where it is.
    pub url: String,
    /// Names the credential; never the credential itself.
    pub token_env: String,
}

/// Everything that an extract says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) entries: Vec<Entry>,
    pub(crate) attachments: Vec<AttachRow>,
    pub(crate) cursors: Cursors,
    /// The folded names of tables that the next run brings anew, whatever their write mode and cursor.
    pub(crate) anew: BTreeSet<String>,
    /// Tables in `_meta` that cannot be served, and why.
    pub(crate) refused: Vec<(String, String)>,
    /// Whether this host wrote it.
    pub(crate) ours: bool,
}

impl Contents {
    /// Reads an extract; `None` where there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, ExtractError> {
        let path = folder.join("extract.duckdb");
        // One that cannot be looked at is not one that is missing: a publish would leave its tables out.
        let there = path.try_exists();
        if !there.map_err(|error| ExtractError::Content(error.to_string()))? {
            remembered::forget(folder);
            return Ok(None);
        }
        let stamp = Stamp::of(&path);
        if let Some(contents) = Self::known(folder) {
            return Ok(Some(contents));
        }
        let contents = Self::read_from(&*Database::read(&path)?, folder)?;
        // Only if it was the same file all the time.
        if let Some(stamp) = stamp.filter(|stamp| Stamp::of(&path) == Some(*stamp)) {
            remembered::remember(folder, stamp, &contents);
        }
        Ok(Some(contents))
    }

    /// What an extract says that was read or written before and is the same still.
    pub(crate) fn known(folder: &Path) -> Option<Self> {
        let path = folder.join("extract.duckdb");
        // What another program has in its log is not in the file yet.
        if path.with_extension("duckdb.wal").exists() {
            return None;
        }
        let known = remembered::recall(folder, Stamp::of(&path)?)?;
        // Somebody may have removed one since.
        let mut files = known.entries.iter().flat_map(|entry| &entry.files);
        files.all(|file| file.path.exists()).then(|| known.clone())
    }

    /// Reads the extract that lies in a folder and is open.
    pub(crate) fn read_from(database: &Connection, folder: &Path) -> Result<Self, ExtractError> {
        let tables = tables(database)?;
        let mut contents = Self {
            ours: tables.contains("_sluice_file"),
            ..Self::default()
        };
        contents.read_meta(database)?;
        if tables.contains("_remote_attach") {
            contents.attachments = read_attachments(database)?;
        }
        match contents.ours {
            true => contents.read_own(database, folder, &tables)?,
            false => contents.read_foreign(database, folder),
        }
        Ok(contents)
    }

    /// One table that cannot be served costs no other.
    fn read_foreign(&mut self, database: &Connection, folder: &Path) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain_mut(|entry| {
            if entry.query_mode == QueryMode::Remote {
                return true;
            }
            match super::foreign::files(database, folder, &entry.name) {
                Ok(files) => entry.files = files,
                Err(error) => self
                    .refused
                    .push((entry.name.to_string(), error.to_string())),
            }
            !entry.files.is_empty()
        });
        self.entries = entries;
    }

    /// Writes a complete new file at `path`, which must not exist. Views name the parquet files by
    /// absolute paths, so those must lie where they will stay.
    pub(crate) fn write(&self, folder: &Path, path: &Path) -> Result<(), ExtractError> {
        let written = write_new(path, |database| {
            database.execute_batch("BEGIN")?;
            self.write_into(database, folder)?;
            database.execute_batch("COMMIT")?;
            Self::read_from(database, folder)
        })?;
        // It is asked for as soon as it is renamed, which changes nothing of its stamp.
        if let Some(stamp) = Stamp::of(path) {
            remembered::remember(folder, stamp, &written);
        }
        Ok(())
    }

    fn write_into(&self, database: &Connection, folder: &Path) -> Result<(), ExtractError> {
        database.execute_batch(include_str!("../../sql/extract_create.sql"))?;
        for entry in &self.entries {
            entry.write(database, folder)?;
        }
        if !self.attachments.is_empty() {
            database.execute_batch(include_str!("../../sql/remote_attach_create.sql"))?;
        }
        for row in &self.attachments {
            let values = params![row.alias, row.extension, row.url, row.token_env];
            database.execute("INSERT INTO _remote_attach VALUES (?, ?, ?, ?)", values)?;
        }
        for (table, cursor) in &self.cursors {
            let values = params![table, cursor];
            database.execute("INSERT INTO _sluice_cursor VALUES (?, ?)", values)?;
        }
        for table in &self.anew {
            database.execute("INSERT INTO _sluice_anew VALUES (?)", params![table])?;
        }
        Ok(())
    }

    /// The cursors from which a run goes on: none for a table that it brings anew.
    pub(crate) fn open_cursors(mut self) -> Cursors {
        self.cursors.retain(|table, _| !self.anew.contains(table));
        self.cursors
    }

    fn read_meta(&mut self, connection: &Connection) -> Result<(), ExtractError> {
        let mut statement = connection.prepare(include_str!("../../sql/meta_select.sql"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let Ok(name) = TableName::parse(&name) else {
                let reason = "this is not a table name".to_owned();
                self.refused.push((name, reason));
                continue;
            };
            let remote = row.get::<_, String>(5)? == "remote";
            self.entries.push(Entry {
                name,
                description: row.get(1)?,
                rows: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                size_bytes: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                extracted_at: Timestamp::from_microsecond(row.get(4)?).unwrap_or_default(),
                query_mode: if remote {
                    QueryMode::Remote
                } else {
                    QueryMode::Local
                },
                files: Vec::new(),
                remote: None,
            });
        }
        Ok(())
    }

    fn read_own(
        &mut self,
        connection: &Connection,
        folder: &Path,
        tables: &BTreeSet<String>,
    ) -> Result<(), ExtractError> {
        // An extract of a server before tables were split says nothing of it.
        let split = match is_split(connection)? {
            true => "partition, origin",
            false => "NULL, NULL",
        };
        let sql = format!(
            "SELECT table_name, path, rows, size_bytes, sha256, md5, {split} FROM _sluice_file ORDER BY rowid"
        );
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, path): (String, String) = (row.get(0)?, row.get(1)?);
            let sha256: Option<String> = row.get(4)?;
            let file = TableFile {
                path: super::foreign::inside(folder, Path::new(&path))?,
                rows: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                size_bytes: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                sha256: sha256.and_then(|text| Digest::parse(&text).ok()),
                md5: row.get(5)?,
                partition: row.get(6)?,
                origin: row
                    .get::<_, Option<String>>(7)?
                    .map(|path| folder.join(path)),
            };
            if let Some(entry) = self
                .entries
                .iter_mut()
                .find(|entry| entry.name.as_str() == table)
            {
                entry.files.push(file);
            }
        }
        let mut statement = connection.prepare("SELECT table_name, cursor FROM _sluice_cursor")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.cursors.insert(row.get(0)?, row.get(1)?);
        }
        if tables.contains("_sluice_anew") {
            let mut statement = connection.prepare("SELECT table_name FROM _sluice_anew")?;
            let names = statement.query_map([], |row| row.get(0))?;
            self.anew = names.collect::<Result<_, _>>()?;
        }
        self.read_remote(connection)
    }

    fn read_remote(&mut self, connection: &Connection) -> Result<(), ExtractError> {
        let mut statement =
            connection.prepare("SELECT table_name, alias, remote_name FROM _sluice_remote")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, alias): (String, String) = (row.get(0)?, row.get(1)?);
            let alias =
                Alias::parse(&alias).map_err(|error| ExtractError::Content(error.to_string()))?;
            if let Some(entry) = self
                .entries
                .iter_mut()
                .find(|entry| entry.name.as_str() == table)
            {
                entry.remote = Some((alias, row.get(2)?));
            }
        }
        Ok(())
    }
}

impl Entry {
    fn write(&self, connection: &Connection, folder: &Path) -> Result<(), ExtractError> {
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let name = self.name.as_str();
        connection.execute(
            "INSERT INTO _meta VALUES (?, ?, ?, ?, make_timestamp(?), ?)",
            params![
                name,
                self.description,
                count(self.rows),
                count(self.size_bytes),
                self.extracted_at.as_microsecond(),
                self.query_mode.as_str()
            ],
        )?;
        for file in &self.files {
            connection.execute(
                "INSERT INTO _sluice_file VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    name,
                    within(folder, &file.path),
                    count(file.rows),
                    count(file.size_bytes),
                    file.sha256.map(|digest| digest.to_string()),
                    file.md5,
                    file.partition,
                    file.origin.as_ref().map(|path| within(folder, path))
                ],
            )?;
        }
        if let Some((alias, remote_name)) = &self.remote {
            let values = params![name, alias.as_str(), remote_name];
            connection.execute("INSERT INTO _sluice_remote VALUES (?, ?, ?)", values)?;
        }
        if !self.files.is_empty() {
            let paths: Vec<&Path> = self.files.iter().map(|file| file.path.as_path()).collect();
            connection.execute_batch(&view(name, &paths))?;
        }
        Ok(())
    }
}

/// A file's place in the extract, which stays when the data folder moves.
pub(super) fn within(folder: &Path, file: &Path) -> String {
    let within = file.strip_prefix(folder).unwrap_or(file);
    within.to_string_lossy().into_owned()
}

/// The statement that makes a view straight over parquet files.
pub(crate) fn view(name: &str, files: &[&Path]) -> String {
    format!("CREATE VIEW {} AS {}", quote_ident(name), rows_of(files))
}

/// The query that reads all rows of parquet files.
pub(crate) fn rows_of(files: &[&Path]) -> String {
    let paths: Vec<String> = files
        .iter()
        .map(|path| quote_text(&path.to_string_lossy()))
        .collect();
    let paths = paths.join(", ");
    // By name: the files of an appended table may differ in their columns.
    let union = if files.len() > 1 {
        ", union_by_name = true"
    } else {
        ""
    };
    format!("SELECT * FROM read_parquet([{paths}]{union})")
}

fn read_attachments(connection: &Connection) -> Result<Vec<AttachRow>, ExtractError> {
    let sql = "SELECT alias, extension, url, coalesce(token_env, '') FROM _remote_attach";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(AttachRow {
            alias: row.get(0)?,
            extension: row.get(1)?,
            url: row.get(2)?,
            token_env: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The names of all tables, in lower case.
fn tables(connection: &Connection) -> Result<BTreeSet<String>, ExtractError> {
    let sql = "SELECT lower(table_name) FROM duckdb_tables() WHERE NOT internal";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Asked of the one table: a list of all columns would open the files of all views.
fn is_split(connection: &Connection) -> Result<bool, ExtractError> {
    let sql = "SELECT 1 FROM pragma_table_info('_sluice_file') WHERE name = 'partition'";
    Ok(connection.prepare(sql)?.exists([])?)
}
