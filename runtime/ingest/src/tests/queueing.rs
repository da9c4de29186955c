//! What was accepted waits for its source, outlives the server, and can be taken back.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use domain::ports::{Ended, Executor, Job, Outcome};
use domain::run::Counts;
use domain::{Operation, Run, RunState, SourceName};

use super::{Harness, set_up};
use crate::{Ingest, IngestError, Ports};

impl Harness {
    pub(super) fn state_of(&self, run: &Run) -> RunState {
        let saved = self.fake.saved.lock().unwrap();
        let last = saved.iter().rfind(|saved| saved.id == run.id);
        last.unwrap().state
    }

    pub(super) fn until_running(&self, run: &Run) {
        while self.state_of(run) == RunState::Queued {
            std::thread::yield_now();
        }
    }

    pub(super) fn until_ended(&self, run: &Run) {
        while self.ingest.watch(run.id).is_some() {
            std::thread::yield_now();
        }
    }

    fn ask(&self, operation: Operation) -> Result<Run, IngestError> {
        let shop = SourceName::parse("shop").unwrap();
        self.ingest.start(&shop, operation, Vec::new())
    }
}

#[test]
fn a_second_run_waits_for_the_first_and_a_third_that_is_alike_is_the_second() {
    let t = set_up();
    let first = t.ask(Operation::Check).unwrap();
    t.until_running(&first);
    let second = t.ask(Operation::Check).unwrap();
    let third = t.ask(Operation::Check).unwrap();
    assert_eq!((second.id, second.state), (third.id, RunState::Queued));
    assert_ne!(first.id, second.id);
    assert!(t.ingest.watch(second.id).is_some());
    t.end.send(Ok(Outcome::Checked)).unwrap();
    t.until_running(&second);
    assert_eq!(t.state_of(&first), RunState::Succeeded);
    t.end.send(Ok(Outcome::Checked)).unwrap();
    assert_eq!(t.last(&second).state, RunState::Succeeded);
    let log = t.fake.log.lock().unwrap().clone();
    let waits = format!("waiting for the end of run {} of the same source", first.id);
    assert!(log.iter().any(|line| line.message == waits), "{log:?}");
}

#[test]
fn a_run_that_waits_is_cancelled_at_once_and_never_begins() {
    let t = set_up();
    let first = t.ask(Operation::Check).unwrap();
    let second = t.ask(Operation::Discover).unwrap();
    t.ingest.cancel(second.id).unwrap();
    assert_eq!(t.state_of(&second), RunState::Cancelled);
    assert!(matches!(
        t.ingest.cancel(second.id),
        Err(IngestError::UnknownRun(_))
    ));
    t.end.send(Ok(Outcome::Checked)).unwrap();
    t.last(&first);
    let third = t.ask(Operation::Check).unwrap();
    t.end.send(Ok(Outcome::Checked)).unwrap();
    t.last(&third);
    let saved = t.fake.saved.lock().unwrap().clone();
    let of_second: Vec<_> = saved.iter().filter(|run| run.id == second.id).collect();
    assert!(of_second.iter().all(|run| run.started_at.is_none()));
}

#[test]
fn no_more_runs_wait_than_there_is_room_for() {
    let t = set_up();
    let first = t.ask(Operation::Check).unwrap();
    t.until_running(&first);
    for operation in [Operation::Check, Operation::Discover, Operation::Sync] {
        t.ask(operation).unwrap();
    }
    let shop = SourceName::parse("shop").unwrap();
    let tables = vec!["orders".parse().unwrap()];
    // What is asked for is brought by the sync of everything that waits.
    t.ingest.start(&shop, Operation::Sync, tables).unwrap();
    let idle = t.ingest.start_idle(&shop, Operation::Sync, vec![]);
    assert!(matches!(idle, Err(IngestError::AlreadyRunning { run, .. }) if run == first.id));
    t.ingest.cancel_waiting(&shop);
    let part = |name: &str| {
        t.ingest
            .start(&shop, Operation::Sync, vec![name.parse().unwrap()])
    };
    for name in ["a", "b", "c"] {
        part(name).unwrap();
    }
    let error = part("d").unwrap_err();
    assert!(
        matches!(error, IngestError::TooManyWaiting { of_source: 3, .. }),
        "{error}"
    );
    t.ingest.cancel_waiting(&shop);
    t.end.send(Ok(Outcome::Checked)).unwrap();
    t.ingest.shutdown();
}

/// Works until the run is cancelled; or not even that, as when all places are taken.
pub(super) struct Endless {
    pub(super) reached: Mutex<Sender<()>>,
    pub(super) has_place: bool,
}

impl Executor for Endless {
    fn execute(&self, job: Job) -> (Counts, Result<Outcome, Ended>) {
        let (sender, cancelled): (Sender<()>, Receiver<()>) = channel();
        job.cancel.on_cancel(move || sender.send(()).unwrap());
        if self.has_place {
            job.observer.started();
        }
        self.reached.lock().unwrap().send(()).unwrap();
        cancelled.recv().unwrap();
        (Counts::default(), Err(Ended::Cancelled))
    }
}

#[test]
fn what_was_accepted_and_has_not_begun_goes_on_with_the_next_server_in_the_same_order() {
    let t = set_up();
    let (reached, waiting) = channel();
    let full = Ingest::new(
        Ports {
            executor: Arc::new(Endless {
                reached: Mutex::new(reached),
                has_place: false,
            }),
            ..t.ingest.ports.clone()
        },
        super::scheduling::rules(),
    );
    let shop = SourceName::parse("shop").unwrap();
    let operations = [Operation::Discover, Operation::Check];
    let runs = operations.map(|operation| full.start(&shop, operation, vec![]).unwrap());
    waiting.recv().unwrap();
    full.shutdown();
    assert!(runs.iter().all(|run| t.state_of(run) == RunState::Queued));

    assert_eq!(t.ingest.resume().unwrap(), 2);
    for run in &runs {
        t.until_running(run);
        t.end.send(Ok(Outcome::Checked)).unwrap();
        t.until_ended(run);
        assert_eq!(t.state_of(run), RunState::Succeeded);
    }
}

#[test]
fn a_source_that_changed_while_its_run_waited_is_looked_at_again() {
    let t = set_up();
    let first = t.ask(Operation::Check).unwrap();
    t.until_running(&first);
    let second = t.ask(Operation::Discover).unwrap();
    t.fake.version.lock().unwrap().as_mut().unwrap().trusted = false;
    t.end.send(Ok(Outcome::Checked)).unwrap();
    let failure = t.last(&second).failure.unwrap();
    assert!(failure.message.contains("is not trusted"), "{failure}");
}
