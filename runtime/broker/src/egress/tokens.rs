//! Tokens that were had for credentials: kept for all runs of a source, renewed before they end and when
//! a service refuses them, by one request at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::credential::RefreshGrant;
use domain::{Digest, Secret, SlotName, SourceName};
use tokio::sync::{Mutex as Turn, OwnedRwLockReadGuard, RwLock};
use tokio::time::Instant;

use super::exchange::Given;

/// A token is renewed this long before it ends, or after half of its time where that is less.
const MARGIN: Duration = Duration::from_secs(60);
/// No token is kept longer, whatever its service says.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// The values of one slot that one refresh token led to; older ones are forgotten.
const MOST_ORIGINS: usize = 16;

/// The tokens of all sources. Whoever needs one that is not there waits for the first who asked.
#[derive(Default)]
pub(crate) struct Tokens {
    places: Mutex<HashMap<(SourceName, SlotName), Place>>,
    /// Read by each exchange that is under way.
    exchanges: Arc<RwLock<()>>,
}

/// The token of one slot; held by whoever gets a new one.
pub(super) type Place = Arc<Turn<Held>>;

/// What is known of one slot.
#[derive(Default)]
pub(super) struct Held {
    /// What was entered, and what took its place: a run that began earlier still has that.
    origins: Vec<Digest>,
    pub(super) newer: Option<RefreshGrant>,
    token: Option<Kept>,
    count: u64,
}

struct Kept {
    value: Secret,
    until: Instant,
}

/// A token as one request uses it.
#[derive(Clone)]
pub(super) struct Used {
    place: Place,
    count: u64,
    pub(super) value: Secret,
}

impl Tokens {
    pub(super) fn place(&self, source: &SourceName, slot: &SlotName) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places
            .entry((source.clone(), slot.clone()))
            .or_default()
            .clone()
    }
}

impl Tokens {
    /// Says that an exchange is under way, as long as the answer lives.
    pub(super) async fn exchanging(&self) -> OwnedRwLockReadGuard<()> {
        self.exchanges.clone().read_owned().await
    }

    /// Waits until none is, for as long as one may take.
    pub(crate) async fn settled(&self) {
        // One that takes longer has been given up by its own limit.
        let _ = tokio::time::timeout(super::token::LONGEST, self.exchanges.write()).await;
    }
}

impl Held {
    /// Forgets what belongs to another value than this.
    pub(super) fn adopt(&mut self, origin: Digest) {
        if !self.origins.contains(&origin) {
            *self = Self {
                origins: vec![origin],
                count: self.count,
                ..Self::default()
            };
        }
    }

    /// The token, if it is good for a while.
    pub(super) fn fresh(&self, place: &Place) -> Option<Used> {
        let kept = self
            .token
            .as_ref()
            .filter(|kept| kept.until > Instant::now())?;
        Some(self.used(place, &kept.value))
    }

    /// Keeps a new token.
    pub(super) fn keep(&mut self, place: &Place, given: &Given) -> Used {
        let lives = Duration::from_secs(given.seconds).min(LONGEST);
        self.count += 1;
        self.token = Some(Kept {
            value: given.token.clone(),
            until: Instant::now() + lives.saturating_sub(MARGIN.min(lives / 2)),
        });
        self.used(place, &given.token)
    }

    /// Uses another refresh token from now on, which will be entered as `origin`.
    pub(super) fn rotate(&mut self, newer: RefreshGrant, origin: Digest) {
        self.newer = Some(newer);
        if self.origins.len() >= MOST_ORIGINS {
            self.origins.remove(0);
        }
        self.origins.push(origin);
    }

    fn used(&self, place: &Place, value: &Secret) -> Used {
        Used {
            place: place.clone(),
            count: self.count,
            value: value.clone(),
        }
    }
}

impl Used {
    /// The service refused it: the next request gets a new one, unless another did already.
    pub(super) async fn spoil(&self) {
        let mut held = self.place.lock().await;
        if held.count == self.count {
            held.token = None;
        }
    }
}
