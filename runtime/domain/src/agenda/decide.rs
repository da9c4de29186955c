//! What happens now: the state machine of one source's schedule.
//!
//! It holds whatever the clock does: no moment is served twice, those that were missed are made up for by one
//! run, and a clock that had been wrong does not stop the source for good.

use jiff::{SignedDuration, Timestamp};

use super::backoff::MOST_PAUSE;
use super::{Plan, Standing};
use crate::schedule::{Schedule, jitter};

/// What is to be done about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing until somebody changes something.
    Rest,
    /// Nothing until then.
    Wait(Timestamp),
    /// A run now: its how manieth attempt, and where the source stands once it was accepted.
    Run {
        /// Counts from 1.
        attempt: u32,
        /// To be written together with the run.
        after: Standing,
    },
}

impl Plan {
    /// Brings `standing` up to date with the plan and the clock, and says what is to be done.
    pub fn decide(&self, standing: &mut Standing, now: Timestamp) -> Decision {
        let Some(schedule) = &self.schedule else {
            standing.rest();
            return Decision::Rest;
        };
        self.follow(schedule, standing, now);
        if let Some(due) = standing.due_at {
            let late = self.late(schedule, due);
            if due.saturating_add(late).is_ok_and(|at| at <= now) {
                let served_to = now.saturating_sub(late).unwrap_or(now);
                return standing.run(served_to, schedule.next(served_to, &self.zone));
            }
        }
        if standing.retry_at.is_some_and(|at| at <= now) {
            return Decision::Run {
                attempt: standing.failures.saturating_add(1),
                after: Standing {
                    retry_at: None,
                    ..standing.clone()
                },
            };
        }
        let due = standing.due_at.map(|due| self.begin(schedule, due));
        match due.into_iter().chain(standing.retry_at).min() {
            Some(at) => Decision::Wait(at),
            None => Decision::Rest,
        }
    }

    /// The next moments at which the source begins, from now on.
    pub fn coming(&self, standing: &Standing, now: Timestamp, count: usize) -> Vec<Timestamp> {
        let Some(schedule) = &self.schedule else {
            return Vec::new();
        };
        let mut standing = standing.clone();
        self.follow(schedule, &mut standing, now);
        let moments = std::iter::successors(standing.due_at, |due| schedule.next(*due, &self.zone));
        moments
            .take(count)
            .map(|due| self.begin(schedule, due))
            .collect()
    }

    /// Works out `due_at` where it is missing, was meant for another schedule, or lies further ahead than any
    /// moment that can come next, as after the clock had been wrong.
    fn follow(&self, schedule: &Schedule, standing: &mut Standing, now: Timestamp) {
        let planned_for = format!("{schedule} {}", self.zone.name());
        if standing.planned_for.as_deref() != Some(&planned_for) {
            standing.due_at = None;
            standing.planned_for = Some(planned_for);
            // What lies before nobody has asked for, wherever the clock goes.
            standing.served_to = standing.served_to.or(Some(now));
        }
        let next = schedule.due(standing.served_to, now, &self.zone);
        standing.due_at = match (standing.due_at, next) {
            (Some(due), Some(next)) => Some(due.min(next)),
            (due, next) => next.or(due),
        };
        let latest = now.saturating_add(MOST_PAUSE).unwrap_or(now);
        standing.retry_at = standing.retry_at.map(|at| at.min(latest));
    }

    fn begin(&self, schedule: &Schedule, due: Timestamp) -> Timestamp {
        due.saturating_add(self.late(schedule, due)).unwrap_or(due)
    }

    /// By how much the run for a moment is late: never so much that it would meet the next one.
    fn late(&self, schedule: &Schedule, due: Timestamp) -> SignedDuration {
        let next = schedule.next(due, &self.zone);
        let half = next.map_or(self.jitter, |next| next.duration_since(due) / 2);
        jitter(self.source.as_str(), self.jitter.min(half))
    }
}

impl Standing {
    /// Nothing is due any more. What was served stays known, against a clock that is set back.
    fn rest(&mut self) {
        *self = Self {
            served_to: self.served_to,
            ..Self::default()
        };
    }

    /// All moments up to one are served by one run. It is also the next attempt of what has failed before: a
    /// source that fails at every moment must come to its last attempt.
    fn run(&self, served_to: Timestamp, due_at: Option<Timestamp>) -> Decision {
        let again = self.retry_at.is_some();
        let attempt = if again {
            self.failures.saturating_add(1)
        } else {
            1
        };
        Decision::Run {
            attempt,
            after: Self {
                due_at,
                served_to: Some(served_to),
                retry_at: None,
                failures: if again { self.failures } else { 0 },
                planned_for: self.planned_for.clone(),
            },
        }
    }
}
