//! What a connector says about itself: data in a section of the component, readable without running
//! anything.

mod check;
mod difference;
mod schema;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::host_rule::HostRule;
use crate::limits::Limits;
use crate::names::{ConnectorName, SlotName};
pub use crate::scheme::Scheme;
use crate::scheme::read_token_url;
use crate::table_rule::TableRules;

pub use schema::schema_text;

/// The custom section that holds the manifest.
pub const SECTION: &str = "sluice:manifest";

/// The most bytes that a manifest may have.
pub const MAX_BYTES: usize = 256 << 10;

/// The versions of the connector interface that this host speaks.
pub const WIT_VERSIONS: &[&str] = &["0.1.0"];

/// Why a manifest was refused.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not JSON, or a field is missing, unknown or of the wrong type.
    #[error("the manifest is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is larger than any honest manifest.
    #[error("the manifest has {0} bytes, more than the {MAX_BYTES} that are allowed")]
    TooLarge(usize),
    /// A field's content breaks a rule.
    #[error("the manifest's `{field}` is wrong: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings lack what an egress line refers to.
    #[error("the egress line `{line}` refers to settings that are not there: {reason}")]
    Placeholder {
        /// The line of the manifest.
        line: String,
        /// What is missing or malformed.
        reason: String,
    },
}

/// A place for a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    /// Its name, unique in the manifest.
    pub name: SlotName,
    /// What to enter, for the admin.
    pub title: String,
    /// Whether the connector works without it.
    #[serde(default)]
    pub required: bool,
    /// The hosts that it is sent to; may refer to settings like `egress`. None for `hmac`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How it is presented.
    #[serde(flatten)]
    pub scheme: Scheme,
}

/// A connector's description of itself and of what it asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the connector interface that it was built for.
    pub wit: String,
    /// The connector's name.
    pub name: ConnectorName,
    /// Its own version, `1.2.3`.
    pub version: String,
    /// For lists.
    pub title: String,
    /// In a paragraph.
    pub description: String,
    /// The worlds that the component implements.
    pub worlds: Vec<String>,
    /// The JSON Schema of its settings.
    #[schemars(schema_with = "schema::any_object")]
    pub settings: Value,
    /// Places for credentials.
    #[serde(default)]
    pub credentials: Vec<Slot>,
    /// Hosts that it asks for. `{settings.region}` stands for a setting; `{settings.tables.*.url}`
    /// for the scheme, host and port of each URL there.
    #[serde(default)]
    pub egress: Vec<String>,
    /// The slot whose credential proves who sends webhooks; none where it takes none.
    #[serde(default)]
    pub webhook: Option<SlotName>,
    /// DuckDB extensions that it asks for.
    #[serde(default)]
    pub remote_extensions: Vec<String>,
    /// When to run it, where the admin says nothing else.
    #[serde(default)]
    pub schedule: Option<String>,
    /// What holds for its tables beyond what it says when it opens them; `*` for all that have no entry.
    #[serde(default, skip_serializing_if = "TableRules::is_empty")]
    pub tables: TableRules,
    /// Limits that it asks for.
    #[serde(default)]
    pub limits: Limits,
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let wrong = |field, reason: String| Err(ManifestError::Field { field, reason });
        if !self.settings.is_object() {
            return wrong("settings", "it must be a JSON Schema, an object".into());
        }
        if self.version.is_empty()
            || self.version.len() > 64
            || !self
                .version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
        {
            return wrong(
                "version",
                format!("`{}` is not like 1.2.3", self.version.escape_debug()),
            );
        }
        const WORLDS: [&str; 4] = ["source", "receiver", "catalog", "model"];
        if let Some(world) = self.worlds.iter().find(|w| !WORLDS.contains(&w.as_str())) {
            return wrong(
                "worlds",
                format!(
                    "`{}` is none of {}",
                    world.escape_debug(),
                    WORLDS.join(", ")
                ),
            );
        }
        let mut slots: Vec<_> = self.credentials.iter().map(|slot| &slot.name).collect();
        slots.sort();
        if let Some(pair) = slots.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong(
                "credentials",
                format!("the slot `{}` stands there twice", pair[0]),
            );
        }
        for slot in &self.credentials {
            if let Err(reason) = slot.scheme.check() {
                return wrong("credentials", format!("slot `{}`: {reason}", slot.name));
            }
        }
        check::check(self)
    }

    /// The hosts that these settings make the connector ask for.
    pub fn egress_for(&self, settings: &Value) -> Result<Vec<HostRule>, ManifestError> {
        expand_all(&self.egress, settings)
    }
}

/// Fills settings into a list of egress lines.
pub fn expand_all(lines: &[String], settings: &Value) -> Result<Vec<HostRule>, ManifestError> {
    let mut rules = Vec::new();
    for line in lines {
        rules.extend(expand(line, settings)?);
    }
    rules.sort();
    rules.dedup();
    Ok(rules)
}

fn expand(line: &str, settings: &Value) -> Result<Vec<HostRule>, ManifestError> {
    let bad = |reason: String| ManifestError::Placeholder {
        line: line.to_owned(),
        reason,
    };
    let parse = |text: &str| HostRule::parse(text).map_err(|error| bad(error.to_string()));
    let Some((head, rest)) = line.split_once("{settings.") else {
        return Ok(vec![parse(line)?]);
    };
    let (path, tail) = rest
        .split_once('}')
        .ok_or_else(|| bad("a brace is not closed".into()))?;
    let mut values = Vec::new();
    collect(settings, path, &mut values);
    let mut rules = Vec::new();
    for value in values {
        if head.is_empty() && tail.is_empty() && value.contains("://") {
            let url = Url::parse(value).map_err(|error| {
                bad(format!("`{}` is not a URL: {error}", value.escape_debug()))
            })?;
            rules.push(HostRule::for_url(&url).map_err(|error| bad(error.to_string()))?);
        } else if !value.is_empty()
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c))
        {
            // One placeholder a line: what follows is parsed again only for further ones.
            rules.extend(expand(&format!("{head}{value}{tail}"), settings)?);
        } else {
            return Err(bad(format!(
                "`{}` cannot be a part of a host",
                value.escape_debug()
            )));
        }
    }
    Ok(rules)
}

/// A slot's scheme with these settings in its token endpoint.
pub fn expand_scheme(scheme: &Scheme, settings: &Value) -> Result<Scheme, ManifestError> {
    let Some(line) = scheme.token_url() else {
        return Ok(scheme.clone());
    };
    let bad = |reason: String| ManifestError::Placeholder {
        line: line.to_owned(),
        reason,
    };
    let url = match line.split_once("{settings.") {
        None => line.to_owned(),
        Some((head, rest)) => {
            let (path, tail) = rest
                .split_once('}')
                .ok_or_else(|| bad("a brace is not closed".into()))?;
            let mut values = Vec::new();
            collect(settings, path, &mut values);
            let plain = |c: char| c.is_ascii_alphanumeric() || "-.:_".contains(c);
            match values.as_slice() {
                // Dots alone would climb out of the path.
                [value]
                    if value.contains(|c: char| c.is_ascii_alphanumeric())
                        && value.chars().all(plain) =>
                {
                    format!("{head}{value}{tail}")
                }
                _ => {
                    return Err(bad(
                        "it takes one setting of letters, digits and `-.:_`".into()
                    ));
                }
            }
        }
    };
    read_token_url(&url).map_err(bad)?;
    Ok(scheme.clone().with_token_url(url))
}

fn collect<'a>(value: &'a Value, path: &str, found: &mut Vec<&'a str>) {
    if path.is_empty() {
        found.extend(value.as_str());
        return;
    }
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    match (step, value) {
        ("*", Value::Array(items)) => items.iter().for_each(|item| collect(item, rest, found)),
        ("*", Value::Object(fields)) => fields.values().for_each(|item| collect(item, rest, found)),
        (_, Value::Object(fields)) => {
            if let Some(next) = fields.get(step) {
                collect(next, rest, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(line: &str, settings: &Value) -> Result<Vec<String>, String> {
        expand_all(&[line.to_owned()], settings)
            .map(|rules| rules.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_fills_a_part_of_a_host() {
        let line = "connection.{settings.region}.keboola.com";
        assert_eq!(
            rules(line, &json!({"region": "eu-1"})).unwrap(),
            ["connection.eu-1.keboola.com"]
        );
        for region in ["evil.org/", "x@evil.org", "a b", "*"] {
            assert!(rules(line, &json!({"region": region})).is_err(), "{region}");
        }
    }

    #[test]
    fn urls_in_settings_become_their_hosts() {
        let settings = json!({"tables": [{"url": "https://a.org/x"}, {"url": "http://b.org:81/"}, {"url": "https://a.org/y"}]});
        assert_eq!(
            rules("{settings.tables.*.url}", &settings).unwrap(),
            ["http://b.org:81", "a.org"]
        );
        assert!(rules("{settings.url}", &json!({"url": "file:///etc/passwd"})).is_err());
    }

    #[test]
    fn a_setting_fills_a_part_of_a_token_endpoint_and_leaves_it_one() {
        let scheme: Scheme = serde_json::from_value(
            json!({"scheme": "oauth2-refresh", "token_url": "https://login.example.com/{settings.tenant}/token"}),
        )
        .unwrap();
        let filled = |tenant: Value| expand_scheme(&scheme, &json!({"tenant": tenant}));
        let url = filled(json!("a-1")).unwrap();
        assert_eq!(url.token_url(), Some("https://login.example.com/a-1/token"));
        for bad in [
            json!(".."),
            json!("a/b"),
            json!("@evil.org"),
            json!("%2e"),
            json!(7),
            json!(null),
        ] {
            assert!(filled(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        let error = Manifest::parse(br#"{"wit":"0.1.0","wish":1}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("wish"), "{error}");
    }
}
