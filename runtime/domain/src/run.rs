//! One execution of a source, and what can be seen of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::failure::Failure;
use crate::names::SourceName;

/// Names a run; sorts by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// A new one.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Tries settings and credentials.
    Check,
    /// Lists tables.
    Discover,
    /// Brings rows.
    Sync,
    /// Turns deliveries of webhooks into rows.
    Receive,
}

impl Operation {
    /// Whether it writes rows, and so has a stage.
    pub fn writes(self) -> bool {
        matches!(self, Self::Sync | Self::Receive)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Discover => "discover",
            Self::Sync => "sync",
            Self::Receive => "receive",
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Waits for a free place.
    Queued,
    /// Works.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended with a failure.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// The server died while it ran.
    Interrupted,
}

impl RunState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a run has counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Rows taken from the connector.
    pub rows: u64,
    /// Bytes of response bodies, decompressed.
    pub bytes_in: u64,
    /// Bytes of parquet written.
    pub bytes_out: u64,
    /// Requests sent.
    pub requests: u64,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Counted by the host.
    #[serde(flatten)]
    pub counts: Counts,
    /// The table that was written last.
    pub table: Option<String>,
    /// What the connector said.
    pub message: String,
    /// Parts that are done, in the connector's unit.
    pub done: u64,
    /// Parts in all, where known.
    pub total: Option<u64>,
    /// Hundredths that are done, where the parts in all are known.
    pub percent: Option<u8>,
    /// Rows a second: of late while it goes on, of all its time at its end.
    pub rate: u64,
}

/// Hundredths of `total` that are done; more than all is all.
pub fn percent(done: u64, total: Option<u64>) -> Option<u8> {
    let total = u128::from(total.filter(|total| *total > 0)?);
    let percent = u128::from(done).min(total) * 100 / total;
    u8::try_from(percent).ok()
}

/// A run as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// What it runs.
    pub source: SourceName,
    /// The version of the connector.
    pub version: Digest,
    /// What it does.
    pub operation: Operation,
    /// Where it stands.
    pub state: RunState,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it started to work.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it counted.
    pub counts: Counts,
    /// Why it did not work.
    pub failure: Option<Failure>,
}

impl Run {
    /// A run that is accepted now and has not begun.
    pub fn queued(
        source: SourceName,
        version: Digest,
        operation: Operation,
        queued_at: Timestamp,
    ) -> Self {
        Self {
            id: RunId::generate(),
            source,
            version,
            operation,
            state: RunState::Queued,
            queued_at,
            started_at: None,
            finished_at: None,
            counts: Counts::default(),
            failure: None,
        }
    }
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the connector's author.
    Debug,
    /// For whoever reads the run afterwards.
    Info,
    /// The run goes on.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
}

/// One decision of the egress gate, allowed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressRow {
    /// When it was decided.
    pub at: Timestamp,
    /// Whether it was sent, and if not, why.
    pub decision: String,
    /// The host that was asked for.
    pub host: String,
    /// The address that was dialled.
    pub address: Option<std::net::SocketAddr>,
    /// The method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Milliseconds until the answer's headers.
    pub milliseconds: u64,
}

/// What happens to a run while it runs, as it is streamed to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// It changed its state.
    State {
        /// The run as it is now.
        run: Run,
    },
    /// It got further.
    Progress {
        /// How far it is.
        progress: Progress,
    },
    /// It said something.
    Log {
        /// What it said.
        line: LogLine,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_known_with_the_total_and_never_beyond_a_hundred() {
        assert_eq!(percent(1, None), None);
        assert_eq!(percent(0, Some(0)), None);
        assert_eq!(percent(1, Some(3)), Some(33));
        assert_eq!(percent(u64::MAX - 1, Some(u64::MAX)), Some(99));
        assert_eq!(percent(5, Some(3)), Some(100));
    }
}
