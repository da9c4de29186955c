//! Secrets of the configuration: read as text, shown as stars.

use domain::Secret;
use schemars::JsonSchema;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

/// What stands for a secret wherever the configuration is printed.
const MASK: &str = "***";

/// How a secret looks in the schema: editors do not remember what is marked as only to be written,
/// and no message about it quotes it.
#[derive(JsonSchema)]
#[schemars(inline, extend("writeOnly" = true))]
pub(crate) struct Shown(#[expect(dead_code, reason = "read by the derived schema")] Option<String>);

pub(crate) fn serialize<S: Serializer>(
    secret: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| MASK).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}
