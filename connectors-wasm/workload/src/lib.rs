//! A connector that makes its rows itself, so that benches measure the ways into a table without a service behind them.

pub mod batch;
pub mod order;

use connector_sdk::{Connector, Failure, Table, TableInfo, TableSpec, WriteMode, cursor, export};
use serde::Deserialize;

/// Rows in one call: orders of some 550 bytes each stay below the 4 MiB that cross at once.
pub const ORDERS_AT_ONCE: u64 = 5_000;

/// Rows in one call: events have some 50 bytes.
const EVENTS_AT_ONCE: u64 = 50_000;

/// What a source does.
#[derive(Debug, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case", deny_unknown_fields)]
pub enum Workload {
    /// Orders as records of JSON, into `orders`.
    Records {
        /// How many.
        rows: u64,
    },
    /// Orders as Arrow, into `orders`.
    Arrow {
        /// How many.
        rows: u64,
    },
    /// Events by their key, with a partition a month: all of them in the first run, then some that have changed.
    Merge {
        /// Where they go.
        table: String,
        /// How many events there are, over 60 months.
        of: u64,
        /// How many of them are sent after the first run.
        rows: u64,
        /// Over how many months, from the first, those are spread.
        months: u64,
    },
}

export!(Workload);

impl Connector for Workload {
    type Settings = Self;

    fn new(settings: Self) -> Result<Self, Failure> {
        Ok(settings)
    }

    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn discover(&self) -> Result<Vec<TableInfo>, Failure> {
        Ok(vec![TableInfo::from(&self.spec())])
    }

    fn sync(&self, _tables: &[String]) -> Result<(), Failure> {
        let table = Table::open(&self.spec())?;
        match self {
            Self::Records { rows } => parts(*rows, ORDERS_AT_ONCE, |from, to| {
                let records = batch::order_records(from, to).map_err(bug)?;
                table.append_json_bytes(&records).map(drop)
            }),
            Self::Arrow { rows } => parts(*rows, ORDERS_AT_ONCE, |from, to| {
                let stream = batch::order_stream(from, to).map_err(bug)?;
                table.append_arrow(&stream).map(drop)
            }),
            Self::Merge {
                table: name,
                of,
                rows,
                months,
            } => {
                let generation = generation(name)?;
                let rows = if generation == 0 { *of } else { *rows };
                let months = if generation == 0 { 60 } else { *months };
                let step = (of * months / 60 / rows.max(1)).max(1);
                parts(rows, EVENTS_AT_ONCE, |from, to| {
                    let numbers = (from..to).map(|n| n * step);
                    let stream = batch::event_stream(numbers, *of, generation).map_err(bug)?;
                    table.append_arrow(&stream).map(drop)
                })?;
                cursor::set(name, &(generation + 1).to_le_bytes())
            }
        }
    }
}

/// Which run of the table this is, from 0.
fn generation(table: &str) -> Result<u64, Failure> {
    let Some(known) = cursor::get(table) else {
        return Ok(0);
    };
    let bytes = known.as_slice().try_into().map_err(bug)?;
    Ok(u64::from_le_bytes(bytes))
}

impl Workload {
    fn spec(&self) -> TableSpec {
        match self {
            Self::Records { .. } | Self::Arrow { .. } => TableSpec::new("orders"),
            Self::Merge { table, .. } => TableSpec::new(table)
                .mode(WriteMode::Merge)
                .primary_key(["id"]),
        }
    }
}

fn parts(
    rows: u64,
    at_once: u64,
    mut hand_over: impl FnMut(u64, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let starts = (0..rows).step_by(usize::try_from(at_once).unwrap_or(usize::MAX));
    starts
        .into_iter()
        .try_for_each(|from| hand_over(from, rows.min(from + at_once)))
}

fn bug(error: impl std::fmt::Display) -> Failure {
    Failure::bug(error.to_string())
}
