//! One-time links: what is kept of them, and how one is used up by one visitor alone.

use domain::Digest;
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, nanos, parsed};
use super::{State, StateError};

/// A one-time link as the server knows it: never the link itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is good for, and nothing else.
    pub purpose: String,
    /// Whom it lets in.
    pub user: Uuid,
    /// The sha256 of purpose and secret.
    pub hash: Digest,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl State {
    /// Records a link that was sent, in the place of the user's earlier one for the same purpose.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for the user.
    pub fn put_link(&self, link: &Link, entry: &AuditEntry) -> Result<(), StateError> {
        let user = link.user.to_string();
        self.write(|connection| {
            if !any(connection, "SELECT 1 FROM users WHERE id = ?", &[&user])? {
                return Err(StateError::missing("user", &link.user));
            }
            let earlier = "DELETE FROM links WHERE purpose = ? AND user_id = ?";
            connection.execute(earlier, params![link.purpose, user])?;
            let sql = "INSERT INTO links VALUES (?, ?, ?, make_timestamp_ns(?))";
            let hash = link.hash.to_string();
            connection.execute(
                sql,
                params![link.purpose, user, hash, nanos(link.expires_at)],
            )?;
            audit::append(connection, entry)
        })
    }

    /// The user of a link that is still good, without using it up.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn link(
        &self,
        purpose: &str,
        hash: &Digest,
        now: Timestamp,
    ) -> Result<Option<Uuid>, StateError> {
        self.read(|connection| find_link(connection, purpose, hash, now))
    }

    /// Uses a link up. Of two who come with it at the same time, one gets the user.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn consume_link(
        &self,
        purpose: &str,
        hash: &Digest,
        now: Timestamp,
    ) -> Result<Option<Uuid>, StateError> {
        self.write(|connection| {
            let user = find_link(connection, purpose, hash, now)?;
            let sql = "DELETE FROM links WHERE purpose = ? AND hash = ?";
            let gone = connection.execute(sql, params![purpose, hash.to_string()])?;
            Ok(user.filter(|_| gone > 0))
        })
    }
}

fn find_link(
    connection: &Connection,
    purpose: &str,
    hash: &Digest,
    now: Timestamp,
) -> Result<Option<Uuid>, StateError> {
    let sql = "SELECT user_id FROM links WHERE purpose = ? AND hash = ? AND expires_at > make_timestamp_ns(?)";
    let read = |row: &Row<'_>| parsed("user id", &row.get::<_, String>(0)?);
    let values: [&dyn duckdb::ToSql; 3] = [&purpose, &hash.to_string(), &nanos(now)];
    Ok(collect(connection, sql, &values, read)?.pop())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{admin, entry, state};
    use jiff::ToSpan as _;

    /// A link to reset a password, good for a quarter of an hour.
    fn link(user: Uuid, now: Timestamp) -> Link {
        Link {
            purpose: "reset".into(),
            user,
            hash: Digest::of(b"secret"),
            expires_at: now + 15.minutes(),
        }
    }

    #[test]
    fn a_link_works_once_for_its_purpose_and_its_time() {
        let (_folder, state) = state();
        let user = admin(&state);
        let now = Timestamp::now();
        let link = link(user.id, now);
        state.put_link(&link, &entry()).unwrap();
        let consume = |purpose, at| state.consume_link(purpose, &link.hash, at).unwrap();
        assert_eq!(consume("sign-in", now), None);
        assert_eq!(state.link("reset", &link.hash, now).unwrap(), Some(user.id));
        assert_eq!(consume("reset", now), Some(user.id));
        assert_eq!(consume("reset", now), None);
        state.put_link(&link, &entry()).unwrap();
        assert_eq!(consume("reset", now + 16.minutes()), None);
    }

    #[test]
    fn of_many_who_use_a_link_at_once_one_comes_in() {
        let (_folder, state) = state();
        let user = admin(&state);
        let now = Timestamp::now();
        let link = link(user.id, now);
        state.put_link(&link, &entry()).unwrap();
        let came_in = std::thread::scope(|scope| {
            let consume = || state.consume_link("reset", &link.hash, now).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(consume)).collect();
            let results = threads.into_iter().map(|t| t.join().unwrap());
            results.filter(Option::is_some).count()
        });
        assert_eq!(came_in, 1);
    }
}
