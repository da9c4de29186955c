//! Keeps guessing slow: so many sign-ins a minute from one address, and so many failures for one
//! account. An account that does not exist is treated like one that does.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::Digest;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use thiserror::Error;

/// More addresses or accounts than are attacked at once by anybody who could not attack otherwise.
const MOST_KEYS: usize = 50_000;

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Too many attempts; try again in {} seconds", .retry_after.as_secs().max(1))]
pub struct Throttled {
    /// How long to wait.
    pub retry_after: Duration,
}

/// How much is too much.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Attempts a minute from one address.
    pub per_address: NonZeroU32,
    /// Failures in a row after which an account is locked.
    pub failures: u32,
    /// For how long.
    pub lockout: Duration,
}

#[derive(Debug)]
struct Account {
    failures: u32,
    last: Instant,
}

/// Counts attempts.
#[derive(Debug)]
pub struct Throttle {
    limits: Limits,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    // By hash, so that no address of a person lies here.
    accounts: Mutex<HashMap<Digest, Account>>,
}

impl Throttle {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            addresses: RateLimiter::keyed(Quota::per_minute(limits.per_address)),
            clock: DefaultClock::default(),
            accounts: Mutex::default(),
        }
    }

    /// Counts an attempt from an address; refuses one too many.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn attempt(&self, address: Option<IpAddr>) -> Result<(), Throttled> {
        let Some(address) = address.map(network) else {
            return Ok(());
        };
        if self.addresses.len() > MOST_KEYS {
            self.addresses.retain_recent();
        }
        self.addresses
            .check_key(&address)
            .map_err(|refused| Throttled {
                retry_after: refused.wait_time_from(self.clock.now()),
            })
    }

    /// Refuses an account that is locked.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn account(&self, email: &str) -> Result<(), Throttled> {
        self.account_at(email, Instant::now())
    }

    fn account_at(&self, email: &str, now: Instant) -> Result<(), Throttled> {
        let accounts = self.lock();
        let Some(account) = accounts.get(&key(email)) else {
            return Ok(());
        };
        let passed = now.saturating_duration_since(account.last);
        if account.failures < self.limits.failures || passed >= self.limits.lockout {
            return Ok(());
        }
        Err(Throttled {
            retry_after: self.limits.lockout.saturating_sub(passed),
        })
    }

    /// Counts a failure for an account, whether or not it exists.
    pub fn failed(&self, email: &str) {
        self.failed_at(email, Instant::now());
    }

    fn failed_at(&self, email: &str, now: Instant) {
        let lockout = self.limits.lockout;
        let is_old = |account: &Account| now.saturating_duration_since(account.last) >= lockout;
        let mut accounts = self.lock();
        if accounts.len() >= MOST_KEYS {
            accounts.retain(|_, account| !is_old(account));
        }
        if accounts.len() >= MOST_KEYS {
            // Only an attack from everywhere comes here; the addresses' limits still hold.
            accounts.clear();
        }
        let account = accounts.entry(key(email)).or_insert(Account {
            failures: 0,
            last: now,
        });
        if is_old(account) {
            account.failures = 0;
        }
        account.failures = account.failures.saturating_add(1);
        account.last = now;
    }

    /// Forgets the failures of an account whose holder came in.
    pub fn succeeded(&self, email: &str) {
        self.lock().remove(&key(email));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(email: &str) -> Digest {
    Digest::of(email.trim().to_lowercase().as_bytes())
}

/// What one attacker has at hand: with IPv6 a whole network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(Limits {
            per_address: NonZeroU32::new(5).unwrap(),
            failures: 3,
            lockout: Duration::from_secs(900),
        })
    }

    #[test]
    fn an_address_has_so_many_attempts_and_another_has_its_own() {
        let throttle = throttle();
        let attempt = |text: &str| throttle.attempt(Some(text.parse().unwrap()));
        for _ in 0..5 {
            attempt("192.0.2.1").unwrap();
        }
        let refused = attempt("192.0.2.1").unwrap_err();
        assert!(refused.retry_after <= Duration::from_secs(60), "{refused}");
        attempt("192.0.2.2").unwrap();
        attempt("::ffff:192.0.2.1").unwrap_err();
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let throttle = throttle();
        for host in 0..5 {
            let address = format!("2001:db8::{host}").parse().unwrap();
            throttle.attempt(Some(address)).unwrap();
        }
        let attempt = |text: &str| throttle.attempt(Some(text.parse().unwrap()));
        attempt("2001:db8::ffff:1").unwrap_err();
        attempt("2001:db8:0:1::1").unwrap();
    }

    #[test]
    fn an_account_is_locked_after_failures_in_a_row_and_for_a_while() {
        let throttle = throttle();
        let now = Instant::now();
        for _ in 0..3 {
            throttle.account_at("a@b.org", now).unwrap();
            throttle.failed_at("A@b.org ", now);
        }
        assert!(throttle.account_at("a@B.org", now).is_err());
        throttle.account_at("other@b.org", now).unwrap();
        let later = now + Duration::from_secs(900);
        throttle.account_at("a@b.org", later).unwrap();
        throttle.failed_at("a@b.org", later);
        throttle.account_at("a@b.org", later).unwrap();
    }

    #[test]
    fn who_comes_in_starts_anew() {
        let throttle = throttle();
        throttle.failed("a@b.org");
        throttle.failed("a@b.org");
        throttle.succeeded("a@b.org");
        throttle.failed("a@b.org");
        throttle.account("a@b.org").unwrap();
    }
}
