//! A metric as YAML that people like to read and edit.

use std::fmt::Write;

use serde_json::Value;

/// What a definition consists of, in the order in which it is read. The rest is for the server to say.
const FIELDS: [&str; 18] = [
    "name",
    "display_name",
    "category",
    "description",
    "type",
    "unit",
    "grain",
    "table_name",
    "tables",
    "expression",
    "time_column",
    "dimensions",
    "filters",
    "synonyms",
    "notes",
    "sql",
    "sql_variants",
    "validation",
];

/// The document of one metric.
pub(super) fn write(metric: &Value) -> String {
    let mut text = String::new();
    for field in FIELDS {
        // The predecessor's servers sent these two as JSON within a text.
        let parsed = match (&metric[field], field) {
            (Value::String(inner), "sql_variants" | "validation") => {
                serde_json::from_str(inner).unwrap_or(Value::Null)
            }
            (value, _) => value.clone(),
        };
        if !is_empty(&parsed) {
            // Writing to a string cannot fail.
            writeln!(text, "{field}: {}", scalar(&parsed)).ok();
        }
    }
    text
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A text of several lines as a block; everything else as JSON, all of which is YAML too.
fn scalar(value: &Value) -> String {
    let block = value.as_str().filter(|text| is_block(text));
    block.map_or_else(
        || value.to_string(),
        |text| {
            let keep = if text.ends_with('\n') { "|" } else { "|-" };
            let lines = text.trim_end_matches('\n').lines();
            let lines = lines.map(|line| match line {
                "" => "\n".to_owned(),
                line => format!("\n  {line}"),
            });
            format!("{keep}{}", lines.collect::<String>())
        },
    )
}

/// Whether a block says exactly this text: its indentation is taken from its first line, its end from its last.
fn is_block(text: &str) -> bool {
    let odd = |c: char| (c.is_control() && c != '\n') || "\u{2028}\u{2029}\u{feff}".contains(c);
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && !text.contains(" \n")
        && !text.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_of_several_lines_stays_readable_and_odd_text_stays_exact() {
        let metric = serde_json::json!({"name": "net", "category": "sales", "sql": "SELECT 1\n  FROM t\n\nWHERE x\n",
            "description": "a: \"b\"\n\t#", "tables": ["t"], "unit": null, "sql_variants": "{\"by_day\": \"SELECT 2\"}", "created_at": "x"});
        assert_eq!(
            write(&metric),
            "name: \"net\"\ncategory: \"sales\"\ndescription: \"a: \\\"b\\\"\\n\\t#\"\ntables: [\"t\"]\nsql: |\n  SELECT 1\n    FROM t\n\n  WHERE x\nsql_variants: {\"by_day\":\"SELECT 2\"}\n"
        );
    }
}
