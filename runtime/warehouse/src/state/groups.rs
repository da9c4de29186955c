//! Groups and who is in them.

use domain::people::ADMINS;
use domain::{Group, Membership, Origin};
use duckdb::{Connection, Row, params};
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, malformed, nanos, parsed, time};
use super::{State, StateError};

pub(super) const GROUP: &str = "id, name, description, origin, epoch_ns(created_at), created_by";
const MEMBER: &str = "user_id, group_id, origin, epoch_ns(added_at), added_by";

impl State {
    /// All groups by name.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn groups(&self) -> Result<Vec<Group>, StateError> {
        let sql = format!("SELECT {GROUP} FROM user_groups ORDER BY lower(name)");
        self.read(|connection| collect(connection, &sql, &[], read_group))
    }

    /// All memberships, those of one person in one group by their origins.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn memberships(&self) -> Result<Vec<Membership>, StateError> {
        let sql = format!("SELECT {MEMBER} FROM user_group_members");
        self.read(|connection| collect(connection, &sql, &[], read_member))
    }

    /// The memberships of a group, oldest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn members(&self, group: Uuid) -> Result<Vec<Membership>, StateError> {
        let sql =
            format!("SELECT {MEMBER} FROM user_group_members WHERE group_id = ? ORDER BY added_at");
        self.read(|connection| collect(connection, &sql, &[&group.to_string()], read_member))
    }

    /// Adds a group.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the name is taken.
    pub fn insert_group(&self, group: &Group, entry: &AuditEntry) -> Result<(), StateError> {
        self.write_access(|connection| {
            insert_group(connection, group)?;
            audit::append(connection, entry)
        })
    }

    /// Renames and describes a group.
    ///
    /// # Errors
    /// [`StateError::NotFound`]; [`StateError::AlreadyExists`] when another has the name.
    pub fn change_group(&self, group: &Group, entry: &AuditEntry) -> Result<(), StateError> {
        let id = group.id.to_string();
        self.write_access(|connection| {
            let taken = "SELECT 1 FROM user_groups WHERE lower(name) = lower(?) AND id <> ?";
            if any(connection, taken, &[&group.name, &id])? {
                return Err(StateError::exists("group", &group.name));
            }
            let sql = "UPDATE user_groups SET name = ?, description = ? WHERE id = ?";
            match connection.execute(sql, params![group.name, group.description, id])? {
                0 => Err(StateError::missing("group", &group.id)),
                _ => audit::append(connection, entry),
            }
        })
    }

    /// Removes a group with its memberships and grants.
    ///
    /// # Errors
    /// [`StateError::NotFound`]; [`StateError::LastAdmin`] for the group of the admins.
    pub fn delete_group(&self, group: Uuid, entry: &AuditEntry) -> Result<(), StateError> {
        let id = group.to_string();
        self.write_access(|connection| {
            let sql = "DELETE FROM user_groups WHERE id = ?";
            if connection.execute(sql, params![id])? == 0 {
                return Err(StateError::missing("group", &group));
            }
            for table in ["user_group_members", "resource_grants"] {
                let sql = format!("DELETE FROM {table} WHERE group_id = ?");
                connection.execute(&sql, params![id])?;
            }
            keep_an_admin(connection)?;
            audit::append(connection, entry)
        })
    }

    /// Puts a user into a group.
    ///
    /// # Errors
    /// [`StateError::NotFound`]; [`StateError::AlreadyExists`] when this origin has put the user there.
    pub fn insert_member(
        &self,
        membership: &Membership,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write_access(|connection| {
            insert_member(connection, membership)?;
            audit::append(connection, entry)
        })
    }

    /// Takes back what this origin has given.
    ///
    /// # Errors
    /// [`StateError::NotFound`], [`StateError::LastAdmin`].
    pub fn delete_member(
        &self,
        group: Uuid,
        user: Uuid,
        origin: Origin,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let sql =
            "DELETE FROM user_group_members WHERE group_id = ? AND user_id = ? AND origin = ?";
        let values = params![group.to_string(), user.to_string(), origin.as_str()];
        self.write_access(|connection| {
            if connection.execute(sql, values)? == 0 {
                return Err(StateError::missing("membership", &user));
            }
            keep_an_admin(connection)?;
            audit::append(connection, entry)
        })
    }
}

pub(super) fn insert_group(connection: &Connection, group: &Group) -> Result<(), StateError> {
    let id = group.id.to_string();
    let taken = "SELECT 1 FROM user_groups WHERE lower(name) = lower(?) OR id = ?";
    if any(connection, taken, &[&group.name, &id])? {
        return Err(StateError::exists("group", &group.name));
    }
    connection.execute(
        "INSERT INTO user_groups VALUES (?, ?, ?, ?, make_timestamp_ns(?), ?)",
        params![
            id,
            group.name,
            group.description,
            group.origin.as_str(),
            nanos(group.created_at),
            group.created_by.map(|id| id.to_string())
        ],
    )?;
    Ok(())
}

pub(super) fn insert_member(
    connection: &Connection,
    membership: &Membership,
) -> Result<(), StateError> {
    let (user, group) = (membership.user.to_string(), membership.group.to_string());
    let origin = membership.origin.as_str();
    if !any(connection, "SELECT 1 FROM users WHERE id = ?", &[&user])? {
        return Err(StateError::missing("user", &membership.user));
    }
    if !any(
        connection,
        "SELECT 1 FROM user_groups WHERE id = ?",
        &[&group],
    )? {
        return Err(StateError::missing("group", &membership.group));
    }
    let there =
        "SELECT 1 FROM user_group_members WHERE user_id = ? AND group_id = ? AND origin = ?";
    if any(connection, there, &[&user, &group, &origin])? {
        return Err(StateError::exists("membership", &membership.user));
    }
    connection.execute(
        "INSERT INTO user_group_members VALUES (?, ?, ?, make_timestamp_ns(?), ?)",
        params![
            user,
            group,
            origin,
            nanos(membership.added_at),
            membership.added_by.map(|id| id.to_string())
        ],
    )?;
    Ok(())
}

/// Fails when nobody is left who could let anybody else in.
pub(super) fn keep_an_admin(connection: &Connection) -> Result<(), StateError> {
    let sql =
        "SELECT 1 FROM users JOIN user_group_members ON id = user_id WHERE group_id = ? AND active";
    match any(connection, sql, &[&ADMINS.to_string()])? {
        true => Ok(()),
        false => Err(StateError::LastAdmin),
    }
}

fn origin(word: &str) -> Result<Origin, StateError> {
    Origin::parse(word).ok_or_else(|| malformed("origin", word))
}

fn id_of(text: Option<String>) -> Result<Option<Uuid>, StateError> {
    text.map(|text| parsed("user id", &text)).transpose()
}

pub(super) fn read_group(row: &Row<'_>) -> Result<Group, StateError> {
    Ok(Group {
        id: parsed("group id", &row.get::<_, String>(0)?)?,
        name: row.get(1)?,
        description: row.get(2)?,
        origin: origin(&row.get::<_, String>(3)?)?,
        created_at: time(row.get(4)?)?,
        created_by: id_of(row.get(5)?)?,
    })
}

fn read_member(row: &Row<'_>) -> Result<Membership, StateError> {
    Ok(Membership {
        user: parsed("user id", &row.get::<_, String>(0)?)?,
        group: parsed("group id", &row.get::<_, String>(1)?)?,
        origin: origin(&row.get::<_, String>(2)?)?,
        added_at: time(row.get(3)?)?,
        added_by: id_of(row.get(4)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{admin, entry, group, state};

    #[test]
    fn what_one_origin_takes_back_another_still_gives() {
        let (_folder, state) = state();
        let user = admin(&state);
        let group = group(&state, "Team");
        let by = |origin| Membership {
            user: user.id,
            group: group.id,
            origin,
            added_at: jiff::Timestamp::now(),
            added_by: None,
        };
        state.insert_member(&by(Origin::Manual), &entry()).unwrap();
        state
            .insert_member(&by(Origin::BreakGlass), &entry())
            .unwrap();
        assert!(state.insert_member(&by(Origin::Manual), &entry()).is_err());
        let take = |origin| state.delete_member(group.id, user.id, origin, &entry());
        take(Origin::Manual).unwrap();
        assert_eq!(state.members(group.id).unwrap().len(), 1);
        assert!(take(Origin::Manual).is_err());
    }

    #[test]
    fn a_group_goes_with_its_grants_and_its_name_is_free_again() {
        let (_folder, state) = state();
        let user = admin(&state);
        let team = group(&state, "Team");
        assert!(
            state
                .insert_group(
                    &Group {
                        id: Uuid::now_v7(),
                        name: "TEAM".into(),
                        ..team.clone()
                    },
                    &entry()
                )
                .is_err()
        );
        let member = Membership {
            user: user.id,
            group: team.id,
            origin: Origin::Manual,
            added_at: team.created_at,
            added_by: None,
        };
        state.insert_member(&member, &entry()).unwrap();
        state.delete_group(team.id, &entry()).unwrap();
        assert_eq!(state.members(team.id).unwrap(), []);
        group(&state, "team");
    }

    #[test]
    fn the_last_admin_stays_in_the_group() {
        let (_folder, state) = state();
        let user = admin(&state);
        let result = state.delete_member(ADMINS, user.id, Origin::Seed, &entry());
        assert!(matches!(result, Err(StateError::LastAdmin)), "{result:?}");
        assert_eq!(state.members(ADMINS).unwrap().len(), 1);
    }
}
