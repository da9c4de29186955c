//! A receiver's runner, kept between batches: what a batch costs is an instance, not a process.
//!
//! It is used again only for the very same work, and only after a batch that ended well with a runner
//! that has nothing left to say. Everything else ends it.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ports::{Component, Delivery, Ended, Job, Outcome, Receiver};
use domain::run::{Counts, Level, Operation};
use domain::{Capabilities, Digest, Failure, Secret, SlotName};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::{GRACE, carry_out, judge, watch};
use crate::Broker;
use crate::journal::Journal;
use crate::runner::{Runner, component};
use crate::session::{Session, SessionError};
use crate::stop::Stop;
use crate::tape::Tape;

/// What a runner was started for. It knows none of the credentials; where one was changed, somebody wants
/// a new beginning.
#[derive(Debug, PartialEq)]
struct Purpose {
    component: Digest,
    settings: Value,
    capabilities: Capabilities,
    credentials: BTreeMap<SlotName, Digest>,
}

impl Purpose {
    fn of(job: &Job) -> Self {
        let digest =
            |(slot, value): (&SlotName, &Secret)| (slot.clone(), Digest::of(value.expose()));
        Self {
            component: job.component.compiled_digest,
            settings: job.settings.clone(),
            capabilities: job.capabilities.clone(),
            credentials: job.credentials.iter().map(digest).collect(),
        }
    }
}

/// Whose log hears what the runner complains: that of the batch under way.
type Complaints = Arc<Mutex<Option<Journal>>>;

/// A runner that waits for its next batch.
struct Kept {
    runner: Runner,
    purpose: Purpose,
    complaints: Complaints,
    /// How long its batches took together.
    worked: Duration,
}

/// The runner of one source's deliveries.
pub(crate) struct Warm<'a> {
    broker: &'a Broker,
    kept: Mutex<Option<Kept>>,
}

impl<'a> Warm<'a> {
    pub(crate) fn new(broker: &'a Broker) -> Self {
        Self {
            broker,
            kept: Mutex::new(None),
        }
    }

    fn take(&self) -> Option<Kept> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn keep(&self, kept: Kept) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

impl Receiver for Warm<'_> {
    fn receive(&mut self, job: Job, deliveries: Vec<Delivery>) -> (Counts, Result<Outcome, Ended>) {
        if job.operation != Operation::Receive || deliveries.is_empty() {
            let failure = Failure::bug("a receiver takes deliveries, and at least one");
            return (Counts::default(), Err(failure.into()));
        }
        let purpose = Purpose::of(&job);
        // Taken by the one call that there is; a `Fn` cannot give away what it owns otherwise.
        let given = Mutex::new(Some((purpose, deliveries)));
        let work = |broker: &Broker, component: &Component, mut session: Session, stop: &Stop| {
            let given = given.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (purpose, deliveries) = given.ok_or_else(|| Failure::bug("a batch is run once"))?;
            session.deliveries = deliveries;
            self.run(broker, component, session, stop, purpose)
        };
        carry_out(self.broker, job, &Tape::Off, &work)
    }

    fn rest(&mut self) {
        drop(self.take());
    }
}

impl Warm<'_> {
    fn run(
        &self,
        broker: &Broker,
        component: &Component,
        mut session: Session,
        stop: &Stop,
        purpose: Purpose,
    ) -> Result<Outcome, Ended> {
        let (wall_seconds, cpu_seconds) = (session.start.wall_seconds, session.start.cpu_seconds);
        // A process has one limit for all of its batches. It ends once they took what one may take, so that
        // each has that much at least, and twice as much at most.
        session.start.cpu_seconds = cpu_seconds.saturating_mul(2);
        let most = Duration::from_secs(cpu_seconds);
        let journal = session.journal.clone();
        journal.started();
        let kept = self.take().filter(|kept| kept.serves(&purpose, most));
        let is_new = kept.is_none();
        let mut kept = match kept {
            Some(kept) => kept,
            None => Kept::start(broker, component, purpose, &journal)?,
        };
        kept.hear(Some(journal));
        let overdue = Failure::limit(format!(
            "the run took more than {wall_seconds} s, which is its limit `wall_seconds`"
        ));
        let time = Duration::from_secs(wall_seconds) + GRACE;
        let watchdog = watch(
            &broker.config.handle,
            kept.runner.killer(),
            stop,
            time,
            overdue,
        );
        let begun = Instant::now();
        let result = kept.converse(session, is_new);
        kept.worked = kept.worked.saturating_add(begun.elapsed());
        drop(watchdog);
        let quiet = matches!(result, Ok((_, true)));
        let result = result.map(|(outcome, _)| outcome);
        let result = judge(
            result,
            &mut kept.runner,
            stop,
            Some(cpu_seconds.saturating_mul(2)),
        );
        kept.hear(None);
        if result.is_ok() && quiet && stop.reason().is_none() {
            self.keep(kept);
        }
        result
    }
}

impl Kept {
    /// A new runner, which has its component.
    fn start(
        broker: &Broker,
        component: &Component,
        purpose: Purpose,
        journal: &Journal,
    ) -> Result<Self, Failure> {
        let mut memory = component::blank()?;
        let output = memory.try_clone().map_err(|error| {
            Failure::bug(format!("the runner cannot be given its memory: {error}"))
        })?;
        let complaints: Complaints = Arc::new(Mutex::new(Some(journal.clone())));
        let heard = complaints.clone();
        let complain = move |line: &str| {
            let journal = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match journal {
                Some(journal) => journal.log(Level::Debug, &format!("runner: {line}")),
                None => tracing::debug!(line, "a runner complains between two batches"),
            }
        };
        let runner = Runner::start(&broker.config.runner_exe, Some(output), complain)?;
        // The runner confines itself meanwhile.
        component::fill(&mut memory, component)?;
        Ok(Self {
            runner,
            purpose,
            complaints,
            worked: Duration::ZERO,
        })
    }

    /// Whether it may take another batch of this work: it is the same, there is time for it, and the
    /// runner waits in silence.
    fn serves(&self, purpose: &Purpose, most: Duration) -> bool {
        self.purpose == *purpose && self.worked < most && is_silent(self.runner.socket())
    }

    fn hear(&self, journal: Option<Journal>) {
        *self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = journal;
    }

    /// One batch. Says too whether everything that the runner sent was read.
    fn converse(&self, session: Session, is_new: bool) -> Result<(Outcome, bool), SessionError> {
        let socket = self.runner.socket();
        let mut reader = BufReader::new(socket);
        if is_new {
            session.greet(&mut reader)?;
        }
        let outcome = session.converse(&mut reader, socket)?;
        Ok((outcome, reader.buffer().is_empty()))
    }
}

/// Whether nothing came and nobody hung up.
fn is_silent(socket: &std::os::unix::net::UnixStream) -> bool {
    let mut watched = [PollFd::new(socket, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(poll(&mut watched, Some(&at_once)), Ok(0))
}

#[cfg(test)]
mod tests;
