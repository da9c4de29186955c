//! What is taken of webhooks, and how long it may wait.

use std::path::Path;
use std::time::Duration;

use ingest::{InboxLimits, ReceiveConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Webhooks that sources receive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Webhooks {
    /// The most bytes of one delivery.
    #[schemars(range(min = 1_024, max = 4_194_304))]
    pub(crate) max_body_bytes: usize,
    /// The most deliveries a minute that are taken for one source.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) deliveries_per_minute: u32,
    /// The most deliveries of a source that wait to become rows.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) inbox_deliveries: usize,
    /// The most bytes of them.
    #[schemars(range(min = 8_388_608, max = 1_099_511_627_776_u64))]
    pub(crate) inbox_bytes: u64,
    /// The most deliveries that a connector gets at once.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) batch_deliveries: usize,
    /// Milliseconds that the first delivery waits for others to become rows with it.
    #[schemars(range(max = 60_000))]
    pub(crate) batch_milliseconds: u64,
}

/// What a connector gets at once: a payload's size, and room beside it in its smallest memory.
const BATCH_BYTES: u64 = 4 << 20;

/// After the first failure; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(2);

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            deliveries_per_minute: 6_000,
            inbox_deliveries: 100_000,
            inbox_bytes: 256 << 20,
            batch_deliveries: 500,
            batch_milliseconds: 1_000,
        }
    }
}

impl Webhooks {
    /// For what receives, with inboxes in this data folder.
    pub(crate) fn receiving(&self, data: &Path, idle: Duration) -> ReceiveConfig {
        ReceiveConfig {
            folder: data.join("inbox"),
            limits: InboxLimits {
                deliveries: self.inbox_deliveries,
                bytes: self.inbox_bytes,
            },
            batch_deliveries: self.batch_deliveries,
            batch_bytes: BATCH_BYTES,
            window: Duration::from_millis(self.batch_milliseconds),
            idle,
            pause: PAUSE,
        }
    }
}
