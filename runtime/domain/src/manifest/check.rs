//! What a manifest says about hosts, credentials and extensions, judged before any settings are known:
//! a mistake is told at upload, with its place, and not when somebody adds a source.

use super::{Manifest, ManifestError};
use crate::host_rule::HostRule;
use crate::schedule::Schedule;
use crate::scheme::Scheme;

/// More than any honest connector has of a kind; a list is read by people before they grant it.
const MAX_LINES: usize = 500;

/// What a setting may be: a part of a name, a whole host, a port.
const SAMPLES: [&str; 3] = ["x", "x.example", "1"];

pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    if let Some(schedule) = &manifest.schedule {
        Schedule::parse(schedule).map_err(|error| wrong("schedule", error.to_string()))?;
    }
    hosts("egress", "/egress", &manifest.egress)?;
    if manifest.credentials.len() > MAX_LINES {
        return Err(too_many("credentials", "/credentials"));
    }
    for (at, slot) in manifest.credentials.iter().enumerate() {
        hosts(
            "credentials",
            &format!("/credentials/{at}/hosts"),
            &slot.hosts,
        )?;
    }
    webhook(manifest)?;
    derived(manifest)?;
    let tables = manifest.tables.check();
    tables.map_err(|reason| wrong("tables", reason))?;
    extensions(manifest)
}

fn wrong(field: &'static str, reason: String) -> ManifestError {
    ManifestError::Field { field, reason }
}

fn too_many(field: &'static str, place: &str) -> ManifestError {
    wrong(field, format!("{place} has more than {MAX_LINES} entries"))
}

fn hosts(field: &'static str, place: &str, lines: &[String]) -> Result<(), ManifestError> {
    if lines.len() > MAX_LINES {
        return Err(too_many(field, place));
    }
    for (at, line) in lines.iter().enumerate() {
        check_line(line).map_err(|reason| wrong(field, format!("at {place}/{at}, {reason}")))?;
    }
    Ok(())
}

/// A line is right when some value of its settings makes it a rule.
fn check_line(line: &str) -> Result<(), String> {
    let mut first = None;
    for sample in SAMPLES {
        let filled = fill(line, sample)?;
        // Nothing but a setting: that may be a whole URL.
        if filled == sample && line != sample {
            return Ok(());
        }
        match HostRule::parse(&filled) {
            Ok(_) => return Ok(()),
            Err(error) => first.get_or_insert(error.to_string()),
        };
    }
    Err(first.unwrap_or_default())
}

/// The line with every setting replaced by a sample.
fn fill(line: &str, sample: &str) -> Result<String, String> {
    let shown = || line.chars().take(200).collect::<String>();
    let (mut filled, mut rest) = (String::new(), line);
    while let Some((head, tail)) = rest.split_once('{') {
        let (inside, after) = tail
            .split_once('}')
            .ok_or_else(|| format!("a brace of `{}` is not closed", shown().escape_debug()))?;
        let path = inside.strip_prefix("settings.").filter(|path| {
            path.split('.')
                .all(|step| !step.is_empty() && !step.contains('{'))
        });
        if path.is_none() {
            return Err(format!(
                "`{{{}}}` is no setting; write it like {{settings.region}}",
                inside.chars().take(100).collect::<String>().escape_debug()
            ));
        }
        filled.push_str(head);
        filled.push_str(sample);
        rest = after;
    }
    if rest.contains('}') {
        return Err(format!(
            "a brace of `{}` was not opened",
            shown().escape_debug()
        ));
    }
    filled.push_str(rest);
    Ok(filled)
}

fn webhook(manifest: &Manifest) -> Result<(), ManifestError> {
    let Some(slot) = &manifest.webhook else {
        return Ok(());
    };
    match manifest.credentials.iter().any(|known| known.name == *slot) {
        true => Ok(()),
        false => Err(wrong(
            "webhook",
            format!("`{slot}` is none of the slots in /credentials"),
        )),
    }
}

/// What is derived comes from a slot that somebody fills.
fn derived(manifest: &Manifest) -> Result<(), ManifestError> {
    for (at, slot) in manifest.credentials.iter().enumerate() {
        let Scheme::Derived(derivation) = &slot.scheme else {
            continue;
        };
        let told = |reason: String| wrong("credentials", format!("at /credentials/{at}, {reason}"));
        if slot.required {
            return Err(told(
                "a derived slot cannot be required: nobody fills it".into(),
            ));
        }
        let mut slots = manifest.credentials.iter();
        let from = slots.find(|known| known.name == derivation.from);
        let filled =
            from.is_some_and(|from| !matches!(from.scheme, Scheme::Derived(_) | Scheme::Hmac(_)));
        if !filled {
            return Err(told(format!(
                "`from` `{}` is no slot that is sent with requests",
                derivation.from
            )));
        }
    }
    Ok(())
}

fn extensions(manifest: &Manifest) -> Result<(), ManifestError> {
    let field = "remote_extensions";
    if manifest.remote_extensions.len() > MAX_LINES {
        return Err(too_many(field, "/remote_extensions"));
    }
    let is_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let names = manifest.remote_extensions.iter().enumerate();
    match names.into_iter().find(|(_, name)| !is_name(name)) {
        None => Ok(()),
        Some((at, name)) => Err(wrong(
            field,
            format!(
                "at /remote_extensions/{at}, `{}` is no name of an extension",
                name.chars().take(64).collect::<String>().escape_debug()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        let mut manifest = json!({"wit": "0.1.0", "name": "a", "version": "1", "title": "", "description": "",
            "worlds": ["source"], "settings": {}, "credentials": [
                {"name": "key", "title": "Key", "hosts": ["a.org"], "scheme": "header", "header": "X-Key"}]});
        change(&mut manifest);
        match Manifest::parse(manifest.to_string().as_bytes()) {
            Ok(_) => "fine".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lines_that_some_setting_makes_a_rule_are_taken() {
        for line in [
            "api.example.com",
            "*.example.com",
            "connection.{settings.region}.keboola.com",
            "{settings.host}",
            "{settings.tables.*.url}",
            "https://{settings.stack}/v2/",
            "{settings.host}:8443",
            "host.example.com:{settings.port}",
            "{settings.host}:{settings.port}",
        ] {
            assert_eq!(refusal(|m| m["egress"] = json!([line])), "fine", "{line}");
        }
    }

    #[test]
    fn a_line_that_can_never_be_a_rule_is_told_with_its_place() {
        for line in [
            "*",
            "ftp://a.org",
            "{settings.tables",
            "a}.org",
            "{region}.org",
            "{settings.}.org",
            "{settings.a..b}",
            "{settings.{settings.a}}",
            "user@a.org",
            "",
            "nodots",
        ] {
            let told = refusal(|m| m["egress"] = json!(["a.org", line]));
            assert!(told.contains("at /egress/1, "), "{line}: {told}");
            let told = refusal(|m| m["credentials"][0]["hosts"] = json!([line]));
            assert!(told.contains("at /credentials/0/hosts/0, "), "{told}");
        }
    }

    #[test]
    fn a_derived_slot_comes_from_one_that_somebody_fills() {
        let derived = |from: &str| {
            json!({"name": "lent", "title": "Lent", "hosts": ["a.org"], "scheme": "derived", "from": from,
                "path": "/files/", "present": {"as": "bearer", "token": "/token"}})
        };
        let with = |slot: Value| refusal(|m| m["credentials"].as_array_mut().unwrap().push(slot));
        assert_eq!(with(derived("key")), "fine");
        for from in ["other", "lent"] {
            let told = with(derived(from));
            assert!(told.contains("at /credentials/1, `from`"), "{told}");
        }
        let mut required = derived("key");
        required["required"] = json!(true);
        assert!(with(required).contains("cannot be required"));
    }

    #[test]
    fn what_names_something_that_is_not_there_is_refused() {
        assert_eq!(refusal(|m| m["webhook"] = json!("key")), "fine");
        let told = refusal(|m| m["webhook"] = json!("other"));
        assert!(told.contains("`other` is none of the slots"), "{told}");
        let told = refusal(|m| m["remote_extensions"] = json!(["ok", "../x"]));
        assert!(told.contains("/remote_extensions/1"), "{told}");
        let told = refusal(|m| m["egress"] = json!(vec!["a.org"; MAX_LINES + 1]));
        assert!(told.contains("more than 500"), "{told}");
    }
}
