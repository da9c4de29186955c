//! How domain types become columns and come back.

use std::str::FromStr;

use domain::Digest;
use duckdb::Row;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::StateError;

/// Nanoseconds, for `make_timestamp_ns(?)`. Times outside of 1677 to 2262 do not occur.
pub(super) fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

/// A time from `epoch_ns(…)`.
pub(super) fn time(nanos: i64) -> Result<Timestamp, StateError> {
    Timestamp::from_nanosecond(i128::from(nanos)).map_err(|error| malformed("time", error))
}

/// The word that serde writes for a unit variant.
pub(super) fn word<T: Serialize>(value: &T) -> Result<String, StateError> {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => Ok(word),
        Ok(other) => Err(malformed("word", other)),
        Err(error) => Err(malformed("word", error)),
    }
}

/// The variant for a word.
pub(super) fn from_word<T: DeserializeOwned>(word: String) -> Result<T, StateError> {
    serde_json::from_value(Value::String(word)).map_err(|error| malformed("word", error))
}

/// A value as JSON text.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, StateError> {
    serde_json::to_string(value).map_err(|error| malformed("value", error))
}

/// A value from its JSON text.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StateError> {
    serde_json::from_str(text).map_err(|error| malformed("value", error))
}

/// A value from its own text form.
pub(super) fn parsed<T: FromStr>(what: &'static str, text: &str) -> Result<T, StateError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| malformed(what, error))
}

/// A digest from its text.
pub(super) fn digest(text: &str) -> Result<Digest, StateError> {
    Digest::parse(text).map_err(|error| malformed("digest", error))
}

/// A count as DuckDB's BIGINT.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count from a BIGINT.
pub(super) fn from_count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn malformed(what: &'static str, reason: impl std::fmt::Display) -> StateError {
    StateError::Malformed {
        what,
        reason: reason.to_string(),
    }
}

/// All rows of a query, each through `read`.
pub(super) fn collect<T>(
    connection: &duckdb::Connection,
    sql: &str,
    params: &[&dyn duckdb::ToSql],
    read: impl Fn(&Row<'_>) -> Result<T, StateError>,
) -> Result<Vec<T>, StateError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Whether a query finds anything.
pub(super) fn any(
    connection: &duckdb::Connection,
    sql: &str,
    params: &[&dyn duckdb::ToSql],
) -> Result<bool, StateError> {
    Ok(connection.prepare(sql)?.exists(params)?)
}
