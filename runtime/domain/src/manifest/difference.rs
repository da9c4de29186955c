//! What a version says that the one before it did not, in lines that an admin reads before trusting it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Manifest, Slot};

/// A manifest can differ from another in thousands of places; nobody reads more than this.
const MAX_LINES: usize = 100;

impl Manifest {
    /// What differs from an earlier version of the connector, a line each: first what it asks for, then
    /// its settings. Empty where only the code differs.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        changed(&mut lines, "the interface", &before.wit, &self.wit);
        listed(&mut lines, "world", &before.worlds, &self.worlds);
        listed(&mut lines, "egress to", &before.egress, &self.egress);
        slots(&mut lines, &before.credentials, &self.credentials);
        let webhook = |manifest: &Self| shown(&manifest.webhook);
        changed(&mut lines, "webhooks by", &webhook(before), &webhook(self));
        listed(
            &mut lines,
            "remote databases by",
            &before.remote_extensions,
            &self.remote_extensions,
        );
        let (old, new) = (fields(&before.limits), fields(&self.limits));
        for (name, value) in &new {
            let old = old.get(name).unwrap_or(&Value::Null);
            changed(
                &mut lines,
                &format!("the limit {name}"),
                &old.to_string(),
                &value.to_string(),
            );
        }
        let schedule = |manifest: &Self| shown(&manifest.schedule);
        changed(
            &mut lines,
            "the schedule",
            &schedule(before),
            &schedule(self),
        );
        compare(&mut lines, "settings", &before.settings, &self.settings);
        let rules = |manifest: &Self| serde_json::to_value(&manifest.tables).unwrap_or_default();
        compare(&mut lines, "tables", &rules(before), &rules(self));
        if lines.len() > MAX_LINES {
            let more = lines.len() - MAX_LINES;
            lines.truncate(MAX_LINES);
            lines.push(format!("… and {more} more differences"));
        }
        lines
    }
}

fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or("none".into(), ToString::to_string)
}

fn fields(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn changed(lines: &mut Vec<String>, what: &str, before: &str, after: &str) {
    if before != after {
        lines.push(format!("~ {what}: {before} → {after}"));
    }
}

fn listed(lines: &mut Vec<String>, what: &str, before: &[String], after: &[String]) {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) =
        (before.iter().collect(), after.iter().collect());
    lines.extend(
        after
            .difference(&before)
            .map(|new| format!("+ {what} {new}")),
    );
    lines.extend(
        before
            .difference(&after)
            .map(|old| format!("- {what} {old}")),
    );
}

fn slots(lines: &mut Vec<String>, before: &[Slot], after: &[Slot]) {
    for slot in after {
        let name = &slot.name;
        match before.iter().find(|known| known.name == *name) {
            None => lines.push(format!(
                "+ credential {name}, sent to {}",
                slot.hosts.join(", ")
            )),
            Some(known) => {
                let what = format!("credential {name} sent to");
                listed(lines, &what, &known.hosts, &slot.hosts);
                let scheme = |slot: &Slot| Value::Object(fields(&slot.scheme)).to_string();
                changed(
                    lines,
                    &format!("how credential {name} is presented"),
                    &scheme(known),
                    &scheme(slot),
                );
                let required = |slot: &Slot| match slot.required {
                    true => "required",
                    false => "optional",
                };
                let what = format!("credential {name}");
                changed(lines, &what, required(known), required(slot));
            }
        }
    }
    let gone = before
        .iter()
        .filter(|slot| !after.iter().any(|kept| kept.name == slot.name));
    lines.extend(gone.map(|slot| format!("- credential {}", slot.name)));
}

/// Where two JSON values differ. Manifests are shallow: their parser refuses deep nesting.
fn compare(lines: &mut Vec<String>, place: &str, before: &Value, after: &Value) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                let place = format!("{place}/{}", key.escape_debug());
                match old.get(key) {
                    Some(known) => compare(lines, &place, known, value),
                    None => lines.push(format!("+ {place}")),
                }
            }
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            lines.extend(gone.map(|key| format!("- {place}/{}", key.escape_debug())));
        }
        _ if before != after => changed(lines, place, &brief(before), &brief(after)),
        _ => {}
    }
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(change: impl FnOnce(&mut Value)) -> Manifest {
        let mut manifest = json!({"wit": "0.1.0", "name": "a", "version": "1", "title": "", "description": "",
            "worlds": ["source"], "egress": ["a.org"], "credentials": [
                {"name": "key", "title": "Key", "hosts": ["a.org"], "scheme": "header", "header": "X-Key"}],
            "settings": {"type": "object", "properties": {"region": {"type": "string"}}}});
        change(&mut manifest);
        Manifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_a_version_asks_for_beyond_the_one_before_is_told_in_lines() {
        let before = manifest(|_| {});
        let after = manifest(|m| {
            m["egress"] = json!(["b.org"]);
            m["credentials"][0]["hosts"] = json!(["a.org", "b.org"]);
            m["credentials"][0]["required"] = json!(true);
            m["credentials"][0]["header"] = json!("X-Other");
            m["limits"] = json!({"rows": 5});
            m["remote_extensions"] = json!(["bigquery"]);
            m["settings"]["properties"] = json!({"stack": {"type": "string"}});
            m["settings"]["required"] = json!(["stack"]);
            m["tables"] = json!({"*": {"strict": true}});
        });
        assert_eq!(
            after.changes_since(&before),
            [
                "+ egress to b.org",
                "- egress to a.org",
                "+ credential key sent to b.org",
                "~ how credential key is presented: {\"scheme\":\"header\",\"header\":\"X-Key\",\"prefix\":\"\"} → \
                 {\"scheme\":\"header\",\"header\":\"X-Other\",\"prefix\":\"\"}",
                "~ credential key: optional → required",
                "+ remote databases by bigquery",
                "~ the limit rows: 2000000000 → 5",
                "+ settings/properties/stack",
                "- settings/properties/region",
                "+ settings/required",
                "+ tables/*",
            ]
        );
    }

    #[test]
    fn a_version_that_differs_in_words_and_code_only_differs_in_nothing() {
        let after = manifest(|m| {
            m["version"] = json!("2");
            m["description"] = json!("better");
        });
        assert_eq!(after.changes_since(&manifest(|_| {})), [""; 0]);
    }

    #[test]
    fn the_lines_have_an_end() {
        let after = manifest(|m| {
            for number in 0..300 {
                m["settings"]["properties"][format!("p{number}")] = json!({});
            }
        });
        let lines = after.changes_since(&manifest(|_| {}));
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert_eq!(lines.last().unwrap(), "… and 200 more differences");
    }
}
