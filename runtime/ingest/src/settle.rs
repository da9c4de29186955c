//! What follows from the end of a sync: another attempt, or that people are told.
//!
//! People hear of a failure once nothing more is tried, and once; then of the sync that works again.

use domain::agenda::{Entry, Health, Standing, Trigger};
use domain::ports::{Ended, Observer as _};
use domain::run::Level;
use domain::{Failure, Operation, Order, SourceName};
use jiff::{SignedDuration, Timestamp};

use crate::Ingest;
use crate::live::{Live, lock};

/// What is said about it.
#[derive(Debug, Default)]
struct Told {
    /// To people, wherever they are.
    alert: Option<String>,
    /// In the run's log.
    log: Option<String>,
}

impl Ingest {
    /// Writes down what follows from the end of a run.
    pub(crate) fn settle(&self, live: &Live, rows: u64, result: &Result<(), Ended>) {
        let run = live.run();
        if run.operation != Operation::Sync {
            return;
        }
        let _planning = lock(&self.planning);
        let found = self.ports.agendas.entry(&run.source, &self.rules.defaults);
        let mut entry = match found {
            Ok(Some(entry)) => entry,
            // Removed while it ran.
            Ok(None) => return,
            Err(failure) => {
                tracing::error!(run = %run.id, %failure, "what follows from run {} cannot be worked out", run.id);
                return;
            }
        };
        let now = self.ports.clock.now();
        let told = match result {
            Ok(()) => worked(&mut entry, rows, now),
            Err(Ended::Failed(failure)) => self.failed(&mut entry, &live.order, failure, now),
            Err(Ended::Cancelled) => cancelled(&mut entry.standing, live, now),
        };
        if let Some(text) = told.log {
            live.log(Level::Info, &text);
        }
        let alert = told.alert.map(|text| format!("{text} (run {})", run.id));
        self.save(&run.source, &entry.health, Some(&entry.standing), alert);
        self.changed.notify_one();
    }

    /// Tells people of sources in whose last attempt the server died.
    pub fn given_up(&self, sources: &[SourceName]) {
        for source in sources {
            let found = self.ports.agendas.entry(source, &self.rules.defaults);
            if let Ok(Some(Entry { mut health, .. })) = found {
                let reason = "the server ended in the middle of each attempt";
                let alert = told_failure(&mut health, source, reason);
                self.save(source, &health, None, alert);
            }
        }
    }

    fn failed(&self, entry: &mut Entry, order: &Order, failure: &Failure, now: Timestamp) -> Told {
        let source = &entry.plan.source;
        let scheduled = order.trigger == Trigger::Schedule;
        let backoff = &self.rules.backoff;
        let pause = backoff
            .pause(failure, order.attempt, source.as_str())
            .filter(|_| scheduled);
        if let Some(pause) = pause {
            entry.standing.retry_at = now.saturating_add(pause).ok();
            entry.standing.failures = order.attempt;
            let (attempt, most, pause) = (order.attempt, backoff.most_attempts, span(pause));
            let log = format!("attempt {attempt} of {most}; it is tried again in {pause}");
            return Told {
                log: Some(log),
                alert: None,
            };
        }
        if scheduled {
            entry.standing.retry_at = None;
            entry.standing.failures = 0;
        }
        let kind = failure.kind;
        let reason = match order.attempt {
            1 => format!("{kind}: {failure}"),
            attempts => format!("{kind}, {attempts} attempts: {failure}"),
        };
        Told {
            log: Some(why_not_again(failure, order)),
            alert: told_failure(&mut entry.health, source, &reason),
        }
    }

    pub(crate) fn save(
        &self,
        source: &SourceName,
        health: &Health,
        standing: Option<&Standing>,
        alert: Option<String>,
    ) {
        if alert.is_some() {
            let (failing, stale) = (health.failing, health.stale);
            tracing::warn!(%source, failing, stale, "it has changed how source {source} is");
        }
        let alert = alert.filter(|_| self.rules.alerts);
        let agendas = &self.ports.agendas;
        if let Err(failure) = agendas.save_health(source, health, standing, alert.as_deref()) {
            tracing::error!(%source, %failure, "how source {source} is cannot be written down");
        } else if alert.is_some() {
            self.alerted.notify_one();
        }
    }
}

fn why_not_again(failure: &Failure, order: &Order) -> String {
    let kind = failure.kind;
    match (kind.is_retryable(), order.trigger) {
        (false, _) => {
            format!("a failure of kind {kind} is not tried again: somebody has to look at it")
        }
        (true, Trigger::Person) => {
            "a run that somebody asked for is not tried again by itself".into()
        }
        (true, Trigger::Schedule) => format!("that was the last of {} attempts", order.attempt),
    }
}

/// What people are told of a source that fails, unless they know.
pub(crate) fn told_failure(
    health: &mut Health,
    source: &SourceName,
    reason: &str,
) -> Option<String> {
    let known = std::mem::replace(&mut health.failing, true);
    (!known).then(|| format!("Source `{source}` failed: {reason}"))
}

fn worked(entry: &mut Entry, rows: u64, now: Timestamp) -> Told {
    let Entry {
        plan,
        standing,
        health,
    } = entry;
    let known_bad = health.failing || health.stale;
    *health = Health::new(now);
    standing.retry_at = None;
    standing.failures = 0;
    Told {
        alert: known_bad.then(|| {
            let source = &plan.source;
            format!("Source `{source}` works again: {rows} rows")
        }),
        log: None,
    }
}

/// What somebody stops is not tried again; what the end of the server stops is, by its schedule.
fn cancelled(standing: &mut Standing, live: &Live, now: Timestamp) -> Told {
    if live.order.trigger == Trigger::Schedule {
        let stopped = live.is_stopped();
        standing.retry_at = stopped.then_some(now);
        // The attempt was no failure.
        standing.failures = match stopped {
            true => live.order.attempt.saturating_sub(1),
            false => 0,
        };
    }
    Told::default()
}

/// For people: 90 seconds are `2 min`.
fn span(pause: SignedDuration) -> String {
    match pause.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}
