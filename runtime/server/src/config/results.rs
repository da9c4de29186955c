//! How much of a table or an answer people may take along.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows of one table by a predicate, as `da fetch` asks for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scans {
    /// The most scans of a user at once.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) max_concurrent_per_user: u64,
    /// The most bytes that a user gets in a day, which begins at midnight UTC.
    #[schemars(range(min = 1, max = 1_125_899_906_842_624_u64))]
    pub(crate) max_daily_bytes_per_user: u64,
    /// The most bytes of one scan; what is beyond is cut, and the answer says so.
    #[schemars(range(min = 1_024, max = 1_099_511_627_776_u64))]
    pub(crate) max_result_bytes: u64,
    /// The largest limit that may be asked for.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) max_limit: u64,
}

/// Tables as files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Downloads {
    /// The most bytes of tables that are kept put together as one file; beyond that those go that were wanted least.
    #[schemars(range(min = 1_048_576, max = 1_125_899_906_842_624_u64))]
    pub(crate) cache_bytes: u64,
}

impl Default for Scans {
    fn default() -> Self {
        Self {
            max_concurrent_per_user: 5,
            max_daily_bytes_per_user: 50 << 30,
            max_result_bytes: 2 << 30,
            max_limit: 10_000_000,
        }
    }
}

impl Default for Downloads {
    fn default() -> Self {
        Self {
            cache_bytes: 10 << 30,
        }
    }
}
