//! What groups were granted, and the bundles of tables that are granted as one.

use domain::{DataPackage, Grant, Permission};
use duckdb::{Connection, Row, params};
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, malformed, nanos, parsed, time};
use super::{State, StateError};

const GRANT: &str =
    "id, group_id, permission, resource_type, resource_id, epoch_ns(granted_at), granted_by";

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
        "INSERT INTO resource_grants VALUES (?, ?, ?, ?, ?, make_timestamp_ns(?), ?)",
        params![
            grant.id.to_string(),
            group,
            permission,
            grant.resource_type,
            grant.resource_id,
            nanos(grant.granted_at),
            grant.granted_by.map(|id| id.to_string())
        ],
    )?;
    Ok(())
}

fn read_grant(row: &Row<'_>) -> Result<Grant, StateError> {
    let permission: String = row.get(2)?;
    let by: Option<String> = row.get(6)?;
    Ok(Grant {
        id: parsed("grant id", &row.get::<_, String>(0)?)?,
        group: parsed("group id", &row.get::<_, String>(1)?)?,
        permission: Permission::parse(&permission)
            .ok_or_else(|| malformed("permission", &permission))?,
        resource_type: row.get(3)?,
        resource_id: row.get(4)?,
        granted_at: time(row.get(5)?)?,
        granted_by: by.map(|id| parsed("user id", &id)).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{entry, group, state};
    use jiff::Timestamp;

    fn grant(group: Uuid, kind: &str, id: &str) -> Grant {
        Grant {
            id: Uuid::now_v7(),
            group,
            permission: Permission::Read,
            resource_type: kind.into(),
            resource_id: id.into(),
            granted_at: Timestamp::now(),
            granted_by: None,
        }
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
