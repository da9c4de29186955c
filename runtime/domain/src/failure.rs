//! Why a run did not work. The kind decides whether it is tried again.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What sort of failure it was; the same words as in the connector interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The settings are wrong.
    Config,
    /// The service refused the credential.
    Auth,
    /// The service asked to slow down.
    RateLimited,
    /// The service did not answer, or answered with an error or garbage.
    Upstream,
    /// A limit was reached, or the host refused a request.
    Limit,
    /// The connector or the host did something that it must not do.
    Bug,
}

impl FailureKind {
    /// Whether another attempt may work although nobody changed anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Upstream)
    }

    /// The kind as people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::RateLimited => "rate-limited",
            Self::Upstream => "upstream",
            Self::Limit => "limit",
            Self::Bug => "bug",
        }
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure with the words that are shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Failure {
    /// Decides on retry.
    pub kind: FailureKind,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// Seconds to wait, where the service named a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

impl Failure {
    /// A failure of any kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_seconds: None,
        }
    }

    /// The settings are wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Config, message)
    }

    /// The service refused the credential.
    pub fn auth(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Auth, message)
    }

    /// The service did not answer as it should.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Upstream, message)
    }

    /// A limit was reached, or a request was refused.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Limit, message)
    }

    /// Somebody's code is wrong.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Bug, message)
    }
}
