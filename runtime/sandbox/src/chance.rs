//! The random numbers and the wall clock of a component. Both follow from what the host says at the start, so that a
//! replay of a recorded run gives what the run got.
//!
//! The monotonic clock stays a stopwatch that really runs: waiting would not end otherwise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::ChaCha12Rng;
use wasmtime_wasi::{HostWallClock, WasiCtxBuilder};

/// How much later each look at the clock of a replay is.
const STEP: u64 = 1;

/// Gives a component its random numbers, and with `clock_from` a clock that does not depend on when it runs.
pub(crate) fn give(wasi: &mut WasiCtxBuilder, seed: [u8; 32], clock_from: Option<u64>) {
    // Apart from each other, so that one says nothing of the other.
    let [secure, insecure, other] = [0, 1, 2].map(|stream| {
        let mut random = ChaCha12Rng::from_seed(seed);
        random.set_stream(stream);
        random
    });
    wasi.secure_random(secure).insecure_random(insecure);
    wasi.insecure_random_seed(number(other));
    if let Some(from) = clock_from {
        wasi.wall_clock(Steps(AtomicU64::new(from)));
    }
}

fn number(mut random: ChaCha12Rng) -> u128 {
    use rand::Rng as _;
    u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())
}

/// A clock that goes on by one step a look; in milliseconds since 1970.
struct Steps(AtomicU64);

impl HostWallClock for Steps {
    fn resolution(&self) -> Duration {
        Duration::from_millis(STEP)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(STEP, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_for_ever() {
        // A recording outlives the version of the crate that made it.
        let of = |seed| number(ChaCha12Rng::from_seed(seed));
        assert_eq!(of([0; 32]), of([0; 32]));
        assert_ne!(of([0; 32]), of([1; 32]));
        assert_eq!(of([0; 32]) >> 64, 0x53f9_5507_6a9a_f49b);
    }

    #[test]
    fn the_clock_of_a_replay_begins_where_it_is_told_and_goes_on() {
        let clock = Steps(AtomicU64::new(1_000));
        let seen = [clock.now(), clock.now(), clock.now()].map(|at| at.as_millis());
        assert_eq!(seen, [1_000, 1_001, 1_002]);
    }
}
