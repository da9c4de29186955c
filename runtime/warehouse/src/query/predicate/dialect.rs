//! Functions that clients know by other names, or with their arguments in another order: each is replaced by what
//! DuckDB has for it, in the tree.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::gate::Gate;
use super::Rejection;

/// A function with so many arguments, and what takes its place; `arg_1` is the first argument, `arg_part` the part of
/// a date as text.
const TRANSLATIONS: [(&str, usize, &str); 15] = [
    ("contains_substr", 2, "contains(lower(arg_1), lower(arg_2))"),
    ("current_date", 0, "current_date"),
    ("current_time", 0, "current_time"),
    ("current_timestamp", 0, "current_timestamp"),
    ("date_diff", 3, "date_diff(arg_part, arg_2, arg_1)"),
    ("date_sub", 2, "arg_1 - arg_2"),
    ("date_trunc", 2, "date_trunc(arg_part, arg_1)"),
    ("datetime", 1, "CAST(arg_1 AS TIMESTAMP)"),
    ("format_date", 2, "strftime(arg_2, arg_1)"),
    ("format_timestamp", 2, "strftime(arg_2, arg_1)"),
    ("parse_date", 2, "CAST(strptime(arg_2, arg_1) AS DATE)"),
    ("parse_timestamp", 2, "strptime(arg_2, arg_1)"),
    ("regexp_contains", 2, "regexp_matches(arg_1, arg_2)"),
    ("regexp_like", 2, "regexp_matches(arg_1, arg_2)"),
    ("unix_seconds", 1, "CAST(epoch(arg_1) AS BIGINT)"),
];
/// The same where the name differs alone.
const RENAMED: [(&str, &str); 1] = [("unix_millis", "epoch_ms")];

/// Which argument names a part of a date where a column would stand.
const PARTS_AT: [(&str, usize); 2] = [("date_diff", 2), ("date_trunc", 1)];

const PARTS: [&str; 10] = [
    "year",
    "quarter",
    "month",
    "week",
    "isoweek",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
];

/// A function's name in lower case.
pub(super) fn name_of(node: &Value) -> String {
    let name = node.get("function_name").and_then(Value::as_str);
    name.unwrap_or_default().to_ascii_lowercase()
}

/// A function's arguments.
pub(super) fn children(node: &Value) -> &[Value] {
    let children = node.get("children").and_then(Value::as_array);
    children.map(Vec::as_slice).unwrap_or_default()
}

/// The argument of a function that is the part of a date, as in `DATE_TRUNC(day, MONTH)`: where, and which.
pub(super) fn part(node: &Value) -> Option<(usize, String)> {
    if node.get("class").and_then(Value::as_str) != Some("FUNCTION") {
        return None;
    }
    let name = name_of(node);
    let (_, at) = PARTS_AT.iter().find(|(known, _)| *known == name)?;
    let children = children(node);
    let names = children.get(*at)?.get("column_names")?.as_array()?;
    let [part] = names.as_slice() else {
        return None;
    };
    let part = part.as_str()?.to_ascii_lowercase();
    let fits = children.len() == at + 1 && PARTS.contains(&part.as_str());
    fits.then(|| {
        (
            *at,
            if part == "isoweek" {
                "week".to_owned()
            } else {
                part
            },
        )
    })
}

/// Replaces what has another name in DuckDB, from the inside out.
pub(super) fn translate(gate: &Gate, node: &mut Value) -> Result<(), Rejection> {
    let part = part(node);
    match node {
        Value::Array(items) => {
            for item in items {
                translate(gate, item)?;
            }
        }
        Value::Object(fields) => {
            for (_, value) in fields.iter_mut() {
                translate(gate, value)?;
            }
        }
        _ => return Ok(()),
    }
    if node.get("class").and_then(Value::as_str) == Some("FUNCTION") {
        replace(gate, node, part.map(|(_, part)| part))?;
    }
    Ok(())
}

fn replace(gate: &Gate, node: &mut Value, part: Option<String>) -> Result<(), Rejection> {
    let name = name_of(node);
    if let Some((_, to)) = RENAMED.iter().find(|(from, _)| *from == name)
        && let Some(function) = node.get_mut("function_name")
    {
        *function = Value::from(*to);
    }
    let arguments = children(node);
    let known =
        |(from, count, _): &&(&str, usize, &str)| *from == name && *count == arguments.len();
    let Some((_, _, to)) = TRANSLATIONS.iter().find(known) else {
        return Ok(());
    };
    // With the part as text in front, it is DuckDB's own form already.
    if to.contains("arg_part") && part.is_none() {
        return Ok(());
    }
    let mut given: BTreeMap<String, Value> = BTreeMap::new();
    for (number, argument) in (1..).zip(arguments) {
        given.insert(format!("arg_{number}"), argument.clone());
    }
    let part = part.map_or_else(|| "NULL".to_owned(), |part| format!("'{part}'"));
    let mut made = expression(gate, &to.replace("arg_part", &part))?;
    fill(&mut made, &given);
    *node = made;
    Ok(())
}

/// The tree of an expression.
fn expression(gate: &Gate, text: &str) -> Result<Value, Rejection> {
    let mut tree = gate
        .parse(&format!("SELECT {text}"))
        .map_err(|_| Rejection::Parse)?;
    let made = tree.pointer_mut("/statements/0/node/select_list/0");
    made.map(Value::take).ok_or(Rejection::Parse)
}

fn fill(node: &mut Value, given: &BTreeMap<String, Value>) {
    let name = node.pointer("/column_names/0").and_then(Value::as_str);
    if let Some(argument) = name.and_then(|name| given.get(name)) {
        *node = argument.clone();
        return;
    }
    match node {
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, given)),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| fill(value, given)),
        _ => {}
    }
}
