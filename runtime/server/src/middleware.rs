//! What happens around every request, from the outside in: an id, a log line, security headers,
//! readable errors.

pub(crate) mod access_log;
pub(crate) mod client_address;
pub(crate) mod problems;
pub(crate) mod request_id;
pub(crate) mod security_headers;
