//! What lies where, what runs, queries and logs may use, and how long things are kept.

use std::path::PathBuf;
use std::time::Duration;

use domain::Zone;
use domain::agenda::{Backoff, Defaults};
use ingest::{Room, Rules};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Alerts;
use crate::recordings::Caps;

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// The data folder.
    #[schemars(length(min = 1, max = 4096))]
    pub(crate) data_dir: PathBuf,
}

/// How connectors are run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Runs {
    /// Runs at once; others wait.
    #[schemars(range(min = 1, max = 1_024))]
    pub(crate) max_at_once: usize,
    /// Runs that wait for their source, of all sources together; more are refused.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_waiting: usize,
    /// The same of one source.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) max_waiting_of_source: usize,
    /// How often a scheduled run is attempted whose service is down or asks to slow down; 1: no second time.
    #[schemars(range(min = 1, max = 20))]
    pub(crate) attempts: u32,
    /// Seconds until the second attempt; each pause is twice as long as the one before.
    #[schemars(range(min = 1, max = 3_600))]
    pub(crate) retry_seconds: u32,
    /// The time zone in which schedules are meant that name none.
    #[schemars(length(min = 1, max = 64), extend("format" = "time-zone"))]
    pub(crate) time_zone: String,
    /// By how many seconds at most scheduled runs are late, so that not all begin in one moment.
    #[schemars(range(max = 86_400))]
    pub(crate) jitter_seconds: u32,
    /// Seconds that the runner of a source stays ready for the next webhook.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) receiver_idle_seconds: u64,
    /// Recordings to keep of each source's syncs, without credentials, to try new versions on; 0 for none. A source's
    /// own policy goes before.
    #[schemars(range(max = 100))]
    pub(crate) keep_recordings: usize,
    /// The most bytes of all recordings together; beyond that the oldest go.
    #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
    pub(crate) recordings_bytes: u64,
    /// What connectors' requests say in `User-Agent`; by default `Sluice/` and the version.
    #[schemars(length(min = 1, max = 256), extend("format" = "header-value"))]
    pub(crate) user_agent: Option<String>,
}

/// Requests of connectors to the outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Egress {
    /// A PEM file of certificates that are trusted beside the system's.
    #[schemars(length(min = 1, max = 4096))]
    pub(crate) ca_file: Option<PathBuf>,
    /// The most requests a second of one source, and of all sources that use one credential.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) requests_per_second: u32,
    /// The most of these requests that are on their way at once.
    #[schemars(range(min = 1, max = 64))]
    pub(crate) requests_at_once: u32,
}

/// What a query may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queries {
    /// Seconds until a query is interrupted.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) timeout_seconds: u64,
    /// The most rows of one answer.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub(crate) max_rows: usize,
    /// Millions of bytes (of 1024 × 1024) that the server may hold in all, beyond which a query fails that wants more; by
    /// default three quarters of the machine's or the container's.
    #[schemars(range(min = 1_024, max = 16_777_216))]
    pub(crate) server_memory_mb: Option<u64>,
    /// The same of an answer that is streamed as CSV, Arrow or parquet.
    #[schemars(range(min = 1, max = 10_000_000_000_u64))]
    pub(crate) stream_max_rows: usize,
    /// The most bytes of such an answer.
    #[schemars(range(min = 1_024, max = 1_125_899_906_842_624_u64))]
    pub(crate) stream_max_bytes: u64,
    /// Seconds until such an answer is broken off, however slowly its client reads.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) stream_timeout_seconds: u64,
    /// The most answers that are streamed at once.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) streams_at_once: usize,
}

/// How credentials are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CredentialsKey {
    /// The key file; by default `state/master.key` in the data folder, made at first start.
    #[schemars(length(min = 1, max = 4096))]
    pub(crate) master_key_file: Option<PathBuf>,
    /// How the environment variables begin that a credential may be taken from.
    #[schemars(length(min = 4, max = 256), extend("format" = "variable-prefix"))]
    pub(crate) variable_prefix: String,
}

/// How long the record of who did what is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Audit {
    /// Days until an entry may be removed.
    #[schemars(range(min = 1, max = 36_500))]
    pub(crate) retention_days: u32,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// How a line looks.
    pub(crate) format: LogFormat,
    /// Levels, such as `info` or `info,ingest=debug`.
    #[schemars(length(min = 1, max = 1024), extend("format" = "log-filter"))]
    pub(crate) filter: String,
}

/// How a log line looks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
        }
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            max_at_once: 4,
            max_waiting: 1_000,
            max_waiting_of_source: 20,
            attempts: 4,
            retry_seconds: 60,
            time_zone: "UTC".into(),
            jitter_seconds: 30,
            receiver_idle_seconds: 60,
            keep_recordings: 0,
            recordings_bytes: 1 << 30,
            user_agent: None,
        }
    }
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            ca_file: None,
            requests_per_second: 100,
            requests_at_once: 16,
        }
    }
}

impl Default for CredentialsKey {
    fn default() -> Self {
        Self {
            master_key_file: None,
            variable_prefix: "SLUICE_CREDENTIAL_".into(),
        }
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            timeout_seconds: 60,
            max_rows: 100_000,
            server_memory_mb: None,
            stream_max_rows: 100_000_000,
            stream_max_bytes: 16 << 30,
            stream_timeout_seconds: 3_600,
            streams_at_once: 16,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            retention_days: 730,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".into(),
        }
    }
}

impl Runs {
    pub(crate) fn receiver_idle(&self) -> Duration {
        Duration::from_secs(self.receiver_idle_seconds)
    }

    pub(crate) fn recordings(&self) -> Caps {
        Caps {
            of_source: self.keep_recordings,
            bytes: self.recordings_bytes,
        }
    }

    /// How runs wait and come again.
    pub(crate) fn rules(&self, alerts: &Alerts) -> Rules {
        Rules {
            defaults: Defaults {
                // Its form was checked when it was read.
                zone: Zone::parse(&self.time_zone).unwrap_or_default(),
                jitter_seconds: self.jitter_seconds,
                stale_after_hours: alerts.stale_after_hours,
            },
            backoff: Backoff {
                most_attempts: self.attempts,
                first: SignedDuration::from_secs(i64::from(self.retry_seconds)),
            },
            room: Room {
                in_all: self.max_waiting,
                of_source: self.max_waiting_of_source,
            },
            alerts: alerts.webhook_url.is_some(),
        }
    }

    pub(crate) fn user_agent(&self) -> String {
        let own = concat!("Sluice/", env!("CARGO_PKG_VERSION"));
        self.user_agent.clone().unwrap_or_else(|| own.into())
    }
}

impl Queries {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    pub(crate) fn stream_timeout(&self) -> Duration {
        Duration::from_secs(self.stream_timeout_seconds)
    }
}
