//! The run's log. Lines over 4 KiB are cut, and what is over the run's limit is left out. Never fails.

use crate::host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the connector's author.
    Debug,
    /// For whoever reads the run afterwards.
    Info,
    /// Something was left out or looked odd; the run goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes a line for the connector's author.
pub fn debug(message: &str) {
    host::log(Level::Debug, message);
}

/// Writes a line for whoever reads the run afterwards.
pub fn info(message: &str) {
    host::log(Level::Info, message);
}

/// Writes a line about something odd; the run goes on.
pub fn warn(message: &str) {
    host::log(Level::Warn, message);
}

/// Writes a line about something that failed.
pub fn error(message: &str) {
    host::log(Level::Error, message);
}
