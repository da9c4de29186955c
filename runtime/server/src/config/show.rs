//! A configuration as YAML again, for people to compare with what they meant. Secrets are masked.

use std::fmt::Write as _;

use serde_json::Value;

use super::Config;

/// Every key with the value that holds.
pub(crate) fn show(config: &Config) -> String {
    let mut text = String::new();
    let value = serde_json::to_value(config).unwrap_or_default();
    write(&value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let _ = write!(text, "{indent}{key}:");
                below(value, depth + 1, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                write(item, depth + 1, &mut inner);
                let _ = writeln!(text, "{indent}- {}", inner.trim());
            }
        }
        // JSON's scalars are YAML's.
        scalar => {
            let _ = writeln!(text, "{indent}{scalar}");
        }
    }
}

fn below(value: &Value, depth: usize, text: &mut String) {
    let is_empty = value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty);
    if is_empty || !(value.is_array() || value.is_object()) {
        let _ = writeln!(text, " {value}");
    } else {
        text.push('\n');
        write(value, depth, text);
    }
}
