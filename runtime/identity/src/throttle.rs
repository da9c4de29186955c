//! Keeps guessing slow: so many sign-ins a minute from one address, and so many failures for one
//! account. An account that does not exist is treated like one that does.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use thiserror::Error;

/// Places for addresses, and for accounts: a few megabytes, and more than attack at one time.
const PLACES: usize = 1 << 16;

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

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    failures: u32,
    /// Attempts that have not ended: they count as failures until they have, so that many at once
    /// get no further than many in a row.
    under_way: u32,
    last: Option<Instant>,
}

/// Counts attempts, in memory that does not grow: each address and each account has a place that a
/// secret hash picks. Two may share one, and nothing is ever pushed out by a flood of others.
#[derive(Debug)]
pub struct Throttle {
    limits: Limits,
    hasher: RandomState,
    addresses: DefaultKeyedRateLimiter<u64>,
    clock: DefaultClock,
    accounts: Mutex<Vec<Account>>,
    links: Mutex<Vec<Account>>,
}

/// An attempt on an account that is under way. Dropped without a word, it counts for nothing.
#[derive(Debug)]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    place: usize,
}

impl Attempt<'_> {
    /// It was the wrong password.
    pub fn failed(self) {
        self.failed_at(Instant::now());
    }

    fn failed_at(self, now: Instant) {
        let mut accounts = lock(&self.throttle.accounts);
        if let Some(account) = accounts.get_mut(self.place) {
            fail(account, now, self.throttle.limits.lockout);
        }
    }

    /// The holder came in: the failures before are forgotten.
    pub fn succeeded(self) {
        let mut accounts = lock(&self.throttle.accounts);
        if let Some(account) = accounts.get_mut(self.place) {
            account.failures = 0;
            account.last = None;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut accounts = lock(&self.throttle.accounts);
        if let Some(account) = accounts.get_mut(self.place) {
            account.under_way = account.under_way.saturating_sub(1);
        }
    }
}

impl Throttle {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            hasher: RandomState::new(),
            addresses: RateLimiter::keyed(Quota::per_minute(limits.per_address)),
            clock: DefaultClock::default(),
            accounts: Mutex::new(vec![Account::default(); PLACES]),
            links: Mutex::new(vec![Account::default(); PLACES]),
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
        let place = self.hasher.hash_one(address) % PLACES as u64;
        self.addresses
            .check_key(&place)
            .map_err(|refused| Throttled {
                retry_after: refused.wait_time_from(self.clock.now()),
            })
    }

    /// Begins an attempt on an account; refuses one that is locked, or on which so many are under way
    /// that they could lock it.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn account(&self, email: &str) -> Result<Attempt<'_>, Throttled> {
        self.account_at(email, Instant::now())
    }

    fn account_at(&self, email: &str, now: Instant) -> Result<Attempt<'_>, Throttled> {
        let place = self.place(email);
        let mut accounts = lock(&self.accounts);
        if let Some(account) = accounts.get_mut(place) {
            check(account, now, &self.limits)?;
            account.under_way += 1;
        }
        Ok(Attempt {
            throttle: self,
            place,
        })
    }

    /// Counts a link that is asked for; refuses too many for one account. Locks nobody out.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn attempt_for(&self, email: &str) -> Result<(), Throttled> {
        let now = Instant::now();
        let place = self.place(email);
        let mut links = lock(&self.links);
        if let Some(asked) = links.get_mut(place) {
            check(asked, now, &self.limits)?;
            fail(asked, now, self.limits.lockout);
        }
        Ok(())
    }

    fn place(&self, email: &str) -> usize {
        let place = self.hasher.hash_one(email.trim().to_lowercase()) % PLACES as u64;
        usize::try_from(place).unwrap_or(0)
    }
}

fn check(account: &Account, now: Instant, limits: &Limits) -> Result<(), Throttled> {
    let passed = account
        .last
        .map(|last| now.saturating_duration_since(last))
        .filter(|passed| *passed < limits.lockout);
    let failures = passed.map_or(0, |_| account.failures);
    if failures.saturating_add(account.under_way) < limits.failures {
        return Ok(());
    }
    let wait = passed.filter(|_| failures >= limits.failures);
    Err(Throttled {
        // Those under way end in a moment.
        retry_after: wait.map_or(Duration::from_secs(1), |passed| limits.lockout - passed),
    })
}

fn fail(account: &mut Account, now: Instant, lockout: Duration) {
    let is_old = account
        .last
        .is_none_or(|last| now.saturating_duration_since(last) >= lockout);
    if is_old {
        account.failures = 0;
    }
    account.failures = account.failures.saturating_add(1);
    account.last = Some(now);
}

fn lock(accounts: &Mutex<Vec<Account>>) -> MutexGuard<'_, Vec<Account>> {
    accounts.lock().unwrap_or_else(PoisonError::into_inner)
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
        for email in ["a@b.org", "A@B.org", " a@b.org "] {
            throttle.account_at(email, now).unwrap().failed_at(now);
        }
        let refused = throttle.account_at("a@B.org", now).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(900));
        throttle.account_at("other@b.org", now).unwrap();
        let later = now + Duration::from_secs(900);
        throttle
            .account_at("a@b.org", later)
            .unwrap()
            .failed_at(later);
        throttle.account_at("a@b.org", later).unwrap();
    }

    #[test]
    fn many_attempts_at_once_get_no_further_than_many_in_a_row() {
        let throttle = throttle();
        let under_way: Vec<_> = (0..3)
            .map(|_| throttle.account("a@b.org").unwrap())
            .collect();
        throttle.account("a@b.org").unwrap_err();
        drop(under_way);
        throttle.account("a@b.org").unwrap();
    }

    #[test]
    fn asking_for_links_is_limited_and_locks_nobody_out() {
        let throttle = throttle();
        for _ in 0..3 {
            throttle.attempt_for("a@b.org").unwrap();
        }
        throttle.attempt_for("a@b.org").unwrap_err();
        throttle.account("a@b.org").unwrap();
    }

    #[test]
    fn who_comes_in_starts_anew() {
        let throttle = throttle();
        for _ in 0..2 {
            throttle.account("a@b.org").unwrap().failed();
        }
        throttle.account("a@b.org").unwrap().succeeded();
        throttle.account("a@b.org").unwrap().failed();
        throttle.account("a@b.org").unwrap();
    }
}
