//! Holds a tree against the schema: what an editor marks in a file, the server refuses, and the
//! reverse.
//!
//! The schema is a subset of JSON Schema, which a test keeps to what is understood here. Everything
//! that is wrong is told at once, and what remains without it can be read.

mod words;

use serde_json::{Map, Value};

use super::formats;
use super::problem::{At, Problem};
use super::yaml::{Entry, Node, Text, Yaml, scalar};
use words::{below, bounds, count, keys, quoted};

/// Checks a tree; returns it without what is wrong.
pub(super) fn check(node: Node, schema: &Value, problems: &mut Vec<Problem>) -> Node {
    let at = node.at;
    let mut checker = Checker { schema, problems };
    let checked = checker.value(node, schema, "");
    checked.unwrap_or_else(|| Node::new(at, Yaml::Map(Vec::new())))
}

struct Checker<'a> {
    schema: &'a Value,
    problems: &'a mut Vec<Problem>,
}

/// What a place of the schema asks for.
struct Rule<'a> {
    schema: &'a Value,
    kind: &'a str,
    nullable: bool,
}

impl<'a> Checker<'a> {
    fn problem(&mut self, at: At, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    /// Follows references, and takes `null` out of what is allowed.
    fn rule(&self, schema: &'a Value) -> Rule<'a> {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/$defs/");
            return self.rule(&self.schema["$defs"][name]);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let is_null = |choice: &&Value| choice["type"] == "null";
            let other = choices.iter().find(|choice| !is_null(choice));
            let rule = self.rule(other.unwrap_or(&Value::Null));
            return Rule {
                nullable: choices.iter().any(|choice| is_null(&choice)),
                ..rule
            };
        }
        let kinds = schema["type"].as_array();
        let first = kinds.and_then(|kinds| kinds.iter().find(|kind| *kind != "null"));
        Rule {
            schema,
            kind: first
                .unwrap_or(&schema["type"])
                .as_str()
                .unwrap_or("string"),
            nullable: kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "null")),
        }
    }

    fn value(&mut self, node: Node, schema: &'a Value, path: &str) -> Option<Node> {
        let rule = self.rule(schema);
        let node = if rule.kind == "string" {
            node
        } else {
            converted(node, rule.kind)
        };
        match &node.value {
            Yaml::Null if rule.nullable => return Some(node),
            // A section of which every line is commented out.
            Yaml::Null if rule.kind == "object" => return None,
            Yaml::Text(Text {
                text,
                foreign: true,
            }) if rule.nullable && text.is_empty() => {
                return Some(Node::new(node.at, Yaml::Null));
            }
            _ => {}
        }
        let at = node.at;
        match (rule.kind, node.value) {
            ("object", Yaml::Map(entries)) => self.map(at, entries, rule.schema, path),
            ("array", Yaml::List(items)) => self.list(at, items, rule.schema, path),
            ("integer", Yaml::Number(number)) => {
                let fits = self.number(at, &number, rule.schema, path);
                fits.then_some(Node::new(at, Yaml::Number(number)))
            }
            ("boolean", Yaml::Bool(value)) => Some(Node::new(at, Yaml::Bool(value))),
            ("string", Yaml::Text(text)) => {
                let fits = self.text(at, &text, rule.schema, path);
                fits.then_some(Node::new(at, Yaml::Text(text)))
            }
            (wanted, value) => {
                let message = words::wrong_kind(path, wanted, &value, rule.schema);
                self.problem(at, message);
                None
            }
        }
    }

    fn map(&mut self, at: At, entries: Vec<Entry>, schema: &'a Value, path: &str) -> Option<Node> {
        let none = Map::new();
        let known = schema["properties"].as_object().unwrap_or(&none);
        let lacking = self.lacks(at, &entries, schema, path);
        let mut kept = Vec::new();
        for Entry { key, at, node } in entries {
            let Some((_, schema)) = schema["properties"]
                .as_object()
                .and_then(|known| known.get_key_value(&key))
            else {
                let elsewhere = self.section_of(&key);
                let message = words::unknown(path, &key, known, elsewhere.as_deref());
                self.problem(at, message);
                continue;
            };
            if kept.iter().any(|entry: &Entry| entry.key == key) {
                continue;
            }
            if let Some(node) = self.value(node, schema, &below(path, &key)) {
                kept.push(Entry { key, at, node });
            }
        }
        let is_whole = kept_all(&kept, schema);
        (!lacking && is_whole).then_some(Node::new(at, Yaml::Map(kept)))
    }

    /// The section that has a key, for one that stands in the wrong place.
    fn section_of(&self, key: &str) -> Option<String> {
        let mut open = vec![(String::new(), self.schema)];
        while let Some((path, schema)) = open.pop() {
            let fields = self.rule(schema).schema["properties"].as_object();
            for (name, schema) in fields.into_iter().flatten() {
                if name == key {
                    return Some(path);
                }
                open.push((below(&path, name), schema));
            }
        }
        None
    }

    /// Tells which required keys are not there.
    fn lacks(&mut self, at: At, entries: &[Entry], schema: &Value, path: &str) -> bool {
        let required = schema["required"].as_array().into_iter().flatten();
        let missing: Vec<_> = required
            .filter_map(Value::as_str)
            .filter(|key| !entries.iter().any(|entry| entry.key == *key))
            .collect();
        if !missing.is_empty() {
            self.problem(at, format!("`{path}` lacks {}", keys(&missing)));
        }
        !missing.is_empty()
    }

    fn list(&mut self, at: At, items: Vec<Node>, schema: &'a Value, path: &str) -> Option<Node> {
        let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
        if count(items.len()) > most {
            let message = format!(
                "`{path}` has {} entries; at most {most} are read",
                items.len()
            );
            self.problem(at, message);
            return None;
        }
        let mut kept = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            kept.extend(self.value(item, &schema["items"], &format!("{path}[{index}]")));
        }
        Some(Node::new(at, Yaml::List(kept)))
    }

    fn number(&mut self, at: At, number: &serde_json::Number, schema: &Value, path: &str) -> bool {
        let least = schema["minimum"].as_i64().map_or(i128::MIN, i128::from);
        let most = schema["maximum"].as_u64().map_or(i128::MAX, i128::from);
        let whole = number.as_i64().map(i128::from);
        let whole = whole.or_else(|| number.as_u64().map(i128::from));
        let fits = whole.is_some_and(|whole| (least..=most).contains(&whole));
        if !fits {
            let bounds = bounds(schema["minimum"].as_i64(), schema["maximum"].as_u64());
            self.problem(
                at,
                format!("`{path}` must be a whole number {bounds}, not {number}"),
            );
        }
        fits
    }

    fn text(&mut self, at: At, text: &Text, schema: &Value, path: &str) -> bool {
        let found = quoted(text, schema);
        if let Some(choices) = words::choices(schema) {
            let fits = choices.contains(&text.text.as_str());
            if !fits {
                let one_of = words::or(&choices);
                self.problem(at, format!("`{path}` must be {one_of}{found}"));
            }
            return fits;
        }
        let length = count(text.text.chars().count());
        let least = schema["minLength"].as_u64().unwrap_or(0);
        let most = schema["maxLength"].as_u64().unwrap_or(4096);
        if !(least..=most).contains(&length) {
            self.problem(
                at,
                format!("`{path}` must have {least} to {most} characters, not {length}"),
            );
            return false;
        }
        match formats::check(schema["format"].as_str().unwrap_or_default(), &text.text) {
            Ok(()) => true,
            Err(rule) => {
                self.problem(at, format!("`{path}` must be {rule}{found}"));
                false
            }
        }
    }
}

/// Whether every required key is among those that were good.
fn kept_all(kept: &[Entry], schema: &Value) -> bool {
    let mut required = schema["required"].as_array().into_iter().flatten();
    required.all(|key| kept.iter().any(|entry| *key == *entry.key))
}

/// What a text of the environment stands for where something else than a text is wanted.
fn converted(node: Node, wanted: &str) -> Node {
    let Yaml::Text(Text {
        text,
        foreign: true,
    }) = &node.value
    else {
        return node;
    };
    let at = node.at;
    let value = match (wanted, text.trim()) {
        ("boolean", "true") => Yaml::Bool(true),
        ("boolean", "false") => Yaml::Bool(false),
        ("array", list) => {
            let items = list
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Yaml::List(items.map(|item| Node::foreign(at, item)).collect())
        }
        ("integer", digits) => match scalar::number(digits) {
            Some(number) => Yaml::Number(number),
            None => return node,
        },
        _ => return node,
    };
    Node::new(at, value)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    /// The keywords of JSON Schema that are understood here, or only tell people something.
    const UNDERSTOOD: [&str; 19] = [
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
        "writeOnly",
        "type",
        "anyOf",
        "oneOf",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "format",
        "minimum",
        "maximum",
    ];
    const LENGTHS: [&str; 3] = ["minLength", "maxLength", "maxItems"];

    fn keywords(schema: &Value, found: &mut Vec<String>) {
        let Some(fields) = schema.as_object() else {
            return;
        };
        for (keyword, value) in fields {
            found.push(keyword.clone());
            match keyword.as_str() {
                "properties" | "$defs" => {
                    for schema in value.as_object().unwrap().values() {
                        keywords(schema, found);
                    }
                }
                "anyOf" | "oneOf" => {
                    for schema in value.as_array().unwrap() {
                        keywords(schema, found);
                    }
                }
                "items" => keywords(value, found),
                "format" => found.push(format!("format {}", value.as_str().unwrap())),
                _ => {}
            }
        }
    }

    #[test]
    fn every_keyword_of_the_schema_is_understood() {
        let mut found = Vec::new();
        keywords(&schema::schema(), &mut found);
        found.retain(|word| !word.contains(' '));
        found.retain(|word| !UNDERSTOOD.contains(&&**word) && !LENGTHS.contains(&&**word));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_text_of_the_environment_stands_for_what_is_wanted() {
        let node = |text: &str| Node::foreign(At::Line(1, 1), text);
        assert_eq!(converted(node("587"), "integer").to_json(), 587);
        assert_eq!(converted(node(" true"), "boolean").to_json(), true);
        let list = converted(node("a, b,"), "array").to_json();
        assert_eq!(list, serde_json::json!(["a", "b"]));
        assert_eq!(converted(node("x"), "integer").to_json(), "x");
    }

    #[test]
    fn a_format_that_nobody_checks_is_not_in_the_schema() {
        let mut found = Vec::new();
        keywords(&schema::schema(), &mut found);
        let formats: Vec<_> = found
            .iter()
            .filter_map(|word| word.strip_prefix("format "))
            .collect();
        assert!(formats.contains(&"origin"), "{formats:?}");
        for format in formats {
            assert!(formats::is_known(format), "{format}");
        }
    }
}
