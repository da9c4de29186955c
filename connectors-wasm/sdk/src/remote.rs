//! Tables that stay where they are, and are attached by the query engine instead of being copied.

use crate::{Failure, host};

/// A remote database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The name under which it is attached, `[A-Za-z_][A-Za-z0-9_]{0,63}`.
    pub alias: String,
    /// The DuckDB extension that attaches it, such as `postgres`.
    pub extension: String,
    /// Where it is, in the extension's own form; never with a credential in it.
    pub url: String,
    /// The credential slot whose value opens it.
    pub credential_slot: Option<String>,
}

/// A table of an attached database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTable {
    /// The name under which people query it.
    pub name: String,
    /// What it holds; may be empty.
    pub description: String,
    /// The attachment that it comes from.
    pub alias: String,
    /// Its name there, such as `public.orders`.
    pub remote_name: String,
}

/// Declares a remote database, attached read-only after the run's publish. Fails with [`Failure::Limit`] where the
/// grant does not allow the extension, with [`Failure::Bug`] for a repeated alias and outside of `sync`.
pub fn attach(attachment: &Attachment) -> Result<(), Failure> {
    host::attach(attachment)
}

/// Declares a table of a database that [`attach`] declared before in this run; else fails with [`Failure::Bug`].
pub fn expose(table: &RemoteTable) -> Result<(), Failure> {
    host::expose(table)
}
