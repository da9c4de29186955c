//! Results of remote queries on their way into a query here: what another engine sent becomes Arrow, typed as the schema
//! that came with it says, or an error that names the column.

pub mod bigquery;
pub mod engines;
pub mod landing;

pub use bigquery::{BigQueryShape, ShapeError};
pub use engines::{Dialect, Landed, RemoteEngine};
pub use landing::{Caps, LandError, Landing};
