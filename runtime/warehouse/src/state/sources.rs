//! Configured sources.

use domain::{Source, SourceName};
use duckdb::{Row, params};

use super::row::{any, collect, digest, from_json, json, nanos, parsed, time};
use super::{State, StateError};

const COLUMNS: &str = "name, connector, version, settings, granted, enabled, epoch_ns(created_at)";

impl State {
    /// All sources, in the order in which they were added.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn sources(&self) -> Result<Vec<Source>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM sources ORDER BY created_at, name");
        self.read(|connection| collect(connection, &sql, &[], read))
    }

    /// A source by name, without regard to case.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn source(&self, name: &SourceName) -> Result<Option<Source>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM sources WHERE lower(name) = lower(?)");
        self.read(|connection| Ok(collect(connection, &sql, &[&name.as_str()], read)?.pop()))
    }

    /// Adds a source.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when a source has this name, or one that differs in case only:
    /// both would be one folder on some file systems.
    pub fn insert_source(&self, source: &Source) -> Result<(), StateError> {
        let (settings, granted) = (json(&source.settings)?, json(&source.granted)?);
        self.write(|connection| {
            let taken = "SELECT 1 FROM sources WHERE lower(name) = lower(?)";
            if any(connection, taken, &[&source.name.as_str()])? {
                return Err(StateError::exists("source", &source.name));
            }
            connection.execute(
                "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
                params![
                    source.name.as_str(),
                    source.connector.as_str(),
                    source.version.to_string(),
                    settings,
                    granted,
                    source.enabled,
                    nanos(source.created_at)
                ],
            )?;
            Ok(())
        })
    }

    /// Removes a source, its credentials and its way back. Its runs stay, as the record of what happened.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_source(&self, name: &SourceName) -> Result<(), StateError> {
        self.write(|connection| {
            let key = params![name.as_str()];
            for table in [
                "credentials",
                "pins",
                "moves",
                "policies",
                "agendas",
                "standings",
                "healths",
                "comparisons",
                "table_columns",
                "schema_changes",
            ] {
                connection.execute(&format!("DELETE FROM {table} WHERE source = ?"), key)?;
            }
            match connection.execute("DELETE FROM sources WHERE name = ?", key)? {
                0 => Err(StateError::missing("source", name)),
                _ => Ok(()),
            }
        })
    }
}

fn read(row: &Row<'_>) -> Result<Source, StateError> {
    Ok(Source {
        name: parsed("source name", &row.get::<_, String>(0)?)?,
        connector: parsed("connector name", &row.get::<_, String>(1)?)?,
        version: digest(&row.get::<_, String>(2)?)?,
        settings: from_json(&row.get::<_, String>(3)?)?,
        granted: from_json(&row.get::<_, String>(4)?)?,
        enabled: row.get(5)?,
        created_at: time(row.get(6)?)?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::state::tests::state;
    use domain::{Capabilities, ConnectorName, Digest};
    use jiff::Timestamp;
    use serde_json::json;

    pub(crate) fn source(name: &str) -> Source {
        Source {
            name: SourceName::parse(name).unwrap(),
            connector: ConnectorName::parse("files").unwrap(),
            version: Digest::of(b"a"),
            settings: json!({"z": 1, "a": ["ü"]}),
            granted: Capabilities::default(),
            enabled: true,
            created_at: Timestamp::now(),
        }
    }

    #[test]
    fn a_source_comes_back_as_it_was_and_its_name_is_taken_in_any_case() {
        let (_folder, state) = state();
        let shop = source("shop");
        state.insert_source(&shop).unwrap();
        let error = state.insert_source(&source("SHOP")).unwrap_err();
        assert_eq!(error.to_string(), "there is already a source `SHOP`");
        assert_eq!(state.source(&shop.name).unwrap(), Some(shop.clone()));
        assert_eq!(state.sources().unwrap(), [shop]);
    }
}
