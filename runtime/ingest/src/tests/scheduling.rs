//! What runs by itself, by a clock that is set by hand.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use domain::agenda::{
    Agendas, Backoff, Choice, Clock, Defaults, Entry, Health, Plan, Standing, Trigger,
};
use domain::ports::{Outcome, Published};
use domain::{Agenda, Failure, Order, Run, RunState, SourceName};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::publishing::Open;
use super::queueing::Endless;
use super::{Fake, Harness, set_up};
use crate::{Ingest, Ports, Room, Rules};

/// What is written down about schedules, and the time.
#[derive(Default)]
pub(super) struct Book {
    pub(super) accepted: Vec<(Run, Order)>,
    pub(super) entry: Option<Entry>,
    pub(super) alerts: Vec<String>,
    pub(super) now: Timestamp,
    pub(super) broken: bool,
}

pub(super) fn rules() -> Rules {
    Rules {
        defaults: Defaults::default(),
        backoff: Backoff {
            most_attempts: 3,
            first: SignedDuration::from_secs(60),
        },
        room: Room {
            in_all: 4,
            of_source: 3,
        },
        alerts: true,
    }
}

impl Fake {
    pub(super) fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}

impl Agendas for Fake {
    fn entries(&self, _: &Defaults) -> Result<Vec<Entry>, Failure> {
        Ok(self.book().entry.clone().into_iter().collect())
    }
    fn entry(&self, _: &SourceName, _: &Defaults) -> Result<Option<Entry>, Failure> {
        Ok(self.book().entry.clone())
    }
    fn save_standing(&self, _: &SourceName, standing: &Standing) -> Result<(), Failure> {
        if let Some(entry) = &mut self.book().entry {
            entry.standing = standing.clone();
        }
        Ok(())
    }
    fn accept(&self, run: &Run, order: &Order, standing: Option<&Standing>) -> Result<(), Failure> {
        if self.book().broken {
            return Err(Failure::bug("the state cannot be written"));
        }
        self.saved.lock().unwrap().push(run.clone());
        self.book().accepted.push((run.clone(), order.clone()));
        standing.map_or(Ok(()), |standing| self.save_standing(&run.source, standing))
    }
    fn waiting(&self) -> Result<Vec<(Run, Order)>, Failure> {
        let saved = self.saved.lock().unwrap();
        let waits = |run: &Run| {
            let last = saved.iter().rfind(|other| other.id == run.id);
            last.is_some_and(|last| last.state == RunState::Queued)
        };
        let accepted = self.book().accepted.clone().into_iter();
        Ok(accepted.filter(|(run, _)| waits(run)).collect())
    }
    fn save_health(
        &self,
        source: &SourceName,
        health: &Health,
        standing: Option<&Standing>,
        alert: Option<&str>,
    ) -> Result<(), Failure> {
        if let Some(entry) = &mut self.book().entry {
            entry.health = health.clone();
        }
        self.book().alerts.extend(alert.map(str::to_owned));
        standing.map_or(Ok(()), |standing| self.save_standing(source, standing))
    }
}

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        self.book().now
    }
}

/// A source that is due every quarter of an hour, and whose syncs end as the test says.
pub(super) fn scheduled() -> Harness {
    let mut t = set_up();
    let agenda = Agenda {
        choice: Choice::try_from("every 15m".to_owned()).unwrap(),
        stale_after_hours: Some(2),
        ..Agenda::default()
    };
    let now: Timestamp = "2026-01-01T12:01:00Z".parse().unwrap();
    let source = SourceName::parse("shop").unwrap();
    let mut ports = t.ingest.ports.clone();
    ports.extracts = Arc::new(Open(t.fake.clone()));
    t.ingest = Ingest::new(ports, rules());
    {
        let mut book = t.fake.book();
        book.now = now;
        book.entry = Some(Entry {
            plan: Plan::of(&source, &agenda, None, &Defaults::default()),
            standing: Standing::default(),
            health: Health::new(now),
        });
    }
    t.ingest.tick();
    t
}

impl Harness {
    /// Lets time pass and looks at the schedules; the runs that were accepted.
    pub(super) fn later(&self, minutes: i64) -> Vec<(Run, Order)> {
        self.fake.book().now += minutes.minutes();
        let before = self.fake.book().accepted.len();
        self.ingest.tick();
        self.fake.book().accepted[before..].to_vec()
    }

    /// Ends the run that is under way, and waits until it has.
    pub(super) fn end(&self, run: &Run, with: Result<(), Failure>) {
        let outcome = with.map(|()| Outcome::Synced(Published::default()));
        self.end.send(outcome.map_err(Into::into)).unwrap();
        self.until_ended(run);
    }
}

#[test]
fn what_was_missed_is_caught_up_by_one_run_which_its_schedule_asked_for() {
    let t = scheduled();
    assert!(t.later(10).is_empty());
    let due = t.later(9 * 60);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].1.trigger, Trigger::Schedule);
    assert!(t.later(0).is_empty());
    t.end(&due[0].0, Ok(()));
    assert_eq!(t.later(15).len(), 1);
}

#[test]
fn moments_that_pass_while_a_run_works_are_one_run_afterwards() {
    let t = scheduled();
    let first = t.later(15).remove(0).0;
    let second = t.later(15).remove(0).0;
    assert!(t.later(15).is_empty(), "it waits already");
    assert_eq!(t.state_of(&second), RunState::Queued);
    t.end(&first, Ok(()));
    t.end(&second, Ok(()));
    assert_eq!(t.fake.book().accepted.len(), 2);
}

#[test]
fn what_may_work_later_is_tried_again_with_growing_pauses_and_people_hear_of_the_last_attempt() {
    let t = scheduled();
    let down = || Err(Failure::upstream("it is down"));
    let (run, order) = t.later(15).remove(0);
    assert_eq!(order.attempt, 1);
    t.end(&run, down());
    assert!(t.later(0).is_empty());
    let (run, order) = t.later(2).remove(0);
    assert_eq!(order.attempt, 2);
    t.end(&run, down());
    assert!(t.later(1).is_empty(), "the pause is longer now");
    let (run, order) = t.later(2).remove(0);
    assert_eq!(order.attempt, 3);
    assert!(t.fake.book().alerts.is_empty());
    t.end(&run, down());
    assert!(t.later(8).is_empty(), "three attempts are the most");
    let alerts = t.fake.book().alerts.clone();
    assert_eq!(alerts.len(), 1);
    assert!(
        alerts[0].starts_with("Source `shop` failed: upstream, 3 attempts: it is down (run "),
        "{alerts:?}"
    );
    assert_eq!(t.later(15)[0].1.attempt, 1);
}

#[test]
fn what_somebody_stops_and_what_somebody_must_repair_is_not_tried_again() {
    for failure in [
        Failure::config("no"),
        Failure::auth("no"),
        Failure::bug("no"),
    ] {
        let t = scheduled();
        let (run, _) = t.later(15).remove(0);
        t.end(&run, Err(failure.clone()));
        let log = t.fake.log.lock().unwrap().clone();
        let said = format!("a failure of kind {} is not tried again", failure.kind);
        assert!(
            log.iter().any(|line| line.message.starts_with(&said)),
            "{log:?}"
        );
        assert!(t.later(13).is_empty(), "{}", failure.kind);
    }
    let t = scheduled();
    let (run, _) = t.later(15).remove(0);
    t.ingest.cancel(run.id).unwrap();
    t.end(&run, Ok(()));
    assert!(t.later(13).is_empty());
    assert!(t.fake.book().alerts.is_empty());
}

#[test]
fn a_run_that_the_end_of_the_server_stops_is_tried_again_by_the_next() {
    let mut t = scheduled();
    let (reached, working) = channel();
    let executor = Endless {
        reached: Mutex::new(reached),
        has_place: true,
    };
    let ports = Ports {
        executor: Arc::new(executor),
        ..t.ingest.ports.clone()
    };
    t.ingest = Ingest::new(ports, rules());
    let (run, _) = t.later(15).remove(0);
    working.recv().unwrap();
    t.ingest.shutdown();
    assert_eq!(t.state_of(&run), RunState::Cancelled);
    let next = Ingest::new(t.ingest.ports.clone(), rules());
    next.tick();
    let accepted = t.fake.book().accepted.clone();
    assert_eq!((accepted.len(), accepted[1].1.attempt), (2, 1));
}

#[test]
fn a_moment_is_not_lost_where_its_run_could_not_be_written_down() {
    let t = scheduled();
    t.fake.book().broken = true;
    assert!(t.later(15).is_empty());
    t.fake.book().broken = false;
    assert_eq!(t.later(1).len(), 1);
}

#[test]
fn whoever_drives_it_is_told_when_to_look_again() {
    let t = scheduled();
    t.fake.book().now = "2026-01-01T12:14:50Z".parse().unwrap();
    let next = t.ingest.tick();
    assert_eq!(next, "2026-01-01T12:15:00Z".parse().unwrap());
    t.fake.book().now = "2026-01-01T12:05:00Z".parse().unwrap();
    assert_eq!(t.ingest.tick(), "2026-01-01T12:05:30Z".parse().unwrap());
}
