//! Everything that a Sluice connector needs: a connector is a struct with three methods and typed settings.
//!
//! A connector holds no credential, file or socket. It asks the host for responses, and hands them, mostly unread,
//! to tables. This one is complete:
//!
//! ```
//! use connector_sdk::{Connector, Failure, Format, Table, TableInfo, TableSpec, export, http};
//!
//! #[derive(serde::Deserialize)]
//! struct Hello {
//!     url: String,
//! }
//!
//! impl Connector for Hello {
//!     type Settings = Self;
//!     fn new(settings: Self) -> Result<Self, Failure> {
//!         Ok(settings)
//!     }
//!     fn check(&self) -> Result<(), Failure> {
//!         http::head(&self.url).send()?.error_for_status().map(drop)
//!     }
//!     fn discover(&self) -> Result<Vec<TableInfo>, Failure> {
//!         Ok(vec![TableInfo::new("greetings")])
//!     }
//!     fn sync(&self, _tables: &[String]) -> Result<(), Failure> {
//!         let page = http::get(&self.url).send()?.error_for_status()?;
//!         Table::open(&TableSpec::new("greetings"))?.append_body(page, &Format::json()).map(drop)
//!     }
//! }
//! export!(Hello);
//! ```
//!
//! Compiled to WebAssembly, these calls go to the host. Compiled natively, they go to [`testing::FakeHost`], so that a
//! connector's logic is tested with plain `cargo test`.

#![warn(missing_docs)]

mod connector;
mod failure;
mod format;
mod host;
mod receiver;
mod table;

pub mod cursor;
pub mod http;
pub mod link;
pub mod log;
pub mod remote;
pub mod run;

#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_family = "wasm")]
mod clock;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;

pub use connector::Connector;
pub use failure::Failure;
pub use format::{Appended, Compression, Csv, Format, Json};
pub use receiver::{Delivery, Receiver};
pub use run::{checkpoint, progress, wait};
pub use table::{Column, ColumnType, Table, TableInfo, TableSpec, WriteMode};
