//! What an admin sends as a definition, and whether it makes sense.

use std::collections::BTreeMap;

use domain::MetricDefinition;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult};

/// Names stand in paths.
const MOST_NAME: usize = 100;

/// A definition of a metric.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewMetric {
    /// `CATEGORY/NAME`, which is also what it is by default.
    id: Option<String>,
    name: String,
    /// The name by default.
    display_name: Option<String>,
    category: String,
    description: Option<String>,
    /// How it adds up; `sum` by default.
    #[serde(rename = "type")]
    kind: Option<String>,
    unit: Option<String>,
    /// `monthly` by default.
    grain: Option<String>,
    #[serde(alias = "table")]
    table_name: Option<String>,
    #[serde(default)]
    tables: Option<Vec<String>>,
    expression: Option<String>,
    time_column: Option<String>,
    #[serde(default)]
    dimensions: Option<Vec<String>>,
    #[serde(default)]
    filters: Option<Vec<String>>,
    #[serde(default)]
    synonyms: Option<Vec<String>>,
    #[serde(default)]
    notes: Option<Vec<String>>,
    sql: Option<String>,
    #[serde(default)]
    pub(super) sql_variants: Option<BTreeMap<String, String>>,
    #[schema(value_type = Object)]
    validation: Option<Value>,
    source: Option<String>,
}

impl NewMetric {
    /// The definition, from a source that it may name itself.
    pub(super) fn checked(self, source: &str) -> ApiResult<MetricDefinition> {
        let (name, category) = (part("name", &self.name)?, part("category", &self.category)?);
        let id = format!("{category}/{name}");
        if self.id.is_some_and(|given| given != id) {
            return Err(ApiError::invalid(
                "id-invalid",
                format!("`id` is `CATEGORY/NAME`, here `{id}`"),
            ));
        }
        let now = Timestamp::now();
        Ok(MetricDefinition {
            id,
            display_name: self.display_name.unwrap_or_else(|| name.clone()),
            name,
            category,
            description: self.description,
            kind: self.kind.unwrap_or_else(|| "sum".to_owned()),
            unit: self.unit,
            grain: self.grain.unwrap_or_else(|| "monthly".to_owned()),
            table_name: self.table_name,
            tables: self.tables.unwrap_or_default(),
            expression: self.expression,
            time_column: self.time_column,
            dimensions: self.dimensions.unwrap_or_default(),
            filters: self.filters.unwrap_or_default(),
            synonyms: self.synonyms.unwrap_or_default(),
            notes: self.notes.unwrap_or_default(),
            sql: self.sql.unwrap_or_default(),
            sql_variants: self.sql_variants.unwrap_or_default(),
            validation: self.validation,
            source: self.source.unwrap_or_else(|| source.to_owned()),
            created_at: now,
            updated_at: now,
        })
    }
}

fn part(field: &str, text: &str) -> ApiResult<String> {
    let text = text.trim();
    let is_plain = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    if text.is_empty() || text.len() > MOST_NAME || !text.chars().all(is_plain) {
        return Err(ApiError::invalid(
            "name-invalid",
            format!(
                "`{field}` is empty, longer than {MOST_NAME} bytes, or has other characters than letters, digits, spaces and `_-.`"
            ),
        ));
    }
    Ok(text.to_owned())
}
