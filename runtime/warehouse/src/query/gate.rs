//! The syntax-tree gate: SQL is parsed by DuckDB into JSON on a connection that sees nothing, and
//! refused unless it is one SELECT over granted tables. Nothing is prepared before it has passed.

mod functions;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::{Connection, params};
use hashlink::LruCache;
use serde_json::{Map, Value};

use super::QueryError;
use crate::open;
use functions::{TABLE_FUNCTIONS, scalar, unqualified};

/// A longer query is made by a program that should use a table.
const MAX_SQL: usize = 256 << 10;

/// What may stand where a table stands.
const TABLE_REFS: [&str; 7] = [
    "BASE_TABLE",
    "EMPTY",
    "EXPRESSION_LIST",
    "JOIN",
    "PIVOT",
    "SUBQUERY",
    "TABLE_FUNCTION",
];

/// What a query may be made of.
const QUERY_NODES: [&str; 4] = [
    "SELECT_NODE",
    "SET_OPERATION_NODE",
    "RECURSIVE_CTE_NODE",
    "CTE_NODE",
];

/// How many texts are known with their syntax trees, and how long the tree of one may be as JSON: a few MB at worst.
const KNOWN: usize = 128;
const MOST_KNOWN_TREE: usize = 16 << 10;

/// Parses and judges SQL.
#[derive(Debug)]
pub(super) struct Gate {
    connection: Mutex<Connection>,
    /// Trees of texts that were parsed lately: a tree depends on its text alone, and is judged anew each time.
    known: Mutex<LruCache<String, Arc<Value>>>,
}

impl Gate {
    pub(super) fn new() -> duckdb::Result<Self> {
        let connection = open::in_memory("256MB", 1)?;
        connection
            .execute_batch("SET enable_external_access = false; SET lock_configuration = true")?;
        Ok(Self {
            connection: Mutex::new(connection),
            known: Mutex::new(LruCache::new(KNOWN)),
        })
    }

    /// Refuses everything that is not one SELECT over tables for which `granted` says yes.
    pub(super) fn check(
        &self,
        sql: &str,
        granted: impl Fn(&str) -> bool,
    ) -> Result<(), QueryError> {
        if sql.len() > MAX_SQL {
            return Err(QueryError::refused(format!(
                "it is longer than {} KiB",
                MAX_SQL >> 10
            )));
        }
        if sql.trim().is_empty() || sql.contains('\0') {
            return Err(QueryError::refused("it is empty, or holds a zero byte"));
        }
        let tree = self.tree(sql)?;
        let statements = tree
            .get("statements")
            .and_then(Value::as_array)
            .map(Vec::as_slice);
        let Some([statement]) = statements else {
            return Err(QueryError::refused(
                "only a single SELECT statement is allowed",
            ));
        };
        let mut names = HashSet::new();
        ctes(statement, &mut names)?;
        let walker = Walker {
            ctes: &names,
            granted: &granted,
        };
        walker.walk(statement)
    }

    /// The syntax tree of a text that may have been parsed before.
    fn tree(&self, sql: &str) -> Result<Arc<Value>, QueryError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = known().get(sql) {
            return Ok(Arc::clone(tree));
        }
        let (tree, length) = self.parsed(sql)?;
        let tree = Arc::new(tree);
        if length <= MOST_KNOWN_TREE {
            known().insert(sql.to_owned(), Arc::clone(&tree));
        }
        Ok(tree)
    }

    /// The syntax tree of SELECT statements.
    pub(super) fn parse(&self, sql: &str) -> Result<Value, QueryError> {
        self.parsed(sql).map(|(tree, _)| tree)
    }

    /// The tree, and its length as JSON.
    fn parsed(&self, sql: &str) -> Result<(Value, usize), QueryError> {
        let connection = self.connection()?;
        let parse = "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR";
        let text: String = connection
            .query_row(parse, params![sql], |row| row.get(0))
            .map_err(|_| QueryError::refused("it cannot be parsed"))?;
        let tree: Value = serde_json::from_str(&text)
            .map_err(|_| QueryError::refused("it is nested too deeply"))?;
        if tree.get("error").and_then(Value::as_bool) != Some(false) {
            return Err(failed(&tree));
        }
        Ok((tree, text.len()))
    }

    /// The SQL of a syntax tree.
    pub(super) fn text(&self, tree: &Value) -> Result<String, QueryError> {
        let write = "SELECT json_deserialize_sql(?::JSON)";
        let told = |error: duckdb::Error| QueryError::Engine {
            reason: error.to_string(),
        };
        let connection = self.connection()?;
        connection
            .query_row(write, params![tree.to_string()], |row| row.get(0))
            .map_err(told)
    }

    fn connection(&self) -> Result<Connection, QueryError> {
        let gate = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        gate.try_clone().map_err(|error| QueryError::Engine {
            reason: error.to_string(),
        })
    }
}

fn failed(tree: &Value) -> QueryError {
    let said = |key| tree.get(key).and_then(Value::as_str).unwrap_or_default();
    match said("error_type") {
        "parser" => QueryError::Sql {
            message: format!("Parser Error: {}", said("error_message")),
        },
        _ => QueryError::refused("only a single SELECT statement is allowed"),
    }
}

/// The names of all common table expressions. Each must be a plain word, so that none can stand for a
/// file where it is out of reach.
fn ctes(node: &Value, names: &mut HashSet<String>) -> Result<(), QueryError> {
    let children: Box<dyn Iterator<Item = &Value>> = match node {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => {
            let map = fields
                .get("cte_map")
                .and_then(|map| map.get("map"))
                .and_then(Value::as_array);
            let listed = map
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.get("key")?.as_str());
            let own = text(fields, "cte_name");
            for name in listed.chain(own).filter(|name| !name.is_empty()) {
                plain(name)?;
                names.insert(name.to_ascii_lowercase());
            }
            Box::new(fields.values())
        }
        _ => return Ok(()),
    };
    for child in children {
        ctes(child, names)?;
    }
    Ok(())
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key).and_then(Value::as_str)
}

/// DuckDB takes an unknown table name for a file's when it looks like one.
fn plain(name: &str) -> Result<(), QueryError> {
    if name
        .chars()
        .any(|c| !(c.is_alphanumeric() || matches!(c, '_' | ' ' | '-' | '$')))
    {
        return Err(QueryError::refused(
            "a table's name must not look like a file or an address",
        ));
    }
    Ok(())
}

struct Walker<'a> {
    ctes: &'a HashSet<String>,
    granted: &'a dyn Fn(&str) -> bool,
}

impl Walker<'_> {
    fn walk(&self, node: &Value) -> Result<(), QueryError> {
        match node {
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item)),
            Value::Object(fields) => self.object(fields),
            _ => Ok(()),
        }
    }

    fn object(&self, fields: &Map<String, Value>) -> Result<(), QueryError> {
        let kind = text(fields, "type").unwrap_or_default();
        let mut is_table_function = false;
        if fields.contains_key("modifiers") && !QUERY_NODES.contains(&kind) {
            return Err(QueryError::refused("only SELECT is allowed"));
        }
        // Every table reference, and nothing else, can be sampled.
        if fields.contains_key("sample") && !fields.contains_key("modifiers") {
            if !TABLE_REFS.contains(&kind) {
                return Err(QueryError::refused(
                    "only tables, subqueries and joins can be read from",
                ));
            }
            is_table_function = kind == "TABLE_FUNCTION";
            if kind == "BASE_TABLE" {
                self.table(fields)?;
            }
        }
        match text(fields, "class") {
            Some("PARAMETER") => return Err(QueryError::refused("parameters have no value here")),
            Some("FUNCTION" | "WINDOW") => scalar(fields)?,
            _ => {}
        }
        for (key, child) in fields {
            if is_table_function && key == "function" {
                self.table_function(child)?;
            } else {
                self.walk(child)?;
            }
        }
        Ok(())
    }

    fn table(&self, fields: &Map<String, Value>) -> Result<(), QueryError> {
        let name = text(fields, "table_name").unwrap_or_default();
        plain(name)?;
        let schema = text(fields, "schema_name").unwrap_or_default();
        let catalog = text(fields, "catalog_name").unwrap_or_default();
        let here = catalog.is_empty() && (schema.is_empty() || schema.eq_ignore_ascii_case("main"));
        if !here {
            return Err(QueryError::refused(
                "tables are named without a database or schema",
            ));
        }
        // Asked in any case: within a common table expression its own name is the table's.
        let known = (self.granted)(name)
            || (schema.is_empty() && self.ctes.contains(&name.to_ascii_lowercase()));
        match known {
            true => Ok(()),
            false => Err(QueryError::UnknownTable {
                name: shorten(name),
            }),
        }
    }

    fn table_function(&self, function: &Value) -> Result<(), QueryError> {
        let Value::Object(fields) = function else {
            return Err(QueryError::refused("this cannot be read from"));
        };
        let name = text(fields, "function_name")
            .unwrap_or_default()
            .to_ascii_lowercase();
        if !TABLE_FUNCTIONS.contains(&name.as_str()) || text(fields, "class") != Some("FUNCTION") {
            let (name, allowed) = (shorten(&name), TABLE_FUNCTIONS.join(", "));
            return Err(QueryError::refused(format!(
                "the table function `{name}` is not allowed; these are: {allowed}"
            )));
        }
        unqualified(fields)?;
        fields.values().try_for_each(|child| self.walk(child))
    }
}

pub(super) fn shorten(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_known_is_judged_anew() {
        let gate = Gate::new().unwrap();
        let sql = "SELECT count(*) FROM orders";
        for _ in 0..2 {
            gate.check(sql, |table| table == "orders").unwrap();
            let refused = gate.check(sql, |_| false).unwrap_err();
            assert!(matches!(refused, QueryError::UnknownTable { name } if name == "orders"));
        }
        assert_eq!(gate.known.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_parsed_or_is_large_is_not_kept() {
        let gate = Gate::new().unwrap();
        gate.check("SELECT FROM WHERE", |_| true).unwrap_err();
        let wide = vec!["1"; 1_000].join(", ");
        gate.check(&format!("SELECT {wide}"), |_| true).unwrap();
        for n in 0..2 * KNOWN {
            gate.check(&format!("SELECT {n}"), |_| true).unwrap();
        }
        let known = gate.known.lock().unwrap();
        assert!(known.len() == KNOWN && known.iter().all(|(sql, _)| sql.len() < 20));
    }
}
