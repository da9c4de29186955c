//! What admins decided about sources beside their settings, and how versions compared over recorded runs.

use domain::{Comparison, ComparisonState, Digest, Policy, SourceName, UpgradePolicy};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::row::{
    any, collect, digest, from_count, from_json, from_word, json, nanos, parsed, time, word,
};
use super::{State, StateError};

/// How many comparisons of a source are kept.
const COMPARISONS_KEPT: u32 = 10;

const POLICY: &str = "upgrade, compare_runs, recordings";
const COMPARISON: &str = "id, source, old_version, new_version, most_runs, state, runs, missing, failure, \
    epoch_ns(asked_at), asked_by, epoch_ns(finished_at)";

impl State {
    /// What holds for a source beside its settings: what was set, or the default.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn policy(&self, source: &SourceName) -> Result<Policy, StateError> {
        let sql = format!("SELECT {POLICY} FROM policies WHERE source = ?");
        let found = self.read(|connection| {
            Ok(collect(connection, &sql, &[&source.as_str()], read_policy)?.pop())
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The sources that the host may move, each with who said so.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn moved_by_host(&self) -> Result<Vec<(SourceName, Option<Uuid>)>, StateError> {
        let sql = "SELECT source, set_by FROM policies WHERE upgrade = ? ORDER BY source";
        let agreed = word(&UpgradePolicy::WhenAgreed)?;
        self.read(|connection| {
            collect(connection, sql, &[&agreed], |row| {
                Ok((
                    parsed("source name", &row.get::<_, String>(0)?)?,
                    user(row.get(1)?)?,
                ))
            })
        })
    }

    /// Decides about a source.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is no such source.
    pub fn set_policy(
        &self,
        source: &SourceName,
        policy: &Policy,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let name = source.as_str();
        let upgrade = word(&policy.upgrade)?;
        self.write(|connection| {
            exists(connection, source)?;
            connection.execute("DELETE FROM policies WHERE source = ?", params![name])?;
            connection.execute(
                "INSERT INTO policies VALUES (?, ?, ?, ?, make_timestamp_ns(?), ?)",
                params![
                    name,
                    upgrade,
                    i64::from(policy.compare_runs),
                    policy.recordings.map(i64::from),
                    nanos(Timestamp::now()),
                    entry.user.map(|id| id.to_string())
                ],
            )?;
            audit::append(connection, entry)
        })
    }

    /// The last comparisons of a source's versions, newest first.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn comparisons(&self, source: &SourceName) -> Result<Vec<Comparison>, StateError> {
        let sql = format!(
            "SELECT {COMPARISON} FROM comparisons WHERE source = ? ORDER BY asked_at DESC, id DESC"
        );
        self.read(|connection| collect(connection, &sql, &[&source.as_str()], read_comparison))
    }

    /// How many comparisons wait or are under way.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn comparisons_under_way(&self) -> Result<u64, StateError> {
        let running = word(&ComparisonState::Running)?;
        let sql = "SELECT count(*) FROM comparisons WHERE state = ?";
        self.read(|connection| {
            let found = connection.query_row(sql, params![running], |row| row.get(0))?;
            Ok(from_count(found))
        })
    }

    /// Writes a comparison down that begins, and forgets the oldest of its source.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is no such source.
    pub fn insert_comparison(
        &self,
        comparison: &Comparison,
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        let name = comparison.source.as_str();
        let state = word(&comparison.state)?;
        let (runs, missing) = (json(&comparison.runs)?, json(&comparison.missing)?);
        self.write(|connection| {
            exists(connection, &comparison.source)?;
            connection.execute(
                "INSERT INTO comparisons VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, make_timestamp_ns(?), ?, NULL)",
                params![
                    comparison.id.to_string(),
                    name,
                    comparison.old.to_string(),
                    comparison.new.to_string(),
                    i64::from(comparison.most_runs),
                    state,
                    runs,
                    missing,
                    comparison.failure,
                    nanos(comparison.asked_at),
                    comparison.asked_by.map(|id| id.to_string())
                ],
            )?;
            let old = "DELETE FROM comparisons WHERE source = ? AND id NOT IN (SELECT id FROM comparisons \
                WHERE source = ? ORDER BY asked_at DESC, id DESC LIMIT ?)";
            connection.execute(old, params![name, name, COMPARISONS_KEPT])?;
            audit::append(connection, entry)
        })
    }

    /// Writes down what a comparison found. One that was forgotten meanwhile stays so.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn finish_comparison(&self, comparison: &Comparison) -> Result<(), StateError> {
        let state = word(&comparison.state)?;
        let (runs, missing) = (json(&comparison.runs)?, json(&comparison.missing)?);
        let sql = "UPDATE comparisons SET state = ?, runs = ?, missing = ?, failure = ?, \
            finished_at = make_timestamp_ns(?) WHERE id = ?";
        self.write(|connection| {
            let values = params![
                state,
                runs,
                missing,
                comparison.failure,
                nanos(comparison.finished_at.unwrap_or_else(Timestamp::now)),
                comparison.id.to_string()
            ];
            connection.execute(sql, values)?;
            Ok(())
        })
    }

    /// Forgets the comparisons in which the last server ended: they say nothing.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn forget_unfinished_comparisons(&self) -> Result<(), StateError> {
        let running = word(&ComparisonState::Running)?;
        self.write(|connection| {
            connection.execute("DELETE FROM comparisons WHERE state = ?", params![running])?;
            Ok(())
        })
    }
}

fn exists(connection: &Connection, source: &SourceName) -> Result<(), StateError> {
    let sql = "SELECT 1 FROM sources WHERE name = ?";
    match any(connection, sql, &[&source.as_str()])? {
        true => Ok(()),
        false => Err(StateError::missing("source", source)),
    }
}

fn user(id: Option<String>) -> Result<Option<Uuid>, StateError> {
    id.map(|id| parsed("user id", &id)).transpose()
}

/// Whoever wrote another number than this program does gets the nearest that it knows.
fn small(number: i64) -> u32 {
    u32::try_from(from_count(number)).unwrap_or(u32::MAX)
}

fn read_policy(row: &Row<'_>) -> Result<Policy, StateError> {
    Ok(Policy {
        upgrade: from_word(row.get(0)?)?,
        compare_runs: small(row.get(1)?),
        recordings: row.get::<_, Option<i64>>(2)?.map(small),
    })
}

fn read_comparison(row: &Row<'_>) -> Result<Comparison, StateError> {
    let version = |index| -> Result<Digest, StateError> { digest(&row.get::<_, String>(index)?) };
    let finished: Option<i64> = row.get(11)?;
    Ok(Comparison {
        id: parsed("comparison id", &row.get::<_, String>(0)?)?,
        source: parsed("source name", &row.get::<_, String>(1)?)?,
        old: version(2)?,
        new: version(3)?,
        most_runs: small(row.get(4)?),
        state: from_word(row.get(5)?)?,
        runs: from_json(&row.get::<_, String>(6)?)?,
        missing: from_json(&row.get::<_, String>(7)?)?,
        failure: row.get(8)?,
        asked_at: time(row.get(9)?)?,
        asked_by: user(row.get(10)?)?,
        finished_at: finished.map(time).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sources::tests::source;
    use crate::state::tests::state;

    #[test]
    fn a_policy_holds_for_its_source_until_that_is_gone() {
        let (_folder, state) = state();
        let shop = source("shop");
        let policy = Policy {
            upgrade: UpgradePolicy::WhenAgreed,
            compare_runs: 3,
            recordings: Some(7),
        };
        let user = Uuid::now_v7();
        let entry = AuditEntry {
            user: Some(user),
            ..AuditEntry::new("source.policy")
        };
        let early = state.set_policy(&shop.name, &policy, &entry);
        assert!(matches!(early, Err(StateError::NotFound { .. })));
        state.insert_source(&shop).unwrap();
        assert_eq!(state.policy(&shop.name).unwrap(), Policy::default());
        state
            .set_policy(&shop.name, &Policy::default(), &entry)
            .unwrap();
        state.set_policy(&shop.name, &policy, &entry).unwrap();
        assert_eq!(state.policy(&shop.name).unwrap(), policy);
        let moved = state.moved_by_host().unwrap();
        assert_eq!(moved, [(shop.name.clone(), Some(user))]);
        state.delete_source(&shop.name).unwrap();
        assert_eq!(state.policy(&shop.name).unwrap(), Policy::default());
    }

    #[test]
    fn the_last_comparisons_of_a_source_stay_and_an_unfinished_one_does_not_outlive_its_server() {
        let (_folder, state) = state();
        let shop = source("shop");
        state.insert_source(&shop).unwrap();
        let entry = AuditEntry::new("source.compare");
        let mut all = Vec::new();
        for _ in 0..=COMPARISONS_KEPT {
            let (old, new) = (Digest::of(b"a"), Digest::of(b"b"));
            let comparison = Comparison::begin(shop.name.clone(), old, new, 5);
            state.insert_comparison(&comparison, &entry).unwrap();
            all.push(comparison);
        }
        let mut newest = all.pop().unwrap();
        let kept = state.comparisons(&shop.name).unwrap();
        assert_eq!(kept.len(), 10);
        assert_eq!(kept[0].id, newest.id);
        assert!(kept.iter().all(|kept| kept.id != all[0].id));
        assert_eq!(state.comparisons_under_way().unwrap(), 10);
        newest.missing = vec!["egress to a.org".into()];
        newest.finish(Err("it broke".into()));
        state.finish_comparison(&newest).unwrap();
        state.forget_unfinished_comparisons().unwrap();
        let left = state.comparisons(&shop.name).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].failure.as_deref(), Some("it broke"));
        assert_eq!(left[0].missing, newest.missing);
    }
}
