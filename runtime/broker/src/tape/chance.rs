//! What a run does not get from its requests and would be otherwise each time: its random numbers and its clock.

use domain::Failure;

use super::Tape;

/// Where a run's random numbers and its clock begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chance {
    /// What the random numbers follow from.
    pub(crate) random_seed: [u8; 32],
    /// What the clock shows first, in milliseconds since 1970; `None` for the time.
    pub(crate) clock_from: Option<u64>,
}

impl Chance {
    /// As it was recorded; otherwise new, and the time.
    pub(crate) fn of(tape: &Tape) -> Result<Self, Failure> {
        if let Some(player) = tape.player() {
            return Ok(player.chance());
        }
        let mut random_seed = [0; 32];
        getrandom::fill(&mut random_seed).map_err(|error| {
            Failure::bug(format!("the system gives no random numbers: {error}"))
        })?;
        Ok(Self {
            random_seed,
            clock_from: None,
        })
    }
}
