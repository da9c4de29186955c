//! How a grant is shown, and how it grows by what a version asks for.

use serde_json::Value;

use super::{Capabilities, SlotBinding};
use crate::limits::Limits;

impl Capabilities {
    /// All of it in words, a line each, for whoever is asked to grant it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.beyond(&Self {
            limits: self.limits,
            ..Self::default()
        });
        lines.extend(
            self.private_addresses
                .iter()
                .map(|address| format!("the inner address {address}")),
        );
        let limits = numbers(&self.limits);
        let limits: Vec<_> = limits
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        lines.push(format!("limits of a run: {}", limits.join(", ")));
        lines
    }

    /// This grant, given by somebody who saw what is asked for: limits may be smaller than that, since they
    /// are the admin's to set.
    #[must_use]
    pub fn in_sight_of(self, asked: &Self) -> Self {
        let is_smaller = asked.limits.at_most(self.limits) != asked.limits;
        Self {
            limits_asked: is_smaller.then_some(asked.limits),
            ..self
        }
    }

    /// The limits that are larger than any that were granted, or that were seen when less was granted.
    pub(super) fn limits_beyond(&self, granted: &Self) -> Vec<String> {
        let seen = granted.limits_asked.unwrap_or(granted.limits);
        let given = numbers(&granted.limits).into_iter().zip(numbers(&seen));
        let pairs = numbers(&self.limits).into_iter().zip(given);
        pairs
            .filter(|((_, asked), ((_, given), (_, seen)))| asked > given.max(seen))
            .map(|((name, asked), ((_, given), _))| {
                format!("{asked} {} (granted: {given})", in_words(&name))
            })
            .collect()
    }

    /// The line about webhooks, where they are asked for and were not granted in this way.
    pub(super) fn webhook_beyond(&self, granted: &Self) -> Option<String> {
        let slot = self.webhook.as_ref()?;
        let scheme = |of: &Self| {
            let binding = of.credentials.iter().find(|binding| binding.slot == *slot);
            binding.map(|binding| binding.scheme.clone())
        };
        let covered = granted.webhook.as_ref() == Some(slot) && scheme(self) == scheme(granted);
        (!covered)
            .then(|| format!("webhooks whose sender proves itself by the credential `{slot}`"))
    }

    /// This grant and what is asked for, together. What was granted before stays granted, but for the
    /// way in which a credential is presented: there is one for each slot.
    #[must_use]
    pub fn and(&self, asked: &Self) -> Self {
        let mut both = self.clone();
        for rule in &asked.egress {
            if !both.egress.iter().any(|known| known.covers(rule)) {
                both.egress.push(rule.clone());
            }
        }
        for binding in &asked.credentials {
            both.bind(binding);
        }
        if asked.webhook.is_some() {
            both.webhook.clone_from(&asked.webhook);
        }
        for extension in &asked.remote_extensions {
            if !both.remote_extensions.contains(extension) {
                both.remote_extensions.push(extension.clone());
            }
        }
        both.limits = larger(&self.limits, &asked.limits);
        both.limits_asked = None;
        both
    }

    fn bind(&mut self, asked: &SlotBinding) {
        let known = self.credentials.iter_mut().find(|b| b.slot == asked.slot);
        match known {
            Some(known) if known.scheme == asked.scheme => {
                for rule in &asked.hosts {
                    if !known.hosts.iter().any(|host| host.covers(rule)) {
                        known.hosts.push(rule.clone());
                    }
                }
            }
            Some(known) => *known = asked.clone(),
            None => self.credentials.push(asked.clone()),
        }
    }
}

/// What a limit counts.
fn in_words(limit: &str) -> &str {
    match limit {
        "memory_bytes" => "bytes of memory",
        "wall_seconds" => "seconds of wall-clock time",
        "cpu_seconds" => "seconds of processor time",
        "bytes_in" => "bytes received",
        "bytes_out" => "bytes written",
        "requests_per_second" => "requests a second",
        "requests_at_once" => "requests at once",
        "log_bytes" => "bytes of log",
        other => other,
    }
}

fn numbers(limits: &Limits) -> Vec<(String, u64)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(limits) else {
        return Vec::new();
    };
    let numbers = fields.into_iter();
    numbers
        .filter_map(|(name, value)| Some((name, value.as_u64()?)))
        .collect()
}

/// The larger of each pair, whatever limits there are.
fn larger(one: &Limits, other: &Limits) -> Limits {
    let other = numbers(other);
    let pairs = numbers(one).into_iter().zip(other);
    let fields = pairs.map(|((name, a), (_, b))| (name, Value::from(a.max(b))));
    serde_json::from_value(Value::Object(fields.collect())).unwrap_or(*one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn capabilities(value: Value) -> Capabilities {
        serde_json::from_value(value).unwrap()
    }

    fn key(header: &str, hosts: &[&str]) -> Value {
        json!({"slot": "key", "scheme": "header", "header": header, "hosts": hosts})
    }

    #[test]
    fn a_grant_that_grew_by_what_is_asked_for_covers_it_and_all_it_did() {
        let before = capabilities(
            json!({"egress": ["*.a.org"], "private_addresses": ["127.0.0.1:9"],
            "credentials": [key("X-Key", &["x.a.org"])], "limits": {"rows": 5, "requests": 7}}),
        );
        let asked = capabilities(json!({"egress": ["x.a.org", "b.org"], "webhook": "key",
            "credentials": [key("X-Key", &["b.org"])], "remote_extensions": ["bigquery"],
            "limits": {"rows": 9, "requests": 3}}));
        assert_eq!(
            asked.beyond(&before)[..3],
            [
                "egress to b.org",
                "credential `key` sent to b.org",
                "webhooks whose sender proves itself by the credential `key`"
            ]
        );
        let both = before.and(&asked);
        assert_eq!(asked.beyond(&both), [""; 0]);
        assert_eq!(before.beyond(&both), [""; 0]);
        assert_eq!(both.egress.len(), 2);
        assert_eq!(both.private_addresses, before.private_addresses);
        assert_eq!((both.limits.rows, both.limits.requests), (9, 7));
    }

    #[test]
    fn a_credential_that_is_presented_otherwise_is_asked_for_anew() {
        let before =
            capabilities(json!({"webhook": "key", "credentials": [key("X-Key", &["a.org"])]}));
        let asked =
            capabilities(json!({"webhook": "key", "credentials": [key("X-Other", &["a.org"])]}));
        assert_eq!(asked.beyond(&before).len(), 2);
        assert_eq!(asked.effective(&before).webhook, None);
        assert_eq!(asked.beyond(&before.and(&asked)), [""; 0]);
        assert_eq!(before.effective(&before).webhook, before.webhook);
    }

    #[test]
    fn everything_of_a_grant_is_shown() {
        let all = capabilities(json!({"egress": ["a.org"], "webhook": "key",
            "private_addresses": ["127.0.0.1:9"], "credentials": [key("X-Key", &["a.org"])],
            "remote_extensions": ["bigquery"], "limits": {"rows": 5}}));
        let shown = all.lines().join("\n");
        for words in [
            "egress to a.org",
            "`key` sent to a.org",
            "webhooks",
            "`bigquery`",
            "127.0.0.1:9",
            "rows 5",
            "memory_bytes",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }

    #[test]
    fn smaller_limits_than_were_asked_for_can_be_granted_and_only_more_than_that_waits() {
        let rows = |rows: u64| capabilities(json!({"limits": {"rows": rows}}));
        assert_eq!(rows(9).beyond(&rows(5)), ["9 rows (granted: 5)"]);
        let granted = rows(5).in_sight_of(&rows(9));
        assert_eq!(rows(9).beyond(&granted), [""; 0]);
        assert_eq!(rows(9).effective(&granted).limits.rows, 5);
        assert_eq!(rows(10).beyond(&granted), ["10 rows (granted: 5)"]);
        let more = granted.and(&rows(10));
        assert_eq!((more.limits.rows, more.limits_asked), (10, None));
        assert_eq!(rows(9).in_sight_of(&rows(9)).limits_asked, None);
    }
}
