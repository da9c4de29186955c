//! How a run went, as it appears in JSON.

use utoipa::ToSchema;

/// What a run had counted at a moment.
#[derive(ToSchema)]
pub(crate) struct Point {
    /// Milliseconds since it began.
    milliseconds: u64,
    /// Rows taken from the connector.
    rows: u64,
    /// Bytes of response bodies, decompressed.
    bytes_in: u64,
    /// Bytes of parquet written.
    bytes_out: u64,
    /// Requests sent.
    requests: u64,
}
