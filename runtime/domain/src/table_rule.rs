//! What a manifest says about tables beyond what a connector says when it opens them: rules that hold
//! for every run of a version, and that an admin can read before trusting it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::TableName;
use crate::table::TableSpec;

/// The entry for tables that have none of their own.
const ANY: &str = "*";
const MAX_TABLES: usize = 1_000;
const MAX_COLUMNS: usize = 500;
const MAX_NAME: usize = 255;

/// The span of time that a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// A calendar month, in UTC.
    Month,
}

/// How a table is split into files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Partitioning {
    /// By each value of a column.
    Column(String),
    /// By a span of time of a date or timestamp column.
    Time(TimePartitioning),
}

/// A date or timestamp column and the span that a partition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimePartitioning {
    /// The column.
    pub column: String,
    /// The span.
    pub by: Span,
}

impl Partitioning {
    /// The column whose values decide.
    pub fn column(&self) -> &str {
        match self {
            Self::Column(column) => column,
            Self::Time(time) => &time.column,
        }
    }
}

/// What holds for a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableRule {
    /// A column that says of a row in a `merge` table that it was deleted: anything but null, false, 0
    /// and empty text removes the row with that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<String>,
    /// Whether a run fails when its columns are not those that the table has.
    #[serde(default)]
    pub strict: bool,
    /// Columns that hold JSON text, whatever structure their values have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_columns: Vec<String>,
    /// How the table is split into files, in the place of what the connector says when it opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_by: Option<Partitioning>,
}

/// The rules of a manifest by the name of their table; `*` for tables that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TableRules(BTreeMap<String, TableRule>);

impl TableRules {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What holds for a table as it was opened.
    pub fn of(&self, spec: &TableSpec) -> TableRule {
        let name = spec.name.folded();
        let own = self
            .0
            .iter()
            .find(|(key, _)| key.to_ascii_lowercase() == name);
        let rule = own.map(|(_, rule)| rule).or_else(|| self.0.get(ANY));
        let mut rule = rule.cloned().unwrap_or_default();
        let opened = || spec.partition_by.clone().map(Partitioning::Column);
        rule.partition_by = rule.partition_by.or_else(opened);
        rule
    }

    /// Whether the rules can be followed, or what is wrong with them.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.0.len() > MAX_TABLES {
            return Err(format!("there are rules for more than {MAX_TABLES} tables"));
        }
        let mut folded: Vec<_> = self.0.keys().map(|key| key.to_ascii_lowercase()).collect();
        folded.sort();
        folded.dedup();
        if folded.len() < self.0.len() {
            return Err("two entries name the same table; case makes no difference".to_owned());
        }
        for (key, rule) in &self.0 {
            if key != ANY {
                TableName::parse(key).map_err(|error| error.to_string())?;
            }
            rule.check()
                .map_err(|reason| format!("`{key}`: {reason}"))?;
        }
        Ok(())
    }
}

impl FromIterator<(String, TableRule)> for TableRules {
    fn from_iter<T: IntoIterator<Item = (String, TableRule)>>(rules: T) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl TableRule {
    fn check(&self) -> Result<(), String> {
        if self.json_columns.len() > MAX_COLUMNS {
            return Err(format!(
                "`json_columns` has more than {MAX_COLUMNS} entries"
            ));
        }
        let split = self.partition_by.as_ref().map(Partitioning::column);
        let columns = self.json_columns.iter().chain(&self.tombstone);
        for column in columns.map(String::as_str).chain(split) {
            if column.is_empty() || column.len() > MAX_NAME || column.chars().any(char::is_control)
            {
                let shown: String = column.escape_debug().take(64).collect();
                return Err(format!("`{shown}` cannot name a column"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::WriteMode;
    use serde_json::{Value, json};

    fn rules(value: Value) -> Result<TableRules, String> {
        let rules: TableRules = serde_json::from_value(value).map_err(|error| error.to_string())?;
        rules.check().map(|()| rules)
    }

    fn spec(name: &str) -> TableSpec {
        TableSpec {
            name: TableName::parse(name).unwrap(),
            description: String::new(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            mode: WriteMode::Merge,
            partition_by: Some("country".to_owned()),
        }
    }

    #[test]
    fn a_table_has_its_own_rule_or_that_of_all_others() {
        let month = json!({"column": "at", "by": "month"});
        let rules = rules(json!({
            "*": {"strict": true},
            "Orders": {"tombstone": "gone", "partition_by": month},
        }))
        .unwrap();
        let orders = rules.of(&spec("orders"));
        assert_eq!(orders.tombstone.as_deref(), Some("gone"));
        assert!(!orders.strict);
        assert!(
            matches!(orders.partition_by, Some(Partitioning::Time(time)) if time.column == "at")
        );
        let other = rules.of(&spec("people"));
        assert!(other.strict);
        assert_eq!(other.partition_by.unwrap().column(), "country");
    }

    #[test]
    fn rules_that_nobody_can_follow_are_refused() {
        for (wrong, why) in [
            (json!({"a b": {}}), "a b"),
            (json!({"t": {}, "T": {}}), "same table"),
            (json!({"t": {"tombstone": ""}}), "cannot name a column"),
            (
                json!({"t": {"json_columns": ["a\nb"]}}),
                "cannot name a column",
            ),
            (
                json!({"t": {"partition_by": {"column": "a", "by": "year"}}}),
                "partition",
            ),
            (json!({"t": {"wish": 1}}), "wish"),
        ] {
            let error = rules(wrong.clone()).unwrap_err();
            assert!(error.to_lowercase().contains(why), "{wrong}: {error}");
        }
    }
}
