//! `${NAME}` in a text stands for a variable of the environment; `$${` is `${` itself.

use super::problem::{At, Problem};
use super::yaml::{Node, Text, Yaml};

/// How a variable is looked up; tests bring their own.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces variables in every text of a tree. One that is not set is a problem, not an empty text.
pub(super) fn interpolate(node: &mut Node, lookup: Lookup<'_>, problems: &mut Vec<Problem>) {
    walk(
        node,
        "",
        &mut |path, at, text| match expand(&text.text, lookup) {
            Ok(None) => {}
            Ok(Some(expanded)) => {
                *text = Text {
                    text: expanded,
                    foreign: true,
                }
            }
            Err(message) => problems.push(Problem::new(at, format!("`{path}`: {message}"))),
        },
    );
}

fn walk(node: &mut Node, path: &str, each: &mut dyn FnMut(&str, At, &mut Text)) {
    let at = node.at;
    match &mut node.value {
        Yaml::Text(text) => each(path, at, text),
        Yaml::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, &format!("{path}[{index}]"), each);
            }
        }
        Yaml::Map(entries) => {
            for entry in entries {
                let gap = if path.is_empty() { "" } else { "." };
                walk(&mut entry.node, &format!("{path}{gap}{}", entry.key), each);
            }
        }
        Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) => {}
    }
}

/// The text with its variables replaced, or `None` if there are none.
fn expand(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after
            .split_once('}')
            .ok_or("`${` is never closed by `}`; to mean it as text, write `$${`")?;
        if !is_name(name) {
            return Err(format!(
                "`${{{name}}}` does not name a variable: letters, digits and `_`; to mean it as text, write `$${{`"
            ));
        }
        let value = lookup(name).ok_or_else(|| {
            format!("the environment variable `{name}` is not set; set it, or write the value")
        })?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Some(expanded))
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".into()),
            // What a variable holds is not looked into again.
            "LOOP" => Some("${A}${LOOP}".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        for (text, expanded) in [
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("${LOOP}", "${A}${LOOP}"),
        ] {
            assert_eq!(
                expand(text, &lookup),
                Ok(Some(expanded.to_owned())),
                "{text}"
            );
        }
        for text in ["plain", "$A", "{A}", "$"] {
            assert_eq!(expand(text, &lookup), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_told() {
        for (text, words) in [
            ("${GONE}", "`GONE` is not set"),
            ("${A", "never closed"),
            ("${}", "does not name"),
            ("${A-x}", "does not name"),
            ("${1}", "does not name"),
        ] {
            let error = expand(text, &lookup).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[${}A$é]{0,20}") {
            let _ = expand(&text, &lookup);
        }
    }
}
