//! What an unquoted word means, by the core schema of YAML 1.2: `no` and `on` are text.

use serde_json::Number;

use super::{Text, Yaml};

/// The meaning of an unquoted word.
pub(super) fn resolve(word: &str) -> Yaml {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => Yaml::Null,
        "true" | "True" | "TRUE" => Yaml::Bool(true),
        "false" | "False" | "FALSE" => Yaml::Bool(false),
        _ => number(word).map_or_else(|| text(word), Yaml::Number),
    }
}

/// A text, whatever it looks like.
pub(super) fn text(text: &str) -> Yaml {
    Yaml::Text(Text {
        text: text.to_owned(),
        foreign: false,
    })
}

/// A number, if a word is one.
pub(in crate::config) fn number(word: &str) -> Option<Number> {
    if let Some(digits) = word.strip_prefix("0x") {
        return u64::from_str_radix(unsigned(digits)?, 16)
            .ok()
            .map(Number::from);
    }
    if let Some(digits) = word.strip_prefix("0o") {
        return u64::from_str_radix(unsigned(digits)?, 8)
            .ok()
            .map(Number::from);
    }
    let whole = word.parse::<u64>().map(Number::from);
    if let Ok(number) = whole.or_else(|_| word.parse::<i64>().map(Number::from)) {
        return Some(number);
    }
    // `inf`, `nan` and the like are words to Rust's parser of numbers, and to nobody here.
    let plain = word
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let float = plain.then(|| word.parse::<f64>().ok()).flatten()?;
    Number::from_f64(float)
}

/// Digits without a sign of their own.
fn unsigned(digits: &str) -> Option<&str> {
    (!digits.starts_with(['+', '-'])).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_the_core_schema_says() {
        for (word, number) in [
            ("7", "7"),
            ("-7", "-7"),
            ("0x1f", "31"),
            ("0o17", "15"),
            ("1.5", "1.5"),
        ] {
            let found = resolve(word);
            assert!(
                matches!(&found, Yaml::Number(n) if n.to_string() == number),
                "{word}: {found:?}"
            );
        }
        for word in [
            "no", "on", "y", "1.2.3", "0x", "0x-1", "inf", "nan", "1_000", "+", ".",
        ] {
            assert_eq!(resolve(word), text(word), "{word}");
        }
        assert_eq!(resolve("~"), Yaml::Null);
        assert_eq!(resolve("True"), Yaml::Bool(true));
    }
}
