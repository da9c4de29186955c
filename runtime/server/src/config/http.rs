//! Where and how the server answers.

use std::net::SocketAddr;
use std::time::Duration;

use domain::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Origin;

/// Where and how the server answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Address and port; port 0 picks a free one.
    #[schemars(extend("format" = "socket-address"))]
    pub(crate) listen: SocketAddr,
    /// How people reach the server, for the links that it prints and sends; by default where it
    /// listens. With `https` browsers are told to insist on it, and cookies are kept to it.
    #[schemars(extend("format" = "web-address"))]
    pub(crate) public_url: Option<url::Url>,
    /// How many proxies in front are ours: the client's address is read that many places from the
    /// right of `X-Forwarded-For`. 0: the header is ignored.
    #[schemars(range(max = 16))]
    pub(crate) trusted_proxy_hops: u8,
    /// The origins whose pages may call the API, such as `https://app.example.com`; `*` is refused.
    #[schemars(length(max = 64))]
    pub(crate) cors_origins: Vec<Origin>,
    /// What `/metrics` is asked with, as `Authorization: Bearer`; null: only with an admin's token.
    #[serde(with = "super::secret")]
    #[schemars(with = "super::secret::Shown", length(min = 16, max = 4096))]
    pub(crate) metrics_token: Option<Secret>,
    /// The largest component that may be uploaded, in MiB; it is held in memory.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) max_upload_mib: u64,
    /// Seconds until a request is given up; not for downloads, uploads and event streams.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) request_timeout_seconds: u64,
    /// Seconds that a client may take to send the head of a request.
    #[schemars(range(min = 1, max = 3_600))]
    pub(crate) header_read_timeout_seconds: u64,
    /// Seconds that a body may stand still while it is being sent.
    #[schemars(range(min = 1, max = 3_600))]
    pub(crate) body_read_timeout_seconds: u64,
    /// Seconds that open requests get at a shutdown.
    #[schemars(range(max = 3_600))]
    pub(crate) shutdown_grace_seconds: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            public_url: None,
            trusted_proxy_hops: 0,
            cors_origins: Vec::new(),
            metrics_token: None,
            max_upload_mib: 64,
            request_timeout_seconds: 120,
            header_read_timeout_seconds: 30,
            body_read_timeout_seconds: 30,
            shutdown_grace_seconds: 10,
        }
    }
}

impl Http {
    pub(crate) fn max_upload_bytes(&self) -> usize {
        usize::try_from(self.max_upload_mib << 20).unwrap_or(usize::MAX)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    pub(crate) fn header_read_timeout(&self) -> Duration {
        Duration::from_secs(self.header_read_timeout_seconds)
    }

    pub(crate) fn body_read_timeout(&self) -> Duration {
        Duration::from_secs(self.body_read_timeout_seconds)
    }

    pub(crate) fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }

    /// Whether people reach the server by TLS, which decides on `Secure` cookies and on HSTS.
    pub(crate) fn is_https(&self) -> bool {
        let url = self.public_url.as_ref();
        url.is_some_and(|url| url.scheme() == "https")
    }
}
