//! The one-time code with which the first admin claims the server.

use domain::people::ADMINS;
use domain::{Digest, Membership, Origin, Token, User};
use duckdb::{Connection, Row, params};

use super::audit::{self, AuditEntry};
use super::row::{any, collect, digest};
use super::{State, StateError, groups, tokens, users};

impl State {
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

    /// Uses up the one-time code if this is its sha256, and in the same transaction makes the user an
    /// admin with the token that it was used for. Without a code it works as long as nobody has a
    /// password. Of two who come at the same time, one gets `true`.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the address is another user's; the code then stays.
    pub fn claim_bootstrap(
        &self,
        code: Option<&Digest>,
        user: &User,
        token: &Token,
        entry: &AuditEntry,
    ) -> Result<bool, StateError> {
        self.write_access(|connection| {
            if !may_claim(connection, code)? {
                return Ok(false);
            }
            users::insert_or_set_password(connection, user)?;
            let member = groups::insert_member(
                connection,
                &Membership {
                    user: user.id,
                    group: ADMINS,
                    origin: Origin::Seed,
                    added_at: user.created_at,
                    added_by: None,
                },
            );
            match member {
                Ok(()) | Err(StateError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error),
            }
            tokens::insert(connection, token)?;
            audit::append(connection, entry)?;
            Ok(true)
        })
    }
}

fn may_claim(connection: &Connection, code: Option<&Digest>) -> Result<bool, StateError> {
    let Some(code) = code else {
        let taken = "SELECT 1 FROM users WHERE password_hash IS NOT NULL";
        let open = !any(connection, taken, &[])?;
        if open {
            connection.execute("DELETE FROM bootstrap", [])?;
        }
        return Ok(open);
    };
    let sql = "DELETE FROM bootstrap WHERE hash = ?";
    Ok(connection.execute(sql, params![code.to_string()])? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{entry, state, token};

    #[test]
    fn of_many_who_claim_the_server_at_once_exactly_one_succeeds() {
        let (_folder, state) = state();
        let code = Digest::of(b"code");
        state.set_bootstrap_code(&Digest::of(b"older")).unwrap();
        state.set_bootstrap_code(&code).unwrap();
        let claim = |code: &Digest, email: &str| {
            let user = User::new(email, "");
            let token = token(&user, email.as_bytes());
            state
                .claim_bootstrap(Some(code), &user, &token, &entry())
                .unwrap()
        };
        assert!(!claim(&Digest::of(b"older"), "x@b.org"));
        let claimed = std::thread::scope(|scope| {
            let claim = &claim;
            let threads: Vec<_> = (0..4)
                .map(|number| scope.spawn(move || claim(&code, &format!("{number}@b.org"))))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(claimed, 1);
        let users = state.users().unwrap();
        assert_eq!(users.len(), 1);
        assert_eq!(state.members(ADMINS).unwrap()[0].user, users[0].id);
        assert_eq!(state.bootstrap_code().unwrap(), None);
    }
}
