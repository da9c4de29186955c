//! What can be queried: a snapshot that a rebuild swaps in.

use std::sync::Arc;

use domain::schema_change::StoredColumn;
use domain::{PublishedTable, QueryMode, SourceName, TableName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::extract::{AttachRow, TableFile};

/// A column as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogColumn {
    /// Its name.
    pub name: String,
    /// Its type in SQL, such as `BIGINT`.
    pub data_type: String,
}

impl CatalogColumn {
    fn stored(&self) -> StoredColumn {
        StoredColumn {
            name: self.name.clone(),
            data_type: self.data_type.clone(),
        }
    }
}

/// A table that can be queried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogTable {
    /// Its name, unique without regard to case.
    pub name: TableName,
    /// The source that publishes it.
    pub source: SourceName,
    /// What it holds; may be empty.
    pub description: String,
    /// How many rows it has, as its source says.
    pub rows: u64,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// When its rows were published.
    pub extracted_at: Timestamp,
    /// Where its rows are read.
    pub query_mode: QueryMode,
    /// Its parquet files, oldest first.
    pub files: Vec<TableFile>,
    /// Its columns; empty for a remote table whose database has not said them.
    pub columns: Vec<CatalogColumn>,
    /// Where a remote table is.
    #[serde(default)]
    pub remote: Option<RemotePlace>,
}

/// A table of a database that is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemotePlace {
    /// The database, as the extract names it.
    pub database: AttachRow,
    /// The table's name there.
    pub name: String,
}

impl CatalogTable {
    /// The MD5 of the one file, where it is one.
    pub fn hash(&self) -> Option<&str> {
        match self.files.as_slice() {
            [file] => file.md5.as_deref(),
            _ => None,
        }
    }

    fn published(&self) -> PublishedTable {
        PublishedTable {
            name: self.name.clone(),
            description: self.description.clone(),
            rows: self.rows,
            size_bytes: self.size_bytes,
            columns: self.columns.len() as u64,
            types: self.columns.iter().map(CatalogColumn::stored).collect(),
            hash: self.hash().map(str::to_owned),
            query_mode: self.query_mode,
            published_at: self.extracted_at,
        }
    }
}

/// All tables at one moment.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Grows with every rebuild.
    pub version: u64,
    /// In the order of their names in lower case.
    pub tables: Vec<Arc<CatalogTable>>,
}

impl Catalog {
    /// A table by name, without regard to case.
    pub fn table(&self, name: &str) -> Option<&Arc<CatalogTable>> {
        let wanted = name.to_ascii_lowercase();
        let found = self
            .tables
            .binary_search_by(|table| table.name.folded().cmp(&wanted));
        self.tables.get(found.ok()?)
    }

    /// What a source has published, as far as the names are its own.
    pub fn published(&self, source: &SourceName) -> Vec<PublishedTable> {
        let tables = self.tables.iter();
        let own = tables.filter(|table| table.source == *source);
        own.map(|table| table.published()).collect()
    }
}
