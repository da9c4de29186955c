//! How each part of the server is doing, in the shape that old clients print.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Health, Version};
use crate::app::App;

/// After that a table is told to be stale.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// How the server is doing, part by part.
#[derive(Serialize, ToSchema)]
pub(crate) struct Details {
    /// `healthy`, `degraded` or `unhealthy`.
    status: &'static str,
    #[serde(flatten)]
    version: Version,
    /// When this was found out.
    timestamp: String,
    /// The parts.
    services: Services,
}

/// The parts of the server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Services {
    /// Whether the state can be read.
    duckdb_state: Part,
    /// Whether it is of the version that this server works with.
    db_schema: Schema,
    /// The tables.
    data: Data,
    /// The users.
    users: Users,
}

/// A part.
#[derive(Serialize, ToSchema)]
pub(crate) struct Part {
    /// `ok` or `error`.
    status: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// The version of the state.
#[derive(Serialize, ToSchema)]
pub(crate) struct Schema {
    /// `ok`, `mismatch` or `unreachable`.
    db_schema: &'static str,
    /// The version that it has.
    current: Option<u32>,
    /// The version that this server works with.
    expected: Option<u32>,
}

/// The tables.
#[derive(Serialize, ToSchema)]
pub(crate) struct Data {
    /// `ok`, or `warning` if some are stale.
    status: &'static str,
    /// How many there are.
    tables: usize,
    /// How many rows they have.
    total_rows: u64,
    /// Those that were not brought anew for a day.
    stale_tables: Vec<String>,
}

/// The users.
#[derive(Serialize, ToSchema)]
pub(crate) struct Users {
    /// `ok` or `error`.
    status: &'static str,
    /// How many there are.
    count: usize,
}

/// Looks at every part.
pub(super) fn examine(app: &App, now: Timestamp) -> Details {
    let health = Health::of(app);
    let reachable = health.db_schema != "unreachable";
    let data = data(app, now);
    let users = match app.state().users() {
        Ok(users) => Users {
            status: "ok",
            count: users.len(),
        },
        Err(_) => Users {
            status: "error",
            count: 0,
        },
    };
    let status = if health.status != "ok" || users.status == "error" {
        "unhealthy"
    } else if data.status == "warning" {
        "degraded"
    } else {
        "healthy"
    };
    Details {
        status,
        version: Version::of(app, health.current.unwrap_or(0)),
        timestamp: now.to_string(),
        services: Services {
            duckdb_state: Part {
                status: if reachable { "ok" } else { "error" },
                detail: health.detail,
            },
            db_schema: Schema {
                db_schema: health.db_schema,
                current: health.current,
                expected: health.expected,
            },
            data,
            users,
        },
    }
}

fn data(app: &App, now: Timestamp) -> Data {
    let catalog = app.catalog();
    let tables = catalog.tables.iter();
    let stale = tables
        .clone()
        .filter(|table| is_stale(table.extracted_at, now));
    let stale_tables: Vec<_> = stale.map(|table| table.name.to_string()).collect();
    Data {
        status: if stale_tables.is_empty() {
            "ok"
        } else {
            "warning"
        },
        tables: catalog.tables.len(),
        total_rows: tables.map(|table| table.rows).sum(),
        stale_tables,
    }
}

fn is_stale(extracted_at: Timestamp, now: Timestamp) -> bool {
    let limit = SignedDuration::try_from(STALE).unwrap_or(SignedDuration::MAX);
    now.duration_since(extracted_at) > limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_stale_after_a_day() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        assert!(!is_stale("2026-11-22T12:00:00Z".parse().unwrap(), now));
        assert!(is_stale("2026-11-22T11:59:59Z".parse().unwrap(), now));
        assert!(
            !is_stale("2026-11-24T12:00:00Z".parse().unwrap(), now),
            "a clock that was wrong"
        );
    }
}
