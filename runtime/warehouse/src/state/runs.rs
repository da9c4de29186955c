//! Runs with their log and the audit of their requests.

use domain::run::{Counts, EgressRow, LogLine};
use domain::{Failure, Run, RunId, SourceName};
use duckdb::types::Value;
use duckdb::{Connection, Row, ToSql, params};
use jiff::Timestamp;

use super::many::insert_many;
use super::row::{
    collect, count, digest, from_count, from_json, from_word, json, malformed, nanos, parsed, time,
    word,
};
use super::{State, StateError};

const COLUMNS: &str = "id, source, version, operation, state, epoch_ns(queued_at), epoch_ns(started_at), epoch_ns(finished_at), rows, bytes_in, bytes_out, requests, failure";

/// The runs in which a server died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// How many there were.
    pub count: usize,
    /// The sources that are not tried again by themselves: it was their last attempt.
    pub given_up: Vec<SourceName>,
}

impl State {
    /// Writes a run, new or changed.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn save_run(&self, run: &Run) -> Result<(), StateError> {
        self.write(|connection| {
            let id = run.id.to_string();
            connection.execute("DELETE FROM runs WHERE id = ?", params![id])?;
            insert_run(connection, run)
        })
    }

    /// A run by its id.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn run(&self, id: RunId) -> Result<Option<Run>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = ?");
        self.read(|connection| Ok(collect(connection, &sql, &[&id.to_string()], read_run)?.pop()))
    }

    /// The newest runs, of one source or of all, at most `limit`.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn runs(&self, source: Option<&SourceName>, limit: u32) -> Result<Vec<Run>, StateError> {
        let filter = if source.is_some() {
            "source = ?"
        } else {
            "? IS NULL"
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM runs WHERE {filter} ORDER BY queued_at DESC, id DESC LIMIT {limit}"
        );
        let source = source.map(SourceName::as_str);
        self.read(|connection| collect(connection, &sql, &[&source], read_run))
    }

    /// Ends the runs that were going on when the server died. A schedule whose run that was tries again, unless it
    /// was the last of so many attempts. Runs that only waited go on waiting.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn mark_interrupted(&self, most_attempts: u32) -> Result<Interrupted, StateError> {
        let now = nanos(Timestamp::now());
        let failure = json(&Failure::bug(
            "the server stopped while this run was going on",
        ))?;
        self.write(|connection| {
            let retry = include_str!("../../sql/standings_retry.sql");
            connection.execute(retry, params![now, most_attempts])?;
            let given_up = include_str!("../../sql/sources_given_up.sql");
            let interrupt = include_str!("../../sql/runs_interrupt.sql");
            let given_up = collect(connection, given_up, &[&most_attempts], |row| {
                parsed("source name", &row.get::<_, String>(0)?)
            })?;
            Ok(Interrupted {
                count: connection.execute(interrupt, params![now, failure])?,
                given_up,
            })
        })
    }

    /// Adds lines to a run's log.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn append_log(&self, run: RunId, lines: &[LogLine]) -> Result<(), StateError> {
        let run = run.to_string();
        let rows = lines.iter().map(|line| {
            [
                Value::Text(run.clone()),
                Value::BigInt(nanos(line.at)),
                Value::Text(line.level.as_str().to_owned()),
                Value::Text(line.message.clone()),
            ]
        });
        let head = "INSERT INTO run_log (run, noted_at, level, message)";
        let row = "(?, make_timestamp_ns(?), ?, ?)";
        self.write(|connection| insert_many(connection, head, row, rows))
    }

    /// The first lines of a run's log, at most `limit`.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn log(&self, run: RunId, limit: u32) -> Result<Vec<LogLine>, StateError> {
        let sql = format!(
            "SELECT epoch_ns(noted_at), level, message FROM run_log WHERE run = ? ORDER BY number LIMIT {limit}"
        );
        self.read(|connection| {
            collect(connection, &sql, &[&run.to_string()], |row| {
                Ok(LogLine {
                    at: time(row.get(0)?)?,
                    level: from_word(row.get(1)?)?,
                    message: row.get(2)?,
                })
            })
        })
    }

    /// Adds rows to the egress audit.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn append_egress(&self, run: RunId, rows: &[EgressRow]) -> Result<(), StateError> {
        let run = run.to_string();
        let text = |text: Option<String>| text.map_or(Value::Null, Value::Text);
        let rows = rows.iter().map(|row| {
            [
                Value::Text(run.clone()),
                Value::BigInt(nanos(row.at)),
                Value::Text(row.decision.clone()),
                Value::Text(row.host.clone()),
                text(row.address.map(|address| address.to_string())),
                Value::Text(row.method.clone()),
                Value::Text(row.path.clone()),
                row.status.map_or(Value::Null, Value::USmallInt),
                Value::BigInt(count(row.milliseconds)),
            ]
        });
        let head = include_str!("../../sql/egress_insert.sql");
        let row = "(?, make_timestamp_ns(?), ?, ?, ?, ?, ?, ?, ?)";
        self.write(|connection| insert_many(connection, head, row, rows))
    }

    /// What the egress gate decided in a run, oldest first, at most `limit` rows.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn egress(&self, run: RunId, limit: u32) -> Result<Vec<EgressRow>, StateError> {
        let sql = format!(
            "SELECT epoch_ns(noted_at), decision, host, address, method, path, status, milliseconds FROM egress WHERE run = ? ORDER BY number LIMIT {limit}"
        );
        self.read(|connection| collect(connection, &sql, &[&run.to_string()], read_egress))
    }
}

pub(super) fn insert_run(connection: &Connection, run: &Run) -> Result<(), StateError> {
    let failure = run.failure.as_ref().map(json).transpose()?;
    let (id, version) = (run.id.to_string(), run.version.to_string());
    let (started, finished) = (run.started_at.map(nanos), run.finished_at.map(nanos));
    let counts = [
        count(run.counts.rows),
        count(run.counts.bytes_in),
        count(run.counts.bytes_out),
        count(run.counts.requests),
    ];
    let [rows, bytes_in, bytes_out, requests] = &counts;
    let values: [&dyn ToSql; 13] = [
        &id,
        &run.source.as_str(),
        &version,
        &word(&run.operation)?,
        &word(&run.state)?,
        &nanos(run.queued_at),
        &started,
        &finished,
        rows,
        bytes_in,
        bytes_out,
        requests,
        &failure,
    ];
    connection.execute(include_str!("../../sql/run_insert.sql"), values.as_slice())?;
    Ok(())
}

pub(super) fn read_run(row: &Row<'_>) -> Result<Run, StateError> {
    let id: String = row.get(0)?;
    let maybe = |nanos: Option<i64>| nanos.map(time).transpose();
    let failure: Option<String> = row.get(12)?;
    Ok(Run {
        id: RunId::parse(&id).ok_or_else(|| malformed("run id", &id))?,
        source: parsed("source name", &row.get::<_, String>(1)?)?,
        version: digest(&row.get::<_, String>(2)?)?,
        operation: from_word(row.get(3)?)?,
        state: from_word(row.get(4)?)?,
        queued_at: time(row.get(5)?)?,
        started_at: maybe(row.get(6)?)?,
        finished_at: maybe(row.get(7)?)?,
        counts: Counts {
            rows: from_count(row.get(8)?),
            bytes_in: from_count(row.get(9)?),
            bytes_out: from_count(row.get(10)?),
            requests: from_count(row.get(11)?),
        },
        failure: failure.as_deref().map(from_json).transpose()?,
    })
}

fn read_egress(row: &Row<'_>) -> Result<EgressRow, StateError> {
    let address: Option<String> = row.get(3)?;
    Ok(EgressRow {
        at: time(row.get(0)?)?,
        decision: row.get(1)?,
        host: row.get(2)?,
        address: address
            .as_deref()
            .map(|text| parsed("address", text))
            .transpose()?,
        method: row.get(4)?,
        path: row.get(5)?,
        status: row.get(6)?,
        milliseconds: from_count(row.get(7)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::state;
    use domain::run::Level;
    use domain::{Digest, Operation, RunState};

    fn run(source: &str, state: RunState) -> Run {
        Run {
            id: RunId::generate(),
            source: SourceName::parse(source).unwrap(),
            version: Digest::of(b"a"),
            operation: Operation::Sync,
            state,
            queued_at: Timestamp::now(),
            started_at: None,
            finished_at: None,
            counts: Counts::default(),
            failure: None,
        }
    }

    #[test]
    fn a_saved_run_replaces_what_was_saved_before() {
        let (_folder, state) = state();
        let mut run = run("shop", RunState::Queued);
        state.save_run(&run).unwrap();
        run.state = RunState::Failed;
        run.started_at = Some(Timestamp::now());
        run.counts.rows = 5;
        run.failure = Some(Failure::upstream("it is down"));
        state.save_run(&run).unwrap();
        assert_eq!(state.run(run.id).unwrap(), Some(run));
    }

    #[test]
    fn runs_are_listed_newest_first_by_source_with_a_limit() {
        let (_folder, state) = state();
        let runs = ["a", "b", "a", "a"].map(|source| run(source, RunState::Succeeded));
        runs.iter().for_each(|run| state.save_run(run).unwrap());
        let source = SourceName::parse("a").unwrap();
        let found = state.runs(Some(&source), 2).unwrap();
        assert_eq!(found, [runs[3].clone(), runs[2].clone()]);
        assert_eq!(state.runs(None, 100).unwrap().len(), 4);
    }

    #[test]
    fn only_unfinished_runs_become_interrupted() {
        let (_folder, state) = state();
        let runs = [RunState::Running, RunState::Queued, RunState::Succeeded]
            .map(|state| run("shop", state));
        runs.iter().for_each(|run| state.save_run(run).unwrap());
        assert_eq!(state.mark_interrupted(1).unwrap().count, 2);
        let ended = state.run(runs[0].id).unwrap().unwrap();
        assert_eq!(ended.state, RunState::Interrupted);
        assert!(ended.finished_at.is_some() && ended.failure.is_some());
        assert_eq!(state.run(runs[2].id).unwrap(), Some(runs[2].clone()));
    }

    #[test]
    fn log_and_audit_keep_their_order_and_their_run() {
        let (_folder, state) = state();
        let (run, other) = (RunId::generate(), RunId::generate());
        let line = |message: &str| LogLine {
            at: Timestamp::now(),
            level: Level::Warn,
            message: message.to_owned(),
        };
        let lines = [line("one"), line("two"), line("three")];
        state.append_log(run, &lines[..2]).unwrap();
        state.append_log(other, &[line("else")]).unwrap();
        state.append_log(run, &lines[2..]).unwrap();
        assert_eq!(state.log(run, 10).unwrap(), lines);
        assert_eq!(state.log(run, 1).unwrap(), lines[..1]);
        let row = EgressRow {
            at: Timestamp::now(),
            decision: "sent".to_owned(),
            host: "a.org".to_owned(),
            address: Some("1.2.3.4:443".parse().unwrap()),
            method: "GET".to_owned(),
            path: "/x".to_owned(),
            status: Some(200),
            milliseconds: 12,
        };
        state
            .append_egress(run, std::slice::from_ref(&row))
            .unwrap();
        assert_eq!(state.egress(run, 10).unwrap(), [row]);
    }
}
