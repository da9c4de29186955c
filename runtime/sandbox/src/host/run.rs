//! `run`: settings, log, progress, checkpoints.

use domain::protocol::Call;
use domain::run::Level as LogLevel;

use super::Answer;
use crate::bindings::sluice::connector::run::{Host, Level, Progress};
use crate::guest::Guest;
use crate::stdio::MAX_LINE;

impl Host for Guest {
    fn settings(&mut self) -> wasmtime::Result<String> {
        Ok(self.settings.clone())
    }

    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let message = cut(message);
        if level == LogLevel::Error {
            self.last_error = Some(message.clone());
        }
        self.tell(Call::Log { level, message }, &[]).map(drop)
    }

    fn report(&mut self, progress: Progress) -> wasmtime::Result<()> {
        let call = Call::Report {
            message: cut(progress.message),
            done: progress.done,
            total: progress.total,
        };
        self.tell(call, &[]).map(drop)
    }

    fn checkpoint(&mut self) -> Answer<()> {
        self.tell(Call::Checkpoint, &[])
    }
}

/// A text of at most `MAX_LINE` bytes, cut between characters.
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_LINE));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut("ä".repeat(MAX_LINE)).len(), MAX_LINE);
        assert_eq!(
            cut(format!("a{}", "ä".repeat(MAX_LINE))).len(),
            MAX_LINE - 1
        );
        assert_eq!(cut("short".into()), "short");
    }
}
