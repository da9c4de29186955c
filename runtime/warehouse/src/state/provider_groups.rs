//! Groups that an identity provider keeps: its word moves users between them at each sign-in, and
//! reaches no other group.

use domain::{Group, Membership, Origin};
use duckdb::{Connection, Row, params};
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::groups::{GROUP, insert_group, insert_member, read_group};
use super::row::{collect, parsed};
use super::{State, StateError};

impl State {
    /// Makes the memberships that come from an identity provider those in these groups, by name;
    /// groups that are missing are added. A group of an admin's making or a system group is never
    /// joined this way, whatever the provider calls its own. Answers whether anything changed.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn sync_groups(
        &self,
        user: Uuid,
        names: &[String],
        entry: &AuditEntry,
    ) -> Result<bool, StateError> {
        self.write_access(|connection| {
            let wanted = provider_groups(connection, names)?;
            let held = held_by(connection, user)?;
            if wanted == held {
                return Ok(false);
            }
            let sql = "DELETE FROM user_group_members WHERE user_id = ? AND origin = ?";
            connection.execute(sql, params![user.to_string(), Origin::Oidc.as_str()])?;
            for group in wanted {
                insert_member(
                    connection,
                    &Membership {
                        user,
                        group,
                        origin: Origin::Oidc,
                        added_at: entry.at,
                        added_by: None,
                    },
                )?;
            }
            audit::append(connection, entry)?;
            Ok(true)
        })
    }
}

/// The groups of these names that come from a provider, made where they are missing.
fn provider_groups(connection: &Connection, names: &[String]) -> Result<Vec<Uuid>, StateError> {
    let mut found = Vec::new();
    for name in names {
        let sql = format!("SELECT {GROUP} FROM user_groups WHERE lower(name) = lower(?)");
        match collect(connection, &sql, &[name], read_group)?.pop() {
            Some(group) if group.origin == Origin::Oidc => found.push(group.id),
            Some(_) => {}
            None => {
                let group = Group {
                    id: Uuid::now_v7(),
                    name: name.clone(),
                    description: String::new(),
                    origin: Origin::Oidc,
                    created_at: jiff::Timestamp::now(),
                    created_by: None,
                };
                insert_group(connection, &group)?;
                found.push(group.id);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The groups that a provider has put the user into.
fn held_by(connection: &Connection, user: Uuid) -> Result<Vec<Uuid>, StateError> {
    let sql = "SELECT group_id FROM user_group_members WHERE user_id = ? AND origin = ?";
    let read = |row: &Row<'_>| parsed("group id", &row.get::<_, String>(0)?);
    let mut held = collect(
        connection,
        sql,
        &[&user.to_string(), &Origin::Oidc.as_str()],
        read,
    )?;
    held.sort_unstable();
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{admin, entry, group, state};

    #[test]
    fn a_provider_moves_users_between_its_own_groups_only() {
        let (_folder, state) = state();
        let user = admin(&state);
        group(&state, "Finance");
        let sync = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            state.sync_groups(user.id, &names, &entry()).unwrap()
        };
        let held = || {
            let groups = state.groups().unwrap();
            let mine = state.memberships().unwrap().into_iter();
            let mut names: Vec<_> = mine
                .filter(|m| m.user == user.id && m.origin == Origin::Oidc)
                .map(|m| {
                    groups
                        .iter()
                        .find(|g| g.id == m.group)
                        .unwrap()
                        .name
                        .clone()
                })
                .collect();
            names.sort();
            names
        };
        assert!(sync(&[
            "data@b.org",
            "ops@b.org",
            "Admin",
            "Everyone",
            "finance"
        ]));
        assert_eq!(held(), ["data@b.org", "ops@b.org"]);
        assert!(
            !sync(&["ops@b.org", "data@b.org", "OPS@b.org"]),
            "nothing changed"
        );
        assert!(sync(&["ops@b.org"]));
        assert_eq!(held(), ["ops@b.org"]);
    }
}
