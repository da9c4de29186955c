//! How much of remote engines hybrid queries may take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hybrid queries. What a query may ask for at most, and has where it asks for nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hybrid {
    /// Rows of one remote result.
    #[schemars(range(min = 1))]
    pub(crate) max_rows: u64,
    /// Bytes of one remote result.
    #[schemars(range(min = 1))]
    pub(crate) max_bytes: u64,
    /// Bytes that BigQuery may bill for one remote query.
    #[schemars(range(min = 1))]
    pub(crate) max_bytes_billed: u64,
    /// The longest time that one remote query takes.
    #[schemars(range(min = 1, max = 3_600))]
    pub(crate) timeout_seconds: u64,
    /// Hybrid queries at once; more are refused.
    #[schemars(range(min = 1, max = 64))]
    pub(crate) at_once: usize,
}

impl Default for Hybrid {
    fn default() -> Self {
        Self {
            max_rows: 500_000,
            max_bytes: 1 << 30,
            max_bytes_billed: 10 << 30,
            timeout_seconds: 300,
            at_once: 2,
        }
    }
}
