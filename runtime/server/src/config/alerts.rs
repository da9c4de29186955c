//! Where people are told that a source fails, and after how long that its rows are old.

use domain::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom failures are told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Alerts {
    /// The webhook that takes `{"text": …}`, as Slack has them; null: nobody is told. Whoever knows it can write there.
    #[serde(with = "super::secret")]
    #[schemars(with = "super::secret::Shown", length(min = 1, max = 2048), extend("format" = "secure-web-address"))]
    pub(crate) webhook_url: Option<Secret>,
    /// Hours without a sync that worked after which the rows of a source with a schedule are called stale; null: never. A
    /// source's own number goes before.
    #[schemars(range(min = 1, max = 8_784))]
    pub(crate) stale_after_hours: Option<u32>,
}
