//! What runs by itself: looks at every source's schedule, accepts the runs that are due, and notices rows that
//! grow old.
//!
//! Whoever drives it calls [`Ingest::tick`] again at the moment that it returns, or once something has changed.
//! Nothing is kept between two calls but what is written down, so a restart is no special case.

use std::sync::Arc;

use domain::Order;
use domain::agenda::{Decision, Entry, Standing};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::error::IngestError;
use crate::live::lock;
use crate::{Ingest, settle};

/// The longest that nobody looks: by then a clock that was moved is noticed.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_secs(30);
/// A run that is under way may still make old rows fresh; for so long nobody is told that they are old.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// A source's schedule as people look at it.
#[derive(Debug)]
pub struct Outlook {
    /// What holds for it, where it stands, and how it is.
    pub entry: Entry,
    /// When it runs next.
    pub coming: Vec<Timestamp>,
}

impl Ingest {
    /// Has schedules looked at now: somebody changed one.
    pub fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Rings when schedules are to be looked at before the time.
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Rings when there is something to tell people.
    pub fn alerted(&self) -> &Notify {
        &self.alerted
    }

    /// How a source's schedule goes on; nothing for a source that is not there.
    pub fn outlook(
        &self,
        source: &domain::SourceName,
        moments: usize,
    ) -> Result<Option<Outlook>, IngestError> {
        let entry = self.ports.agendas.entry(source, &self.rules.defaults)?;
        let now = self.ports.clock.now();
        Ok(entry.map(|entry| Outlook {
            coming: entry.plan.coming(&entry.standing, now, moments),
            entry,
        }))
    }

    /// Does what is due, and says when to look again.
    pub fn tick(self: &Arc<Self>) -> Timestamp {
        let now = self.ports.clock.now();
        let latest = now.saturating_add(LONGEST_SLEEP).unwrap_or(now);
        let _planning = lock(&self.planning);
        let entries = match self.ports.agendas.entries(&self.rules.defaults) {
            Ok(entries) => entries,
            Err(failure) => {
                tracing::error!(%failure, "the schedules cannot be read");
                return latest;
            }
        };
        let next = entries.into_iter().filter_map(|entry| {
            let (scheduled, aged) = (self.follow(&entry, now), self.age(&entry, now));
            scheduled.into_iter().chain(aged).min()
        });
        next.fold(latest, Timestamp::min)
    }

    /// Accepts a source's run where one is due; says when its next is.
    fn follow(self: &Arc<Self>, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
        let plan = &entry.plan;
        let mut standing = entry.standing.clone();
        let decision = plan.decide(&mut standing, now);
        if let Decision::Run { attempt, after } = decision {
            self.run_due(entry, attempt, &after)?;
            standing = after;
        } else if standing != entry.standing {
            self.keep(entry, &standing);
        }
        match plan.decide(&mut standing, now) {
            Decision::Wait(until) => Some(until),
            Decision::Run { .. } => Some(now),
            Decision::Rest => None,
        }
    }

    /// Nothing where it is to be tried again later.
    fn run_due(self: &Arc<Self>, entry: &Entry, attempt: u32, after: &Standing) -> Option<()> {
        let source = &entry.plan.source;
        let error = match self.accept(source, Order::of_schedule(attempt), Some(after)) {
            Ok(run) => {
                tracing::info!(run = %run.id, %source, attempt, "run {} of `{source}` is due", run.id);
                return Some(());
            }
            Err(error) => error,
        };
        tracing::warn!(%source, %error, "source {source} was due and did not run: {error}");
        match error {
            IngestError::Stopping
            | IngestError::Failure(_)
            | IngestError::TooManyWaiting { .. } => None,
            // The moment has passed; people have something to repair.
            error => {
                let mut health = entry.health.clone();
                let alert = settle::told_failure(&mut health, source, &error.to_string());
                self.save(source, &health, Some(after), alert);
                Some(())
            }
        }
    }

    fn keep(&self, entry: &Entry, standing: &Standing) {
        let source = &entry.plan.source;
        if let Err(failure) = self.ports.agendas.save_standing(source, standing) {
            tracing::error!(%source, %failure, "the schedule of source {source} cannot be written down");
        }
    }

    /// Tells people of rows that have grown too old; says when that would be.
    fn age(&self, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
        let (source, most) = (&entry.plan.source, entry.plan.stale_after?);
        if entry.health.stale {
            return None;
        }
        let late = match self.runs.is_idle(source) {
            Ok(()) => most,
            Err(_) => most.saturating_add(GRACE),
        };
        let old_at = entry.health.fresh_at.saturating_add(late).ok()?;
        if old_at > now {
            return Some(old_at);
        }
        // How it is may have been written since it was read.
        let found = self.ports.agendas.entry(source, &self.rules.defaults);
        let mut health = found.ok()??.health;
        health.stale = true;
        let text = format!(
            "Source `{source}` is stale: no sync has worked since {}, and its rows may be {} hours old at most",
            health.fresh_at.strftime("%Y-%m-%d %H:%M UTC"),
            most.as_hours()
        );
        self.save(source, &health, None, Some(text));
        None
    }
}
