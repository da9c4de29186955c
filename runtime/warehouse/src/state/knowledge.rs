//! What people know about the data, and what others think of it.

mod contradictions;
mod evidence;

use std::collections::HashMap;

use domain::knowledge::{ItemStatus, KnowledgeItem, Provenance, Review};
use duckdb::{Connection, Row, ToSql, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{any, collect, from_count, from_json, json, malformed, nanos, parsed, time};
use super::{State, StateError};

const COLUMNS: &str = "id, title, content, category, tags, status, source_user, audience, confidence, domain, entities, source_type, is_personal, epoch_ns(created_at), epoch_ns(updated_at), source_ref, epoch_ns(valid_from), epoch_ns(valid_until), supersedes, sensitivity";

/// Votes for and against an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// For it.
    pub up: u64,
    /// Against it.
    pub down: u64,
}

/// An item after a review, or the status for which the review makes no sense.
pub type Reviewed = Result<KnowledgeItem, ItemStatus>;

impl State {
    /// All items, newest change first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn knowledge(&self) -> Result<Vec<KnowledgeItem>, StateError> {
        let sql =
            format!("SELECT {COLUMNS} FROM knowledge_items ORDER BY updated_at DESC, id DESC");
        self.read(|connection| collect(connection, &sql, &[], read))
    }

    /// An item by its id.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn knowledge_item(&self, id: Uuid) -> Result<Option<KnowledgeItem>, StateError> {
        self.read(|connection| find(connection, id))
    }

    /// Adds an item.
    ///
    /// # Errors
    /// [`StateError::AlreadyExists`].
    pub fn insert_knowledge(
        &self,
        item: &KnowledgeItem,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            let there = "SELECT 1 FROM knowledge_items WHERE id = ?";
            if any(connection, there, &[&item.id.to_string()])? {
                return Err(StateError::exists("knowledge item", &item.id));
            }
            insert(connection, item)?;
            audit::append(connection, entry)
        })
    }

    /// Changes an item.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn change_knowledge(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut KnowledgeItem),
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            let mut item = existing(connection, id)?;
            change(&mut item);
            item.id = id;
            item.updated_at = Timestamp::now();
            replace(connection, &item)?;
            audit::append(connection, entry)
        })
    }

    /// Reviews an item. Where the review makes no sense, nothing happens, and the item's status is
    /// given back.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn review_knowledge(
        &self,
        id: Uuid,
        review: Review,
        audience: Option<&str>,
        entry: &AuditEntry,
    ) -> Result<Reviewed, StateError> {
        self.write(|connection| {
            let mut item = existing(connection, id)?;
            let Some(status) = item.status.after(review) else {
                return Ok(Err(item.status));
            };
            item.status = status;
            item.updated_at = Timestamp::now();
            if let Some(audience) = audience {
                item.audience = Some(audience.to_owned());
            }
            replace(connection, &item)?;
            audit::append(connection, entry)?;
            Ok(Ok(item))
        })
    }

    /// Takes a user's vote on an item, in the place of an earlier one; nothing takes it back.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn vote(&self, item: Uuid, user: Uuid, vote: Option<bool>) -> Result<Tally, StateError> {
        let (id, user) = (item.to_string(), user.to_string());
        self.write(|connection| {
            existing(connection, item)?;
            let sql = "DELETE FROM knowledge_votes WHERE item_id = ? AND user_id = ?";
            connection.execute(sql, params![id, user])?;
            if let Some(is_for) = vote {
                let number = if is_for { 1 } else { -1 };
                let at = nanos(Timestamp::now());
                let sql = "INSERT INTO knowledge_votes VALUES (?, ?, ?, make_timestamp_ns(?))";
                connection.execute(sql, params![id, user, number, at])?;
            }
            Ok(tallies(connection)?.remove(&item).unwrap_or_default())
        })
    }

    /// The votes on all items that have some.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn tallies(&self) -> Result<HashMap<Uuid, Tally>, StateError> {
        self.read(tallies)
    }

    /// How a user has voted: for it or against it, by item.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn votes_of(&self, user: Uuid) -> Result<Vec<(Uuid, bool)>, StateError> {
        let sql = "SELECT item_id, vote FROM knowledge_votes WHERE user_id = ? ORDER BY item_id";
        self.read(|connection| {
            collect(connection, sql, &[&user.to_string()], |row| {
                Ok((item_id(row)?, row.get::<_, i64>(1)? > 0))
            })
        })
    }
}

fn tallies(connection: &Connection) -> Result<HashMap<Uuid, Tally>, StateError> {
    let sql = "SELECT item_id, count(*) FILTER (vote > 0), count(*) FILTER (vote < 0) FROM knowledge_votes GROUP BY item_id";
    let found = collect(connection, sql, &[], |row| {
        let up = from_count(row.get(1)?);
        let down = from_count(row.get(2)?);
        Ok((item_id(row)?, Tally { up, down }))
    })?;
    Ok(found.into_iter().collect())
}

fn item_id(row: &Row<'_>) -> Result<Uuid, StateError> {
    parsed("item id", &row.get::<_, String>(0)?)
}

fn find(connection: &Connection, id: Uuid) -> Result<Option<KnowledgeItem>, StateError> {
    let sql = format!("SELECT {COLUMNS} FROM knowledge_items WHERE id = ?");
    Ok(collect(connection, &sql, &[&id.to_string()], read)?.pop())
}

fn existing(connection: &Connection, id: Uuid) -> Result<KnowledgeItem, StateError> {
    find(connection, id)?.ok_or_else(|| StateError::missing("knowledge item", &id))
}

fn replace(connection: &Connection, item: &KnowledgeItem) -> Result<(), StateError> {
    let sql = "DELETE FROM knowledge_items WHERE id = ?";
    connection.execute(sql, params![item.id.to_string()])?;
    insert(connection, item)
}

fn insert(connection: &Connection, item: &KnowledgeItem) -> Result<(), StateError> {
    let (id, status) = (item.id.to_string(), item.status.as_str());
    let (tags, entities) = (json(&item.tags)?, json(&item.entities)?);
    let (created, updated) = (nanos(item.created_at), nanos(item.updated_at));
    let origin = &item.provenance;
    let (from, until) = (origin.valid_from.map(nanos), origin.valid_until.map(nanos));
    let supersedes = origin.supersedes.map(|id| id.to_string());
    let values: [&dyn ToSql; 20] = [
        &id,
        &item.title,
        &item.content,
        &item.category,
        &tags,
        &status,
        &item.source_user,
        &item.audience,
        &item.confidence,
        &item.domain,
        &entities,
        &item.source_type,
        &item.is_personal,
        &created,
        &updated,
        &origin.source_ref,
        &from,
        &until,
        &supersedes,
        &origin.sensitivity,
    ];
    connection.execute(
        "INSERT INTO knowledge_items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, make_timestamp_ns(?), make_timestamp_ns(?), ?, make_timestamp_ns(?), make_timestamp_ns(?), ?, ?)",
        values.as_slice(),
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<KnowledgeItem, StateError> {
    let status: String = row.get(5)?;
    Ok(KnowledgeItem {
        id: item_id(row)?,
        title: row.get(1)?,
        content: row.get(2)?,
        category: row.get(3)?,
        tags: from_json(&row.get::<_, String>(4)?)?,
        status: ItemStatus::parse(&status).ok_or_else(|| malformed("item status", &status))?,
        source_user: row.get(6)?,
        audience: row.get(7)?,
        confidence: row.get(8)?,
        domain: row.get(9)?,
        entities: from_json(&row.get::<_, String>(10)?)?,
        source_type: row.get(11)?,
        is_personal: row.get(12)?,
        created_at: time(row.get(13)?)?,
        updated_at: time(row.get(14)?)?,
        provenance: provenance(row)?,
    })
}

fn provenance(row: &Row<'_>) -> Result<Provenance, StateError> {
    let moment = |column| -> Result<Option<Timestamp>, StateError> {
        row.get::<_, Option<i64>>(column)?.map(time).transpose()
    };
    let supersedes: Option<String> = row.get(18)?;
    Ok(Provenance {
        source_ref: row.get(15)?,
        valid_from: moment(16)?,
        valid_until: moment(17)?,
        supersedes: supersedes.map(|id| parsed("item id", &id)).transpose()?,
        sensitivity: row.get(19)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use crate::state::tests::{entry, state};

    pub(super) fn item(title: &str) -> KnowledgeItem {
        let now = Timestamp::now();
        KnowledgeItem {
            id: Uuid::now_v7(),
            title: title.to_owned(),
            content: "as everybody knows".to_owned(),
            category: "business_logic".to_owned(),
            tags: vec!["data".to_owned()],
            status: ItemStatus::Pending,
            source_user: "ada@example.com".to_owned(),
            audience: None,
            confidence: 0.5,
            domain: Some("finance".to_owned()),
            entities: Vec::new(),
            source_type: "claude_local_md".to_owned(),
            is_personal: false,
            provenance: Provenance {
                source_ref: Some("a meeting".to_owned()),
                valid_from: Some(now),
                sensitivity: "internal".to_owned(),
                ..Provenance::default()
            },
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn items_and_votes_come_back_after_a_restart() {
        let (folder, state) = state();
        let item = item("MRR is net");
        state.insert_knowledge(&item, &entry()).unwrap();
        let again = state.insert_knowledge(&item, &entry());
        assert!(matches!(again, Err(StateError::AlreadyExists { .. })));
        let user = Uuid::now_v7();
        state.vote(item.id, user, Some(true)).unwrap();
        drop(state);
        let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
        assert_eq!(state.knowledge().unwrap(), std::slice::from_ref(&item));
        assert_eq!(state.votes_of(user).unwrap(), [(item.id, true)]);
        assert_eq!(state.check().unwrap().problems, [""; 0]);
    }

    #[test]
    fn a_user_has_one_vote_and_can_take_it_back() {
        let (_folder, state) = state();
        let item = item("MRR is net");
        state.insert_knowledge(&item, &entry()).unwrap();
        let (ada, eve) = (Uuid::now_v7(), Uuid::now_v7());
        state.vote(item.id, eve, Some(false)).unwrap();
        state.vote(item.id, ada, Some(false)).unwrap();
        let tally = state.vote(item.id, ada, Some(true)).unwrap();
        assert_eq!(tally, Tally { up: 1, down: 1 });
        let tally = state.vote(item.id, ada, None).unwrap();
        assert_eq!(tally, Tally { up: 0, down: 1 });
        let nothing = state.vote(Uuid::now_v7(), ada, Some(true));
        assert!(matches!(nothing, Err(StateError::NotFound { .. })));
    }

    #[test]
    fn a_review_that_makes_no_sense_changes_nothing() {
        let (_folder, state) = state();
        let item = item("MRR is net");
        state.insert_knowledge(&item, &entry()).unwrap();
        let review = |review| state.review_knowledge(item.id, review, Some("all"), &entry());
        assert_eq!(review(Review::Revoke).unwrap(), Err(ItemStatus::Pending));
        assert_eq!(state.knowledge().unwrap(), std::slice::from_ref(&item));
        let mandated = review(Review::Mandate).unwrap().unwrap();
        assert_eq!(mandated.status, ItemStatus::Mandatory);
        assert_eq!(
            state.knowledge().unwrap()[0].audience.as_deref(),
            Some("all")
        );
    }
}
