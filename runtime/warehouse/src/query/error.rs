//! Why queries fail, and what of that is told.

use thiserror::Error;

use super::export::Fault;

/// Why a query was not answered. The texts name neither files nor tables beyond the scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// It is not a query that is allowed.
    #[error("the query is refused: {reason}")]
    Refused {
        /// Which part, and what is allowed.
        reason: String,
    },
    /// It names a table that does not exist, or is not granted: nobody learns which.
    #[error("there is no table `{name}`, or you may not read it")]
    UnknownTable {
        /// As it stands in the query.
        name: String,
    },
    /// DuckDB found a mistake in it, or could not compute it.
    #[error("{message}")]
    Sql {
        /// What DuckDB said.
        message: String,
    },
    /// It names a remote table whose database is not there.
    #[error(
        "a remote database that the query needs cannot be reached now; try again later, or ask an admin, whom `sluice rebuild` tells why"
    )]
    Unreachable,
    /// It took too long.
    #[error("the query was stopped after {seconds} seconds; narrow it, or aggregate more")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// Whoever asked went away.
    #[error("the query was cancelled")]
    Cancelled,
    /// The engine itself failed.
    #[error("the query engine failed: {reason}")]
    Engine {
        /// Why.
        reason: String,
    },
}

impl QueryError {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
        }
    }
}

/// What DuckDB said about a query over a table of which a part is left out: what it says of the query's text is told,
/// what it says while it computes may hold a value that a grant's condition met in a row that is not shown.
pub(super) fn untold(message: String) -> String {
    let about_text = [
        "Binder Error",
        "Catalog Error",
        "Parser Error",
        "Syntax Error",
    ];
    if about_text.iter().any(|kind| message.starts_with(kind)) {
        return message;
    }
    let kind = message.split(':').next().unwrap_or_default();
    let kind = if kind.len() <= 40 { kind } else { "Error" };
    format!(
        "{kind}: the query failed on a value, which is not shown since you see a part of the table; use TRY_CAST where a value may not fit"
    )
}

/// Whether a query failed on what it computed, which says nothing about databases that are attached: those stay so for
/// the next query.
pub(super) fn is_of_values(fault: &Fault) -> bool {
    let of_values = [
        "Conversion Error",
        "Out of Range Error",
        "Invalid Input Error",
        "Parser Error",
    ];
    let said = match fault {
        Fault::Sql(duckdb::Error::DuckDBFailure(_, Some(text))) => text,
        _ => return false,
    };
    of_values.iter().any(|kind| said.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_on_a_value_is_told_without_the_value() {
        let told = untold("Conversion Error: Could not convert string 'secret' to INT32".into());
        assert!(
            told.starts_with("Conversion Error: ") && !told.contains("secret"),
            "{told}"
        );
        let long = untold("secret ".repeat(20));
        assert!(
            long.starts_with("Error: ") && !long.contains("secret"),
            "{long}"
        );
        let binder = "Binder Error: Referenced column \"x\" not found";
        assert_eq!(untold(binder.into()), binder);
    }

    #[test]
    fn only_what_a_query_computed_leaves_databases_attached() {
        let failed = |text: &str| {
            let code = duckdb::ffi::Error::new(1);
            is_of_values(&Fault::Sql(duckdb::Error::DuckDBFailure(
                code,
                Some(text.into()),
            )))
        };
        assert!(failed(
            "Conversion Error: Could not convert string 'x' to INT32"
        ));
        for lost in [
            "IO Error: server closed the connection",
            "Binder Error: x",
            "INTERNAL Error: y",
        ] {
            assert!(!failed(lost), "{lost}");
        }
    }
}
