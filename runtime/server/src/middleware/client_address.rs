//! Placeholder until the reading of proxies' headers is merged.
use std::net::IpAddr;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);
