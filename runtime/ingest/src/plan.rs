//! What a version would be allowed to do with given settings, before anything runs.

use domain::{Capabilities, Manifest};
use serde_json::Value;

use crate::error::{IngestError, SettingsError};

/// The most errors that are told at once.
const MAX_ERRORS: usize = 20;

/// Validates settings against the manifest's JSON Schema, and works out what the connector asks for
/// with them.
pub fn plan(manifest: &Manifest, settings: &Value) -> Result<Capabilities, IngestError> {
    if !settings.is_object() {
        return Err(IngestError::Settings(vec![SettingsError {
            pointer: String::new(),
            message: "settings are a JSON object".into(),
        }]));
    }
    let validator = jsonschema::validator_for(&manifest.settings)
        .map_err(|error| IngestError::Schema(error.to_string()))?;
    let errors: Vec<_> = validator
        .iter_errors(settings)
        .take(MAX_ERRORS)
        .map(|error| SettingsError {
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        })
        .collect();
    if !errors.is_empty() {
        return Err(IngestError::Settings(errors));
    }
    Ok(Capabilities::requested(manifest, settings)?)
}

/// Refuses a schema of settings with which nothing could be validated, naming the place in it. Called
/// when a manifest arrives, so that nobody trusts a version that no source can be made of.
pub fn check_schema(schema: &Value) -> Result<(), IngestError> {
    let broken = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().to_string();
        IngestError::Schema(match place.as_str() {
            "" => error.to_string(),
            place => format!("at /settings{place}, {error}"),
        })
    };
    jsonschema::meta::validate(schema).map_err(broken)?;
    jsonschema::validator_for(schema).map(drop).map_err(broken)
}

/// The grant as it is kept, of an admin who saw what is asked for. Refuses one that does not cover that;
/// only limits may be smaller.
pub fn check_grant(
    requested: &Capabilities,
    granted: Capabilities,
) -> Result<Capabilities, IngestError> {
    let granted = granted.in_sight_of(requested);
    let beyond = requested.beyond(&granted);
    if beyond.is_empty() {
        Ok(granted)
    } else {
        Err(IngestError::BeyondGrant(beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(settings: &Value) -> Manifest {
        let manifest = json!({"wit": "0.1.0", "name": "a", "version": "1", "title": "", "description": "",
            "worlds": ["source"], "settings": settings});
        Manifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn each_mistake_in_settings_is_told_with_its_pointer() {
        let schema = json!({"type": "object", "required": ["region"], "additionalProperties": false,
            "properties": {"region": {"enum": ["eu", "us"]}, "tables": {"type": "array",
                "items": {"type": "object", "properties": {"a/b": {"type": "integer"}}}}}});
        let settings = json!({"region": "mars", "tables": [{}, {"a/b": "x"}]});
        let error = plan(&manifest(&schema), &settings).unwrap_err();
        let IngestError::Settings(found) = error else {
            panic!("{error}")
        };
        let mut places: Vec<_> = found.into_iter().map(|error| error.pointer).collect();
        places.sort();
        assert_eq!(places, ["/region", "/tables/1/a~1b"]);
        let missing = plan(&manifest(&schema), &json!({}))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("region"), "{missing}");
        assert!(plan(&manifest(&schema), &json!({"region": "eu"})).is_ok());
        assert!(plan(&manifest(&schema), &json!(["eu"])).is_err());
    }

    #[test]
    fn a_schema_that_is_none_is_refused_with_its_place() {
        for (schema, place) in [
            (json!({"type": "nonsense"}), "at /settings/type, "),
            (
                json!({"properties": {"a": {"minLength": -1}}}),
                "at /settings/properties/a/minLength, ",
            ),
            (json!({"properties": {"a": {"pattern": "("}}}), "("),
            (json!({"$ref": "https://example.com/x.json"}), "example.com"),
            (json!({"$ref": "file:///etc/passwd"}), "passwd"),
        ] {
            let told = check_schema(&schema).unwrap_err().to_string();
            assert!(told.contains(place), "{schema}: {told}");
        }
        assert!(check_schema(&json!({"type": "object"})).is_ok());
    }

    #[test]
    fn the_published_schema_of_manifests_fits_the_connectors_and_refuses_what_the_types_refuse() {
        let schema = serde_json::from_str(&domain::manifest::schema_text()).unwrap();
        check_schema(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for text in [
            include_str!("../../../connectors-wasm/files/connector.json"),
            include_str!("../../../connectors-wasm/fixtures/connector.json"),
        ] {
            let mut manifest: Value = serde_json::from_str(text).unwrap();
            // The package's own version is added when it is built.
            manifest["version"] = json!("1.0.0");
            let told: Vec<_> = validator
                .iter_errors(&manifest)
                .map(|e| e.to_string())
                .collect();
            assert_eq!(told, [""; 0]);
            for (place, wrong) in [
                ("name", json!("../x")),
                ("wish", json!(1)),
                ("egress", json!("a.org")),
                ("settings", json!([])),
                ("limits", json!({"rows": -1})),
            ] {
                let mut broken = manifest.clone();
                broken[place] = wrong;
                assert!(!validator.is_valid(&broken), "{place}");
                assert!(
                    Manifest::parse(broken.to_string().as_bytes()).is_err(),
                    "{place}"
                );
            }
        }
    }
}
