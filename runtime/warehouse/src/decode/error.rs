//! Why bytes could not become rows. Says where; the table's name is added by the stage.

use arrow::error::ArrowError;
use domain::{Failure, FailureKind};
use thiserror::Error;

/// Why bytes could not become rows.
#[derive(Debug, Error)]
pub(crate) enum DecodeError {
    /// A row is not what the format says.
    #[error("row {row}: {reason}")]
    Row { row: u64, reason: String },
    /// A value is not of its column's declared type.
    #[error(
        "row {row}, column `{column}`: `{value}` is not a valid {declared}, as which the column is declared"
    )]
    Value {
        row: u64,
        column: String,
        value: String,
        declared: String,
    },
    /// The body as a whole is not what the format says.
    #[error("{0}")]
    Body(String),
    /// Something is larger than is allowed.
    #[error("{0}")]
    Limit(String),
    /// The body broke off, or the gate ended it.
    #[error("the body broke off: {0}")]
    Read(#[source] std::io::Error),
    /// A batch could not be stored.
    #[error("{0}")]
    Sink(Failure),
}

impl From<ArrowError> for DecodeError {
    fn from(error: ArrowError) -> Self {
        Self::Body(error.to_string())
    }
}

impl DecodeError {
    /// The failure of a run; `kind` is for bytes that are not what they should be.
    pub(crate) fn into_failure(self, table: &str, kind: FailureKind) -> Failure {
        match self {
            Self::Sink(failure) => failure,
            Self::Limit(_) => Failure::limit(format!("table `{table}`: {self}")),
            Self::Read(source) => read_failure(table, &source),
            other => Failure::new(kind, format!("table `{table}`, {other}")),
        }
    }
}

/// A reader may carry the failure that ended it, such as the egress gate's byte limit.
fn read_failure(table: &str, source: &std::io::Error) -> Failure {
    match source
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Failure>())
    {
        Some(failure) => failure.clone(),
        None => Failure::upstream(format!("table `{table}`: the body broke off: {source}")),
    }
}
