//! The register of tables: what sources publish and what admins say about it, and how the last syncs
//! went.

use jiff::Timestamp;
use uuid::Uuid;

use crate::names::{SourceName, TableName};
use crate::run::RunId;
use crate::schema_change::StoredColumn;
use crate::table::QueryMode;

/// A table as a source has it published now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTable {
    /// Its name.
    pub name: TableName,
    /// What it holds; may be empty.
    pub description: String,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// How many columns it has.
    pub columns: u64,
    /// Its columns in order; empty where they are not known, as of a remote table.
    pub types: Vec<StoredColumn>,
    /// The MD5 of its file, where it is in one.
    pub hash: Option<String>,
    /// Where its rows are read.
    pub query_mode: QueryMode,
    /// When its rows were published.
    pub published_at: Timestamp,
}

/// How a sync of a source ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport {
    /// The run that brought it; nothing where a server finds out later.
    pub run: Option<RunId>,
    /// The source.
    pub source: SourceName,
    /// Its connector.
    pub connector: String,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// The tables that were asked for; all when empty.
    pub asked: Vec<TableName>,
    /// Why it failed.
    pub failure: Option<String>,
    /// What the source has published now, by this sync or an earlier one.
    pub tables: Vec<PublishedTable>,
}

impl SyncReport {
    /// Whether the sync was to bring a table.
    pub fn concerns(&self, table: &str) -> bool {
        self.asked.is_empty() || self.asked.iter().any(|asked| asked.folded() == table)
    }
}

/// A table in the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredTable {
    /// The folded name.
    pub id: String,
    /// The name.
    pub name: String,
    /// The source that published it last.
    pub source: Option<SourceName>,
    /// Its connector.
    pub source_type: Option<String>,
    /// Where it lies at the source.
    pub bucket: Option<String>,
    /// What it is called there.
    pub source_table: Option<String>,
    /// How it is brought, in the admin's words.
    pub sync_strategy: String,
    /// Where its rows are read.
    pub query_mode: QueryMode,
    /// When it is to be brought, in the admin's words.
    pub sync_schedule: Option<String>,
    /// Whether it is to be profiled after a sync.
    pub profile_after_sync: bool,
    /// Columns that name a row.
    pub primary_key: Vec<String>,
    /// The folder in which people find it.
    pub folder: Option<String>,
    /// What it holds.
    pub description: Option<String>,
    /// Who registered it; nobody where a publish did.
    pub registered_by: Option<Uuid>,
    /// Since when it is here.
    pub registered_at: Timestamp,
}

/// How a sync went for one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncStatus {
    /// Its rows were published.
    Ok,
    /// The run failed; earlier rows are still there.
    Error,
}

impl SyncStatus {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }

    /// The status that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Ok, Self::Error]
            .into_iter()
            .find(|known| known.as_str() == word)
    }
}

/// What is known of a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncState {
    /// The table in the register.
    pub table: String,
    /// When its rows were published.
    pub last_sync: Timestamp,
    /// How many there are.
    pub rows: u64,
    /// Bytes of its files.
    pub file_size_bytes: u64,
    /// How many columns it has.
    pub columns: u64,
    /// The MD5 of its file, where it is in one.
    pub hash: Option<String>,
    /// How the last sync went.
    pub status: SyncStatus,
    /// Why it failed.
    pub error: Option<String>,
}

/// One sync of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncEvent {
    /// Its id.
    pub id: Uuid,
    /// The table in the register.
    pub table: String,
    /// When it ended.
    pub synced_at: Timestamp,
    /// Rows of the table after it.
    pub rows: u64,
    /// How long the run took.
    pub duration_ms: u64,
    /// How it went.
    pub status: SyncStatus,
    /// Why it failed.
    pub error: Option<String>,
}
