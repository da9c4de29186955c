//! Stops queries that take too long, or whose asker went away. One thread looks after all of them: a query that is done
//! in a millisecond must not wait for a thread of its own to start and end.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use duckdb::InterruptHandle;

use super::QueryOptions;

/// An interrupt that comes before the work starts is forgotten, so it is repeated this often.
const AGAIN: Duration = Duration::from_millis(5);

/// Why a query was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Timeout,
    Cancelled,
}

/// A query under watch.
struct Watched {
    handle: Arc<InterruptHandle>,
    /// None: later than the clock can say.
    deadline: Option<Instant>,
    stopped: Option<Stopped>,
}

#[derive(Default)]
struct Watchman {
    round: Mutex<Round>,
    changed: Condvar,
}

#[derive(Default)]
struct Round {
    /// By their numbers.
    queries: BTreeMap<u64, Watched>,
    next: u64,
    is_running: bool,
    /// Until when the thread sleeps, unless it is woken.
    sleeps_until: Option<Instant>,
}

static WATCHMAN: LazyLock<Watchman> = LazyLock::new(Watchman::default);

/// Watches one query until `stop`.
#[derive(Debug)]
pub(crate) struct Watch(u64);

impl Watch {
    pub(crate) fn start(handle: Arc<InterruptHandle>, options: &QueryOptions) -> Self {
        let number = WATCHMAN.add(handle, Instant::now().checked_add(options.timeout));
        options.cancel.on_cancel(move || WATCHMAN.cancel(number));
        Self(number)
    }

    /// Ends the watch: no interrupt comes after it. Says whether it had to stop the query.
    pub(crate) fn stop(self) -> Option<Stopped> {
        WATCHMAN.remove(self.0)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Where the work panicked; else nothing is there any more.
        let _ = WATCHMAN.remove(self.0);
    }
}

impl Watchman {
    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&'static self, handle: Arc<InterruptHandle>, deadline: Option<Instant>) -> u64 {
        let mut round = self.round();
        let number = round.next;
        round.next += 1;
        let watched = Watched {
            handle,
            deadline,
            stopped: None,
        };
        round.queries.insert(number, watched);
        if !round.is_running {
            let thread = std::thread::Builder::new().name("query-watch".to_owned());
            // Without a thread there is no timeout, and the next query tries again; memory and row limits still hold.
            round.is_running = thread.spawn(|| self.watch()).is_ok();
        }
        let is_first = match (deadline, round.sleeps_until) {
            (Some(deadline), Some(until)) => deadline < until,
            (deadline, None) => deadline.is_some(),
            (None, Some(_)) => false,
        };
        if is_first {
            self.changed.notify_one();
        }
        number
    }

    fn cancel(&self, number: u64) {
        // A query that has ended is not there any more, which is fine.
        if let Some(query) = self.round().queries.get_mut(&number) {
            query.stopped.get_or_insert(Stopped::Cancelled);
            self.changed.notify_one();
        }
    }

    fn remove(&self, number: u64) -> Option<Stopped> {
        self.round().queries.remove(&number)?.stopped
    }

    fn watch(&self) {
        let mut round = self.round();
        loop {
            let now = Instant::now();
            let next = round
                .queries
                .values_mut()
                .filter_map(|query| query.look(now));
            // Queries that end wake nobody: in vain at worst, once in the time limit of a query.
            round.sleeps_until = next.min();
            round = match round.sleeps_until {
                None => self.changed.wait(round),
                Some(until) => self
                    .changed
                    .wait_timeout(round, until.saturating_duration_since(now))
                    .map(|(round, _)| round)
                    .map_err(|poisoned| PoisonError::new(poisoned.into_inner().0)),
            }
            .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Watched {
    /// Interrupts it where it must end; when to look again.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.stopped.get_or_insert(Stopped::Timeout);
        }
        if self.stopped.is_none() {
            return self.deadline;
        }
        self.handle.interrupt();
        Some(now + AGAIN)
    }
}
