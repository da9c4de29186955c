//! The hashes of tokens and sessions, and one-time links.

use domain::access::Scopes;
use domain::{Digest, Token, TokenKind};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, digest, malformed, nanos, parsed, time};
use super::{State, StateError};

const TOKEN: &str = "id, user_id, kind, name, hash, scopes, epoch_ns(created_at), \
     epoch_ns(expires_at), epoch_ns(last_used_at), last_used_from, epoch_ns(revoked_at)";

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
    /// Records a token that was issued. Sign-ins are audited by whoever lets people in.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when it was recorded before.
    pub fn insert_token(
        &self,
        token: &Token,
        entry: Option<&AuditEntry>,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            insert(connection, token)?;
            entry.map_or(Ok(()), |entry| audit::append(connection, entry))
        })
    }

    /// A token by the sha256 of its text, revoked or not.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn token(&self, hash: &Digest) -> Result<Option<Token>, StateError> {
        let sql = format!("SELECT {TOKEN} FROM tokens WHERE hash = ?");
        self.read(|connection| {
            Ok(collect(connection, &sql, &[&hash.to_string()], read_token)?.pop())
        })
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn tokens(&self) -> Result<Vec<Token>, StateError> {
        let sql = format!("SELECT {TOKEN} FROM tokens ORDER BY created_at DESC");
        self.read(|connection| collect(connection, &sql, &[], read_token))
    }

    /// The tokens of a user, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn tokens_of(&self, user: Uuid) -> Result<Vec<Token>, StateError> {
        let sql = format!("SELECT {TOKEN} FROM tokens WHERE user_id = ? ORDER BY created_at DESC");
        self.read(|connection| collect(connection, &sql, &[&user.to_string()], read_token))
    }

    /// Makes a token invalid; one that is invalid already stays as it is.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn revoke_token(&self, id: Uuid, entry: &AuditEntry) -> Result<(), StateError> {
        let sql = "UPDATE tokens SET revoked_at = coalesce(revoked_at, make_timestamp_ns(?)) WHERE id = ?";
        let now = nanos(Timestamp::now());
        self.write_access(|connection| {
            match connection.execute(sql, params![now, id.to_string()])? {
                0 => Err(StateError::missing("token", &id)),
                _ => audit::append(connection, entry),
            }
        })
    }

    /// Notes when and from where a token was used.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn touch_token(
        &self,
        id: Uuid,
        at: Timestamp,
        from: &str,
        entry: Option<&AuditEntry>,
    ) -> Result<(), StateError> {
        let sql = "UPDATE tokens SET last_used_at = make_timestamp_ns(?), last_used_from = ? WHERE id = ?";
        self.write(|connection| {
            connection.execute(sql, params![nanos(at), from, id.to_string()])?;
            entry.map_or(Ok(()), |entry| audit::append(connection, entry))
        })
    }

    /// Forgets sessions and links whose time is over, and tokens that ended long ago.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn forget_expired(&self, now: Timestamp) -> Result<(), StateError> {
        let now = nanos(now);
        self.write_access(|connection| {
            let over = "DELETE FROM tokens WHERE expires_at < make_timestamp_ns(?) - CASE kind WHEN 'pat' THEN INTERVAL 90 DAYS ELSE INTERVAL 0 DAYS END";
            connection.execute(over, params![now])?;
            let over = "DELETE FROM links WHERE expires_at < make_timestamp_ns(?)";
            connection.execute(over, params![now])?;
            Ok(())
        })
    }

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

pub(super) fn insert(connection: &Connection, token: &Token) -> Result<(), StateError> {
    let (id, hash) = (token.id.to_string(), token.hash.to_string());
    let taken = "SELECT 1 FROM tokens WHERE id = ? OR hash = ?";
    if any(connection, taken, &[&id, &hash])? {
        return Err(StateError::exists("token", &id));
    }
    connection.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?), make_timestamp_ns(?), ?, make_timestamp_ns(?))",
        params![
            id,
            token.user.to_string(),
            token.kind.as_str(),
            token.name,
            hash,
            token.scopes.to_text(),
            nanos(token.created_at),
            nanos(token.expires_at),
            token.last_used_at.map(nanos),
            token.last_used_from,
            token.revoked_at.map(nanos)
        ],
    )?;
    Ok(())
}

fn read_token(row: &Row<'_>) -> Result<Token, StateError> {
    let kind: String = row.get(2)?;
    let (scopes, used, revoked): (Option<String>, Option<i64>, Option<i64>) =
        (row.get(5)?, row.get(8)?, row.get(10)?);
    Ok(Token {
        id: parsed("token id", &row.get::<_, String>(0)?)?,
        user: parsed("user id", &row.get::<_, String>(1)?)?,
        kind: TokenKind::parse(&kind).ok_or_else(|| malformed("kind of token", &kind))?,
        name: row.get(3)?,
        hash: digest(&row.get::<_, String>(4)?)?,
        scopes: Scopes::from_text(scopes.as_deref()),
        created_at: time(row.get(6)?)?,
        expires_at: time(row.get(7)?)?,
        last_used_at: used.map(time).transpose()?,
        last_used_from: row.get(9)?,
        revoked_at: revoked.map(time).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{admin, entry, state, token};
    use domain::access::Scope;
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
    fn a_token_is_found_by_its_hash_and_shows_when_it_was_used_and_revoked() {
        let (_folder, state) = state();
        let user = admin(&state);
        let token = Token {
            scopes: Scopes::Only([Scope::Data].into()),
            ..token(&user, b"text")
        };
        state.insert_token(&token, Some(&entry())).unwrap();
        assert!(state.insert_token(&token, None).is_err());
        assert_eq!(state.token(&token.hash).unwrap(), Some(token.clone()));
        assert_eq!(state.token(&Digest::of(b"other")).unwrap(), None);
        let now = Timestamp::now();
        state.touch_token(token.id, now, "192.0.2.1", None).unwrap();
        state.revoke_token(token.id, &entry()).unwrap();
        let after = state.token(&token.hash).unwrap().unwrap();
        assert_eq!(after.last_used_at, Some(now));
        assert!(after.revoked_at.is_some());
        state.revoke_token(token.id, &entry()).unwrap();
        assert_eq!(state.tokens_of(user.id).unwrap(), [after]);
        assert_eq!(state.tokens_of(Uuid::now_v7()).unwrap(), []);
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

    #[test]
    fn what_ended_is_forgotten_sessions_at_once_and_tokens_later() {
        let (_folder, state) = state();
        let user = admin(&state);
        let pat = token(&user, b"pat");
        let session = Token {
            kind: TokenKind::Session,
            ..token(&user, b"session")
        };
        for token in [&pat, &session] {
            state.insert_token(token, None).unwrap();
        }
        state.forget_expired(pat.expires_at + 24.hours()).unwrap();
        assert_eq!(state.tokens().unwrap(), std::slice::from_ref(&pat));
        state
            .forget_expired(pat.expires_at + (91 * 24).hours())
            .unwrap();
        assert_eq!(state.tokens().unwrap(), []);
    }
}
