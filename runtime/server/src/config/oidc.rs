//! Providers of identities, and where Google keeps the groups that its tokens do not name.

use std::path::PathBuf;

use domain::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Email, ProviderName, WebAddress};

/// A provider of identities that speaks OpenID Connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcProvider {
    /// Its name in URLs, as in `/auth/oidc/NAME/login`; `google` also answers where the predecessor did.
    pub(crate) name: ProviderName,
    /// What the button says; by default the name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub(crate) title: Option<String>,
    /// The issuer, exactly as the provider writes it; its discovery document lies below.
    pub(crate) issuer: WebAddress,
    /// What the provider calls this server.
    #[schemars(length(min = 1, max = 512))]
    pub(crate) client_id: String,
    /// What this server proves itself with; null for a public client.
    #[serde(default, with = "super::secret")]
    #[schemars(with = "super::secret::Shown", length(min = 1, max = 4096))]
    pub(crate) client_secret: Option<Secret>,
    /// The claim that holds the names of a user's groups; null: groups are not taken over.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub(crate) groups_claim: Option<String>,
    /// Whether a person of `auth.allowed_domains` who signs in for the first time becomes a user.
    #[serde(default = "yes")]
    pub(crate) create_users: bool,
    /// Groups of Google Workspace, which are asked for at Google's Cloud Identity API.
    #[serde(default)]
    pub(crate) google_groups: GoogleGroups,
}

fn yes() -> bool {
    true
}

/// Groups of Google Workspace, which are asked for at Google's Cloud Identity API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GoogleGroups {
    /// Whether they are asked for at each sign-in.
    pub(crate) enabled: bool,
    /// The key file of the service account that asks.
    #[schemars(length(min = 1, max = 4096))]
    pub(crate) service_account_file: Option<PathBuf>,
    /// The Workspace admin in whose name it asks, where its rights are delegated.
    pub(crate) subject: Option<Email>,
    /// Only groups whose address begins so; null: all.
    #[schemars(length(min = 1, max = 128))]
    pub(crate) prefix: Option<String>,
    /// Where the API is.
    pub(crate) endpoint: WebAddress,
}

impl Default for GoogleGroups {
    fn default() -> Self {
        Self {
            enabled: false,
            service_account_file: None,
            subject: None,
            prefix: None,
            endpoint: WebAddress::google_groups(),
        }
    }
}
