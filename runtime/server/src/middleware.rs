//! What happens around every request, from the outside in: whose it is, an id, a log line, a count,
//! compression, security headers, other origins, readable errors, small bodies.

pub(crate) mod access_log;
pub(crate) mod client_address;
pub(crate) mod compression;
pub(crate) mod cors;
pub(crate) mod measure;
pub(crate) mod problems;
pub(crate) mod request_id;
pub(crate) mod security_headers;
pub(crate) mod small_bodies;
