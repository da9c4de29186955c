//! Definitions of business metrics. There are hundreds at most, so they are searched in memory.

use domain::MetricDefinition;
use duckdb::{Connection, params};

use super::audit::{self, AuditEntry};
use super::row::{collect, from_json, json};
use super::{State, StateError};

impl State {
    /// All definitions, or those of a category, by id.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn metrics(&self, category: Option<&str>) -> Result<Vec<MetricDefinition>, StateError> {
        let sql =
            "SELECT definition FROM metric_definitions WHERE ? IS NULL OR category = ? ORDER BY id";
        self.read(|connection| {
            collect(connection, sql, &[&category, &category], |row| {
                from_json(&row.get::<_, String>(0)?)
            })
        })
    }

    /// A definition by its id.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn metric(&self, id: &str) -> Result<Option<MetricDefinition>, StateError> {
        self.read(|connection| find(connection, id))
    }

    /// Adds definitions, or puts them in the place of those of the same ids: all or none.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn put_metrics(
        &self,
        metrics: &[MetricDefinition],
        entry: &AuditEntry,
    ) -> Result<(), StateError> {
        self.write(|connection| {
            for metric in metrics {
                put(connection, metric)?;
            }
            audit::append(connection, entry)
        })
    }

    /// Removes a definition.
    ///
    /// # Errors
    /// [`StateError::NotFound`].
    pub fn delete_metric(&self, id: &str, entry: &AuditEntry) -> Result<(), StateError> {
        self.write(|connection| match remove(connection, id)? {
            0 => Err(StateError::missing("metric", &id)),
            _ => audit::append(connection, entry),
        })
    }
}

fn find(connection: &Connection, id: &str) -> Result<Option<MetricDefinition>, StateError> {
    let sql = "SELECT definition FROM metric_definitions WHERE id = ?";
    let read = |row: &duckdb::Row<'_>| from_json(&row.get::<_, String>(0)?);
    Ok(collect(connection, sql, &[&id], read)?.pop())
}

fn remove(connection: &Connection, id: &str) -> Result<usize, StateError> {
    let sql = "DELETE FROM metric_definitions WHERE id = ?";
    Ok(connection.execute(sql, params![id])?)
}

fn put(connection: &Connection, metric: &MetricDefinition) -> Result<(), StateError> {
    let mut metric = metric.clone();
    if let Some(before) = find(connection, &metric.id)? {
        metric.created_at = before.created_at;
    }
    remove(connection, &metric.id)?;
    let sql = "INSERT INTO metric_definitions VALUES (?, ?, ?)";
    connection.execute(sql, params![metric.id, metric.category, json(&metric)?])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use crate::state::tests::{entry, state};
    use jiff::{Timestamp, ToSpan as _};

    fn metric(category: &str, name: &str) -> MetricDefinition {
        let at = Timestamp::UNIX_EPOCH;
        MetricDefinition {
            id: format!("{category}/{name}"),
            name: name.to_owned(),
            display_name: name.to_uppercase(),
            category: category.to_owned(),
            description: None,
            kind: "sum".to_owned(),
            unit: None,
            grain: "monthly".to_owned(),
            table_name: Some("orders".to_owned()),
            tables: Vec::new(),
            expression: None,
            time_column: None,
            dimensions: vec!["country".to_owned()],
            filters: Vec::new(),
            synonyms: vec!["Umsatz".to_owned()],
            notes: Vec::new(),
            sql: "SELECT 1".to_owned(),
            sql_variants: [("by_month".to_owned(), "SELECT 2".to_owned())].into(),
            validation: Some(serde_json::json!({"min": 0})),
            source: "manual".to_owned(),
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn definitions_come_back_whole_after_a_restart_by_category() {
        let (folder, state) = state();
        let all = [metric("revenue", "mrr"), metric("sales", "wins")];
        state.put_metrics(&all, &entry()).unwrap();
        drop(state);
        let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
        assert_eq!(state.metrics(None).unwrap(), all);
        assert_eq!(state.metrics(Some("sales")).unwrap(), all[1..]);
        assert_eq!(state.metric("revenue/mrr").unwrap().as_ref(), Some(&all[0]));
        assert_eq!(state.check().unwrap().problems, [""; 0]);
    }

    #[test]
    fn a_definition_is_replaced_and_keeps_when_it_was_made() {
        let (_folder, state) = state();
        let mut metric = metric("revenue", "mrr");
        state
            .put_metrics(std::slice::from_ref(&metric), &entry())
            .unwrap();
        let later = metric.created_at + 1.hour();
        (metric.created_at, metric.updated_at) = (later, later);
        state.put_metrics(&[metric], &entry()).unwrap();
        let found = state.metrics(None).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].created_at, Timestamp::UNIX_EPOCH);
        assert_eq!(found[0].updated_at, later);
        state.delete_metric("revenue/mrr", &entry()).unwrap();
        let gone = state.delete_metric("revenue/mrr", &entry());
        assert!(matches!(gone, Err(StateError::NotFound { .. })));
    }
}
