//! What is to run without anybody asking, what was accepted and must not be lost, and what people are told
//! about it.
//!
//! [`Plan::decide`] is the heart: a pure function from where a source stands and what the time is to what
//! happens now. A server that slept, or whose clock was moved, asks it the same question as ever.

mod backoff;
mod decide;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::names::{SourceName, TableName};
use crate::run::{Operation, Run};
use crate::schedule::{Schedule, ScheduleError, Zone};

pub use backoff::{Backoff, MOST_PAUSE};
pub use decide::Decision;

/// Who wanted a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Somebody, or a program for somebody.
    #[default]
    Person,
    /// Its source's schedule.
    Schedule,
}

/// What a run was asked to do, kept beside the run: one that still waits when the server dies is taken up
/// again from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who wanted it.
    pub trigger: Trigger,
    /// What to do.
    pub operation: Operation,
    /// The tables to bring; all when empty.
    pub tables: Vec<TableName>,
    /// Counts from 1; higher ones are tries after a failure.
    pub attempt: u32,
}

impl Order {
    /// What somebody asks for.
    pub fn of_person(operation: Operation, tables: Vec<TableName>) -> Self {
        Self {
            trigger: Trigger::Person,
            operation,
            tables,
            attempt: 1,
        }
    }

    /// What a schedule asks for: everything.
    pub fn of_schedule(attempt: u32) -> Self {
        Self {
            trigger: Trigger::Schedule,
            operation: Operation::Sync,
            tables: Vec::new(),
            attempt,
        }
    }

    /// Whether a run that waits with this order does what the other wants as well. What a schedule wants only
    /// another of its own does: a run that somebody asked for is not tried again.
    pub fn covers(&self, other: &Self) -> bool {
        self.operation == other.operation
            && (self.trigger == other.trigger || self.trigger == Trigger::Schedule)
            && (self.tables == other.tables
                || (self.operation == Operation::Sync && self.tables.is_empty()))
    }
}

/// Which schedule a source follows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Choice {
    /// The one that its connector's manifest proposes, if any.
    #[default]
    Default,
    /// None: it runs when somebody asks.
    Never,
    /// This one.
    Own(Schedule),
}

impl TryFrom<String> for Choice {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.trim() {
            "default" => Ok(Self::Default),
            "none" => Ok(Self::Never),
            text => Schedule::parse(text).map(Self::Own),
        }
    }
}

impl From<Choice> for String {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Default => "default".into(),
            Choice::Never => "none".into(),
            Choice::Own(schedule) => schedule.as_str().into(),
        }
    }
}

/// What people decided about when a source runs. Where nobody did, the default holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agenda {
    /// Which schedule it follows.
    pub choice: Choice,
    /// Where its days and hours are meant; as the server is configured where there is none.
    pub zone: Option<Zone>,
    /// By how many seconds at most it is late; as the server is configured where there is none.
    pub jitter_seconds: Option<u32>,
    /// After how many hours without a sync that worked people are told; as the server is configured where
    /// there is none.
    pub stale_after_hours: Option<u32>,
    /// Whether its schedule stands still.
    pub paused: bool,
}

/// What holds for sources about which nobody decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// Where days and hours are meant.
    pub zone: Zone,
    /// By how many seconds at most runs are late.
    pub jitter_seconds: u32,
    /// After how many hours without a sync that worked people are told.
    pub stale_after_hours: Option<u32>,
}

/// What holds for a source in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The source.
    pub source: SourceName,
    /// When it runs by itself; nothing while it stands still.
    pub schedule: Option<Schedule>,
    /// Where that is meant.
    pub zone: Zone,
    /// The most by which it is late.
    pub jitter: SignedDuration,
    /// How old its rows may become before people are told.
    pub stale_after: Option<SignedDuration>,
}

impl Plan {
    /// From what people decided, what the connector proposes and what is configured. A schedule of a manifest
    /// that cannot be read counts as none: it was read when the manifest came.
    pub fn of(
        source: &SourceName,
        agenda: &Agenda,
        proposed: Option<&str>,
        defaults: &Defaults,
    ) -> Self {
        let followed = match &agenda.choice {
            Choice::Default => proposed.and_then(|text| Schedule::parse(text).ok()),
            Choice::Never => None,
            Choice::Own(schedule) => Some(schedule.clone()),
        };
        let jitter = agenda.jitter_seconds.unwrap_or(defaults.jitter_seconds);
        // Rows of what nobody wants to run by itself grow old without anybody being at fault.
        let stale = match (agenda.stale_after_hours, &followed) {
            (Some(hours), _) => Some(hours),
            (None, Some(_)) => defaults.stale_after_hours,
            (None, None) => None,
        };
        let hours = |hours: u32| SignedDuration::from_hours(i64::from(hours));
        Self {
            source: source.clone(),
            schedule: followed.filter(|_| !agenda.paused),
            zone: agenda.zone.clone().unwrap_or(defaults.zone.clone()),
            jitter: SignedDuration::from_secs(i64::from(jitter)),
            stale_after: stale.filter(|_| !agenda.paused).map(hours),
        }
    }
}

/// Where a source stands in its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The schedule and zone for which `due_at` was worked out.
    pub planned_for: Option<String>,
    /// The moment that comes next, before the jitter.
    pub due_at: Option<Timestamp>,
    /// Every moment up to this one has been served.
    pub served_to: Option<Timestamp>,
    /// When the last failure is tried again.
    pub retry_at: Option<Timestamp>,
    /// How often it has failed in a row, as long as it is tried again.
    pub failures: u32,
}

/// How a source is, as far as people were told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether its last sync failed, which was told.
    pub failing: bool,
    /// Whether its rows are older than they may be, which was told.
    pub stale: bool,
    /// When a sync worked last; before the first, when the source was added.
    pub fresh_at: Timestamp,
}

impl Health {
    /// Of a source that has only just been added.
    pub fn new(added_at: Timestamp) -> Self {
        Self {
            failing: false,
            stale: false,
            fresh_at: added_at,
        }
    }
}

/// A source that may run by itself, and all that is known about that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What holds for it.
    pub plan: Plan,
    /// Where it stands.
    pub standing: Standing,
    /// How it is.
    pub health: Health,
}

/// Keeps agendas, orders, and what people are to be told.
pub trait Agendas: Send + Sync {
    /// All sources that are switched on.
    fn entries(&self, defaults: &Defaults) -> Result<Vec<Entry>, Failure>;
    /// One of them, switched on or not.
    fn entry(&self, source: &SourceName, defaults: &Defaults) -> Result<Option<Entry>, Failure>;
    /// Writes where a source stands.
    fn save_standing(&self, source: &SourceName, standing: &Standing) -> Result<(), Failure>;
    /// Writes a new run with its order, and where the source stands whose schedule asked for it: all or nothing.
    fn accept(&self, run: &Run, order: &Order, standing: Option<&Standing>) -> Result<(), Failure>;
    /// The runs that wait, oldest first, each with its order.
    fn waiting(&self) -> Result<Vec<(Run, Order)>, Failure>;
    /// Writes how a source is, where it stands, and with that a text for people: all or nothing. Nothing where
    /// the source is gone.
    fn save_health(
        &self,
        source: &SourceName,
        health: &Health,
        standing: Option<&Standing>,
        alert: Option<&str>,
    ) -> Result<(), Failure>;
}

/// Knows what the time is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
