//! What people said that speaks for an item.

use domain::knowledge::{Backing, Evidence};
use duckdb::{Row, params};
use uuid::Uuid;

use super::{existing, replace};
use crate::state::audit::{self, AuditEntry};
use crate::state::row::{any, collect, malformed, nanos, parsed, time};
use crate::state::{State, StateError};

impl State {
    /// What was said for an item, oldest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn evidence(&self, item: Uuid) -> Result<Vec<Evidence>, StateError> {
        let sql = "SELECT id, item_id, source_user, source_ref, detection_type, user_quote, epoch_ns(created_at) FROM verification_evidence WHERE item_id = ? ORDER BY created_at, id";
        self.read(|connection| collect(connection, sql, &[&item.to_string()], read))
    }

    /// Adds what somebody said for an item, and gives the item's confidence. The first words of a
    /// person who did not write the item make it surer, further ones of the same person do not.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn add_evidence(&self, evidence: &Evidence, entry: &AuditEntry) -> Result<f64, StateError> {
        self.write(|connection| {
            let mut item = existing(connection, evidence.item)?;
            let id = evidence.item.to_string();
            let earlier =
                "SELECT 1 FROM verification_evidence WHERE item_id = ? AND source_user = ?";
            let is_new = !any(connection, earlier, &[&id, &evidence.source_user])?;
            if is_new && evidence.source_user != item.source_user {
                item.back();
                replace(connection, &item)?;
            }
            connection.execute(
                "INSERT INTO verification_evidence VALUES (?, ?, ?, ?, ?, ?, make_timestamp_ns(?))",
                params![
                    evidence.id,
                    id,
                    evidence.source_user,
                    evidence.source_ref,
                    evidence.backing.as_str(),
                    evidence.quote,
                    nanos(evidence.created_at)
                ],
            )?;
            audit::append(connection, entry)?;
            Ok(item.confidence)
        })
    }
}

fn read(row: &Row<'_>) -> Result<Evidence, StateError> {
    let backing: String = row.get(4)?;
    Ok(Evidence {
        id: row.get(0)?,
        item: parsed("item id", &row.get::<_, String>(1)?)?,
        source_user: row.get(2)?,
        source_ref: row.get(3)?,
        backing: Backing::parse(&backing).ok_or_else(|| malformed("backing", &backing))?,
        quote: row.get(5)?,
        created_at: time(row.get(6)?)?,
    })
}

#[cfg(test)]
mod tests {
    use domain::knowledge::short_id;
    use jiff::Timestamp;

    use super::*;
    use crate::state::knowledge::tests::item;
    use crate::state::tests::{entry, state};

    #[test]
    fn each_person_makes_an_item_surer_once_and_its_author_never() {
        let (_folder, state) = state();
        let item = item("MRR is net");
        state.insert_knowledge(&item, &entry()).unwrap();
        let say = |user: &str| {
            let evidence = Evidence {
                id: short_id("ev"),
                item: item.id,
                source_user: user.to_owned(),
                source_ref: None,
                backing: Backing::Confirmation,
                quote: Some("it is".to_owned()),
                created_at: Timestamp::now(),
            };
            state.add_evidence(&evidence, &entry()).unwrap()
        };
        assert_eq!(say("ada@example.com"), 0.5);
        assert_eq!(say("eve@example.com"), 0.55);
        assert_eq!(say("eve@example.com"), 0.55);
        let all = state.evidence(item.id).unwrap();
        let who: Vec<_> = all.iter().map(|one| one.source_user.as_str()).collect();
        assert_eq!(
            who,
            ["ada@example.com", "eve@example.com", "eve@example.com"]
        );
        assert_eq!(state.check().unwrap().problems, [""; 0]);
    }
}
