//! How long to wait before a failure is tried again, and whether it is at all.

use jiff::SignedDuration;

use crate::failure::Failure;
use crate::schedule::jitter;

/// No pause is longer, whatever a service asks for: after it somebody has looked at the source, or should have.
pub const MOST_PAUSE: SignedDuration = SignedDuration::from_hours(24);
/// The pause doubles up to here.
const MOST_BACKOFF: SignedDuration = SignedDuration::from_hours(1);

/// When failures are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The most attempts, the first one counted.
    pub most_attempts: u32,
    /// The pause after the first.
    pub first: SignedDuration,
}

impl Backoff {
    /// How long to wait after this attempt has failed; nothing where another could not help, or was the last.
    /// `who` moves the pause by up to a quarter, always the same for the same text, so that sources that failed
    /// together do not come again together.
    pub fn pause(&self, failure: &Failure, attempt: u32, who: &str) -> Option<SignedDuration> {
        if !failure.kind.is_retryable() || attempt >= self.most_attempts {
            return None;
        }
        let doubled = 1_i32
            .checked_shl(attempt.saturating_sub(1))
            .filter(|n| *n > 0);
        let doubled = doubled.and_then(|times| self.first.checked_mul(times));
        let pause = doubled.map_or(MOST_BACKOFF, |pause| pause.min(MOST_BACKOFF));
        let asked = i64::from(failure.retry_after_seconds.unwrap_or_default());
        let pause = pause.max(SignedDuration::from_secs(asked)).min(MOST_PAUSE);
        let moved = jitter(&format!("{who} {attempt}"), pause / 4);
        Some(pause.saturating_add(moved).min(MOST_PAUSE))
    }
}
