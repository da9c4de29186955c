//! Who may come in, and for how long.

use identity::password::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::oidc::OidcProvider;
use super::values::{Domain, Email};

/// Who may come in, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// How the first admin is made.
    pub(crate) bootstrap: Bootstrap,
    /// Whoever proves to own this address becomes admin.
    pub(crate) seed_admin_email: Option<Email>,
    /// The domains of e-mail addresses that may sign in by a provider without being entered first;
    /// empty: only users that exist.
    #[schemars(length(max = 256))]
    pub(crate) allowed_domains: Vec<Domain>,
    /// How long a browser stays signed in, in hours.
    #[schemars(range(min = 1, max = 8_760))]
    pub(crate) session_hours: u32,
    /// How long a browser stays signed in without a request, in hours.
    #[schemars(range(min = 1, max = 8_760))]
    pub(crate) session_idle_hours: u32,
    /// The longest life of a personal access token, in days.
    #[schemars(range(min = 1, max = 3_650))]
    pub(crate) token_max_days: u32,
    /// The life of a token for the desktop application, in minutes.
    #[schemars(range(min = 1, max = 1_440))]
    pub(crate) desktop_minutes: u32,
    /// Signing in with a password.
    pub(crate) password: Password,
    /// Signing in with a link that is sent by e-mail.
    pub(crate) magic_link: MagicLink,
    /// What happens to an account after failures.
    pub(crate) lockout: Lockout,
    /// What happens to an address that tries too often.
    pub(crate) rate: Rate,
    /// Providers of identities that speak OpenID Connect.
    #[schemars(length(max = 32))]
    pub(crate) oidc: Vec<OidcProvider>,
}

/// How the first admin is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bootstrap {
    /// With the one-time code that the server prints.
    Code,
    /// By whoever comes first, until a password exists; every start warns of it.
    Open,
}

/// Signing in with a password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Password {
    /// Whether that is possible.
    pub(crate) enabled: bool,
    /// The fewest characters of a new password.
    #[schemars(range(min = 8, max = 64))]
    pub(crate) min_length: u32,
    /// Words of this organisation, such as its name and products, around which nobody may build a password.
    #[schemars(length(max = 256))]
    pub(crate) context_words: Vec<String>,
}

/// Signing in with a link that is sent by e-mail, where `mail.smtp.host` is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MagicLink {
    /// Whether that is possible.
    pub(crate) enabled: bool,
    /// Minutes until a link is void.
    #[schemars(range(min = 1, max = 60))]
    pub(crate) minutes: u32,
}

/// What happens to an account after failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Lockout {
    /// Failures in a row until the account is locked.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) failures: u32,
    /// Minutes that it stays so.
    #[schemars(range(min = 1, max = 10_080))]
    pub(crate) minutes: u32,
}

/// What happens to an address that tries too often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rate {
    /// Attempts to sign in that one client address has in a minute.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) per_address_per_minute: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            bootstrap: Bootstrap::Code,
            seed_admin_email: None,
            allowed_domains: Vec::new(),
            session_hours: 24,
            session_idle_hours: 12,
            token_max_days: 365,
            desktop_minutes: 15,
            password: Password::default(),
            magic_link: MagicLink::default(),
            lockout: Lockout::default(),
            rate: Rate::default(),
            oidc: Vec::new(),
        }
    }
}

impl Password {
    /// What new passwords have to be.
    pub(crate) fn policy(&self) -> Policy<'_> {
        Policy {
            min_length: self.min_length as usize,
            context_words: &self.context_words,
        }
    }
}

impl Default for Password {
    fn default() -> Self {
        Self {
            enabled: true,
            min_length: 8,
            context_words: Vec::new(),
        }
    }
}

impl Default for MagicLink {
    fn default() -> Self {
        Self {
            enabled: true,
            minutes: 15,
        }
    }
}

impl Default for Lockout {
    fn default() -> Self {
        Self {
            failures: 10,
            minutes: 15,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_address_per_minute: 30,
        }
    }
}
