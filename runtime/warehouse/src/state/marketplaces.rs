//! Marketplaces, and the plugins that each of them lists.

use domain::{Marketplace, Plugin};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, from_json, json, malformed, nanos, parsed, time};
use super::{State, StateError};

const MARKETPLACE: &str = "slug, name, url, branch, description, token_env, registered_by, epoch_ns(registered_at), epoch_ns(last_synced_at)";

impl State {
    /// All marketplaces, oldest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn marketplaces(&self) -> Result<Vec<Marketplace>, StateError> {
        let sql =
            format!("SELECT {MARKETPLACE} FROM marketplace_registry ORDER BY registered_at, slug");
        self.read(|connection| collect(connection, &sql, &[], read))
    }

    /// A marketplace.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn marketplace(&self, slug: &str) -> Result<Option<Marketplace>, StateError> {
        self.read(|connection| find(connection, slug))
    }

    /// Adds a marketplace.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`].
    pub fn insert_marketplace(
        &self,
        marketplace: &Marketplace,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            if exists(connection, &marketplace.slug)? {
                return Err(StateError::exists("marketplace", &marketplace.slug));
            }
            insert(connection, marketplace)?;
            audit::append(connection, entry)
        })
    }

    /// Changes what is registered of a marketplace. `change` sees it as it is now, so that of two
    /// changes at the same time neither is lost.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn change_marketplace(
        &self,
        slug: &str,
        change: impl FnOnce(&mut Marketplace),
        entry: &AuditEntry,
    ) -> Result<Marketplace, StateError> {
        self.write(|connection| {
            let found = find(connection, slug)?;
            let mut marketplace = found.ok_or_else(|| StateError::missing("marketplace", &slug))?;
            change(&mut marketplace);
            slug.clone_into(&mut marketplace.slug);
            let sql = "DELETE FROM marketplace_registry WHERE slug = ?";
            connection.execute(sql, params![slug])?;
            insert(connection, &marketplace)?;
            audit::append(connection, entry)?;
            Ok(marketplace)
        })
    }

    /// Removes a marketplace with its plugins and the grants on those.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_marketplace(&self, slug: &str, entry: &AuditEntry) -> Result<(), StateError> {
        self.write_access(|connection| {
            let sql = "DELETE FROM marketplace_registry WHERE slug = ?";
            if connection.execute(sql, params![slug])? == 0 {
                return Err(StateError::missing("marketplace", &slug));
            }
            remove_plugins(connection, slug)?;
            let sql = "DELETE FROM resource_grants WHERE resource_type = ? AND starts_with(lower(resource_id), ?)";
            let prefix = format!("{slug}/");
            connection.execute(sql, params![domain::access::MARKETPLACE_PLUGIN, prefix])?;
            audit::append(connection, entry)
        })
    }

    /// The plugins of a marketplace by name.
    ///
    /// # Errors
    /// [`StateError::NotFound`], [`StateError::Storage`], [`StateError::Malformed`].
    pub fn plugins(&self, marketplace: &str) -> Result<Vec<Plugin>, StateError> {
        let sql = "SELECT entry FROM marketplace_plugins WHERE marketplace = ? ORDER BY name";
        self.read(|connection| match exists(connection, marketplace)? {
            true => collect(connection, sql, &[&marketplace], read_plugin),
            false => Err(StateError::missing("marketplace", &marketplace)),
        })
    }

    /// Puts these plugins in the place of all that the marketplace had.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for the marketplace; [`StateError::AlreadyExists`] for a plugin that is
    /// listed twice.
    pub fn replace_plugins(
        &self,
        marketplace: &str,
        plugins: &[Plugin],
        at: Timestamp,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            let sql = "UPDATE marketplace_registry SET last_synced_at = make_timestamp_ns(?) WHERE slug = ?";
            if connection.execute(sql, params![nanos(at), marketplace])? == 0 {
                return Err(StateError::missing("marketplace", &marketplace));
            }
            remove_plugins(connection, marketplace)?;
            for plugin in plugins {
                insert_plugin(connection, marketplace, plugin)?;
            }
            audit::append(connection, entry)
        })
    }
}

fn exists(connection: &Connection, slug: &str) -> Result<bool, StateError> {
    let sql = "SELECT 1 FROM marketplace_registry WHERE slug = ?";
    any(connection, sql, &[&slug])
}

fn find(connection: &Connection, slug: &str) -> Result<Option<Marketplace>, StateError> {
    let sql = format!("SELECT {MARKETPLACE} FROM marketplace_registry WHERE slug = ?");
    Ok(collect(connection, &sql, &[&slug], read)?.pop())
}

fn insert(connection: &Connection, marketplace: &Marketplace) -> Result<(), StateError> {
    connection.execute(
        "INSERT INTO marketplace_registry VALUES (?, ?, ?, ?, ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?))",
        params![
            marketplace.slug,
            marketplace.name,
            marketplace.url,
            marketplace.branch,
            marketplace.description,
            marketplace.token_env,
            marketplace.registered_by.map(|id| id.to_string()),
            nanos(marketplace.registered_at),
            marketplace.last_synced_at.map(nanos)
        ],
    )?;
    Ok(())
}

fn remove_plugins(connection: &Connection, marketplace: &str) -> Result<(), StateError> {
    let sql = "DELETE FROM marketplace_plugins WHERE marketplace = ?";
    connection.execute(sql, params![marketplace])?;
    Ok(())
}

fn insert_plugin(
    connection: &Connection,
    marketplace: &str,
    plugin: &Plugin,
) -> Result<(), StateError> {
    let listed = "SELECT 1 FROM marketplace_plugins WHERE marketplace = ? AND name = ?";
    if any(connection, listed, &[&marketplace, &plugin.name])? {
        return Err(StateError::exists("plugin", &plugin.name));
    }
    let sql = "INSERT INTO marketplace_plugins VALUES (?, ?, ?)";
    connection.execute(sql, params![marketplace, plugin.name, json(&plugin.raw)?])?;
    Ok(())
}

fn read_plugin(row: &Row<'_>) -> Result<Plugin, StateError> {
    let entry = from_json(&row.get::<_, String>(0)?)?;
    Plugin::from_entry(&entry).map_err(|error| malformed("plugin", error))
}

fn read(row: &Row<'_>) -> Result<Marketplace, StateError> {
    let by: Option<String> = row.get(6)?;
    let synced: Option<i64> = row.get(8)?;
    Ok(Marketplace {
        slug: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        branch: row.get(3)?,
        description: row.get(4)?,
        token_env: row.get(5)?,
        registered_by: by.map(|id| parsed("user id", &id)).transpose()?,
        registered_at: time(row.get(7)?)?,
        last_synced_at: synced.map(time).transpose()?,
    })
}

#[cfg(test)]
mod tests;
