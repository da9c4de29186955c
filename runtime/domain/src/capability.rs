//! What a component may touch: asked for by its manifest, allowed by an admin, effective = both.

mod grant;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host_rule::HostRule;
use crate::limits::Limits;
use crate::manifest::{Manifest, ManifestError, Scheme, expand_all, expand_scheme};
use crate::names::SlotName;

/// A credential slot and the hosts that its value is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotBinding {
    /// The slot.
    pub slot: SlotName,
    /// How the value is presented.
    #[serde(flatten)]
    pub scheme: Scheme,
    /// Where it is sent.
    pub hosts: Vec<HostRule>,
}

/// A set of capabilities: what a manifest asks for, or what an admin granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// Hosts that requests may be sent to.
    #[serde(default)]
    pub egress: Vec<HostRule>,
    /// Exceptions for addresses that are not globally routable, exact to the port. A manifest cannot
    /// ask for one: they are the admin's alone.
    #[serde(default)]
    pub private_addresses: Vec<SocketAddr>,
    /// Credentials and the hosts that they are bound to.
    #[serde(default)]
    pub credentials: Vec<SlotBinding>,
    /// The slot whose credential proves who sends webhooks; none where none are taken.
    #[serde(default)]
    pub webhook: Option<SlotName>,
    /// DuckDB extensions that may attach remote databases.
    #[serde(default)]
    pub remote_extensions: Vec<String>,
    /// How much a run may use.
    #[serde(default)]
    pub limits: Limits,
    /// What was asked for when less was granted: that much may be asked for again, and gets what was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits_asked: Option<Limits>,
}

impl Capabilities {
    /// What a manifest asks for with these settings.
    pub fn requested(manifest: &Manifest, settings: &Value) -> Result<Self, ManifestError> {
        let credentials = manifest
            .credentials
            .iter()
            .map(|slot| {
                Ok(SlotBinding {
                    slot: slot.name.clone(),
                    scheme: expand_scheme(&slot.scheme, settings)?,
                    hosts: expand_all(&slot.hosts, settings)?,
                })
            })
            .collect::<Result<_, ManifestError>>()?;
        Ok(Self {
            egress: manifest.egress_for(settings)?,
            private_addresses: Vec::new(),
            credentials,
            webhook: manifest.webhook.clone(),
            remote_extensions: manifest.remote_extensions.clone(),
            limits: manifest.limits,
            limits_asked: None,
        })
    }

    /// What is asked for here and is not in `granted`, one line each, for the admin to read.
    pub fn beyond(&self, granted: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for rule in &self.egress {
            if !granted.egress.iter().any(|g| g.covers(rule)) {
                lines.push(format!("egress to {rule}"));
            }
        }
        for binding in &self.credentials {
            let known = granted.credentials.iter().find(|g| g.slot == binding.slot);
            // A token endpoint learns the credential too, whatever hosts see its tokens.
            if let Some(told) = binding.scheme.told()
                && known.is_none_or(|g| g.scheme != binding.scheme)
            {
                lines.push(format!("credential `{}` {told}", binding.slot));
            }
            for rule in &binding.hosts {
                let covered = known.is_some_and(|g| {
                    g.scheme == binding.scheme && g.hosts.iter().any(|h| h.covers(rule))
                });
                if !covered {
                    lines.push(format!("credential `{}` sent to {rule}", binding.slot));
                }
            }
        }
        lines.extend(self.webhook_beyond(granted));
        for extension in &self.remote_extensions {
            if !granted.remote_extensions.contains(extension) {
                lines.push(format!("remote databases by the extension `{extension}`"));
            }
        }
        lines.extend(self.limits_beyond(granted));
        lines
    }

    /// What holds in a run: asked for and granted. Address exceptions are the admin's alone.
    #[must_use]
    pub fn effective(&self, granted: &Self) -> Self {
        let egress = self
            .egress
            .iter()
            .filter(|rule| granted.egress.iter().any(|g| g.covers(rule)))
            .cloned()
            .collect();
        let credentials = self
            .credentials
            .iter()
            .filter_map(|asked| {
                let given = granted
                    .credentials
                    .iter()
                    .find(|g| g.slot == asked.slot && g.scheme == asked.scheme)?;
                let hosts = asked
                    .hosts
                    .iter()
                    .filter(|rule| given.hosts.iter().any(|h| h.covers(rule)))
                    .cloned()
                    .collect();
                Some(SlotBinding {
                    hosts,
                    ..asked.clone()
                })
            })
            .collect();
        Self {
            egress,
            private_addresses: granted.private_addresses.clone(),
            credentials,
            webhook: match self.webhook_beyond(granted) {
                None => self.webhook.clone(),
                Some(_) => None,
            },
            remote_extensions: self
                .remote_extensions
                .iter()
                .filter(|e| granted.remote_extensions.contains(e))
                .cloned()
                .collect(),
            limits: self.limits.at_most(granted.limits).at_most(Limits::MAXIMUM),
            limits_asked: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(rules: &[&str]) -> Capabilities {
        Capabilities {
            egress: rules.iter().map(|r| HostRule::parse(r).unwrap()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn effective_is_what_was_asked_and_granted() {
        let asked = egress(&["a.org", "b.org"]);
        let granted = egress(&["b.org", "c.org"]);
        assert_eq!(asked.effective(&granted).egress, egress(&["b.org"]).egress);
        assert_eq!(asked.beyond(&granted), ["egress to a.org"]);
    }

    #[test]
    fn another_token_endpoint_or_scope_is_more_than_was_granted() {
        let with = |scheme: Value| Capabilities {
            credentials: vec![SlotBinding {
                slot: SlotName::parse("key").unwrap(),
                scheme: serde_json::from_value(scheme).unwrap(),
                hosts: vec![HostRule::parse("a.org").unwrap()],
            }],
            ..Default::default()
        };
        let scheme = |url: &str, scopes: &[&str]| serde_json::json!({"scheme": "oauth2-client-credentials", "token_url": url, "scopes": scopes});
        let granted = with(scheme("https://id.a.org/t", &["read"]));
        assert_eq!(granted.beyond(&granted), [""; 0]);
        for asked in [
            scheme("https://evil.org/t", &["read"]),
            scheme("https://id.a.org/t", &["write"]),
        ] {
            let asked = with(asked);
            assert!(
                asked.beyond(&granted)[0]
                    .starts_with("credential `key` exchanged for a token for ")
            );
            assert!(asked.effective(&granted).credentials.is_empty());
        }
    }

    #[test]
    fn other_answers_to_take_a_credential_from_are_more_than_was_granted() {
        let with = |path: &str, token: &str| Capabilities {
            credentials: vec![SlotBinding {
                slot: SlotName::parse("lent").unwrap(),
                scheme: serde_json::from_value(
                    serde_json::json!({"scheme": "derived", "from": "key", "path": path,
                    "present": {"as": "bearer", "token": token}}),
                )
                .unwrap(),
                hosts: vec![HostRule::parse("a.org").unwrap()],
            }],
            ..Default::default()
        };
        let granted = with("/files", "/token");
        assert_eq!(granted.beyond(&granted), [""; 0]);
        for asked in [with("/", "/token"), with("/files", "/other")] {
            let lines = asked.beyond(&granted);
            assert!(
                lines[0].contains("taken by the host from answers"),
                "{lines:?}"
            );
            assert!(asked.effective(&granted).credentials.is_empty());
        }
    }

    #[test]
    fn a_manifest_cannot_ask_for_inner_addresses() {
        let mut asked = egress(&["http://127.0.0.1:9000"]);
        asked
            .private_addresses
            .push("127.0.0.1:9000".parse().unwrap());
        assert!(asked.effective(&asked.clone()).private_addresses.len() == 1);
        assert!(
            asked
                .effective(&egress(&["http://127.0.0.1:9000"]))
                .private_addresses
                .is_empty()
        );
    }
}
