//! What drives the whole of Sluice from outside: a real server, its command line, the connectors it
//! runs, and a small internet for them to talk to.
//!
//! Nothing here links the server: it is the built binary, as people run it.

use std::time::{Duration, Instant};

pub mod app;
pub mod artifacts;
pub mod client;
pub mod emulator;
pub mod files;
pub mod internet;
pub mod keboola;
pub mod leaks;
pub mod mailbox;
pub mod people;
pub mod postgres;
pub mod provider;
pub mod wasm;

pub use app::{App, Options};
pub use artifacts::{Key, component, shown, sluice, without_digests};
pub use client::{Client, Response, outcome};
pub use emulator::BigQuery;
pub use internet::Internet;
pub use leaks::Leaks;
pub use postgres::Postgres;

/// Waits for what must come, looking again and again; gives up after a minute.
#[track_caller]
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it did not happen that {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
