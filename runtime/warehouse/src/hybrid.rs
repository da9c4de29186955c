//! Results of remote queries on their way into a query here: what another engine sent becomes Arrow, typed as the schema
//! that came with it says, or an error that names the column.

pub mod bigquery;

pub use bigquery::{BigQueryShape, ShapeError};
