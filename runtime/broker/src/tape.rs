//! Record and replay: what a run asked the outside and was answered, kept in a file, and answered from it without the
//! network. Recording happens behind the redactor, so that no credential gets into one.

mod chance;
mod format;
mod matching;
mod player;
mod recorder;
#[cfg(test)]
mod tests;

pub use format::{Answered, Content, Exchange, Head, Recording, TapeError};
pub use player::{Fault, Player};
pub use recorder::Recorder;

pub(crate) use chance::Chance;
pub(crate) use recorder::BodyCopy;

/// What a run's requests meet.
#[derive(Debug, Clone, Default)]
pub enum Tape {
    /// The network.
    #[default]
    Off,
    /// The network, and a recorder that listens.
    Record(Recorder),
    /// A recording, and no network.
    Replay(Player),
}

impl Tape {
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        match self {
            Self::Record(recorder) => Some(recorder),
            _ => None,
        }
    }

    pub(crate) fn player(&self) -> Option<&Player> {
        match self {
            Self::Replay(player) => Some(player),
            _ => None,
        }
    }
}
