//! Predicates of clients, such as `amount > 5 AND country = 'CZ'`: parsed by DuckDB, walked node by node, and written
//! anew from the tree, so that what runs is what was judged and not what was typed.

mod dialect;
mod rules;

use domain::sql_ident::quote_ident;
use serde_json::Value;
use thiserror::Error;

use super::QueryError;
use super::gate::Gate;
use rules::Rules;

/// A longer one is made by a program that should use a table.
const MAX_LENGTH: usize = 16 << 10;

/// Words that begin a statement which changes something.
const CHANGES: [&str; 12] = [
    "alter", "attach", "call", "copy", "create", "delete", "drop", "insert", "merge", "pragma",
    "truncate", "update",
];

/// By which rule a predicate is refused. What breaks several is refused by the first of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Rejection {
    /// It is empty, too long, or no expression.
    #[error("the predicate cannot be parsed")]
    Parse,
    /// It holds more than one statement.
    #[error("the predicate holds more than one statement")]
    Statements,
    /// It holds something that is no condition on a row.
    #[error("the predicate holds something that is no condition on a row")]
    Node,
    /// It holds a SELECT.
    #[error("the predicate holds a SELECT")]
    Select,
    /// It changes something.
    #[error("the predicate changes something")]
    Change,
    /// It names another table.
    #[error("the predicate names another table")]
    Table,
    /// It calls a function that is not on the list.
    #[error("the predicate calls `{0}`, which is not allowed")]
    Function(String),
    /// It names a column that the table does not have.
    #[error("the table has no column `{0}`")]
    Column(String),
}

impl Rejection {
    /// As clients tell them apart.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Parse => "parse_error",
            Self::Statements => "multi_statement",
            Self::Node => "disallowed_node",
            Self::Select => "nested_select",
            Self::Change => "ddl_or_dml",
            Self::Table => "cross_table_reference",
            Self::Function(_) => "unknown_function",
            Self::Column(_) => "unknown_column",
        }
    }

    /// What exactly is refused, and what that is.
    pub fn culprit(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Function(name) => Some(("function", name)),
            Self::Column(name) => Some(("column", name)),
            _ => None,
        }
    }
}

/// A predicate as a condition that can be put into other SQL, made anew from its syntax tree.
pub(super) fn condition_of(
    gate: &Gate,
    table: &str,
    columns: &[&str],
    predicate: &str,
) -> Result<String, Rejection> {
    let sql = filtered(gate, table, columns, predicate)?;
    let (_, condition) = sql.split_once(" WHERE ").ok_or(Rejection::Parse)?;
    // A table's name holds no space, so the first one is ours.
    Ok(condition.trim_end_matches(';').to_owned())
}

/// The SQL for the rows of a table for which a predicate holds.
pub(super) fn filtered(
    gate: &Gate,
    table: &str,
    columns: &[&str],
    predicate: &str,
) -> Result<String, Rejection> {
    if predicate.trim().is_empty() || predicate.len() > MAX_LENGTH || predicate.contains('\0') {
        return Err(Rejection::Parse);
    }
    // The line end closes a comment; what closes the bracket shows in the tree.
    let sql = format!("SELECT * FROM {} WHERE ({predicate}\n)", quote_ident(table));
    let mut tree = gate
        .parse(&sql)
        .map_err(|error| refused(&error, predicate))?;
    let condition = condition(&mut tree)?;
    Rules { table, columns }.judge(condition)?;
    dialect::translate(gate, condition)?;
    gate.text(&tree).map_err(|_| Rejection::Parse)
}

fn refused(error: &QueryError, predicate: &str) -> Rejection {
    let first = predicate.split_whitespace().next().unwrap_or_default();
    match error {
        QueryError::Refused { .. } if predicate.contains(';') => Rejection::Statements,
        _ if CHANGES.contains(&first.to_ascii_lowercase().as_str()) => Rejection::Change,
        _ => Rejection::Parse,
    }
}

/// The condition of the one plain SELECT.
fn condition(tree: &mut Value) -> Result<&mut Value, Rejection> {
    let statements = tree.get_mut("statements").and_then(Value::as_array_mut);
    let node = match statements.map(Vec::as_mut_slice) {
        Some([statement]) => statement.get_mut("node").ok_or(Rejection::Parse)?,
        _ => return Err(Rejection::Statements),
    };
    if node.get("type").and_then(Value::as_str) != Some("SELECT_NODE") || !is_plain(node) {
        return Err(Rejection::Node);
    }
    match node.get_mut("where_clause") {
        Some(condition) if condition.is_object() => Ok(condition),
        _ => Err(Rejection::Parse),
    }
}

/// Whether a SELECT has a condition and nothing behind it.
fn is_plain(node: &Value) -> bool {
    let empty = |key| {
        node.get(key)
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    };
    let none = |key| node.get(key).is_none_or(Value::is_null);
    ["modifiers", "group_expressions", "group_sets"]
        .into_iter()
        .all(empty)
        && ["having", "qualify", "sample"].into_iter().all(none)
}

#[cfg(test)]
mod tests;
