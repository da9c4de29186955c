//! The holders of keys that an admin trusts.

use domain::connector::Publisher;
use duckdb::params;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, nanos, time};
use super::{State, StateError};

impl State {
    /// All publishers by name.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn publishers(&self) -> Result<Vec<Publisher>, StateError> {
        let sql = "SELECT name, public_key, epoch_ns(added_at) FROM publishers ORDER BY name";
        self.read(|connection| {
            collect(connection, sql, &[], |row| {
                Ok(Publisher {
                    name: row.get(0)?,
                    public_key: row.get(1)?,
                    added_at: time(row.get(2)?)?,
                })
            })
        })
    }

    /// Trusts a publisher.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the name or the key is there.
    pub fn add_publisher(
        &self,
        publisher: &Publisher,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let key = publisher.public_key.to_ascii_lowercase();
        self.write(|connection| {
            let by_name = "SELECT 1 FROM publishers WHERE name = ?";
            if any(connection, by_name, &[&publisher.name])? {
                return Err(StateError::exists("publisher", &publisher.name));
            }
            let by_key = "SELECT 1 FROM publishers WHERE public_key = ?";
            if any(connection, by_key, &[&key])? {
                return Err(StateError::exists("publisher with the key", &key));
            }
            connection.execute(
                "INSERT INTO publishers VALUES (?, ?, make_timestamp_ns(?))",
                params![publisher.name, key, nanos(publisher.added_at)],
            )?;
            audit::append(connection, entry)
        })
    }

    /// Trusts a publisher no more.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn remove_publisher(&self, name: &str, entry: &AuditEntry) -> Result<(), StateError> {
        self.write(|connection| {
            match connection.execute("DELETE FROM publishers WHERE name = ?", params![name])? {
                0 => Err(StateError::missing("publisher", &name)),
                _ => audit::append(connection, entry),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::state;
    use jiff::Timestamp;

    fn publisher(name: &str, key: &str) -> Publisher {
        Publisher {
            name: name.to_owned(),
            public_key: key.to_owned(),
            added_at: Timestamp::now(),
        }
    }

    #[test]
    fn a_publisher_is_unique_by_name_and_by_key() {
        let (_folder, state) = state();
        let first = publisher("acme", "aa");
        let (create, delete) = ("publisher.create", "publisher.delete");
        let [create, delete] = [create, delete].map(AuditEntry::new);
        state.add_publisher(&first, &create).unwrap();
        for second in [publisher("acme", "bb"), publisher("other", "AA")] {
            assert!(matches!(
                state.add_publisher(&second, &create),
                Err(StateError::AlreadyExists { .. })
            ));
        }
        assert_eq!(state.publishers().unwrap(), [first]);
        state.remove_publisher("acme", &delete).unwrap();
        assert!(matches!(
            state.remove_publisher("acme", &delete),
            Err(StateError::NotFound { .. })
        ));
    }
}
