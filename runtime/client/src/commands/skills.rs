//! Short guides, which come with the binary so that they fit its commands.

use serde_json::{Value, json};

use crate::args::SkillsCommand;
use crate::error::Error;
use crate::output;

/// Name and text. The first line of each says what it is about.
const SKILLS: [(&str, &str); 9] = [
    ("connectors", include_str!("../../skills/connectors.md")),
    (
        "corporate-memory",
        include_str!("../../skills/corporate-memory.md"),
    ),
    (
        "data-querying",
        include_str!("../../skills/data-querying.md"),
    ),
    ("deploy", include_str!("../../skills/deploy.md")),
    (
        "notifications",
        include_str!("../../skills/notifications.md"),
    ),
    ("security", include_str!("../../skills/security.md")),
    ("setup", include_str!("../../skills/setup.md")),
    (
        "table-registration",
        include_str!("../../skills/table-registration.md"),
    ),
    ("troubleshoot", TROUBLESHOOT),
];

const TROUBLESHOOT: &str = include_str!("../../skills/troubleshoot.md");

/// What the predecessor's guides had before their names.
const OLD_PREFIX: &str = "agnes-";

/// Runs `da skills …`.
pub(super) fn run(command: &SkillsCommand, as_json: bool) -> Result<(), Error> {
    match command {
        SkillsCommand::List => {
            let about = |(name, text): &(&str, &str)| json!({"name": name, "about": about(text)});
            let rows: Vec<Value> = SKILLS.iter().map(about).collect();
            if as_json {
                output::json(&Value::Array(rows));
            } else {
                output::objects(&rows, &[("NAME", "name"), ("ABOUT", "about")]);
            }
            Ok(())
        }
        SkillsCommand::Show { name } => {
            let wanted = name.strip_prefix(OLD_PREFIX).unwrap_or(name);
            let found = SKILLS.iter().find(|(name, _)| *name == wanted);
            let (name, text) = found.ok_or_else(|| {
                Error::Said(format!(
                    "there is no guide `{name}`. `da skills list` shows all."
                ))
            })?;
            output::done(
                &json!({"name": name, "text": text}),
                text.trim_end(),
                as_json,
            );
            Ok(())
        }
    }
}

fn about(text: &str) -> &str {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ")
}

/// What helps against a symptom: the sections that share a word with it.
pub(super) fn remedies(symptom: &str) -> Vec<String> {
    let symptom = symptom.to_lowercase();
    let words: Vec<&str> = symptom
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() >= 4)
        .collect();
    let fits = |section: &&str| {
        let heading = section.lines().next().unwrap_or_default().to_lowercase();
        words.iter().any(|word| heading.contains(word))
    };
    let sections = TROUBLESHOOT.split("\n## ").skip(1).filter(fits);
    let found: Vec<String> = sections
        .map(|section| section.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    match found.is_empty() {
        true => vec!["Read: da skills show troubleshoot".into()],
        false => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guide_says_first_what_it_is_about() {
        for (name, text) in SKILLS {
            assert!(text.starts_with("# ") && about(text).len() > 10, "{name}");
        }
    }

    #[test]
    fn a_symptom_finds_its_remedy_and_an_unknown_one_the_guide() {
        assert!(remedies("I get a HASH mismatch")[0].contains("hash mismatch"));
        assert_eq!(remedies("??"), ["Read: da skills show troubleshoot"]);
    }
}
