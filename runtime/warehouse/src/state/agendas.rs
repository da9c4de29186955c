//! When sources run by themselves: what people decided, where each source stands, and the runs that wait.

use domain::agenda::{Agendas, Choice, Defaults, Entry, Health, Plan, Standing};
use domain::{Agenda, Failure, Order, Run, RunId, SourceName, Zone};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use serde::Deserialize;

use super::audit::{self, AuditEntry};
use super::row::{
    any, collect, from_count, from_json, from_word, json, malformed, nanos, parsed, time, word,
};
use super::runs::{insert_run, read_run};
use super::{State, StateError};

const AGENDA: &str = "schedule, zone, jitter_seconds, stale_after_hours, paused";
const ORDER: &str = "triggered_by, table_names, attempt, operation";

impl State {
    /// What people decided about when a source runs, or the default.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn agenda(&self, source: &SourceName) -> Result<Agenda, StateError> {
        let sql = format!("SELECT {AGENDA} FROM agendas WHERE source = ?");
        let read = |row: &Row<'_>| read_agenda(row, 0);
        let found = self
            .read(|connection| Ok(collect(connection, &sql, &[&source.as_str()], read)?.pop()))?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// Decides when a source runs.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is no such source.
    pub fn set_agenda(
        &self,
        source: &SourceName,
        agenda: &Agenda,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let name = source.as_str();
        self.write(|connection| {
            if !is_source(connection, source)? {
                return Err(StateError::missing("source", source));
            }
            connection.execute("DELETE FROM agendas WHERE source = ?", params![name])?;
            connection.execute(
                "INSERT INTO agendas VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?), ?)",
                params![
                    name,
                    String::from(agenda.choice.clone()),
                    agenda.zone.as_ref().map(Zone::name),
                    agenda.jitter_seconds.map(i64::from),
                    agenda.stale_after_hours.map(i64::from),
                    agenda.paused,
                    nanos(Timestamp::now()),
                    entry.user.map(|id| id.to_string())
                ],
            )?;
            audit::append(connection, entry)
        })
    }

    /// What a run was asked to do; nothing for those of old servers, which kept no orders.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn order(&self, run: RunId) -> Result<Option<Order>, StateError> {
        let sql = format!("SELECT {ORDER} FROM orders JOIN runs ON id = run WHERE run = ?");
        let read = |row: &Row<'_>| {
            Ok(Order {
                operation: from_word(row.get(3)?)?,
                ..read_order(row, 0)?
            })
        };
        self.read(|connection| Ok(collect(connection, &sql, &[&run.to_string()], read)?.pop()))
    }

    fn entries_of(
        &self,
        source: Option<&SourceName>,
        defaults: &Defaults,
    ) -> Result<Vec<(bool, Entry)>, StateError> {
        let sql = include_str!("../../sql/entries_select.sql");
        let source = source.map(SourceName::as_str);
        let read = |row: &Row<'_>| match read_entry(row, defaults) {
            Ok(entry) => Ok(Some(entry)),
            // What another server wrote about one source must not keep the others from their runs.
            Err(error @ StateError::Malformed { .. }) => {
                let name: String = row.get(0)?;
                tracing::error!(source = name, %error, "the schedule of source {name} cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let found = self.read(|connection| collect(connection, sql, &[&source], read))?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Agendas for State {
    fn entries(&self, defaults: &Defaults) -> Result<Vec<Entry>, Failure> {
        let found = self.entries_of(None, defaults)?.into_iter();
        let enabled = found.filter_map(|(enabled, entry)| enabled.then_some(entry));
        Ok(enabled.collect())
    }

    fn entry(&self, source: &SourceName, defaults: &Defaults) -> Result<Option<Entry>, Failure> {
        let found = self.entries_of(Some(source), defaults)?.pop();
        Ok(found.map(|(_, entry)| entry))
    }

    fn save_standing(&self, source: &SourceName, standing: &Standing) -> Result<(), Failure> {
        Ok(self.write(|connection| put_standing(connection, source, standing))?)
    }

    fn accept(&self, run: &Run, order: &Order, standing: Option<&Standing>) -> Result<(), Failure> {
        let (trigger, tables) = (word(&order.trigger)?, json(&order.tables)?);
        Ok(self.write(|connection| {
            insert_run(connection, run)?;
            connection.execute(
                "INSERT INTO orders VALUES (?, ?, ?, ?)",
                params![run.id.to_string(), trigger, tables, order.attempt],
            )?;
            standing.map_or(Ok(()), |standing| {
                put_standing(connection, &run.source, standing)
            })
        })?)
    }

    fn waiting(&self) -> Result<Vec<(Run, Order)>, Failure> {
        let read = |row: &Row<'_>| {
            let run = read_run(row)?;
            let order = Order {
                operation: run.operation,
                ..read_order(row, 13)?
            };
            Ok((run, order))
        };
        let sql = include_str!("../../sql/waiting_select.sql");
        Ok(self.read(|connection| collect(connection, sql, &[], read))?)
    }

    fn save_health(
        &self,
        source: &SourceName,
        health: &Health,
        standing: Option<&Standing>,
        alert: Option<&str>,
    ) -> Result<(), Failure> {
        Ok(self.write(|connection| {
            if !is_source(connection, source)? {
                return Ok(());
            }
            super::alerts::put_health(connection, source, health)?;
            if let Some(standing) = standing {
                put_standing(connection, source, standing)?;
            }
            alert.map_or(Ok(()), |text| super::alerts::add(connection, text))
        })?)
    }
}

fn is_source(connection: &Connection, source: &SourceName) -> Result<bool, StateError> {
    let sql = "SELECT 1 FROM sources WHERE name = ?";
    any(connection, sql, &[&source.as_str()])
}

/// A source that is gone stands nowhere.
fn put_standing(
    connection: &Connection,
    source: &SourceName,
    standing: &Standing,
) -> Result<(), StateError> {
    let name = source.as_str();
    connection.execute("DELETE FROM standings WHERE source = ?", params![name])?;
    if !is_source(connection, source)? {
        return Ok(());
    }
    connection.execute(
        "INSERT INTO standings VALUES (?, ?, make_timestamp_ns(?), make_timestamp_ns(?), make_timestamp_ns(?), ?)",
        params![
            name,
            standing.planned_for,
            standing.due_at.map(nanos),
            standing.served_to.map(nanos),
            standing.retry_at.map(nanos),
            standing.failures
        ],
    )?;
    Ok(())
}

/// What an entry needs of a manifest.
#[derive(Deserialize)]
struct Proposal {
    schedule: Option<String>,
}

fn read_entry(row: &Row<'_>, defaults: &Defaults) -> Result<(bool, Entry), StateError> {
    let source: SourceName = parsed("source name", &row.get::<_, String>(0)?)?;
    let added_at = time(row.get(2)?)?;
    let manifest: Option<String> = row.get(3)?;
    let proposal: Option<Proposal> = manifest.as_deref().map(from_json).transpose()?;
    let proposed = proposal.and_then(|proposal| proposal.schedule);
    let agenda = read_agenda(row, 4)?.unwrap_or_default();
    let entry = Entry {
        plan: Plan::of(&source, &agenda, proposed.as_deref(), defaults),
        standing: read_standing(row, 9)?,
        health: read_health(row, 14)?.unwrap_or(Health::new(added_at)),
    };
    Ok((row.get(1)?, entry))
}

/// From five columns, which are empty where nobody decided.
fn read_agenda(row: &Row<'_>, first: usize) -> Result<Option<Agenda>, StateError> {
    let Some(schedule) = row.get::<_, Option<String>>(first)? else {
        return Ok(None);
    };
    let zone: Option<String> = row.get(first + 1)?;
    let zone = zone.as_deref().map(Zone::parse).transpose();
    let number = |index| -> Result<Option<u32>, StateError> {
        Ok(row.get::<_, Option<i64>>(index)?.map(small))
    };
    Ok(Some(Agenda {
        choice: Choice::try_from(schedule).map_err(|error| malformed("schedule", error))?,
        zone: zone.map_err(|error| malformed("zone", error))?,
        jitter_seconds: number(first + 2)?,
        stale_after_hours: number(first + 3)?,
        paused: row.get(first + 4)?,
    }))
}

fn read_standing(row: &Row<'_>, first: usize) -> Result<Standing, StateError> {
    let moment = |index| -> Result<Option<Timestamp>, StateError> {
        row.get::<_, Option<i64>>(index)?.map(time).transpose()
    };
    Ok(Standing {
        planned_for: row.get(first)?,
        due_at: moment(first + 1)?,
        served_to: moment(first + 2)?,
        retry_at: moment(first + 3)?,
        failures: row.get::<_, Option<i64>>(first + 4)?.map_or(0, small),
    })
}

fn read_health(row: &Row<'_>, first: usize) -> Result<Option<Health>, StateError> {
    let Some(failing) = row.get::<_, Option<bool>>(first)? else {
        return Ok(None);
    };
    Ok(Some(Health {
        failing,
        stale: row.get(first + 1)?,
        fresh_at: time(row.get(first + 2)?)?,
    }))
}

/// From three columns; the operation is the run's.
fn read_order(row: &Row<'_>, first: usize) -> Result<Order, StateError> {
    Ok(Order {
        trigger: from_word(row.get(first)?)?,
        operation: domain::Operation::Sync,
        tables: from_json(&row.get::<_, String>(first + 1)?)?,
        attempt: small(row.get(first + 2)?),
    })
}

fn small(number: i64) -> u32 {
    u32::try_from(from_count(number)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
