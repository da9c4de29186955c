//! Sign-ins that have begun at a provider, in memory: each for the browser that began it, for ten
//! minutes, and once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::Digest;
use identity::link;

/// How long somebody may take at the provider.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);
/// The most that are kept, of about a kilobyte each; a new one then takes the place of the oldest.
const MOST: usize = 10_000;

/// All of them, by the hash of what the browser holds.
#[derive(Debug)]
pub(crate) struct Flows<T> {
    kept: Mutex<HashMap<Digest, (Instant, T)>>,
}

impl<T> Default for Flows<T> {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
        }
    }
}

fn key(id: &str) -> Digest {
    Digest::of(id.as_bytes())
}

fn lives(began: Instant, now: Instant) -> bool {
    now.saturating_duration_since(began) < LIFETIME
}

impl<T> Flows<T> {
    /// Keeps one; the answer is for the browser's cookie.
    pub(crate) fn keep(&self, flow: T, now: Instant) -> Result<String, std::io::Error> {
        let id = link::new_secret()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, (began, _)| lives(*began, now));
        }
        if kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, (began, _))| *began);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                kept.remove(&key);
            }
        }
        kept.insert(key(&id), (now, flow));
        Ok(id)
    }

    /// Takes the one of this browser, which is gone then.
    pub(crate) fn take(&self, id: &str, now: Instant) -> Option<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, flow) = kept.remove(&key(id))?;
        lives(began, now).then_some(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_taken_once_by_whoever_began_it() {
        let (flows, now) = (Flows::default(), Instant::now());
        let id = flows.keep("flow", now).unwrap();
        assert_eq!(flows.take("another", now), None);
        assert_eq!(flows.take(&id, now), Some("flow"));
        assert_eq!(flows.take(&id, now), None);
    }

    #[test]
    fn a_sign_in_is_void_after_ten_minutes() {
        let (flows, now) = (Flows::default(), Instant::now());
        let (early, late) = (flows.keep(1, now).unwrap(), flows.keep(2, now).unwrap());
        let second = Duration::from_secs(1);
        assert_eq!(flows.take(&early, now + LIFETIME - second), Some(1));
        assert_eq!(flows.take(&late, now + LIFETIME), None);
    }

    #[test]
    fn many_sign_ins_take_the_place_of_the_oldest() {
        let (flows, now) = (Flows::default(), Instant::now());
        let oldest = flows.keep(0, now).unwrap();
        let later = now + Duration::from_secs(1);
        let ids: Vec<_> = (1..=MOST).map(|n| flows.keep(n, later).unwrap()).collect();
        assert_eq!(flows.take(&oldest, later), None);
        assert_eq!(flows.take(&ids[0], later), Some(1));
        assert_eq!(flows.take(&ids[MOST - 1], later), Some(MOST));
    }
}
