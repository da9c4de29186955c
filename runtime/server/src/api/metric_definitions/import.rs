//! Definitions from a YAML file, as `docs/metrics/CATEGORY/NAME.yml` of the predecessor held them.

use std::collections::BTreeMap;

use axum::extract::Multipart;
use domain::MetricDefinition;
use serde_json::Value;

use super::NewMetric;
use crate::config;
use crate::error::{ApiError, ApiResult};

/// What begins the keys that hold the same metric by other words.
const VARIANT: &str = "sql_";

/// The text of the field `file`.
pub(super) async fn file(mut form: Multipart) -> ApiResult<String> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        ApiError::bad_request("form-invalid", error.body_text())
    };
    while let Some(field) = form.next_field().await.map_err(broken)? {
        if field.name() == Some("file") {
            let bytes = field.bytes().await.map_err(broken)?;
            return String::from_utf8(bytes.into()).map_err(|error| yaml_error(&error.to_string()));
        }
    }
    Err(ApiError::invalid(
        "file-missing",
        "The form has no field `file`",
    ))
}

fn yaml_error(reason: &str) -> ApiError {
    ApiError::bad_request("yaml-invalid", format!("Invalid YAML: {reason}"))
}

/// All definitions of a file, one or a list.
pub(super) fn definitions(text: &str) -> ApiResult<Vec<MetricDefinition>> {
    let items = match config::yaml_to_json(text).map_err(|error| yaml_error(&error))? {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        item => vec![item],
    };
    if items.is_empty() {
        return Err(ApiError::bad_request("yaml-empty", "Empty YAML file"));
    }
    items.into_iter().map(definition).collect()
}

fn definition(item: Value) -> ApiResult<MetricDefinition> {
    let named = |key: &str| item.get(key).is_some_and(Value::is_string);
    if !named("name") || !named("category") {
        return Err(ApiError::bad_request(
            "metric-incomplete",
            "Each metric must have 'name' and 'category' fields",
        ));
    }
    let variants = variants(&item);
    let mut new: NewMetric =
        serde_json::from_value(item).map_err(|error| yaml_error(&error.to_string()))?;
    new.sql_variants.get_or_insert_default().extend(variants);
    new.checked("yaml_import")
}

/// `sql_by_month: …` is the variant `by_month`.
fn variants(item: &Value) -> BTreeMap<String, String> {
    let fields = item.as_object().into_iter().flatten();
    let variants = fields.filter_map(|(key, value)| {
        let name = key
            .strip_prefix(VARIANT)
            .filter(|name| name.starts_with("by_"))?;
        Some((name.to_owned(), value.as_str()?.to_owned()))
    });
    variants.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_definition_or_several_come_with_their_variants_and_defaults() {
        let text = "name: mrr\ncategory: revenue\ntable: orders\nsql: SELECT 1\nsql_by_month: SELECT 2\nvalidation:\n  min: 0\n";
        let metric = definitions(text).unwrap().remove(0);
        assert_eq!(
            (metric.id.as_str(), metric.kind.as_str()),
            ("revenue/mrr", "sum")
        );
        assert_eq!(metric.table_name.as_deref(), Some("orders"));
        assert_eq!(metric.sql_variants["by_month"], "SELECT 2");
        assert_eq!(metric.validation.unwrap()["min"], 0);
        assert_eq!(metric.source, "yaml_import");
        let list = "- {name: a, category: x}\n- {name: b, category: x}\n";
        assert_eq!(definitions(list).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_definition_is_refused_in_words() {
        for (text, words) in [
            ("", "Empty YAML file"),
            ("[]", "Empty YAML file"),
            ("name: a", "Each metric must have"),
            ("just words", "Each metric must have"),
            ("name: [a", "Invalid YAML"),
            ("{name: a, category: x, tables: 7}", "Invalid YAML"),
            ("{name: a/b, category: x}", "`name` is"),
        ] {
            let error = definitions(text).unwrap_err();
            assert!(error.detail.starts_with(words), "{text}: {}", error.detail);
        }
    }
}
