//! Builds of connectors, immutable but for trust and the compiled form.

use domain::Digest;
use domain::connector::{Compiled, Version};
use duckdb::{Connection, Row, params};

use super::audit::{self, AuditEntry};
use super::row::{any, collect, count, digest, from_count, from_json, json, nanos, time};
use super::{State, StateError};

const COLUMNS: &str = "digest, manifest, publisher, trusted, size_bytes, compiled_digest, compiled_engine, epoch_ns(uploaded_at)";

impl State {
    /// All versions, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn versions(&self) -> Result<Vec<Version>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM versions ORDER BY uploaded_at DESC, digest");
        self.read(|connection| collect(connection, &sql, &[], read))
    }

    /// A version by the digest of its bytes.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn version(&self, digest: &Digest) -> Result<Option<Version>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM versions WHERE digest = ?");
        self.read(|connection| Ok(collect(connection, &sql, &[&digest.to_string()], read)?.pop()))
    }

    /// Adds a version.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`] when the same bytes are there.
    pub fn insert_version(&self, version: &Version) -> Result<(), StateError> {
        let digest = version.digest.to_string();
        let manifest = json(&version.manifest)?;
        self.write(|connection| {
            if any(
                connection,
                "SELECT 1 FROM versions WHERE digest = ?",
                &[&digest],
            )? {
                return Err(StateError::exists("version", &digest));
            }
            connection.execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
                params![
                    digest,
                    manifest,
                    version.publisher,
                    version.trusted,
                    count(version.size_bytes),
                    version
                        .compiled
                        .as_ref()
                        .map(|form| form.digest.to_string()),
                    version.compiled.as_ref().map(|form| form.engine.clone()),
                    nanos(version.uploaded_at)
                ],
            )?;
            Ok(())
        })
    }

    /// Lets a version run, or lets it run no more.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn set_trusted(
        &self,
        digest: &Digest,
        trusted: bool,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let sql = "UPDATE versions SET trusted = ? WHERE digest = ?";
        let values = params![trusted, digest.to_string()];
        self.write(|connection| {
            change(connection, digest, sql, values)?;
            audit::append(connection, entry)
        })
    }

    /// Records the compiled form of a version.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn set_compiled(&self, digest: &Digest, form: &Compiled) -> Result<(), StateError> {
        let sql = "UPDATE versions SET compiled_digest = ?, compiled_engine = ? WHERE digest = ?";
        let values = params![form.digest.to_string(), form.engine, digest.to_string()];
        self.write(|connection| change(connection, digest, sql, values))
    }
}

fn change(
    connection: &Connection,
    digest: &Digest,
    sql: &str,
    values: &[&dyn duckdb::ToSql],
) -> Result<(), StateError> {
    match connection.execute(sql, values)? {
        0 => Err(StateError::missing("version", digest)),
        _ => Ok(()),
    }
}

fn read(row: &Row<'_>) -> Result<Version, StateError> {
    let compiled = match (row.get::<_, Option<String>>(5)?, row.get(6)?) {
        (Some(form), Some(engine)) => Some(Compiled {
            digest: digest(&form)?,
            engine,
        }),
        _ => None,
    };
    Ok(Version {
        digest: digest(&row.get::<_, String>(0)?)?,
        manifest: from_json(&row.get::<_, String>(1)?)?,
        publisher: row.get(2)?,
        trusted: row.get(3)?,
        size_bytes: from_count(row.get(4)?),
        compiled,
        uploaded_at: time(row.get(7)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::audit::AuditFilter;
    use crate::state::tests::state;
    use jiff::Timestamp;
    use serde_json::json;

    fn version(bytes: &[u8]) -> Version {
        let manifest = json!({"wit": "0.1.0", "name": "files", "version": "1.0.0", "title": "Files",
            "description": "", "worlds": ["source"], "settings": {}});
        Version {
            digest: Digest::of(bytes),
            manifest: serde_json::from_value(manifest).unwrap(),
            publisher: "acme".to_owned(),
            trusted: false,
            size_bytes: 7,
            compiled: None,
            uploaded_at: Timestamp::now(),
        }
    }

    #[test]
    fn a_version_comes_back_as_it_was_and_only_once() {
        let (_folder, state) = state();
        let mut version = version(b"a");
        state.insert_version(&version).unwrap();
        assert!(matches!(
            state.insert_version(&version),
            Err(StateError::AlreadyExists { .. })
        ));
        version.trusted = true;
        version.compiled = Some(Compiled {
            digest: Digest::of(b"form"),
            engine: "48".to_owned(),
        });
        let entry = AuditEntry::new("connector.trust");
        state.set_trusted(&version.digest, true, &entry).unwrap();
        let written = state.audit_page(&AuditFilter::default(), 0, 10).unwrap();
        assert_eq!(written.len(), 1);
        state
            .set_compiled(&version.digest, version.compiled.as_ref().unwrap())
            .unwrap();
        assert_eq!(
            state.version(&version.digest).unwrap(),
            Some(version.clone())
        );
        assert_eq!(state.versions().unwrap(), [version]);
        let unknown = Digest::of(b"b");
        assert_eq!(state.version(&unknown).unwrap(), None);
        assert!(matches!(
            state.set_trusted(&unknown, true, &entry),
            Err(StateError::NotFound { .. })
        ));
    }
}
