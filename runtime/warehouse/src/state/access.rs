//! Who may come in: users, the hashes of their tokens, and the one-time code of the first admin.

use domain::Digest;
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::row::{any, collect, digest, nanos, parsed, time};
use super::{State, StateError};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names the user for ever.
    pub id: Uuid,
    /// Unique without regard to case.
    pub email: String,
    /// What the user may do, such as `admin`.
    pub role: String,
    /// When the user was added.
    pub created_at: Timestamp,
}

/// A token as the server knows it: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Names the token.
    pub id: Uuid,
    /// Whose it is.
    pub user: Uuid,
    /// The sha256 of its text.
    pub hash: Digest,
    /// When it was issued.
    pub created_at: Timestamp,
    /// Since when it is no longer valid.
    pub revoked_at: Option<Timestamp>,
}

const USER: &str = "id, email, role, epoch_ns(created_at)";
const TOKEN: &str = "id, user_id, hash, epoch_ns(created_at), epoch_ns(revoked_at)";

impl State {
    /// All users by e-mail address.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn users(&self) -> Result<Vec<User>, StateError> {
        let sql = format!("SELECT {USER} FROM users ORDER BY email");
        self.read(|connection| collect(connection, &sql, &[], read_user))
    }

    /// A user by id.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn user(&self, id: Uuid) -> Result<Option<User>, StateError> {
        let sql = format!("SELECT {USER} FROM users WHERE id = ?");
        self.read(|connection| Ok(collect(connection, &sql, &[&id.to_string()], read_user)?.pop()))
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the address is taken.
    pub fn insert_user(&self, user: &User) -> Result<(), StateError> {
        self.write(|connection| insert_user(connection, user))
    }

    /// Records a token that was issued.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when it was recorded before.
    pub fn insert_token(&self, token: &Token) -> Result<(), StateError> {
        self.write(|connection| insert_token(connection, token))
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

    /// The tokens of a user, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn tokens(&self, user: Uuid) -> Result<Vec<Token>, StateError> {
        let sql = format!("SELECT {TOKEN} FROM tokens WHERE user_id = ? ORDER BY created_at DESC");
        self.read(|connection| collect(connection, &sql, &[&user.to_string()], read_token))
    }

    /// Makes a token invalid; one that is invalid already stays as it is.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn revoke_token(&self, id: Uuid) -> Result<(), StateError> {
        let sql = "UPDATE tokens SET revoked_at = coalesce(revoked_at, make_timestamp_ns(?)) WHERE id = ?";
        let now = nanos(Timestamp::now());
        self.write(
            |connection| match connection.execute(sql, params![now, id.to_string()])? {
                0 => Err(StateError::missing("token", &id)),
                _ => Ok(()),
            },
        )
    }

    /// Sets the one-time code, as its sha256, in the place of an earlier one.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn set_bootstrap_code(&self, hash: &Digest) -> Result<(), StateError> {
        self.write(|connection| {
            connection.execute("DELETE FROM bootstrap", [])?;
            connection.execute(
                "INSERT INTO bootstrap VALUES (?)",
                params![hash.to_string()],
            )?;
            Ok(())
        })
    }

    /// The sha256 of the code that waits to be used.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn bootstrap_code(&self) -> Result<Option<Digest>, StateError> {
        self.read(|connection| {
            let sql = "SELECT hash FROM bootstrap";
            let read = |row: &Row<'_>| digest(&row.get::<_, String>(0)?);
            Ok(collect(connection, sql, &[], read)?.pop())
        })
    }

    /// Uses up the one-time code if this is its sha256, and in the same transaction adds the user and
    /// the token that it was used for. Of two who come at the same time, one gets `true`.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the address is taken; the code then stays.
    pub fn claim_bootstrap(
        &self,
        hash: &Digest,
        user: &User,
        token: &Token,
    ) -> Result<bool, StateError> {
        self.write(|connection| {
            let sql = "DELETE FROM bootstrap WHERE hash = ?";
            if connection.execute(sql, params![hash.to_string()])? == 0 {
                return Ok(false);
            }
            insert_user(connection, user)?;
            insert_token(connection, token)?;
            Ok(true)
        })
    }
}

fn insert_user(connection: &Connection, user: &User) -> Result<(), StateError> {
    let taken = "SELECT 1 FROM users WHERE lower(email) = lower(?) OR id = ?";
    let id = user.id.to_string();
    if any(connection, taken, &[&user.email, &id])? {
        return Err(StateError::exists("user", &user.email));
    }
    connection.execute(
        "INSERT INTO users VALUES (?, ?, ?, make_timestamp_ns(?))",
        params![id, user.email, user.role, nanos(user.created_at)],
    )?;
    Ok(())
}

fn insert_token(connection: &Connection, token: &Token) -> Result<(), StateError> {
    let (id, hash) = (token.id.to_string(), token.hash.to_string());
    if any(
        connection,
        "SELECT 1 FROM tokens WHERE id = ? OR hash = ?",
        &[&id, &hash],
    )? {
        return Err(StateError::exists("token", &id));
    }
    connection.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?))",
        params![
            id,
            token.user.to_string(),
            hash,
            nanos(token.created_at),
            token.revoked_at.map(nanos)
        ],
    )?;
    Ok(())
}

fn read_user(row: &Row<'_>) -> Result<User, StateError> {
    Ok(User {
        id: parsed("user id", &row.get::<_, String>(0)?)?,
        email: row.get(1)?,
        role: row.get(2)?,
        created_at: time(row.get(3)?)?,
    })
}

fn read_token(row: &Row<'_>) -> Result<Token, StateError> {
    let revoked: Option<i64> = row.get(4)?;
    Ok(Token {
        id: parsed("token id", &row.get::<_, String>(0)?)?,
        user: parsed("user id", &row.get::<_, String>(1)?)?,
        hash: digest(&row.get::<_, String>(2)?)?,
        created_at: time(row.get(3)?)?,
        revoked_at: revoked.map(time).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::state;

    fn user(email: &str) -> User {
        User {
            id: Uuid::now_v7(),
            email: email.to_owned(),
            role: "admin".to_owned(),
            created_at: Timestamp::now(),
        }
    }

    fn token(user: &User, text: &[u8]) -> Token {
        Token {
            id: Uuid::now_v7(),
            user: user.id,
            hash: Digest::of(text),
            created_at: Timestamp::now(),
            revoked_at: None,
        }
    }

    #[test]
    fn a_token_is_found_by_its_hash_and_shows_when_it_was_revoked() {
        let (_folder, state) = state();
        let user = user("a@b.org");
        state.insert_user(&user).unwrap();
        assert!(state.insert_user(&self::user("A@B.org")).is_err());
        let token = token(&user, b"text");
        state.insert_token(&token).unwrap();
        assert_eq!(state.token(&token.hash).unwrap(), Some(token.clone()));
        assert_eq!(state.token(&Digest::of(b"other")).unwrap(), None);
        state.revoke_token(token.id).unwrap();
        let revoked = state.token(&token.hash).unwrap().unwrap();
        assert!(revoked.revoked_at.is_some());
        state.revoke_token(token.id).unwrap();
        assert_eq!(state.tokens(user.id).unwrap(), [revoked]);
        assert_eq!(state.user(user.id).unwrap(), Some(user.clone()));
        assert_eq!(state.users().unwrap(), [user]);
    }

    #[test]
    fn of_many_who_claim_the_server_at_once_exactly_one_succeeds() {
        let (_folder, state) = state();
        let code = Digest::of(b"code");
        state.set_bootstrap_code(&Digest::of(b"older")).unwrap();
        state.set_bootstrap_code(&code).unwrap();
        let nobody = user("x@b.org");
        let refused = state.claim_bootstrap(&Digest::of(b"older"), &nobody, &token(&nobody, b"x"));
        assert!(!refused.unwrap());
        let claimed = std::thread::scope(|scope| {
            let state = &state;
            let threads: Vec<_> = (0..4)
                .map(|number| {
                    scope.spawn(move || {
                        let user = user(&format!("{number}@b.org"));
                        let token = token(&user, user.email.as_bytes());
                        state.claim_bootstrap(&code, &user, &token).unwrap()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(claimed, 1);
        assert_eq!(state.users().unwrap().len(), 1);
        assert_eq!(state.bootstrap_code().unwrap(), None);
    }
}
