//! The data: what sources published, what the server remembers, and the SQL that people ask.
//!
//! The only crate that names DuckDB, arrow and parquet. Everything here blocks: asynchronous callers
//! move it to a thread that may.

pub mod catalog;
mod decode;
pub mod extensions;
pub mod extract;
pub mod hybrid;
mod open;
pub mod orchestrator;
pub mod paths;
mod priority;
pub mod profile;
pub mod query;
pub mod remote;
mod stamp;
pub mod state;
pub mod warehouse;

pub use catalog::{Catalog, CatalogColumn, CatalogTable, RemotePlace};
pub use extensions::{ExtensionError, ExtensionFolder, Installed};
pub use extract::{
    Extracts, TableFile, Verified, Whole, Wholes, has_small_files, published_sources, verify_beside,
};
pub use orchestrator::{Orchestrator, Problem, RebuildError, RebuildReport};
pub use paths::{DirError, DirLock, Paths, lock_data_dir};
pub use profile::{ProfileError, Profiler};
pub use query::{
    Cut, Exported, Format, QueryEngine, QueryError, QueryOptions, QueryResult, Rejection, Scope,
    Unfit,
};
pub use remote::{Lookup, Push, PushError, RemotePolicy, Servers, SslMode};
pub use state::{
    AuditBreak, AuditEntry, AuditFault, AuditFilter, AuditRecord, AuditReport, BackupError,
    CheckReport, Interrupted, Link, Manifest, Restored, Reviewed, SealedAt, State, StateError,
    Tally, Upgrade, UserChange, restore,
};
pub use warehouse::{OpenWarehouseError, Warehouse};
