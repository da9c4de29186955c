//! What other engines answered, as parquet files that one query reads and nobody else: in a folder of their own, which
//! goes with the request.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use domain::names::NameError;
use domain::{QueryMode, SourceName, TableName};
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use thiserror::Error;

use crate::catalog::{Catalog, CatalogTable};
use crate::extract::TableFile;
use crate::paths::Paths;

use super::Landed;

/// Folders of requests that a crash left are known by it.
const PREFIX: &str = "landed-";
/// More results than a person joins.
const MOST_TABLES: usize = 16;
/// Rows that are held until they are encoded: results are wide as often as long.
const GROUP_ROWS: usize = 16_384;
const GROUP_BYTES: usize = 8 << 20;

/// Why a result was not taken. It is taken whole or not at all: a part of it, joined, would be a wrong answer.
#[derive(Debug, Error)]
pub enum LandError {
    /// The name is none.
    #[error("`{alias}` is no name for a result: {reason}")]
    Alias {
        /// As it was given.
        alias: String,
        /// Why not.
        reason: NameError,
    },
    /// The name is taken.
    #[error("`{0}` is the name of a table or of another result; give this one another name")]
    Taken(String),
    /// Too many results.
    #[error("a query joins at most {MOST_TABLES} results")]
    Tables,
    /// Too many rows.
    #[error(
        "`{alias}` has more than {most} rows; narrow it, aggregate there, or raise its `max_rows`"
    )]
    Rows {
        /// The result.
        alias: String,
        /// The limit.
        most: u64,
    },
    /// Too many bytes.
    #[error(
        "`{alias}` has more than {most} bytes; choose fewer columns or rows, or raise its `max_bytes`"
    )]
    Bytes {
        /// The result.
        alias: String,
        /// The limit.
        most: u64,
    },
    /// The disk.
    #[error("results cannot be kept: {0}")]
    Io(#[from] io::Error),
    /// The format.
    #[error("results cannot be written: {0}")]
    Parquet(#[from] ParquetError),
}

/// How large a result may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Rows.
    pub rows: u64,
    /// Bytes in memory, as Arrow.
    pub bytes: u64,
}

/// The results of one request.
#[derive(Debug)]
pub struct Landing {
    folder: TempDir,
    tables: Vec<Arc<CatalogTable>>,
}

impl Landing {
    /// A place for results.
    ///
    /// # Errors
    /// [`LandError::Io`].
    pub fn new(paths: &Paths) -> Result<Self, LandError> {
        Ok(Self {
            folder: TempDir::with_prefix_in(PREFIX, paths.scratch())?,
            tables: Vec::new(),
        })
    }

    /// Removes what requests of a last server left.
    pub(crate) fn sweep(paths: &Paths) -> io::Result<()> {
        for entry in std::fs::read_dir(paths.scratch())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Begins to take a result that is to be queried by this name.
    ///
    /// # Errors
    /// [`LandError`]: its name, or the disk.
    pub fn table(
        &mut self,
        catalog: &Catalog,
        alias: &str,
        schema: &SchemaRef,
        caps: Caps,
    ) -> Result<Table<'_>, LandError> {
        let name = TableName::parse(alias).map_err(|reason| LandError::Alias {
            alias: alias.chars().take(64).collect(),
            reason,
        })?;
        let here = self.tables.iter().map(|table| table.name.folded());
        if catalog.table(alias).is_some() || here.into_iter().any(|known| known == name.folded()) {
            return Err(LandError::Taken(name.to_string()));
        }
        if self.tables.len() >= MOST_TABLES {
            return Err(LandError::Tables);
        }
        let path = self
            .folder
            .path()
            .join(format!("{}.parquet", self.tables.len()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer =
            ArrowWriter::try_new(File::create(&path)?, Arc::clone(schema), Some(properties))?;
        Ok(Table {
            landing: self,
            name,
            path,
            writer,
            caps,
            rows: 0,
            bytes: 0,
        })
    }

    /// All tables of a catalog, and these.
    pub(crate) fn beside(&self, catalog: &Catalog) -> Catalog {
        let mut tables: Vec<_> = catalog.tables.iter().chain(&self.tables).cloned().collect();
        tables.sort_by_key(|table| table.name.folded());
        Catalog {
            version: catalog.version,
            tables,
        }
    }

    /// The names of the results in lower case.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.tables.iter().map(|table| table.name.folded())
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A result on its way. One that is not finished is not there.
#[derive(Debug)]
pub struct Table<'a> {
    landing: &'a mut Landing,
    name: TableName,
    path: PathBuf,
    writer: ArrowWriter<File>,
    caps: Caps,
    rows: u64,
    bytes: u64,
}

impl Table<'_> {
    /// Takes some rows.
    ///
    /// # Errors
    /// [`LandError`]: a limit, or the disk.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), LandError> {
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        let bytes = batch.get_array_memory_size() as u64;
        self.bytes = self.bytes.saturating_add(bytes);
        let (alias, caps) = (|| self.name.to_string(), self.caps);
        if self.rows > caps.rows {
            let (alias, most) = (alias(), caps.rows);
            return Err(LandError::Rows { alias, most });
        }
        if self.bytes > caps.bytes {
            let (alias, most) = (alias(), caps.bytes);
            return Err(LandError::Bytes { alias, most });
        }
        self.writer.write(batch)?;
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// What has been taken until now.
    pub fn landed(&self) -> Landed {
        Landed {
            rows: self.rows,
            bytes: self.bytes,
        }
    }

    /// Makes it a table that can be queried.
    ///
    /// # Errors
    /// [`LandError`]: the disk.
    pub fn finish(self, source: SourceName) -> Result<(), LandError> {
        self.writer.close()?;
        let size_bytes = std::fs::metadata(&self.path)?.len();
        let file = TableFile {
            path: self.path,
            rows: self.rows,
            size_bytes,
            sha256: None,
            md5: None,
            partition: None,
            origin: None,
        };
        self.landing.tables.push(Arc::new(CatalogTable {
            name: self.name,
            source,
            description: String::new(),
            rows: self.rows,
            size_bytes,
            extracted_at: Timestamp::now(),
            query_mode: QueryMode::Local,
            files: vec![file],
            columns: Vec::new(),
            remote: None,
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::array::{ArrayRef, Int64Array};
    use domain::restriction::Extent;
    use serde_json::{Value, json};

    use super::*;
    use crate::extract::tests::{open, publish};
    use crate::{QueryError, QueryOptions, Scope, Warehouse};

    const MANY: Caps = Caps {
        rows: 1_000,
        bytes: 1 << 20,
    };

    fn shop() -> (tempfile::TempDir, Warehouse) {
        let (folder, warehouse) = open();
        publish(&warehouse, "shop", "orders", "{\"id\":1}\n{\"id\":2}");
        publish(&warehouse, "hr", "salaries", r#"{"who":"nobody"}"#);
        warehouse.orchestrator.rebuild().unwrap();
        (folder, warehouse)
    }

    fn numbers(count: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=count));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn land(
        warehouse: &Warehouse,
        landing: &mut Landing,
        alias: &str,
        caps: Caps,
    ) -> Result<(), LandError> {
        let (catalog, rows) = (warehouse.orchestrator.catalog(), numbers(3));
        let mut table = landing.table(&catalog, alias, &rows.schema(), caps)?;
        table.write(&rows)?;
        table.finish(SourceName::parse("lake").unwrap())
    }

    fn ask(
        warehouse: &Warehouse,
        landing: Landing,
        sql: &str,
    ) -> Result<Vec<Vec<Value>>, QueryError> {
        let scope = Scope::only([("orders".to_owned(), Extent::Whole)]);
        let options = QueryOptions {
            landing: Some(Arc::new(landing)),
            ..QueryOptions::default()
        };
        let answer = warehouse.queries.query(&scope, sql, &options)?;
        Ok(answer.rows)
    }

    #[test]
    fn a_result_is_joined_with_what_was_granted_by_one_query_and_no_other() {
        let (_folder, warehouse) = shop();
        let landed = || {
            let mut landing = Landing::new(&warehouse.paths).unwrap();
            land(&warehouse, &mut landing, "Costs", MANY).unwrap();
            landing
        };
        let joined = "SELECT id, n FROM orders JOIN costs ON id = n ORDER BY id";
        let rows = ask(&warehouse, landed(), joined).unwrap();
        assert_eq!(rows, [[json!(1), json!(1)], [json!(2), json!(2)]]);
        let beyond = ask(&warehouse, landed(), "SELECT * FROM salaries");
        assert!(matches!(beyond, Err(QueryError::UnknownTable { .. })));
        let landing = landed();
        let files = format!("SELECT * FROM '{}/0.parquet'", landing.folder().display());
        assert!(matches!(
            ask(&warehouse, landing, &files),
            Err(QueryError::Refused { .. })
        ));
        let later =
            warehouse
                .queries
                .query(&Scope::All, "SELECT * FROM costs", &QueryOptions::default());
        assert!(matches!(later, Err(QueryError::UnknownTable { .. })));
        let left = std::fs::read_dir(warehouse.paths.scratch()).unwrap();
        let left: BTreeSet<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            !left
                .iter()
                .any(|name| name.to_string_lossy().starts_with(PREFIX)),
            "{left:?}"
        );
    }

    #[test]
    fn a_name_is_a_plain_word_that_stands_for_nothing_else() {
        let (_folder, warehouse) = shop();
        let mut landing = Landing::new(&warehouse.paths).unwrap();
        for alias in ["", "a b", "a\"b", "../x", "x; DROP TABLE y", "_meta"] {
            let landed = land(&warehouse, &mut landing, alias, MANY);
            assert!(matches!(landed, Err(LandError::Alias { .. })), "{alias}");
        }
        // Also one that this user was not granted: results must not pass for it.
        for alias in ["orders", "SALARIES"] {
            let landed = land(&warehouse, &mut landing, alias, MANY);
            assert!(matches!(landed, Err(LandError::Taken(_))), "{alias}");
        }
        land(&warehouse, &mut landing, "costs", MANY).unwrap();
        let twice = land(&warehouse, &mut landing, "COSTS", MANY);
        assert!(matches!(twice, Err(LandError::Taken(_))));
    }

    #[test]
    fn a_result_that_is_too_large_is_refused_and_not_cut() {
        let (_folder, warehouse) = shop();
        let mut landing = Landing::new(&warehouse.paths).unwrap();
        let few = land(&warehouse, &mut landing, "costs", Caps { rows: 2, ..MANY });
        refused(&few, "`costs` has more than 2 rows");
        let small = land(&warehouse, &mut landing, "costs", Caps { bytes: 8, ..MANY });
        refused(&small, "`costs` has more than 8 bytes");
        let seen = ask(&warehouse, landing, "SELECT * FROM costs");
        assert!(matches!(seen, Err(QueryError::UnknownTable { .. })));
    }

    #[track_caller]
    fn refused(landed: &Result<(), LandError>, words: &str) {
        let said = landed.as_ref().unwrap_err().to_string();
        assert!(said.starts_with(words), "{said}");
    }

    #[test]
    fn what_a_crash_left_is_swept() {
        let (folder, warehouse) = shop();
        let left = Landing::new(&warehouse.paths).unwrap().folder.keep();
        drop(warehouse);
        drop(Warehouse::open(folder.path()).unwrap());
        assert!(!left.exists());
    }
}
