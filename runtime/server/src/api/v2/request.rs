//! What a scan asks for, read and checked in the order in which old clients are told what is wrong.

use domain::sql_ident::quote_ident;
use serde_json::{Value, json};
use utoipa::ToSchema;
use warehouse::{CatalogTable, QueryEngine, Rejection};

use crate::error::{ApiError, ApiResult};

/// The longest name of a column that is taken.
const MAX_NAME: usize = 64;

/// A part of a table's rows.
#[derive(Debug, Clone, PartialEq, ToSchema)]
pub(crate) struct ScanRequest {
    /// The table.
    pub(super) table_id: String,
    /// Columns; all by default.
    pub(super) select: Option<Vec<String>>,
    /// A condition on its columns, such as `amount > 5 AND country = 'CZ'`.
    #[schema(rename = "where")]
    pub(super) condition: Option<String>,
    /// At most so many rows.
    pub(super) limit: Option<u64>,
    /// Columns, each with `ASC` or `DESC` behind it or not.
    pub(super) order_by: Option<Vec<String>>,
}

/// What is wrong with a request, in the words of the predecessor.
pub(super) fn refused(detail: impl Into<String>) -> ApiError {
    ApiError::bad_request("scan-refused", detail)
}

fn invalid(field: &str, reason: &str) -> ApiError {
    refused(format!(
        "1 validation error for ScanRequest\n{field}\n  {reason}"
    ))
}

impl ScanRequest {
    /// Reads a body.
    pub(super) fn read(body: &[u8]) -> ApiResult<Self> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| refused("the body is no JSON; send an object with `table_id`"))?;
        let text = |key: &str| match body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(key, "Input should be a valid string")),
        };
        let texts = |key: &str| match body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned));
                let items = items.collect::<Option<Vec<_>>>();
                items
                    .map(Some)
                    .ok_or_else(|| invalid(key, "Input should be a valid string"))
            }
            Some(_) => Err(invalid(key, "Input should be a valid list")),
        };
        let limit = match body.get("limit") {
            None | Some(Value::Null) => None,
            Some(limit) => match limit.as_u64().filter(|limit| *limit > 0) {
                None => {
                    return Err(invalid(
                        "limit",
                        "Input should be greater than or equal to 1",
                    ));
                }
                limit => limit,
            },
        };
        Ok(Self {
            table_id: text("table_id")?.ok_or_else(|| invalid("table_id", "Field required"))?,
            select: texts("select")?,
            condition: text("where")?,
            limit,
            order_by: texts("order_by")?,
        })
    }

    /// The SQL that answers it. The table is one that may be read, and the limit was checked.
    pub(super) fn sql(&self, table: &CatalogTable, engine: &QueryEngine) -> ApiResult<String> {
        let columns: Vec<&str> = table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let name = table.name.as_str();
        let rows = match &self.condition {
            Some(condition) => {
                let rows = engine.filtered(name, &columns, condition);
                format!("({})", rows.map_err(|rejection| rejected(&rejection))?)
            }
            None => quote_ident(name),
        };
        let select = self.selected(&columns)?;
        let mut sql = format!("SELECT {select} FROM {rows}");
        let order = self.ordered(&columns)?;
        if !order.is_empty() {
            sql.push_str(&format!(" ORDER BY {order}"));
        }
        if let Some(limit) = self.limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        Ok(sql)
    }

    fn selected(&self, columns: &[&str]) -> ApiResult<String> {
        let Some(names) = self.select.as_deref().filter(|names| !names.is_empty()) else {
            return Ok("*".to_owned());
        };
        let mut unknown = Vec::new();
        let mut selected = Vec::new();
        for name in names {
            if !is_name(name) {
                return Err(refused(format!("invalid column name: {}", shown(name))));
            }
            match known(columns, name) {
                Some(column) => selected.push(quote_ident(column)),
                None => unknown.push(shown(name)),
            }
        }
        match unknown.is_empty() {
            true => Ok(selected.join(", ")),
            false => Err(refused(format!(
                "unknown columns: [{}]",
                unknown.join(", ")
            ))),
        }
    }

    fn ordered(&self, columns: &[&str]) -> ApiResult<String> {
        let entries = self.order_by.iter().flatten().map(|entry| {
            let invalid = || refused(format!("invalid order_by entry: {}", shown(entry)));
            let words: Vec<&str> = entry.split_whitespace().collect();
            let (name, direction) = match words.as_slice() {
                [name] => (*name, ""),
                [name, word] if word.eq_ignore_ascii_case("asc") => (*name, " ASC"),
                [name, word] if word.eq_ignore_ascii_case("desc") => (*name, " DESC"),
                _ => return Err(invalid()),
            };
            if !is_name(name) || entry.starts_with(char::is_whitespace) {
                return Err(invalid());
            }
            let column = known(columns, name)
                .ok_or_else(|| refused(format!("unknown order_by column: {}", shown(name))))?;
            Ok(format!("{}{direction}", quote_ident(column)))
        });
        Ok(entries.collect::<ApiResult<Vec<_>>>()?.join(", "))
    }
}

fn rejected(rejection: &Rejection) -> ApiError {
    let details = match rejection.culprit() {
        Some((what, name)) => json!({ what: name }),
        None => json!({}),
    };
    ApiError {
        object: Some(Box::new(json!({
            "error": "validator_rejected", "kind": rejection.kind(), "details": details,
        }))),
        ..ApiError::bad_request("predicate-refused", rejection.to_string())
    }
}

fn known<'a>(columns: &[&'a str], name: &str) -> Option<&'a str> {
    let mut columns = columns.iter().copied();
    columns.find(|column| column.eq_ignore_ascii_case(name))
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Between quotes, as Python shows it.
fn shown(text: &str) -> String {
    let text: String = text
        .chars()
        .take(MAX_NAME)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    match text.contains('\'') && !text.contains('"') {
        true => format!("\"{text}\""),
        false => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}
