//! The connector interface, one file an interface: each function is one call to the broker.

use domain::protocol::{Call, Reply};
use domain::{Failure, FailureKind};

use crate::bindings::sluice::connector::types;
use crate::guest::Guest;
use crate::link::Broken;

mod cursors;
pub(crate) mod http;
mod remote;
pub(crate) mod run;
pub(crate) mod tables;

/// What a host function of the interface returns: the outer error ends the process, the inner one is the guest's.
type Answer<T> = wasmtime::Result<Result<T, types::Failure>>;

impl types::Host for Guest {}

impl Guest {
    /// Calls the broker and takes what it wants of the answer.
    fn ask<T>(
        &self,
        call: Call,
        payload: &[u8],
        take: impl FnOnce(Reply, Vec<u8>) -> Option<T>,
    ) -> Answer<T> {
        match self.link.call(call, payload)? {
            (Reply::Failed(failure), _) => Ok(Err(failure.into())),
            (reply, payload) => {
                let kind = format!("{reply:?}").chars().take(64).collect();
                Ok(Ok(take(reply, payload).ok_or(Broken::Order(kind))?))
            }
        }
    }

    /// Calls the broker where `Done` is the only good answer.
    fn tell(&self, call: Call, payload: &[u8]) -> Answer<()> {
        self.ask(call, payload, |reply, _| {
            (reply == Reply::Done).then_some(())
        })
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        let message = failure.message;
        match failure.kind {
            FailureKind::Config => Self::Config(message),
            FailureKind::Auth => Self::Auth(message),
            FailureKind::RateLimited => Self::RateLimited(types::RateLimit {
                message,
                retry_after_seconds: failure.retry_after_seconds,
            }),
            FailureKind::Upstream => Self::Upstream(message),
            FailureKind::Limit => Self::Limit(message),
            FailureKind::Bug => Self::Bug(message),
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        match failure {
            types::Failure::Config(message) => Self::config(message),
            types::Failure::Auth(message) => Self::auth(message),
            types::Failure::RateLimited(limit) => Self {
                kind: FailureKind::RateLimited,
                message: limit.message,
                retry_after_seconds: limit.retry_after_seconds,
            },
            types::Failure::Upstream(message) => Self::upstream(message),
            types::Failure::Limit(message) => Self::limit(message),
            types::Failure::Bug(message) => Self::bug(message),
        }
    }
}

impl From<types::Column> for domain::Column {
    fn from(column: types::Column) -> Self {
        Self {
            name: column.name,
            column_type: column.type_.into(),
            description: column.description,
        }
    }
}

impl From<types::ColumnType> for domain::ColumnType {
    fn from(column_type: types::ColumnType) -> Self {
        match column_type {
            types::ColumnType::Boolean => Self::Boolean,
            types::ColumnType::Bigint => Self::Bigint,
            types::ColumnType::Double => Self::Double,
            types::ColumnType::Decimal(types::DecimalType { precision, scale }) => {
                Self::Decimal { precision, scale }
            }
            types::ColumnType::Varchar => Self::Varchar,
            types::ColumnType::Date => Self::Date,
            types::ColumnType::Timestamp => Self::Timestamp,
            types::ColumnType::Json => Self::Json,
        }
    }
}
