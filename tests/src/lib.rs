//! What drives the whole of Sluice from outside: a real server, its command line, the connectors it
//! runs, and a small internet for them to talk to.
//!
//! Nothing here links the server: it is the built binary, as people run it.

pub mod app;
pub mod artifacts;
pub mod client;
pub mod files;
pub mod internet;
pub mod wasm;

pub use app::{App, Options};
pub use artifacts::{Key, component, shown, sluice, without_digests};
pub use client::{Client, Response, outcome};
pub use internet::Internet;
