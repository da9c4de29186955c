//! What the server does for its users' own machines: it takes their files, and hands out their client.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files that people send: sessions of their agents, what they made, their notes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Uploads {
    /// The most bytes of one file.
    #[schemars(range(min = 1_024, max = 10_737_418_240_u64))]
    pub(crate) max_file_bytes: u64,
    /// The most bytes of all files of a user.
    #[schemars(range(min = 1_024, max = 1_125_899_906_842_624_u64))]
    pub(crate) max_bytes_per_user: u64,
    /// The most files of a user.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_files_per_user: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            max_file_bytes: 50 << 20,
            max_bytes_per_user: 1 << 30,
            max_files_per_user: 10_000,
        }
    }
}

/// The analyst's client `da`, which the server offers for its own platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Clients {
    /// The binary, of the same release as the server; null: `da` beside the server's own, where there is one.
    pub(crate) path: Option<PathBuf>,
}
