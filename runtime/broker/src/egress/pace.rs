//! How fast requests leave and how many are on their way: per source, and shared by all who use one
//! credential, since the service counts by that.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{Digest, Limits};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lanes that are kept; unused ones are forgotten beyond that.
const MOST_LANES: usize = 1 << 10;
/// After so much silence a lane takes other limits.
const SILENCE: Duration = Duration::from_secs(60);

/// The lanes of all runs.
#[derive(Default)]
pub(crate) struct Paces {
    lanes: Mutex<HashMap<Digest, Lane>>,
}

#[derive(Clone)]
struct Lane {
    per_second: u32,
    at_once: u32,
    rate: Arc<DefaultDirectRateLimiter>,
    places: Arc<Semaphore>,
    used: Instant,
}

/// The right to have one request on its way; given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    _places: Vec<OwnedSemaphorePermit>,
}

impl Paces {
    /// Waits until a request may leave in each of these lanes.
    pub(super) async fn turn(&self, mut marks: Vec<Digest>, limits: &Limits) -> Turns {
        marks.sort_unstable_by_key(ToString::to_string);
        marks.dedup();
        let mut turns = Turns::default();
        for mark in marks {
            let lane = self.lane(mark, limits);
            // A semaphore that nobody closes.
            turns
                ._places
                .extend(lane.places.clone().acquire_owned().await.ok());
            lane.wait().await;
        }
        turns
    }

    /// The lane of a mark. Where those who share it have different limits, the smallest hold.
    fn lane(&self, mark: Digest, limits: &Limits) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= MOST_LANES {
            lanes.retain(|_, lane| lane.used.elapsed() < SILENCE);
        }
        let (mut per_second, mut at_once) = (
            limits.requests_per_second.max(1),
            limits.requests_at_once.max(1),
        );
        if let Some(lane) = lanes.get_mut(&mark) {
            if lane.used.elapsed() < SILENCE {
                per_second = per_second.min(lane.per_second);
                at_once = at_once.min(lane.at_once);
            }
            if (lane.per_second, lane.at_once) == (per_second, at_once) {
                lane.used = Instant::now();
                return lane.clone();
            }
        }
        let lane = Lane::new(per_second, at_once);
        lanes.insert(mark, lane.clone());
        lane
    }
}

impl Lane {
    fn new(per_second: u32, at_once: u32) -> Self {
        let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN));
        Self {
            per_second,
            at_once,
            rate: Arc::new(DefaultDirectRateLimiter::direct(quota)),
            places: Arc::new(Semaphore::new(at_once as usize)),
            used: Instant::now(),
        }
    }

    async fn wait(&self) {
        while let Err(early) = self.rate.check() {
            tokio::time::sleep(early.wait_time_from(DefaultClock::default().now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    /// What comes of looking at a future once.
    async fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn limits(requests_per_second: u32, requests_at_once: u32) -> Limits {
        Limits {
            requests_per_second,
            requests_at_once,
            ..Limits::default()
        }
    }

    fn mark(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[tokio::test]
    async fn those_who_share_a_credential_share_its_places() {
        let paces = Paces::default();
        let limits = limits(1_000, 1);
        let first = paces.turn(vec![mark("shop"), mark("key")], &limits).await;
        let mut second = Box::pin(paces.turn(vec![mark("other"), mark("key")], &limits));
        assert!(
            poll(&mut second).await.is_none(),
            "the place of `key` is taken"
        );
        let mut apart = Box::pin(paces.turn(vec![mark("third")], &limits));
        assert!(poll(&mut apart).await.is_some(), "another lane is free");
        drop(first);
        assert!(poll(&mut second).await.is_some());
    }

    #[tokio::test]
    async fn a_rate_lets_a_second_s_worth_through_and_then_makes_wait() {
        let paces = Paces::default();
        // So slow that the test cannot be overtaken by the clock.
        let slow = limits(1, 9);
        let lane = paces.lane(mark("key"), &slow);
        assert!(lane.rate.check().is_ok());
        let mut next = Box::pin(paces.turn(vec![mark("key")], &slow));
        assert!(poll(&mut next).await.is_none());
        next.await;
    }

    #[test]
    fn the_smallest_limits_of_those_who_share_hold() {
        let paces = Paces::default();
        for (limits, held) in [
            (limits(10, 4), (10, 4)),
            (limits(100, 2), (10, 2)),
            (limits(5, 9), (5, 2)),
            (limits(0, 0), (1, 1)),
        ] {
            let lane = paces.lane(mark("key"), &limits);
            assert_eq!((lane.per_second, lane.at_once), held);
        }
    }
}
