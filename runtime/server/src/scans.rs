//! How much each user scans: at once, and in a day. Kept in memory, so that a restart forgives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::config;
use crate::error::{ApiError, ApiResult};

const DAY: i64 = 86_400;
/// Whoever has scans under way may try again so soon.
const SOON: i64 = 5;

#[derive(Debug, Default, Clone, Copy)]
struct Use {
    /// The day that `bytes` are of, counted from 1970 in UTC.
    day: i64,
    bytes: u64,
    running: u64,
}

/// What everybody has used.
#[derive(Debug, Default)]
pub(crate) struct Scans(Mutex<HashMap<Uuid, Use>>);

/// A scan that is under way.
#[derive(Debug)]
pub(crate) struct Slot {
    scans: Arc<Scans>,
    user: Uuid,
}

impl Scans {
    /// Lets a scan begin, unless its user has had enough.
    pub(crate) fn begin(
        self: &Arc<Self>,
        user: Uuid,
        limits: &config::Scans,
        now: Timestamp,
    ) -> ApiResult<Slot> {
        let (day, second) = (now.as_second() / DAY, now.as_second() % DAY);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, used| used.day == day || used.running > 0);
        let used = all.entry(user).or_default();
        if used.day != day {
            (used.day, used.bytes) = (day, 0);
        }
        let most_bytes = limits.max_daily_bytes_per_user;
        if used.bytes >= most_bytes {
            return Err(exceeded(
                "daily_bytes",
                used.bytes,
                most_bytes,
                DAY - second,
            ));
        }
        let most = limits.max_concurrent_per_user;
        if used.running >= most {
            return Err(exceeded("concurrent_scans", used.running, most, SOON));
        }
        used.running += 1;
        Ok(Slot {
            scans: Arc::clone(self),
            user,
        })
    }
}

impl Slot {
    /// Ends the scan, which had so many bytes.
    pub(crate) fn end(self, bytes: u64) {
        let mut all = self.scans.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = all.get_mut(&self.user) {
            used.bytes += bytes;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut all = self.scans.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = all.get_mut(&self.user) {
            used.running = used.running.saturating_sub(1);
        }
    }
}

fn exceeded(kind: &'static str, current: u64, limit: u64, seconds: i64) -> ApiError {
    ApiError {
        retry_after: Some(Duration::from_secs(seconds.unsigned_abs())),
        object: Some(Box::new(json!({
            "error": "quota_exceeded", "kind": kind, "current": current, "limit": limit,
            "retry_after_seconds": seconds,
        }))),
        ..ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "quota-exceeded",
            "quota exceeded",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> config::Scans {
        config::Scans {
            max_concurrent_per_user: 2,
            max_daily_bytes_per_user: 100,
            ..config::Scans::default()
        }
    }

    #[track_caller]
    fn refused(result: ApiResult<Slot>) -> serde_json::Value {
        *result.unwrap_err().object.unwrap()
    }

    #[test]
    fn so_many_at_once_are_let_in_of_each_user() {
        let (scans, now) = (Arc::new(Scans::default()), Timestamp::UNIX_EPOCH);
        let (ada, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = scans.begin(ada, &limits(), now).unwrap();
        let _second = scans.begin(ada, &limits(), now).unwrap();
        let told = refused(scans.begin(ada, &limits(), now));
        assert_eq!(told["kind"], "concurrent_scans");
        assert_eq!((&told["current"], &told["limit"]), (&json!(2), &json!(2)));
        scans.begin(bob, &limits(), now).unwrap();
        drop(first);
        scans.begin(ada, &limits(), now).unwrap();
    }

    #[test]
    fn bytes_are_counted_until_midnight() {
        let (scans, noon) = (
            Arc::new(Scans::default()),
            Timestamp::from_second(DAY / 2).unwrap(),
        );
        let ada = Uuid::from_u128(1);
        scans.begin(ada, &limits(), noon).unwrap().end(99);
        scans.begin(ada, &limits(), noon).unwrap().end(2);
        let told = refused(scans.begin(ada, &limits(), noon));
        assert_eq!(
            told,
            json!({"error": "quota_exceeded", "kind": "daily_bytes", "current": 101, "limit": 100,
                "retry_after_seconds": DAY / 2})
        );
        let tomorrow = Timestamp::from_second(DAY).unwrap();
        scans.begin(ada, &limits(), tomorrow).unwrap();
    }
}
