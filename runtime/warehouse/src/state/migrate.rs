//! Brings the system database to the schema that this server knows: numbered, forward only, all
//! missing steps in one transaction, after a copy was taken.

use std::path::{Path, PathBuf};

use duckdb::{Connection, params};

use super::{StateError, storage};
use crate::open::copy_into;
use crate::paths::sync;

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// Counts from 1 without gaps.
    pub(super) number: u32,
    /// The statements.
    pub(super) sql: &'static str,
}

/// All steps, oldest first.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        sql: include_str!("../../migrations/0001_initial.sql"),
    },
    Migration {
        number: 2,
        sql: include_str!("../../migrations/0002_access.sql"),
    },
    Migration {
        number: 3,
        sql: include_str!("../../migrations/0003_audit.sql"),
    },
    Migration {
        number: 4,
        sql: include_str!("../../migrations/0004_lifecycle.sql"),
    },
    Migration {
        number: 5,
        sql: include_str!("../../migrations/0005_credentials.sql"),
    },
    Migration {
        number: 6,
        sql: include_str!("../../migrations/0006_domains.sql"),
    },
    Migration {
        number: 7,
        sql: include_str!("../../migrations/0007_people_and_places.sql"),
    },
    Migration {
        number: 8,
        sql: include_str!("../../migrations/0008_disputes.sql"),
    },
    Migration {
        number: 9,
        sql: include_str!("../../migrations/0009_upkeep.sql"),
    },
    Migration {
        number: 10,
        sql: include_str!("../../migrations/0010_schema_history.sql"),
    },
    Migration {
        number: 11,
        sql: include_str!("../../migrations/0011_agendas.sql"),
    },
    Migration {
        number: 12,
        sql: include_str!("../../migrations/0012_run_series.sql"),
    },
    Migration {
        number: 13,
        sql: include_str!("../../migrations/0013_restrictions.sql"),
    },
];

/// The schema that this server writes.
pub(super) const NEWEST: u32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// Applies the steps that are missing.
pub(super) fn migrate(
    connection: &Connection,
    path: &Path,
    steps: &[Migration],
) -> Result<(), StateError> {
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)")
        .map_err(storage)?;
    let current = version(connection)?;
    let newest = steps.last().map_or(0, |step| step.number);
    if current > newest {
        return Err(StateError::Newer {
            path: path.to_owned(),
            found: current,
            known: newest,
        });
    }
    if current > 0 && current < newest {
        keep_copy(connection, path, current)?;
    }
    // All or none: a kill or an error between two steps must not leave a schema that no release had.
    let transaction = connection.unchecked_transaction().map_err(storage)?;
    for step in steps.iter().filter(|step| step.number > current) {
        apply(&transaction, step).map_err(|source| StateError::Migration {
            number: step.number,
            source,
        })?;
    }
    transaction.commit().map_err(storage)
}

/// The schema that the database has; 0 for a new one.
pub(super) fn version(connection: &Connection) -> Result<u32, StateError> {
    connection
        .query_row(
            "SELECT coalesce(max(version), 0) FROM schema_version",
            [],
            |row| row.get(0),
        )
        .map_err(storage)
}

fn apply(connection: &Connection, step: &Migration) -> duckdb::Result<()> {
    connection.execute_batch(step.sql)?;
    connection.execute(
        "INSERT INTO schema_version VALUES (?, current_timestamp::TIMESTAMP)",
        params![step.number],
    )?;
    Ok(())
}

/// Beside the file, renamed when it is whole: a kill in the middle leaves no half copy by that name.
fn keep_copy(connection: &Connection, path: &Path, current: u32) -> Result<(), StateError> {
    let copy: PathBuf = path.with_extension(format!("before-{}.duckdb", current + 1));
    let partial = copy.with_extension("duckdb.partial");
    let failed = |source| StateError::Copy {
        path: copy.clone(),
        source,
    };
    if partial.try_exists().map_err(failed)? {
        std::fs::remove_file(&partial).map_err(failed)?;
    }
    copy_into(connection, &partial, |_| Ok::<_, StateError>(()))?;
    sync(&partial)
        .and_then(|()| std::fs::rename(&partial, &copy))
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::{Database, Patience};

    const SECOND: Migration = Migration {
        number: 2,
        sql: "ALTER TABLE users ADD COLUMN name VARCHAR",
    };

    #[test]
    fn a_copy_is_taken_before_a_step_and_a_failing_step_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("system.duckdb");
        let database = Database::create(&path, Patience::Refuse).unwrap();
        migrate(&database, &path, &[MIGRATIONS[0]]).unwrap();
        let broken = Migration {
            number: 2,
            sql: "DROP TABLE users; SELECT * FROM nowhere",
        };
        let error = migrate(&database, &path, &[MIGRATIONS[0], broken]).unwrap_err();
        assert!(error.to_string().contains("step 2"), "{error}");
        assert_eq!(version(&database).unwrap(), 1);
        database.execute_batch("SELECT * FROM users").unwrap();
        migrate(&database, &path, &[MIGRATIONS[0], SECOND]).unwrap();
        assert_eq!(version(&database).unwrap(), 2);
        assert!(folder.path().join("system.before-2.duckdb").exists());
    }

    #[test]
    fn a_step_that_fails_takes_back_those_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("system.duckdb");
        let database = Database::create(&path, Patience::Refuse).unwrap();
        migrate(&database, &path, &[MIGRATIONS[0]]).unwrap();
        let broken = Migration {
            number: 3,
            sql: "SELECT * FROM nowhere",
        };
        let error = migrate(&database, &path, &[MIGRATIONS[0], SECOND, broken]).unwrap_err();
        assert!(error.to_string().contains("step 3"), "{error}");
        assert_eq!(version(&database).unwrap(), 1);
        assert!(database.execute_batch("SELECT name FROM users").is_err());
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("system.duckdb");
        let database = Database::create(&path, Patience::Refuse).unwrap();
        migrate(&database, &path, &[MIGRATIONS[0], SECOND]).unwrap();
        let error = migrate(&database, &path, &[MIGRATIONS[0]])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("schema 2") && error.contains("newer"),
            "{error}"
        );
    }
}
