//! What users want to have on their own machines.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a choice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChoiceKind {
    /// A source or a data package, with all of its tables.
    Dataset,
    /// A single table.
    Table,
}

/// A user's choice to have something, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncChoice {
    /// Whose it is.
    pub user: Uuid,
    /// What it is about.
    pub kind: ChoiceKind,
    /// The name of that, unique without regard to case.
    pub name: String,
    /// Whether the user wants it.
    pub enabled: bool,
    /// When the user said so.
    pub updated_at: Timestamp,
}
