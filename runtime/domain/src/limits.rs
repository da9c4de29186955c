//! How much a run may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of one run. A manifest may ask for less or more than the defaults; the host's own maximum
/// always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of all linear memories of the component together.
    pub memory_bytes: u64,
    /// Seconds of wall-clock time from start to end.
    pub wall_seconds: u64,
    /// Seconds of processor time of the runner.
    pub cpu_seconds: u64,
    /// Bytes of response bodies after decompression.
    pub bytes_in: u64,
    /// Bytes of parquet over all tables.
    pub bytes_out: u64,
    /// Rows over all tables.
    pub rows: u64,
    /// Requests, not counting the host's retries.
    pub requests: u64,
    /// Requests a second, retries included, shared by all who use one credential.
    pub requests_per_second: u32,
    /// Requests whose answer is still on its way, shared likewise.
    pub requests_at_once: u32,
    /// Bytes of the run's log; lines beyond are counted and left out.
    pub log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            wall_seconds: 3_600,
            cpu_seconds: 1_800,
            bytes_in: 64 << 30,
            bytes_out: 64 << 30,
            rows: 2_000_000_000,
            requests: 1_000_000,
            requests_per_second: 50,
            requests_at_once: 16,
            log_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// The most that any run may use, whatever was asked and granted.
    pub const MAXIMUM: Self = Self {
        memory_bytes: 2 << 30,
        wall_seconds: 24 * 3_600,
        cpu_seconds: 24 * 3_600,
        bytes_in: 1 << 42,
        bytes_out: 1 << 42,
        rows: 1 << 40,
        requests: 100_000_000,
        requests_per_second: 1_000,
        requests_at_once: 64,
        log_bytes: 16 << 20,
    };

    /// The smaller of each pair.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            wall_seconds: self.wall_seconds.min(other.wall_seconds),
            cpu_seconds: self.cpu_seconds.min(other.cpu_seconds),
            bytes_in: self.bytes_in.min(other.bytes_in),
            bytes_out: self.bytes_out.min(other.bytes_out),
            rows: self.rows.min(other.rows),
            requests: self.requests.min(other.requests),
            requests_per_second: self.requests_per_second.min(other.requests_per_second),
            requests_at_once: self.requests_at_once.min(other.requests_at_once),
            log_bytes: self.log_bytes.min(other.log_bytes),
        }
    }
}
