//! Requests for access: a user asks for a table, an admin says yes or no.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestState {
    /// No admin has said anything yet.
    Pending,
    /// The user may read the table.
    Approved,
    /// The user may not.
    Denied,
}

impl RequestState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}

/// A user's request to read a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// Names it.
    pub id: Uuid,
    /// Who asks.
    pub user: Uuid,
    /// For which table; it need not be there.
    pub table: String,
    /// Why; may be empty.
    pub reason: String,
    /// What became of it.
    pub state: RequestState,
    /// Who decided.
    pub reviewed_by: Option<Uuid>,
    /// When it was decided.
    pub reviewed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The name of the group whose members may read this table because they asked.
pub fn access_group(table: &str) -> String {
    format!("access:{}", table.to_ascii_lowercase())
}
