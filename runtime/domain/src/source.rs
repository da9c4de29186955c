//! Sources: configured instances of connectors.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::capability::Capabilities;
use crate::digest::Digest;
use crate::names::{ConnectorName, SourceName};

/// A configured instance of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, and its extract's folder.
    pub name: SourceName,
    /// The kind of integration.
    pub connector: ConnectorName,
    /// The version that it is pinned to.
    pub version: Digest,
    /// Its configuration without credentials.
    pub settings: Value,
    /// What an admin allowed.
    pub granted: Capabilities,
    /// Whether runs may start.
    pub enabled: bool,
    /// When it was added.
    pub created_at: Timestamp,
}
