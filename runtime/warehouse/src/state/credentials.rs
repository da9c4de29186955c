//! What fills the credential slots of sources: sealed bytes, or the names of environment variables.

use std::collections::BTreeMap;

use domain::credential::{Filled, Filling};
use domain::{SlotName, SourceName};
use duckdb::{Connection, Row, params};

use super::audit::append;
use super::row::{any, collect, malformed, nanos, parsed, time};
use super::{AuditEntry, State, StateError};

/// A sealed value and its place.
pub type SealedAt = (SourceName, SlotName, Vec<u8>);

impl State {
    /// Fills a slot in the place of what filled it before.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is no such source.
    pub fn put_credential(
        &self,
        source: &SourceName,
        slot: &SlotName,
        filled: &Filled,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            let known = "SELECT 1 FROM sources WHERE name = ?";
            if !any(connection, known, &[&source.as_str()])? {
                return Err(StateError::missing("source", source));
            }
            remove(connection, source, slot)?;
            insert(connection, source, slot, filled)?;
            append(connection, entry)
        })
    }

    /// What fills the slots of a source.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn credentials(
        &self,
        source: &SourceName,
    ) -> Result<BTreeMap<SlotName, Filled>, StateError> {
        let sql = "SELECT slot, sealed, variable, epoch_ns(entered_at), entered_by FROM credentials WHERE source = ?";
        let rows = self.read(|connection| collect(connection, sql, &[&source.as_str()], read))?;
        Ok(rows.into_iter().collect())
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_credential(
        &self,
        source: &SourceName,
        slot: &SlotName,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| match remove(connection, source, slot)? {
            0 => Err(StateError::missing("credential", slot)),
            _ => append(connection, entry),
        })
    }

    /// Puts another sealed value in the place of this very one; false where that is not there any more.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn replace_sealed(
        &self,
        source: &SourceName,
        slot: &SlotName,
        old: &[u8],
        new: &[u8],
    ) -> Result<bool, StateError> {
        let sql = "UPDATE credentials SET sealed = ? WHERE source = ? AND slot = ? AND sealed = ?";
        let changed = self.write(|connection| {
            Ok(connection.execute(sql, params![new, source.as_str(), slot.as_str(), old])?)
        })?;
        Ok(changed > 0)
    }

    /// Every sealed value.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn all_sealed(&self) -> Result<Vec<SealedAt>, StateError> {
        let sql = "SELECT source, slot, sealed FROM credentials WHERE sealed IS NOT NULL";
        self.read(|connection| {
            collect(connection, sql, &[], |row| {
                let source = parsed("source name", &row.get::<_, String>(0)?)?;
                let slot = parsed("credential slot", &row.get::<_, String>(1)?)?;
                Ok((source, slot, row.get(2)?))
            })
        })
    }

    /// Exchanges these sealed values for others, all or none.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn reseal(&self, values: &[SealedAt], entry: &AuditEntry) -> Result<(), StateError> {
        let sql = "UPDATE credentials SET sealed = ? WHERE source = ? AND slot = ?";
        self.write(|connection| {
            for (source, slot, sealed) in values {
                connection.execute(sql, params![sealed, source.as_str(), slot.as_str()])?;
            }
            append(connection, entry)
        })
    }
}

fn remove(
    connection: &Connection,
    source: &SourceName,
    slot: &SlotName,
) -> Result<usize, StateError> {
    let sql = "DELETE FROM credentials WHERE source = ? AND slot = ?";
    Ok(connection.execute(sql, params![source.as_str(), slot.as_str()])?)
}

fn insert(
    connection: &Connection,
    source: &SourceName,
    slot: &SlotName,
    filled: &Filled,
) -> Result<(), StateError> {
    let (sealed, variable) = match &filled.filling {
        Filling::Sealed(sealed) => (Some(sealed.as_slice()), None),
        Filling::Variable(name) => (None, Some(name.as_str())),
    };
    connection.execute(
        "INSERT INTO credentials VALUES (?, ?, ?, ?, make_timestamp_ns(?), ?)",
        params![
            source.as_str(),
            slot.as_str(),
            sealed,
            variable,
            filled.entered_at.map(nanos),
            filled.entered_by.map(|id| id.to_string())
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<(SlotName, Filled), StateError> {
    let slot = parsed("credential slot", &row.get::<_, String>(0)?)?;
    let filling = match (row.get(1)?, row.get(2)?) {
        (Some(sealed), None) => Filling::Sealed(sealed),
        (None, Some(name)) => Filling::Variable(name),
        _ => return Err(malformed("credential", "it must be a value or a variable")),
    };
    let entered_by = row.get::<_, Option<String>>(4)?;
    let filled = Filled {
        filling,
        entered_at: row.get::<_, Option<i64>>(3)?.map(time).transpose()?,
        entered_by: entered_by.map(|id| parsed("user id", &id)).transpose()?,
    };
    Ok((slot, filled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sources::tests::source;
    use crate::state::tests::{entry, state};
    use jiff::Timestamp;
    use uuid::Uuid;

    fn filled(filling: Filling) -> Filled {
        Filled {
            filling,
            entered_at: Some(Timestamp::now()),
            entered_by: Some(Uuid::now_v7()),
        }
    }

    #[test]
    fn a_slot_remembers_what_fills_it_and_leaves_with_its_source() {
        let (_folder, state) = state();
        let shop = source("shop");
        let (name, slot) = (&shop.name, SlotName::parse("token").unwrap());
        let old = filled(Filling::Sealed(b"old".into()));
        assert!(state.put_credential(name, &slot, &old, &entry()).is_err());
        state.insert_source(&shop).unwrap();
        for filling in [
            Filling::Sealed(vec![0, 255]),
            Filling::Variable("SLUICE_CREDENTIAL_X".into()),
        ] {
            let filled = filled(filling);
            state.put_credential(name, &slot, &old, &entry()).unwrap();
            state
                .put_credential(name, &slot, &filled, &entry())
                .unwrap();
            let kept = state.credentials(name).unwrap();
            assert_eq!(kept, BTreeMap::from([(slot.clone(), filled)]));
        }
        state.delete_source(name).unwrap();
        assert!(state.credentials(name).unwrap().is_empty());
        assert!(state.delete_credential(name, &slot, &entry()).is_err());
    }

    #[test]
    fn a_value_is_replaced_only_while_it_is_the_one_that_is_meant() {
        let (_folder, state) = state();
        let shop = source("shop");
        let (name, slot) = (&shop.name, SlotName::parse("token").unwrap());
        state.insert_source(&shop).unwrap();
        let first = filled(Filling::Sealed(b"first".into()));
        state.put_credential(name, &slot, &first, &entry()).unwrap();
        assert!(!state.replace_sealed(name, &slot, b"other", b"x").unwrap());
        assert!(
            state
                .replace_sealed(name, &slot, b"first", b"second")
                .unwrap()
        );
        let resealed = (name.clone(), slot.clone(), b"third".to_vec());
        assert_eq!(state.all_sealed().unwrap()[0].2, b"second");
        state
            .reseal(std::slice::from_ref(&resealed), &entry())
            .unwrap();
        assert_eq!(state.all_sealed().unwrap(), [resealed]);
        assert_eq!(
            state.credentials(name).unwrap()[&slot].entered_by,
            first.entered_by
        );
    }
}
