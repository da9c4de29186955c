//! The hashes of tokens and sessions.

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

    /// Records a session that begins, and ends the one that it takes the place of.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when it was recorded before.
    pub fn begin_session(
        &self,
        session: &Token,
        ended: Option<Uuid>,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let work = |connection: &Connection| {
            insert(connection, session)?;
            if let Some(ended) = ended {
                let which = "id = ? AND kind = 'session'";
                revoke(connection, which, &[&ended.to_string()])?;
            }
            audit::append(connection, entry)
        };
        // A new token is in nobody's memory yet.
        match ended {
            None => self.write(work),
            Some(_) => self.write_tokens(work),
        }
    }

    /// Ends all sessions of a user but one, and the tokens of desktop programs. Answers how many.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn end_other_sessions(
        &self,
        user: Uuid,
        kept: Uuid,
        entry: &AuditEntry,
    ) -> Result<usize, StateError> {
        self.write_tokens(|connection| {
            let which = "user_id = ? AND id <> ? AND kind <> 'pat'";
            let ended = revoke(connection, which, &[&user.to_string(), &kept.to_string()])?;
            audit::append(connection, entry)?;
            Ok(ended)
        })
    }

    /// A token by its id, revoked or not.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn token_by_id(&self, id: Uuid) -> Result<Option<Token>, StateError> {
        let sql = format!("SELECT {TOKEN} FROM tokens WHERE id = ?");
        self.read(|connection| Ok(collect(connection, &sql, &[&id.to_string()], read_token)?.pop()))
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
        self.write_tokens(|connection| {
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
        self.write_tokens(|connection| {
            let over = "DELETE FROM tokens WHERE expires_at < make_timestamp_ns(?) - CASE kind WHEN 'pat' THEN INTERVAL 90 DAYS ELSE INTERVAL 0 DAYS END";
            connection.execute(over, params![now])?;
            let over = "DELETE FROM links WHERE expires_at < make_timestamp_ns(?)";
            connection.execute(over, params![now])?;
            Ok(())
        })
    }
}

/// Revokes the tokens of a condition that are still good.
fn revoke(
    connection: &Connection,
    which: &str,
    values: &[&dyn duckdb::ToSql],
) -> Result<usize, StateError> {
    let sql = format!(
        "UPDATE tokens SET revoked_at = make_timestamp_ns(?) WHERE revoked_at IS NULL AND {which}"
    );
    let now = nanos(Timestamp::now());
    let now: &dyn duckdb::ToSql = &now;
    let values: Vec<_> = std::iter::once(now).chain(values.iter().copied()).collect();
    Ok(connection.execute(&sql, values.as_slice())?)
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
    fn a_session_ends_the_one_before_and_all_others_can_be_ended() {
        let (_folder, state) = state();
        let user = admin(&state);
        let pat = token(&user, b"pat");
        state.insert_token(&pat, None).unwrap();
        let session = |text| Token {
            kind: TokenKind::Session,
            ..token(&user, text)
        };
        let sessions = [b"first" as &[u8], b"second", b"third"].map(session);
        let is_good = |token: &Token| {
            let found = state.token_by_id(token.id).unwrap().unwrap();
            found.revoked_at.is_none()
        };
        let changes = (state.access_changes(), state.token_changes());
        state.begin_session(&sessions[0], None, &entry()).unwrap();
        let before = Some(sessions[0].id);
        state.begin_session(&sessions[1], before, &entry()).unwrap();
        assert!(!is_good(&sessions[0]) && is_good(&sessions[1]));
        // A token is no session that could be replaced.
        state
            .begin_session(&sessions[2], Some(pat.id), &entry())
            .unwrap();
        let kept = sessions[2].id;
        let ended = state.end_other_sessions(user.id, kept, &entry()).unwrap();
        assert_eq!(ended, 1);
        assert_eq!(sessions.each_ref().map(is_good), [false, false, true]);
        assert!(is_good(&pat));
        assert_eq!(state.access_changes(), changes.0);
        assert!(state.token_changes() > changes.1);
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
