//! Whether a system database is sound: its schema, its rows, the rules that no index holds, and the
//! chain of its audit log.

mod rules;

use std::collections::BTreeSet;
use std::path::Path;

use domain::sql_ident::quote_ident;
use duckdb::Connection;
use serde::{Deserialize, Serialize};

use super::audit::{AuditReport, verify};
use super::row::{collect, from_count};
use super::{State, StateError, migrate, refused};
use crate::open::Database;

use rules::{RULES, Rule};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The schema of the file.
    pub schema: u32,
    /// The newest schema that this server knows.
    pub newest: u32,
    /// Tables that were read to their last row.
    pub tables: u64,
    /// All their rows.
    pub rows: u64,
    /// The audit log, where this schema has one.
    pub audit: Option<AuditReport>,
    /// Everything that is wrong; empty for a sound state.
    pub problems: Vec<String>,
}

impl State {
    /// Checks the state while it is in use.
    ///
    /// # Errors
    /// [`StateError::Storage`] when not even the list of tables can be read.
    pub fn check(&self) -> Result<CheckReport, StateError> {
        self.read(check)
    }

    /// Checks a file that nobody has open, without changing it.
    ///
    /// # Errors
    /// As [`State::check`], and [`StateError::Corrupt`] where it cannot be opened.
    pub fn check_file(path: &Path) -> Result<CheckReport, StateError> {
        let database = Database::read(path).map_err(refused)?;
        check(&database)
    }
}

fn check(connection: &Connection) -> Result<CheckReport, StateError> {
    let tables = tables(connection)?;
    let mut report = CheckReport {
        schema: migrate::version(connection)?,
        newest: migrate::NEWEST,
        tables: 0,
        rows: 0,
        audit: None,
        problems: Vec::new(),
    };
    if report.schema > report.newest {
        let text = format!("schema {} is newer than this server", report.schema);
        report.problems.push(text);
    }
    for table in &tables {
        read_whole(connection, table, &mut report);
    }
    for rule in RULES.iter().filter(|rule| rule.applies_to(&tables)) {
        report.problems.extend(breach(connection, rule));
    }
    if tables.contains("audit_log") {
        check_audit(connection, &mut report);
    }
    Ok(report)
}

fn tables(connection: &Connection) -> Result<BTreeSet<String>, StateError> {
    let sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal";
    let names = collect(connection, sql, &[], |row| Ok(row.get(0)?))?;
    Ok(names.into_iter().collect())
}

/// Makes DuckDB decode every value: a damaged block is found only when it is read.
fn read_whole(connection: &Connection, table: &str, report: &mut CheckReport) {
    let table_ident = quote_ident(table);
    let sql = format!("SELECT count(*), count(hash(COLUMNS(*))) FROM {table_ident}");
    let rows = connection.query_row(&sql, [], |row| row.get(0));
    match rows {
        Ok(rows) => {
            report.tables += 1;
            report.rows += from_count(rows);
        }
        Err(error) => {
            let text = format!("table `{table}` cannot be read: {error}");
            report.problems.push(text);
        }
    }
}

fn breach(connection: &Connection, rule: &Rule) -> Option<String> {
    match connection.query_row(&rule.sql(), [], |row| row.get(0)) {
        Ok(0_i64) => None,
        Ok(count) => Some(format!("{rule}: {count} times")),
        Err(error) => Some(format!("{rule}: cannot be checked: {error}")),
    }
}

fn check_audit(connection: &Connection, report: &mut CheckReport) {
    match verify(connection, None) {
        Ok(audit) => {
            let text = audit.first_break.map(|found| format!("audit log: {found}"));
            report.problems.extend(text);
            report.audit = Some(audit);
        }
        Err(error) => report.problems.push(format!("audit log: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use crate::state::tests::state;

    fn run(state: &State, sql: &str) {
        state
            .write(|connection| Ok(connection.execute_batch(sql)?))
            .unwrap();
    }

    const TWO_USERS: &str = "INSERT INTO users (id, email, name, active, created_at) VALUES \
        ('1', 'a@b.org', '', true, now()::TIMESTAMP), ('2', 'A@B.org', '', true, now()::TIMESTAMP)";

    #[test]
    fn a_fresh_state_is_sound_open_or_closed() {
        let (folder, state) = state();
        let open = state.check().unwrap();
        assert_eq!(open.problems, [""; 0]);
        assert_eq!(open.schema, open.newest);
        drop(state);
        let path = Paths::new(folder.path()).unwrap().system_db();
        assert_eq!(State::check_file(&path).unwrap(), open);
    }

    #[test]
    fn what_no_index_holds_is_found_without_telling_whom_it_is_about() {
        let (_folder, state) = state();
        run(&state, TWO_USERS);
        run(
            &state,
            "INSERT INTO tokens (id, user_id, kind, name, hash, created_at, expires_at) VALUES ('t', 'gone', 'pat', '', 'h', now()::TIMESTAMP, now()::TIMESTAMP)",
        );
        let problems = state.check().unwrap().problems;
        assert_eq!(
            problems,
            [
                "users: two rows have the same lower(email): 1 times",
                "tokens: user_id names a row of users that is not there: 1 times"
            ]
        );
    }

    #[test]
    fn a_broken_audit_log_is_a_problem() {
        let (_folder, state) = state();
        run(&state, "UPDATE audit_chain SET head_seq = 1");
        let problems = state.check().unwrap().problems;
        assert!(
            problems[0].starts_with("audit log: at entry"),
            "{problems:?}"
        );
    }

    #[test]
    fn every_table_has_a_rule_and_every_rule_its_columns() {
        let (_folder, state) = state();
        let tables = state.read(tables).unwrap();
        let ruled: BTreeSet<_> = RULES.iter().map(|rule| rule.table().to_owned()).collect();
        assert_eq!(tables, ruled);
    }
}
