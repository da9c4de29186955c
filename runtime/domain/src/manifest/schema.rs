//! The JSON Schema of manifests, made from their types and published as `wit/manifest.schema.json`:
//! editors complete and mark `connector.json` by it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Manifest;
use crate::names::{ConnectorName, SlotName};

/// The schema as the published file has it.
pub fn schema_text() -> String {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Manifest>().to_value();
    schema["title"] = "The manifest of a Sluice connector".into();
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    format!("{text}\n")
}

/// A JSON Schema itself, which editors check as such where it is used.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}

fn kebab() -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^[a-z]([a-z0-9-]{0,62}[a-z0-9])?$"
    })
}

impl JsonSchema for ConnectorName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConnectorName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        kebab()
    }
}

impl JsonSchema for SlotName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SlotName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        kebab()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let published = include_str!("../../../../wit/manifest.schema.json");
        assert!(
            published == schema_text(),
            "run `sluice connector schema > wit/manifest.schema.json`"
        );
    }

    #[test]
    fn the_pattern_of_names_is_their_rule() {
        // The pattern in words of its own, since nothing here evaluates patterns.
        for (name, fine) in [("a", true), ("a-1", true), ("a-", false), ("1", false)] {
            assert_eq!(ConnectorName::parse(name).is_ok(), fine, "{name}");
            assert_eq!(SlotName::parse(name).is_ok(), fine, "{name}");
        }
    }
}
