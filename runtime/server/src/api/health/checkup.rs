//! The last look at the state, for all who ask within a second: the route is open to everyone, and a query for each
//! request would let strangers, and a busy machine, keep the server from its work.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Health;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);

/// What was found, and when.
#[derive(Debug, Default)]
pub(crate) struct Checkup(Mutex<Option<(Instant, Health)>>);

impl Checkup {
    /// What was found less than a second ago, else what `look` finds. One looks, the others wait for it.
    pub(super) async fn at(&self, now: Instant, look: impl Future<Output = Health>) -> Health {
        let mut last = self.0.lock().await;
        if let Some((then, health)) = last.as_ref()
            && now.saturating_duration_since(*then) < FRESH
        {
            return health.clone();
        }
        let health = look.await;
        *last = Some((now, health.clone()));
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_state_is_looked_at_once_a_second_and_what_is_wrong_is_told_then() {
        let checkup = Checkup::default();
        let start = Instant::now();
        let good = || async {
            Health {
                status: "ok",
                ..Health::UNREACHABLE
            }
        };
        let bad = || async { Health::UNREACHABLE };
        assert_eq!(checkup.at(start, good()).await.status, "ok");
        let soon = start + FRESH / 2;
        assert_eq!(checkup.at(soon, bad()).await.status, "ok");
        let later = start + FRESH;
        assert_eq!(checkup.at(later, bad()).await.status, "unhealthy");
        assert_eq!(checkup.at(later, good()).await.status, "unhealthy");
        assert_eq!(checkup.at(later + FRESH, good()).await.status, "ok");
    }
}
