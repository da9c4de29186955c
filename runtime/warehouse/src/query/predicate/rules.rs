//! What a predicate may be made of. Whatever is not named here is refused.

use serde_json::Value;

use super::super::gate::shorten;
use super::Rejection;
use super::dialect::{children, name_of, part};

/// What clients may call, and what DuckDB's parser makes of the forms that are written otherwise: `INTERVAL 1 DAY`,
/// `EXTRACT`, `LIKE … ESCAPE`, `SIMILAR TO`.
const FUNCTIONS: [&str; 75] = [
    "abs",
    "ceil",
    "concat",
    "contains_substr",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "date_add",
    "date_diff",
    "date_part",
    "date_sub",
    "date_trunc",
    "datetime",
    "ends_with",
    "exp",
    "floor",
    "format_date",
    "format_timestamp",
    "greatest",
    "ilike_escape",
    "least",
    "length",
    "like_escape",
    "ln",
    "log",
    "lower",
    "ltrim",
    "mod",
    "not_ilike_escape",
    "not_like_escape",
    "nullif",
    "parse_date",
    "parse_timestamp",
    "power",
    "regexp_contains",
    "regexp_extract",
    "regexp_full_match",
    "regexp_like",
    "replace",
    "round",
    "rtrim",
    "sign",
    "sqrt",
    "starts_with",
    "substr",
    "substring",
    "time",
    "timestamp",
    "to_centuries",
    "to_days",
    "to_decades",
    "to_hours",
    "to_microseconds",
    "to_millennia",
    "to_milliseconds",
    "to_minutes",
    "to_months",
    "to_quarters",
    "to_seconds",
    "to_weeks",
    "to_years",
    "trim",
    "trunc",
    "unix_millis",
    "unix_seconds",
    "upper",
    "ceiling",
    "pow",
    "ifnull",
    "coalesce",
    "if",
    "extract",
    "cast",
    "safe_cast",
];

/// Functions that are written as signs.
const OPERATORS: [&str; 11] = [
    "+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*",
];

/// Tests and choices that DuckDB has as nodes of their own.
const TESTS: [&str; 6] = [
    "COMPARE_IN",
    "COMPARE_NOT_IN",
    "OPERATOR_COALESCE",
    "OPERATOR_IS_NOT_NULL",
    "OPERATOR_IS_NULL",
    "OPERATOR_NOT",
];

/// Names that stand for a moment where no column has them.
const MOMENTS: [&str; 3] = ["current_date", "current_time", "current_timestamp"];

/// The table that a predicate is about.
pub(super) struct Rules<'a> {
    pub(super) table: &'a str,
    pub(super) columns: &'a [&'a str],
}

impl Rules<'_> {
    /// Refuses a condition by the first rule that it breaks anywhere.
    pub(super) fn judge(&self, condition: &Value) -> Result<(), Rejection> {
        let mut found = Vec::new();
        self.walk(condition, &mut found);
        found.into_iter().min().map_or(Ok(()), Err)
    }

    fn walk(&self, node: &Value, found: &mut Vec<Rejection>) {
        let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("class") {
            "COMPARISON" | "CONJUNCTION" | "CONSTANT" | "CAST" | "CASE" | "BETWEEN" => {}
            "OPERATOR" if TESTS.contains(&text("type")) => {}
            "COLUMN_REF" => found.extend(self.column(node)),
            "FUNCTION" => found.extend(function(node)),
            "WINDOW" => found.push(Rejection::Function(name_of(node))),
            "SUBQUERY" => return found.push(Rejection::Select),
            _ => found.push(Rejection::Node),
        }
        let part = part(node).map(|(at, _)| at);
        let mut inner = Vec::new();
        operands(node, &mut inner);
        let arguments = inner.into_iter().enumerate();
        for (_, operand) in arguments.filter(|(at, _)| Some(*at) != part) {
            self.walk(operand, found);
        }
    }

    fn column(&self, node: &Value) -> Option<Rejection> {
        let names = node.get("column_names").and_then(Value::as_array)?;
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        let known = |name: &str| {
            let columns = self.columns.iter();
            columns
                .into_iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        match names.as_slice() {
            [name] if known(name) => None,
            [name] if MOMENTS.contains(&name.to_ascii_lowercase().as_str()) => None,
            [table, name] if table.eq_ignore_ascii_case(self.table) && known(name) => None,
            [table, name] if table.eq_ignore_ascii_case(self.table) => {
                Some(Rejection::Column(shorten(name)))
            }
            [name] => Some(Rejection::Column(shorten(name))),
            _ => Some(Rejection::Table),
        }
    }
}

/// Everything below a node that is an expression.
fn operands<'a>(node: &'a Value, into: &mut Vec<&'a Value>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| operand(item, into)),
        Value::Object(fields) => {
            let inner = fields
                .iter()
                .filter(|(key, _)| *key != "value" && *key != "cast_type");
            inner.for_each(|(_, value)| operand(value, into));
        }
        _ => {}
    }
}

fn operand<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value.get("class") {
        Some(_) => into.push(value),
        None => operands(value, into),
    }
}

fn function(node: &Value) -> Option<Rejection> {
    let name = name_of(node);
    let flag = |key| node.get(key).and_then(Value::as_bool).unwrap_or(false);
    let text = |key| node.get(key).and_then(Value::as_str).unwrap_or_default();
    let orders = node.pointer("/order_bys/orders").and_then(Value::as_array);
    let aggregates = flag("distinct")
        || flag("export_state")
        || node.get("filter").is_some_and(|filter| !filter.is_null())
        || orders.is_some_and(|orders| !orders.is_empty());
    let known = match flag("is_operator") {
        true => OPERATORS.contains(&name.as_str()),
        false => FUNCTIONS.contains(&name.as_str()),
    };
    let is_here = text("catalog").is_empty() && matches!(text("schema"), "" | "main");
    let fits = known && is_here && !aggregates && children(node).len() <= 64;
    (!fits).then(|| Rejection::Function(shorten(&name)))
}
