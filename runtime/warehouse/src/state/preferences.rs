//! What users want to have on their own machines.

use domain::SyncChoice;
use duckdb::{Connection, Row, params};
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, from_word, nanos, parsed, time, word};
use super::{State, StateError};

impl State {
    /// The choices of a user by name.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn sync_choices(&self, user: Uuid) -> Result<Vec<SyncChoice>, StateError> {
        let sql = "SELECT user_id, kind, name, enabled, epoch_ns(updated_at) FROM user_sync_settings WHERE user_id = ? ORDER BY kind, lower(name)";
        self.read(|connection| collect(connection, sql, &[&user.to_string()], read))
    }

    /// Keeps choices in the place of those about the same things: all or none.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for a user.
    pub fn put_sync_choices(
        &self,
        choices: &[SyncChoice],
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            for choice in choices {
                put(connection, choice)?;
            }
            audit::append(connection, entry)
        })
    }
}

fn put(connection: &Connection, choice: &SyncChoice) -> Result<(), StateError> {
    let (user, kind) = (choice.user.to_string(), word(&choice.kind)?);
    if !any(connection, "SELECT 1 FROM users WHERE id = ?", &[&user])? {
        return Err(StateError::missing("user", &choice.user));
    }
    let sql =
        "DELETE FROM user_sync_settings WHERE user_id = ? AND kind = ? AND lower(name) = lower(?)";
    connection.execute(sql, params![user, kind, choice.name])?;
    let sql = "INSERT INTO user_sync_settings VALUES (?, ?, ?, ?, make_timestamp_ns(?))";
    let at = nanos(choice.updated_at);
    connection.execute(sql, params![user, kind, choice.name, choice.enabled, at])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<SyncChoice, StateError> {
    Ok(SyncChoice {
        user: parsed("user id", &row.get::<_, String>(0)?)?,
        kind: from_word(row.get(1)?)?,
        name: row.get(2)?,
        enabled: row.get(3)?,
        updated_at: time(row.get(4)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{admin, entry, state};
    use domain::ChoiceKind;
    use jiff::Timestamp;

    #[test]
    fn the_last_choice_about_a_thing_counts_and_is_of_its_user_alone() {
        let (_folder, state) = state();
        let (ada, grace) = (admin(&state), admin(&state));
        let choice = |kind, name: &str, enabled| SyncChoice {
            user: ada.id,
            kind,
            name: name.to_owned(),
            enabled,
            updated_at: Timestamp::now(),
        };
        let first = [
            choice(ChoiceKind::Dataset, "shop", true),
            choice(ChoiceKind::Table, "shop", true),
        ];
        state.put_sync_choices(&first, &entry()).unwrap();
        let last = choice(ChoiceKind::Dataset, "Shop", false);
        let again = std::slice::from_ref(&last);
        state.put_sync_choices(again, &entry()).unwrap();
        let kept = [last, first[1].clone()];
        assert_eq!(state.sync_choices(ada.id).unwrap(), kept);
        assert_eq!(state.sync_choices(grace.id).unwrap(), []);
        let nobody = SyncChoice {
            user: Uuid::now_v7(),
            ..first[0].clone()
        };
        let refused = state.put_sync_choices(&[first[0].clone(), nobody], &entry());
        assert!(matches!(refused, Err(StateError::NotFound { .. })));
        assert_eq!(state.sync_choices(ada.id).unwrap(), kept, "all or none");
        assert_eq!(state.check().unwrap().problems, [""; 0]);
        state.delete_user(ada.id, &entry()).unwrap();
        assert_eq!(state.sync_choices(ada.id).unwrap(), []);
    }
}
