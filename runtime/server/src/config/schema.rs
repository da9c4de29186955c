//! The JSON Schema of the configuration, made from its types: editors complete and mark by it, and
//! the server checks by it.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// The schema.
pub(super) fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    schema["title"] = "The configuration of a Sluice server".into();
    schema
}

/// The schema as the committed file has it.
pub(crate) fn text() -> String {
    let text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let committed = include_str!("../../../../config/instance.schema.json");
        assert!(
            committed == text(),
            "run `sluice config schema > config/instance.schema.json`"
        );
    }

    #[test]
    fn no_section_takes_keys_that_it_does_not_know() {
        let schema = schema();
        let defs = schema["$defs"].as_object().unwrap();
        let sections = defs.values().chain([&schema]);
        let sections = sections.filter(|schema| schema["type"] == "object");
        assert!(sections.clone().count() > 12);
        for section in sections {
            assert_eq!(section["additionalProperties"], false, "{section}");
        }
    }
}
