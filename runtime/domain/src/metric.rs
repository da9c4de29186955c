//! Definitions of business metrics: what a number means, and the SQL that gives it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a metric is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricDefinition {
    /// `CATEGORY/NAME`.
    pub id: String,
    /// Its name within the category.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// What it belongs to.
    pub category: String,
    /// What it says.
    pub description: Option<String>,
    /// How it adds up, such as `sum` or `ratio`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In what it is counted.
    pub unit: Option<String>,
    /// For what time each value stands.
    pub grain: String,
    /// The table that it is about.
    pub table_name: Option<String>,
    /// All tables that it is about.
    pub tables: Vec<String>,
    /// The expression within its SQL.
    pub expression: Option<String>,
    /// The column that says when.
    pub time_column: Option<String>,
    /// By what it can be split.
    pub dimensions: Vec<String>,
    /// What is left out of it.
    pub filters: Vec<String>,
    /// What else people call it.
    pub synonyms: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// The SQL that gives it.
    pub sql: String,
    /// The same by other words, such as `by_month`.
    pub sql_variants: BTreeMap<String, String>,
    /// How to tell whether a value can be true.
    pub validation: Option<Value>,
    /// Where the definition came from.
    pub source: String,
    /// Since when it is here.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl MetricDefinition {
    /// The tables that it is about.
    pub fn about(&self) -> impl Iterator<Item = &str> {
        let tables = self.table_name.iter().chain(&self.tables);
        tables.map(String::as_str)
    }

    /// Whether it is about a table, without regard to case.
    pub fn is_about(&self, table: &str) -> bool {
        self.about().any(|name| name.eq_ignore_ascii_case(table))
    }

    /// Whether a word occurs in what people call it and say about it.
    pub fn mentions(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let names = [&self.id, &self.display_name].into_iter();
        let said = names.chain(&self.synonyms).chain(&self.description);
        said.map(|text| text.to_lowercase())
            .any(|text| text.contains(&word))
    }
}
