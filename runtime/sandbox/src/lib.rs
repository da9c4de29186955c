//! The guest's side of a run: what a connector file is, and the confined process that compiles and runs it.
//!
//! The only crate that names wasmtime. It holds no credential, opens no file and no connection of its own: everything
//! that a component wants goes to the broker, over the one socket that the process was started with.

pub mod artifact;

mod bindings;
mod budget;
mod chance;
mod compile;
mod confine;
mod engine;
mod guest;
mod host;
mod link;
mod load;
mod rehearsal;
mod runner;
mod stdio;
mod verdict;

pub use engine::engine_name;
#[doc(hidden)]
pub use rehearsal::{RehearsalError, Unwalled};
pub use runner::runner_main;
#[doc(hidden)]
pub use runner::{escaped_main, rehearsing_main};
