//! What groups were granted, and the bundles of tables that are granted as one.

use domain::restriction::Restriction;
use domain::{DataPackage, Grant, Permission};
use duckdb::{Connection, Row, params};
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, malformed, nanos, parsed, time};
use super::{State, StateError};

const GRANT: &str = "id, group_id, permission, resource_type, resource_id, epoch_ns(granted_at), granted_by, restriction";

impl State {
    /// All grants.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn grants(&self) -> Result<Vec<Grant>, StateError> {
        let sql = format!(
            "SELECT {GRANT} FROM resource_grants ORDER BY resource_type, lower(resource_id), permission, granted_at"
        );
        self.read(|connection| collect(connection, &sql, &[], read_grant))
    }

    /// Adds a grant.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for the group; [`StateError::AlreadyExists`] when it was granted.
    pub fn insert_grant(&self, grant: &Grant, entry: &AuditEntry) -> Result<(), StateError> {
        self.write_access(|connection| {
            insert_grant(connection, grant)?;
            audit::append(connection, entry)
        })
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_grant(&self, id: Uuid, entry: &AuditEntry) -> Result<(), StateError> {
        let sql = "DELETE FROM resource_grants WHERE id = ?";
        self.write_access(
            |connection| match connection.execute(sql, params![id.to_string()])? {
                0 => Err(StateError::missing("grant", &id)),
                _ => audit::append(connection, entry),
            },
        )
    }

    /// The key of the hashes that stand in place of masked values, made when it is first asked for. It is part of
    /// every backup: with another one, what people kept would not fit what they ask for.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub(crate) fn mask_key(&self) -> Result<String, StateError> {
        if let Some(key) = self.read(kept_key)? {
            return Ok(key);
        }
        self.write(|connection| {
            if let Some(key) = kept_key(connection)? {
                return Ok(key);
            }
            let mut random = [0; 32];
            getrandom::fill(&mut random)
                .map_err(|error| malformed("random key", error.to_string()))?;
            let key = hex::encode(random);
            connection.execute("INSERT INTO mask_key VALUES (?)", params![key])?;
            Ok(key)
        })
    }

    /// All data packages by name.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn packages(&self) -> Result<Vec<DataPackage>, StateError> {
        self.read(|connection| {
            let sql = "SELECT name, description, epoch_ns(created_at) FROM data_packages ORDER BY lower(name)";
            let mut packages = collect(connection, sql, &[], |row| {
                Ok(DataPackage {
                    name: row.get(0)?,
                    description: row.get(1)?,
                    tables: Vec::new(),
                    created_at: time(row.get(2)?)?,
                })
            })?;
            for package in &mut packages {
                let sql = "SELECT table_name FROM data_package_tables WHERE package = ? ORDER BY lower(table_name)";
                let read = |row: &Row<'_>| Ok(row.get(0)?);
                package.tables = collect(connection, sql, &[&package.name], read)?;
            }
            Ok(packages)
        })
    }

    /// Adds a data package, or puts other tables and words into the one of this name.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn put_package(&self, package: &DataPackage, entry: &AuditEntry) -> Result<(), StateError> {
        self.write_access(|connection| {
            remove_package(connection, &package.name)?;
            connection.execute(
                "INSERT INTO data_packages VALUES (?, ?, make_timestamp_ns(?))",
                params![package.name, package.description, nanos(package.created_at)],
            )?;
            for table in &package.tables {
                let sql = "INSERT INTO data_package_tables VALUES (?, ?)";
                connection.execute(sql, params![package.name, table])?;
            }
            audit::append(connection, entry)
        })
    }

    /// Removes a data package with the grants on it.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_package(&self, name: &str, entry: &AuditEntry) -> Result<(), StateError> {
        self.write_access(|connection| {
            if remove_package(connection, name)? == 0 {
                return Err(StateError::missing("data package", &name));
            }
            let sql = "DELETE FROM resource_grants WHERE resource_type = ? AND lower(resource_id) = lower(?)";
            connection.execute(sql, params![domain::access::DATA_PACKAGE, name])?;
            audit::append(connection, entry)
        })
    }
}

fn remove_package(connection: &Connection, name: &str) -> Result<usize, StateError> {
    let sql = "DELETE FROM data_package_tables WHERE lower(package) = lower(?)";
    connection.execute(sql, params![name])?;
    let sql = "DELETE FROM data_packages WHERE lower(name) = lower(?)";
    Ok(connection.execute(sql, params![name])?)
}

pub(super) fn insert_grant(connection: &Connection, grant: &Grant) -> Result<(), StateError> {
    let group = grant.group.to_string();
    if !any(
        connection,
        "SELECT 1 FROM user_groups WHERE id = ?",
        &[&group],
    )? {
        return Err(StateError::missing("group", &grant.group));
    }
    let there = "SELECT 1 FROM resource_grants WHERE group_id = ? AND permission = ? AND resource_type = ? AND lower(resource_id) = lower(?)";
    let permission = grant.permission.as_str();
    if any(
        connection,
        there,
        &[
            &group,
            &permission,
            &grant.resource_type,
            &grant.resource_id,
        ],
    )? {
        return Err(StateError::exists("grant on", &grant.resource_id));
    }
    connection.execute(
        "INSERT INTO resource_grants VALUES (?, ?, ?, ?, ?, make_timestamp_ns(?), ?, ?)",
        params![
            grant.id.to_string(),
            group,
            permission,
            grant.resource_type,
            grant.resource_id,
            nanos(grant.granted_at),
            grant.granted_by.map(|id| id.to_string()),
            written(grant.restriction.as_ref())?,
        ],
    )?;
    Ok(())
}

fn kept_key(connection: &Connection) -> Result<Option<String>, StateError> {
    let sql = "SELECT key FROM mask_key";
    Ok(collect(connection, sql, &[], |row| Ok(row.get(0)?))?.pop())
}

/// A restriction as it is stored.
fn written(restriction: Option<&Restriction>) -> Result<Option<String>, StateError> {
    let text = restriction.map(serde_json::to_string).transpose();
    text.map_err(|error| malformed("restriction", error.to_string()))
}

/// One that cannot be read must not become a grant without it.
fn read_restriction(text: &str) -> Result<Restriction, StateError> {
    serde_json::from_str(text).map_err(|_| malformed("restriction", text))
}

fn read_grant(row: &Row<'_>) -> Result<Grant, StateError> {
    let permission: String = row.get(2)?;
    let by: Option<String> = row.get(6)?;
    let restriction: Option<String> = row.get(7)?;
    Ok(Grant {
        id: parsed("grant id", &row.get::<_, String>(0)?)?,
        group: parsed("group id", &row.get::<_, String>(1)?)?,
        permission: Permission::parse(&permission)
            .ok_or_else(|| malformed("permission", &permission))?,
        resource_type: row.get(3)?,
        resource_id: row.get(4)?,
        restriction: restriction.as_deref().map(read_restriction).transpose()?,
        granted_at: time(row.get(5)?)?,
        granted_by: by.map(|id| parsed("user id", &id)).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{entry, group, state};
    use domain::restriction::Mask;
    use jiff::Timestamp;

    fn grant(group: Uuid, kind: &str, id: &str) -> Grant {
        Grant {
            id: Uuid::now_v7(),
            group,
            permission: Permission::Read,
            resource_type: kind.into(),
            resource_id: id.into(),
            restriction: None,
            granted_at: Timestamp::now(),
            granted_by: None,
        }
    }

    #[test]
    fn a_grant_keeps_what_it_leaves_out_and_one_that_is_damaged_gives_nothing() {
        let (_folder, state) = state();
        let team = group(&state, "Team").id;
        let filter = Some("country = 'CZ'".to_owned());
        let masks = [("mail".to_owned(), Mask::Hash)].into();
        let part = Grant {
            restriction: Restriction::new(filter, masks).unwrap(),
            ..grant(team, "table", "orders")
        };
        state.insert_grant(&part, &entry()).unwrap();
        assert_eq!(state.grants().unwrap(), [part]);
        let damage = "UPDATE resource_grants SET restriction = '{\"row_filtre\":\"1=0\"}'";
        let damaged = state.write(|connection| Ok(connection.execute(damage, [])?));
        assert_eq!(damaged.unwrap(), 1);
        assert!(matches!(state.grants(), Err(StateError::Malformed { .. })));
    }

    #[test]
    fn the_key_of_hashes_stays_the_same() {
        let (_folder, state) = state();
        let key = state.mask_key().unwrap();
        assert_eq!(key.len(), 64);
        assert_eq!(state.mask_key().unwrap(), key);
    }

    #[test]
    fn the_same_is_granted_once_and_taken_back_once() {
        let (_folder, state) = state();
        let team = group(&state, "Team").id;
        let first = grant(team, "table", "orders");
        state.insert_grant(&first, &entry()).unwrap();
        let again = state.insert_grant(&grant(team, "table", "ORDERS"), &entry());
        assert!(matches!(again, Err(StateError::AlreadyExists { .. })));
        let nobody = state.insert_grant(&grant(Uuid::now_v7(), "table", "x"), &entry());
        assert!(matches!(nobody, Err(StateError::NotFound { .. })));
        assert_eq!(state.grants().unwrap(), std::slice::from_ref(&first));
        state.delete_grant(first.id, &entry()).unwrap();
        assert!(state.delete_grant(first.id, &entry()).is_err());
        assert_eq!(state.grants().unwrap(), []);
    }

    #[test]
    fn a_package_is_replaced_by_name_and_goes_with_its_grants() {
        let (_folder, state) = state();
        let team = group(&state, "Team").id;
        let mut package = DataPackage {
            name: "Sales".into(),
            description: "all of it".into(),
            tables: vec!["orders".into(), "customers".into()],
            created_at: Timestamp::now(),
        };
        state.put_package(&package, &entry()).unwrap();
        package.name = "sales".into();
        package.tables = vec!["orders".into()];
        state.put_package(&package, &entry()).unwrap();
        assert_eq!(state.packages().unwrap(), [package]);
        state
            .insert_grant(&grant(team, "data_package", "Sales"), &entry())
            .unwrap();
        state.delete_package("SALES", &entry()).unwrap();
        assert_eq!(state.grants().unwrap(), []);
        assert!(state.delete_package("sales", &entry()).is_err());
    }
}
