//! Who asks to read which table. A request that is approved becomes a grant to a group of those who
//! asked for that table, all in one transaction.

use domain::request::{AccessRequest, RequestState, access_group};
use domain::{Grant, Group, Membership, Origin, Permission};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, from_word, nanos, parsed, time};
use super::{State, StateError, grants, groups};

const REQUEST: &str = "id, user_id, table_name, reason, state, reviewed_by, epoch_ns(reviewed_at), epoch_ns(created_at)";

impl State {
    /// A request.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn access_request(&self, id: Uuid) -> Result<Option<AccessRequest>, StateError> {
        self.read(|connection| find(connection, id))
    }

    /// The requests of a user, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn access_requests_of(&self, user: Uuid) -> Result<Vec<AccessRequest>, StateError> {
        let sql = format!(
            "SELECT {REQUEST} FROM access_requests WHERE user_id = ? ORDER BY created_at DESC, id DESC"
        );
        self.read(|connection| collect(connection, &sql, &[&user.to_string()], read))
    }

    /// The requests that wait for an admin, oldest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn pending_access_requests(&self) -> Result<Vec<AccessRequest>, StateError> {
        let sql = format!(
            "SELECT {REQUEST} FROM access_requests WHERE state = 'pending' ORDER BY created_at, id"
        );
        self.read(|connection| collect(connection, &sql, &[], read))
    }

    /// Adds a request.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for the user; [`StateError::AlreadyExists`] while one of this user for
    /// this table waits.
    pub fn insert_access_request(
        &self,
        request: &AccessRequest,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            insert(connection, request)?;
            audit::append(connection, entry)
        })
    }

    /// Lets the user who asked read the table, through the group of those who asked for it.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for a request that does not wait; [`StateError::AlreadyExists`] when
    /// the group was granted more than this table: to join it would open that too.
    pub fn approve_access_request(
        &self,
        id: Uuid,
        by: Uuid,
        at: Timestamp,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write_access(|connection| {
            let request = decide(connection, id, RequestState::Approved, by, at)?;
            let group = group_for(connection, &request.table, by, at)?;
            let membership = Membership {
                user: request.user,
                group,
                origin: Origin::Manual,
                added_at: at,
                added_by: Some(by),
            };
            match groups::insert_member(connection, &membership) {
                // A grant that was taken back, and is given again now.
                Ok(()) | Err(StateError::AlreadyExists { .. }) => audit::append(connection, entry),
                Err(error) => Err(error),
            }
        })
    }

    /// Refuses a request.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for a request that does not wait.
    pub fn deny_access_request(
        &self,
        id: Uuid,
        by: Uuid,
        at: Timestamp,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            decide(connection, id, RequestState::Denied, by, at)?;
            audit::append(connection, entry)
        })
    }
}

fn insert(connection: &Connection, request: &AccessRequest) -> Result<(), StateError> {
    let user = request.user.to_string();
    if !any(connection, "SELECT 1 FROM users WHERE id = ?", &[&user])? {
        return Err(StateError::missing("user", &request.user));
    }
    let waiting = "SELECT 1 FROM access_requests WHERE user_id = ? AND lower(table_name) = lower(?) AND state = 'pending'";
    if any(connection, waiting, &[&user, &request.table])? {
        return Err(StateError::exists("pending request for", &request.table));
    }
    connection.execute(
        "INSERT INTO access_requests VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?))",
        params![
            request.id.to_string(),
            user,
            request.table,
            request.reason,
            request.state.as_str(),
            request.reviewed_by.map(|id| id.to_string()),
            request.reviewed_at.map(nanos),
            nanos(request.created_at)
        ],
    )?;
    Ok(())
}

fn find(connection: &Connection, id: Uuid) -> Result<Option<AccessRequest>, StateError> {
    let sql = format!("SELECT {REQUEST} FROM access_requests WHERE id = ?");
    Ok(collect(connection, &sql, &[&id.to_string()], read)?.pop())
}

/// Of two admins who decide at the same time, one does.
fn decide(
    connection: &Connection,
    id: Uuid,
    state: RequestState,
    by: Uuid,
    at: Timestamp,
) -> Result<AccessRequest, StateError> {
    let sql = "UPDATE access_requests SET state = ?, reviewed_by = ?, reviewed_at = make_timestamp_ns(?) WHERE id = ? AND state = 'pending'";
    let values = params![state.as_str(), by.to_string(), nanos(at), id.to_string()];
    let changed = connection.execute(sql, values)?;
    let request = find(connection, id)?.filter(|_| changed > 0);
    request.ok_or_else(|| StateError::missing("pending request", &id))
}

/// The group of those who asked for a table; made and granted the table where that is missing.
fn group_for(
    connection: &Connection,
    table: &str,
    by: Uuid,
    at: Timestamp,
) -> Result<Uuid, StateError> {
    let name = access_group(table);
    let sql = format!(
        "SELECT {} FROM user_groups WHERE lower(name) = lower(?)",
        groups::GROUP
    );
    let found = collect(connection, &sql, &[&name], groups::read_group)?.pop();
    let group = match found {
        Some(group) => group.id,
        None => new_group(connection, name.clone(), table, by, at)?,
    };
    let more = "SELECT 1 FROM resource_grants WHERE group_id = ? AND NOT (permission = 'read' AND resource_type = 'table' AND lower(resource_id) = lower(?) AND restriction IS NULL)";
    if any(connection, more, &[&group.to_string(), &table])? {
        return Err(StateError::exists("group with other grants,", &name));
    }
    let grant = Grant {
        id: Uuid::now_v7(),
        group,
        permission: Permission::Read,
        resource_type: domain::access::TABLE.to_owned(),
        resource_id: table.to_owned(),
        restriction: None,
        granted_at: at,
        granted_by: Some(by),
    };
    match grants::insert_grant(connection, &grant) {
        Ok(()) | Err(StateError::AlreadyExists { .. }) => Ok(group),
        Err(error) => Err(error),
    }
}

fn new_group(
    connection: &Connection,
    name: String,
    table: &str,
    by: Uuid,
    at: Timestamp,
) -> Result<Uuid, StateError> {
    let group = Group {
        id: Uuid::now_v7(),
        name,
        description: format!("Asked to read {table}, and may"),
        origin: Origin::Manual,
        created_at: at,
        created_by: Some(by),
    };
    groups::insert_group(connection, &group)?;
    Ok(group.id)
}

fn read(row: &Row<'_>) -> Result<AccessRequest, StateError> {
    let by: Option<String> = row.get(5)?;
    let at: Option<i64> = row.get(6)?;
    Ok(AccessRequest {
        id: parsed("request id", &row.get::<_, String>(0)?)?,
        user: parsed("user id", &row.get::<_, String>(1)?)?,
        table: row.get(2)?,
        reason: row.get(3)?,
        state: from_word(row.get(4)?)?,
        reviewed_by: by.map(|id| parsed("user id", &id)).transpose()?,
        reviewed_at: at.map(time).transpose()?,
        created_at: time(row.get(7)?)?,
    })
}

#[cfg(test)]
mod tests;
