//! What an admin fills in, and the rules that the manifest's schema cannot express.

use std::collections::HashSet;

use connector_sdk::Failure;
use serde::{Deserialize, Serialize};

/// The settings of a source.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    url: String,
    #[serde(default)]
    pub(crate) buckets: Vec<String>,
    #[serde(default)]
    pub(crate) tables: Vec<TableSettings>,
    #[serde(default = "an_hour")]
    pub(crate) job_minutes: u32,
    /// For the manifest's egress lines; the answers of Storage name the region too.
    #[serde(default, rename = "aws_region")]
    _aws_region: Option<String>,
    pub(crate) file_endpoint: Option<String>,
}

/// A table, and how much of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableSettings {
    pub(crate) id: String,
    name: Option<String>,
    #[serde(default)]
    pub(crate) columns: Vec<String>,
    incremental: Option<bool>,
    pub(crate) changed_since: Option<String>,
    #[serde(default, rename = "where")]
    pub(crate) filters: Vec<Filter>,
    #[serde(default)]
    pub(crate) primary_key: Vec<String>,
    #[serde(default)]
    pub(crate) types: Types,
}

/// A condition on a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    pub(crate) column: String,
    #[serde(default = "eq")]
    pub(crate) operator: String,
    pub(crate) values: Vec<String>,
}

/// Where column types come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Types {
    #[default]
    Metadata,
    Text,
}

fn an_hour() -> u32 {
    60
}

fn eq() -> String {
    "eq".into()
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<(), Failure> {
        let mut names = HashSet::new();
        for table in &self.tables {
            if !names.insert(table.name().to_ascii_lowercase()) {
                return Err(twice(&table.name(), &table.id));
            }
        }
        Ok(())
    }

    /// The address of the stack, without a slash at its end.
    pub(crate) fn stack(&self) -> &str {
        self.url.trim_end_matches('/')
    }
}

/// Two tables have one name.
pub(crate) fn twice(name: &str, id: &str) -> Failure {
    Failure::config(format!(
        "two tables are named `{name}`, `{id}` is one of them: give it another `name` in the settings"
    ))
}

impl TableSettings {
    /// A table of a bucket, of which the settings say nothing.
    pub(crate) fn of(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: None,
            columns: Vec::new(),
            incremental: None,
            changed_since: None,
            filters: Vec::new(),
            primary_key: Vec::new(),
            types: Types::default(),
        }
    }

    /// Whether rows that were brought before stay. What was imported since does not tell that a row passes a filter no
    /// more, so with filters somebody must say that theirs are about columns that never change.
    pub(crate) fn incremental(&self) -> bool {
        self.incremental.unwrap_or(self.filters.is_empty())
    }

    /// Its name here.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| default_name(&self.id))
    }
}

/// `crm_orders` for `in.c-crm.orders`.
fn default_name(id: &str) -> String {
    let inner = id.split_once('.').map_or(id, |(_, inner)| inner);
    let inner = inner.strip_prefix("c-").unwrap_or(inner);
    let mut name: String = inner
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    // A longer one has no place; the settings may give it a shorter.
    name.truncate(64);
    name
}
