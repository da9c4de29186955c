//! The words in which a problem is told.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::super::yaml::{Text, Yaml};
use crate::cli::output::plain;

/// More of a value than this says no more about what is wrong.
const MAX_QUOTED: usize = 60;

/// A key below another.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        return key.to_owned();
    }
    format!("{path}.{key}")
}

/// `, not `x``, unless the value may be a secret.
pub(super) fn quoted(text: &Text, schema: &Value) -> String {
    if text.foreign || schema["writeOnly"] == true {
        return String::new();
    }
    format!(", not `{}`", short(&text.text))
}

fn short(text: &str) -> String {
    let mut short: String = plain(text).replace('\n', " ");
    if let Some((end, _)) = short.char_indices().nth(MAX_QUOTED) {
        short.truncate(end);
        short.push('…');
    }
    short
}

/// A value of another kind than is wanted.
pub(super) fn wrong_kind(path: &str, wanted: &str, found: &Yaml, schema: &Value) -> String {
    let wanted = kind(wanted);
    let mut message = format!(
        "`{}` must be {wanted}",
        if path.is_empty() { "the file" } else { path }
    );
    match found {
        Yaml::Null => message.push_str(", and it is empty"),
        Yaml::Text(text) => message.push_str(&quoted(text, schema)),
        Yaml::Number(_) | Yaml::Bool(_) if wanted == kind("string") => {
            message.push_str(": put it into quotes");
        }
        Yaml::Number(_) => message.push_str(", not a number"),
        Yaml::Bool(_) => message.push_str(", not true or false"),
        Yaml::List(_) => message.push_str(", not a list"),
        Yaml::Map(_) => message.push_str(", not a section with keys of its own"),
    }
    message
}

/// A kind of value for people.
fn kind(kind: &str) -> &str {
    match kind {
        "object" => "a section with keys of its own",
        "array" => "a list",
        "integer" => "a whole number",
        "boolean" => "`true` or `false`",
        _ => "a text",
    }
}

/// A key that does not exist, with the one that was probably meant, or the section that has it.
pub(super) fn unknown(
    path: &str,
    key: &str,
    known: &Map<String, Value>,
    elsewhere: Option<&str>,
) -> String {
    let shown = short(key);
    let mut message = format!("there is no key `{}`", below(path, &shown));
    match elsewhere {
        Some("") => return format!("{message}; it stands outside of all sections"),
        Some(section) => return format!("{message}; it is a key of `{section}`"),
        None => {}
    }
    let near = known.keys().map(|name| (distance(key, name), name));
    match near.min_by_key(|(distance, _)| *distance) {
        Some((distance, name)) if distance <= name.chars().count() / 3 + 1 => {
            let _ = write!(message, "; did you mean `{name}`?");
        }
        _ => {
            let known: Vec<_> = known.keys().map(String::as_str).collect();
            let _ = write!(message, "; there is {}", list(&known, "and"));
        }
    }
    message
}

/// How many letters apart two words are; of a long one only the beginning counts.
fn distance(key: &str, name: &str) -> usize {
    let key: String = key.chars().take(MAX_QUOTED).collect();
    strsim::damerau_levenshtein(&key.to_lowercase(), name)
}

/// `the key `a`` or `the keys `a` and `b``.
pub(super) fn keys(names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("the key{plural} {}", list(names, "and"))
}

/// `` `a`, `b` or `c` ``.
pub(super) fn or(names: &[&str]) -> String {
    list(names, "or")
}

fn list(names: &[&str], word: &str) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {word} {last}", others.join(", ")),
        None => "nothing".into(),
    }
}

/// The texts that are allowed, where they are listed.
pub(super) fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(choices) = schema["enum"].as_array() {
        return Some(choices.iter().filter_map(Value::as_str).collect());
    }
    let choices = schema["oneOf"].as_array()?.iter();
    Some(
        choices
            .filter_map(|choice| choice["const"].as_str())
            .collect(),
    )
}

/// `from 1 to 7`, as far as there are bounds.
pub(super) fn bounds(least: Option<i64>, most: Option<u64>) -> String {
    match (least, most) {
        (Some(least), Some(most)) if i128::from(least) == i128::from(most) => {
            format!("that is {least}")
        }
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("of at least {least}"),
        (None, Some(most)) => format!("of at most {most}"),
        (None, None) => "that fits".into(),
    }
}

/// A count as the schema has them.
pub(super) fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_that_is_nearly_right_leads_to_the_right_one() {
        let known = json!({"listen": 1, "public_url": 1});
        let known = known.as_object().unwrap();
        assert_eq!(
            unknown("http", "lisen", known, None),
            "there is no key `http.lisen`; did you mean `listen`?"
        );
        assert_eq!(
            unknown("http", "colour", known, None),
            "there is no key `http.colour`; there is `listen` and `public_url`"
        );
        assert_eq!(
            unknown("", "data_dir", known, Some("storage")),
            "there is no key `data_dir`; it is a key of `storage`"
        );
    }

    #[test]
    fn a_long_value_is_cut_and_a_secret_is_not_quoted() {
        let text = |text: &str, foreign| Text {
            text: text.into(),
            foreign,
        };
        assert_eq!(
            quoted(&text("a\u{1b}[1m", false), &json!({})),
            ", not `a\u{fffd}[1m`"
        );
        assert!(
            quoted(&text(&"é".repeat(500), false), &json!({}))
                .chars()
                .count()
                < 80
        );
        assert_eq!(
            quoted(&text("hunter2", false), &json!({"writeOnly": true})),
            ""
        );
        assert_eq!(quoted(&text("hunter2", true), &json!({})), "");
    }
}
