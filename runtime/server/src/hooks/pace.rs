//! How many deliveries a source takes: so many a minute, and as many of these at once. Counted only for
//! those whose signature was right, so that a stranger cannot use up what the sender has.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::SourceName;

/// The pace of each source.
#[derive(Debug)]
pub(crate) struct Paces {
    /// Between two deliveries that come evenly.
    interval: Duration,
    burst: Duration,
    /// When all that was taken would have come evenly.
    sources: Mutex<BTreeMap<SourceName, Instant>>,
}

impl Paces {
    pub(crate) fn new(per_minute: u32) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            interval: minute / per_minute.max(1),
            burst: minute,
            sources: Mutex::default(),
        }
    }

    /// Counts a delivery; where there are too many, when to come again.
    pub(crate) fn admit(&self, source: &SourceName) -> Result<(), Duration> {
        self.admit_at(source, Instant::now())
    }

    fn admit_at(&self, source: &SourceName, now: Instant) -> Result<(), Duration> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let even = sources.entry(source.clone()).or_insert(now);
        let next = (*even).max(now) + self.interval;
        let ahead = next.saturating_duration_since(now);
        if ahead > self.burst {
            return Err(ahead - self.burst);
        }
        *even = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_deliveries_of_a_source_and_no_more() {
        let paces = Paces::new(60);
        let (shop, other): (SourceName, SourceName) =
            ("shop".parse().unwrap(), "other".parse().unwrap());
        let now = Instant::now();
        for _ in 0..60 {
            assert_eq!(paces.admit_at(&shop, now), Ok(()));
        }
        assert_eq!(paces.admit_at(&shop, now), Err(Duration::from_secs(1)));
        assert_eq!(paces.admit_at(&other, now), Ok(()));
        assert_eq!(paces.admit_at(&shop, now + Duration::from_secs(1)), Ok(()));
        assert!(paces.admit_at(&shop, now + Duration::from_secs(1)).is_err());
    }
}
