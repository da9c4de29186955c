//! By what way mail leaves.

use domain::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Email;

/// By what way mail leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mail {
    /// The sender of all mail.
    pub(crate) from: Email,
    /// The server that takes it.
    pub(crate) smtp: Smtp,
}

/// The server that takes mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Smtp {
    /// Its name; null: no mail is sent.
    #[schemars(length(min = 1, max = 253))]
    pub(crate) host: Option<String>,
    /// Its port.
    #[schemars(range(min = 1))]
    pub(crate) port: u16,
    /// Whom to sign in as; null: without.
    #[schemars(length(min = 1, max = 512))]
    pub(crate) user: Option<String>,
    /// The password for that.
    #[serde(with = "super::secret")]
    #[schemars(with = "super::secret::Shown", length(min = 1, max = 4096))]
    pub(crate) password: Option<Secret>,
    /// How the connection is protected.
    pub(crate) tls: SmtpTls,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SmtpTls {
    /// It begins in the clear and must change to TLS, as on port 587.
    Starttls,
    /// It is TLS from the first byte, as on port 465.
    Implicit,
    /// It is not; only to this very machine.
    None,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            from: Email::noreply(),
            smtp: Smtp::default(),
        }
    }
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: None,
            port: 587,
            user: None,
            password: None,
            tls: SmtpTls::Starttls,
        }
    }
}
