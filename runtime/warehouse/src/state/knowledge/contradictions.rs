//! Items that contradict each other, and how admins settled that.

use domain::knowledge::{Contradiction, Resolution, Settled};
use duckdb::{Connection, Row, ToSql, params};
use uuid::Uuid;

use super::existing;
use crate::state::audit::{self, AuditEntry};
use crate::state::row::{collect, malformed, nanos, parsed, time};
use crate::state::{State, StateError};

const COLUMNS: &str = "id, item_a_id, item_b_id, explanation, severity, suggested_resolution, resolution, resolved_by, epoch_ns(resolved_at), epoch_ns(detected_at)";

impl State {
    /// All contradictions, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn contradictions(&self) -> Result<Vec<Contradiction>, StateError> {
        let sql =
            format!("SELECT {COLUMNS} FROM knowledge_contradictions ORDER BY detected_at DESC, id");
        self.read(|connection| collect(connection, &sql, &[], read))
    }

    /// Notes that two items contradict each other.
    ///
    /// # Errors
    /// [`StateError::NotFound`] for an item that is not there.
    pub fn insert_contradiction(
        &self,
        found: &Contradiction,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            existing(connection, found.item_a)?;
            existing(connection, found.item_b)?;
            if find(connection, &found.id)?.is_some() {
                return Err(StateError::exists("contradiction", &found.id));
            }
            insert(connection, found)?;
            audit::append(connection, entry)
        })
    }

    /// Settles a contradiction, once. `false` for one that is settled already.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn settle_contradiction(
        &self,
        id: &str,
        settled: &Settled,
        entry: &AuditEntry,
    ) -> Result<bool, StateError> {
        self.write(|connection| {
            let found = find(connection, id)?;
            let found = found.ok_or_else(|| StateError::missing("contradiction", &id))?;
            if found.settled.is_some() {
                return Ok(false);
            }
            let (resolution, at) = (settled.resolution.as_str(), nanos(settled.at));
            connection.execute(
                "UPDATE knowledge_contradictions SET resolution = ?, resolved_by = ?, resolved_at = make_timestamp_ns(?) WHERE id = ?",
                params![resolution, settled.by, at, id],
            )?;
            audit::append(connection, entry)?;
            Ok(true)
        })
    }
}

fn find(connection: &Connection, id: &str) -> Result<Option<Contradiction>, StateError> {
    let sql = format!("SELECT {COLUMNS} FROM knowledge_contradictions WHERE id = ?");
    Ok(collect(connection, &sql, &[&id], read)?.pop())
}

fn insert(connection: &Connection, found: &Contradiction) -> Result<(), StateError> {
    let (a, b) = (found.item_a.to_string(), found.item_b.to_string());
    let settled = found.settled.as_ref();
    let resolution = settled.map(|settled| settled.resolution.as_str());
    let by = settled.map(|settled| settled.by.as_str());
    let at = settled.map(|settled| nanos(settled.at));
    let detected = nanos(found.detected_at);
    let values: [&dyn ToSql; 10] = [
        &found.id,
        &a,
        &b,
        &found.explanation,
        &found.severity,
        &found.suggestion,
        &resolution,
        &by,
        &at,
        &detected,
    ];
    connection.execute(
        "INSERT INTO knowledge_contradictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?))",
        values.as_slice(),
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Contradiction, StateError> {
    let item =
        |column| -> Result<Uuid, StateError> { parsed("item id", &row.get::<_, String>(column)?) };
    let resolution: Option<String> = row.get(6)?;
    let (by, at): (Option<String>, Option<i64>) = (row.get(7)?, row.get(8)?);
    let settled = resolution.map(|word| {
        let resolution = Resolution::parse(&word);
        Ok::<_, StateError>(Settled {
            resolution: resolution.ok_or_else(|| malformed("resolution", &word))?,
            by: by.unwrap_or_default(),
            at: time(at.unwrap_or_default())?,
        })
    });
    Ok(Contradiction {
        id: row.get(0)?,
        item_a: item(1)?,
        item_b: item(2)?,
        explanation: row.get(3)?,
        severity: row.get(4)?,
        suggestion: row.get(5)?,
        settled: settled.transpose()?,
        detected_at: time(row.get(9)?)?,
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
    fn a_contradiction_is_between_items_that_are_there_and_settled_once() {
        let (_folder, state) = state();
        let (a, b) = (item("MRR is net"), item("MRR is gross"));
        let found = Contradiction {
            id: short_id("kc"),
            item_a: a.id,
            item_b: b.id,
            explanation: "either or".to_owned(),
            severity: Some("hard".to_owned()),
            suggestion: None,
            settled: None,
            detected_at: Timestamp::now(),
        };
        state.insert_knowledge(&a, &entry()).unwrap();
        let lone = state.insert_contradiction(&found, &entry());
        assert!(matches!(lone, Err(StateError::NotFound { .. })));
        state.insert_knowledge(&b, &entry()).unwrap();
        state.insert_contradiction(&found, &entry()).unwrap();
        let settled = Settled {
            resolution: Resolution::KeptA,
            by: "ada@example.com".to_owned(),
            at: Timestamp::now(),
        };
        let settle = |settled| state.settle_contradiction(&found.id, settled, &entry());
        assert!(settle(&settled).unwrap());
        let other = Settled {
            resolution: Resolution::KeptB,
            ..settled.clone()
        };
        assert!(!settle(&other).unwrap());
        let settled = Some(settled);
        assert_eq!(
            state.contradictions().unwrap(),
            [Contradiction { settled, ..found }]
        );
        assert_eq!(state.check().unwrap().problems, [""; 0]);
    }
}
