//! Users, and who they are at identity providers.

use domain::User;
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, nanos, parsed, time};
use super::{State, StateError, groups};

const USER: &str =
    "id, email, name, active, password_hash, epoch_ns(created_at), epoch_ns(deactivated_at)";

/// What is to be changed of a user; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// As people call the user.
    pub name: Option<String>,
    /// Whether the user may come in.
    pub active: Option<bool>,
    /// A new password, as a PHC string.
    pub password_hash: Option<String>,
}

/// What goes with a user.
const TABLES_OF_USERS: [&str; 7] = [
    "user_group_members",
    "tokens",
    "links",
    "identities",
    "access_requests",
    "user_sync_settings",
    "telegram_links",
];

impl State {
    /// All users by e-mail address.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn users(&self) -> Result<Vec<User>, StateError> {
        let sql = format!("SELECT {USER} FROM users ORDER BY lower(email)");
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

    /// A user by address, without regard to case.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn user_by_email(&self, email: &str) -> Result<Option<User>, StateError> {
        let sql = format!("SELECT {USER} FROM users WHERE lower(email) = lower(?)");
        self.read(|connection| Ok(collect(connection, &sql, &[&email], read_user)?.pop()))
    }

    /// The user whom an identity provider knows by this subject.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn user_by_identity(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<User>, StateError> {
        let sql = format!(
            "SELECT {USER} FROM users WHERE id IN (SELECT user_id FROM identities WHERE issuer = ? AND subject = ?)"
        );
        self.read(
            |connection| Ok(collect(connection, &sql, &[&issuer, &subject], read_user)?.pop()),
        )
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the address is taken.
    pub fn insert_user(&self, user: &User, entry: &AuditEntry) -> Result<(), StateError> {
        self.write_access(|connection| {
            insert(connection, user)?;
            audit::append(connection, entry)
        })
    }

    /// Whether an identity provider knows a user, by whatever subject.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn is_linked(&self, user: Uuid, issuer: &str) -> Result<bool, StateError> {
        let sql = "SELECT 1 FROM identities WHERE issuer = ? AND user_id = ?";
        self.read(|connection| any(connection, sql, &[&issuer, &user.to_string()]))
    }

    /// Forgets who a user is at all identity providers. The next sign-in there links the user anew.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn forget_identities(&self, user: Uuid, entry: &AuditEntry) -> Result<(), StateError> {
        self.write_access(|connection| {
            let sql = "DELETE FROM identities WHERE user_id = ?";
            connection.execute(sql, params![user.to_string()])?;
            audit::append(connection, entry)
        })
    }

    /// Remembers who a user is at an identity provider.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the subject belongs to a user already, or the user to another
    /// subject of this provider.
    pub fn link_identity(
        &self,
        user: Uuid,
        issuer: &str,
        subject: &str,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let user = user.to_string();
        self.write_access(|connection| {
            let known =
                "SELECT 1 FROM identities WHERE issuer = ? AND (subject = ? OR user_id = ?)";
            if any(connection, known, &[&issuer, &subject, &user])? {
                return Err(StateError::exists("identity", &subject));
            }
            let sql = "INSERT INTO identities VALUES (?, ?, ?)";
            connection.execute(sql, params![issuer, subject, user])?;
            audit::append(connection, entry)
        })
    }

    /// Changes a user. Whoever is deactivated, or gets another password, loses all sessions.
    ///
    /// # Errors
    /// [`StateError::NotFound`], [`StateError::LastAdmin`].
    pub fn change_user(
        &self,
        id: Uuid,
        change: &UserChange,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write_access(|connection| {
            apply(connection, id, change)?;
            if change.active == Some(false) {
                groups::keep_an_admin(connection)?;
            }
            audit::append(connection, entry)
        })
    }

    /// Stores the hash of the same password by newer rules; nothing else changes.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn renew_password_hash(&self, id: Uuid, hash: &str) -> Result<(), StateError> {
        self.write_access(|connection| {
            let sql = "UPDATE users SET password_hash = ? WHERE id = ?";
            connection.execute(sql, params![hash, id.to_string()])?;
            Ok(())
        })
    }

    /// Whether anybody could come in: has a password, an identity at a provider, or a token.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn is_claimed(&self) -> Result<bool, StateError> {
        let sql = "SELECT 1 WHERE EXISTS (FROM tokens) OR EXISTS (FROM identities) \
             OR EXISTS (FROM users WHERE password_hash IS NOT NULL)";
        self.read(|connection| any(connection, sql, &[]))
    }

    /// Whether anybody has a password.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn has_passwords(&self) -> Result<bool, StateError> {
        let sql = "SELECT 1 FROM users WHERE password_hash IS NOT NULL";
        self.read(|connection| any(connection, sql, &[]))
    }

    /// Removes a user with all that belongs to the user alone.
    ///
    /// # Errors
    /// [`StateError::NotFound`], [`StateError::LastAdmin`].
    pub fn delete_user(&self, id: Uuid, entry: &AuditEntry) -> Result<(), StateError> {
        let text = id.to_string();
        self.write_access(|connection| {
            if connection.execute("DELETE FROM users WHERE id = ?", params![text])? == 0 {
                return Err(StateError::missing("user", &id));
            }
            for table in TABLES_OF_USERS {
                let sql = format!("DELETE FROM {table} WHERE user_id = ?");
                connection.execute(&sql, params![text])?;
            }
            groups::keep_an_admin(connection)?;
            audit::append(connection, entry)
        })
    }
}

pub(super) fn insert(connection: &Connection, user: &User) -> Result<(), StateError> {
    let taken = "SELECT 1 FROM users WHERE lower(email) = lower(?) OR id = ?";
    let id = user.id.to_string();
    if any(connection, taken, &[&user.email, &id])? {
        return Err(StateError::exists("user", &user.email));
    }
    connection.execute(
        "INSERT INTO users VALUES (?, ?, ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?))",
        params![
            id,
            user.email,
            user.name,
            user.active,
            user.password_hash,
            nanos(user.created_at),
            user.deactivated_at.map(nanos)
        ],
    )?;
    Ok(())
}

/// Adds a user, or gives the password to the one who is there.
pub(super) fn insert_or_set_password(
    connection: &Connection,
    user: &User,
) -> Result<(), StateError> {
    let id = user.id.to_string();
    if !any(connection, "SELECT 1 FROM users WHERE id = ?", &[&id])? {
        return insert(connection, user);
    }
    let sql = "UPDATE users SET password_hash = coalesce(?, password_hash) WHERE id = ?";
    connection.execute(sql, params![user.password_hash, id])?;
    Ok(())
}

fn apply(connection: &Connection, id: Uuid, change: &UserChange) -> Result<(), StateError> {
    let (text, now) = (id.to_string(), nanos(Timestamp::now()));
    if !any(connection, "SELECT 1 FROM users WHERE id = ?", &[&text])? {
        return Err(StateError::missing("user", &id));
    }
    if let Some(name) = &change.name {
        let sql = "UPDATE users SET name = ? WHERE id = ?";
        connection.execute(sql, params![name, text])?;
    }
    if let Some(active) = change.active {
        let since = (!active).then_some(now);
        let sql = "UPDATE users SET active = ?, deactivated_at = make_timestamp_ns(?) WHERE id = ?";
        connection.execute(sql, params![active, since, text])?;
    }
    if let Some(hash) = &change.password_hash {
        let sql = "UPDATE users SET password_hash = ? WHERE id = ?";
        connection.execute(sql, params![hash, text])?;
    }
    if change.active == Some(false) || change.password_hash.is_some() {
        let sql = "UPDATE tokens SET revoked_at = make_timestamp_ns(?) WHERE user_id = ? AND kind <> 'pat' AND revoked_at IS NULL";
        connection.execute(sql, params![now, text])?;
        connection.execute("DELETE FROM links WHERE user_id = ?", params![text])?;
    }
    Ok(())
}

fn read_user(row: &Row<'_>) -> Result<User, StateError> {
    let deactivated: Option<i64> = row.get(6)?;
    Ok(User {
        id: parsed("user id", &row.get::<_, String>(0)?)?,
        email: row.get(1)?,
        name: row.get(2)?,
        active: row.get(3)?,
        password_hash: row.get(4)?,
        created_at: time(row.get(5)?)?,
        deactivated_at: deactivated.map(time).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{admin, entry, state, token};

    #[test]
    fn an_address_is_taken_in_any_case() {
        let (_folder, state) = state();
        let user = User::new("a@b.org", "Ada");
        state.insert_user(&user, &entry()).unwrap();
        let again = state.insert_user(&User::new("A@B.org", ""), &entry());
        assert!(matches!(again, Err(StateError::AlreadyExists { .. })));
        assert_eq!(state.user_by_email("A@b.ORG").unwrap(), Some(user.clone()));
        assert_eq!(state.users().unwrap(), [user]);
    }

    #[test]
    fn a_new_password_or_the_end_of_a_user_ends_the_sessions_and_the_links() {
        let (_folder, state) = state();
        admin(&state);
        for change in [
            UserChange {
                password_hash: Some("x".into()),
                ..UserChange::default()
            },
            UserChange {
                active: Some(false),
                ..UserChange::default()
            },
        ] {
            let user = User::new(&format!("{}@b.org", Uuid::now_v7()), "");
            state.insert_user(&user, &entry()).unwrap();
            let session = domain::Token {
                kind: domain::TokenKind::Session,
                ..token(&user, user.email.as_bytes())
            };
            state.insert_token(&session, None).unwrap();
            state.change_user(user.id, &change, &entry()).unwrap();
            let after = state.token(&session.hash).unwrap().unwrap();
            assert!(after.revoked_at.is_some(), "{change:?}");
        }
    }

    #[test]
    fn the_last_admin_can_neither_be_deactivated_nor_removed() {
        let (_folder, state) = state();
        let first = admin(&state);
        let off = UserChange {
            active: Some(false),
            ..UserChange::default()
        };
        let refused = |result: Result<(), StateError>| {
            assert!(matches!(result, Err(StateError::LastAdmin)), "{result:?}");
            assert!(state.user(first.id).unwrap().unwrap().active);
        };
        refused(state.change_user(first.id, &off, &entry()));
        refused(state.delete_user(first.id, &entry()));
        let second = admin(&state);
        state.change_user(first.id, &off, &entry()).unwrap();
        let result = state.delete_user(second.id, &entry());
        assert!(matches!(result, Err(StateError::LastAdmin)), "{result:?}");
        state.delete_user(first.id, &entry()).unwrap();
    }

    #[test]
    fn an_identity_belongs_to_one_user() {
        let (_folder, state) = state();
        let user = User::new("a@b.org", "");
        state.insert_user(&user, &entry()).unwrap();
        state
            .link_identity(user.id, "https://i", "7", &entry())
            .unwrap();
        let again = state.link_identity(Uuid::now_v7(), "https://i", "7", &entry());
        assert!(matches!(again, Err(StateError::AlreadyExists { .. })));
        assert_eq!(
            state.user_by_identity("https://i", "7").unwrap(),
            Some(user)
        );
        assert_eq!(state.user_by_identity("https://j", "7").unwrap(), None);
    }

    #[test]
    fn a_user_has_one_identity_at_a_provider_until_it_is_forgotten() {
        let (_folder, state) = state();
        let user = User::new("a@b.org", "");
        state.insert_user(&user, &entry()).unwrap();
        let link = |issuer, subject| state.link_identity(user.id, issuer, subject, &entry());
        link("https://i", "7").unwrap();
        assert!(matches!(
            link("https://i", "8"),
            Err(StateError::AlreadyExists { .. })
        ));
        link("https://j", "8").unwrap();
        assert!(state.is_linked(user.id, "https://i").unwrap());
        state.forget_identities(user.id, &entry()).unwrap();
        assert!(!state.is_linked(user.id, "https://i").unwrap());
        link("https://i", "8").unwrap();
    }
}
