//! The pieces of SQL that a profile is asked with.

use domain::sql_ident::quote_ident;

use super::SHOWN;

/// A column as text that fits a page.
pub(super) fn text(column: &str) -> String {
    format!("left({}::VARCHAR, {SHOWN})", quote_ident(column))
}

/// A column as a number, and only where it is one.
pub(super) fn number(column: &str) -> String {
    let column = quote_ident(column);
    format!("CASE WHEN isfinite({column}::DOUBLE) THEN {column}::DOUBLE END")
}
