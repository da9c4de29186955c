//! Deliveries from the inbox to the extract, over fakes: order, failures, and what is set aside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use domain::ports::{Cursors, Ended, Extracts, INBOX, Job, Outcome, Receiver, Stage};
use domain::run::Counts;
use domain::{Operation, PublishedTable, RunId};

use super::*;
use crate::Ports;
use crate::tests::publishing::NoRows;
use crate::tests::{Harness, set_up};

/// What was published: bodies, with the cursor of that moment.
#[derive(Default)]
struct Books {
    rows: Mutex<Vec<String>>,
    cursors: Mutex<Cursors>,
    syncing: AtomicBool,
}

struct Page(Arc<Books>);

impl Extracts for Page {
    fn stage(&self, _: &SourceName, _: RunId) -> Result<Box<dyn Stage>, Failure> {
        let books = self.0.clone();
        Ok(Box::new(NoRows::seen_by(move |cursors| {
            books.cursors.lock().unwrap().extend(cursors.clone());
        })))
    }
    fn cursors(&self, _: &SourceName) -> Result<Cursors, Failure> {
        Ok(self.0.cursors.lock().unwrap().clone())
    }
    fn rebuild(&self, _: &SourceName) -> Result<Vec<PublishedTable>, Failure> {
        Ok(Vec::new())
    }
}

/// A component that refuses some bodies, and fails a few times for others.
struct Component {
    books: Arc<Books>,
    upstream_failures: Mutex<u32>,
    batches: Mutex<Vec<usize>>,
}

impl Receivers for Component {
    fn receiver(&self) -> Box<dyn Receiver + '_> {
        Box::new(Runner(self))
    }
}

struct Runner<'a>(&'a Component);

impl Receiver for Runner<'_> {
    fn receive(&mut self, job: Job, deliveries: Vec<Delivery>) -> (Counts, Result<Outcome, Ended>) {
        job.observer.started();
        assert_eq!(job.operation, Operation::Receive);
        assert!(
            !self.0.books.syncing.load(Ordering::SeqCst),
            "a sync was under way"
        );
        self.0.batches.lock().unwrap().push(deliveries.len());
        (Counts::default(), self.handle(job, &deliveries))
    }

    fn rest(&mut self) {}
}

impl Runner<'_> {
    fn handle(&self, job: Job, deliveries: &[Delivery]) -> Result<Outcome, Ended> {
        let mut left = self.0.upstream_failures.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Err(Failure::upstream("busy").into());
        }
        if let Some(bad) = deliveries
            .iter()
            .find(|delivery| delivery.body.starts_with(b"bad"))
        {
            return Err(Failure::bug(format!("cannot read {}", bad.id)).into());
        }
        let text = |delivery: &Delivery| String::from_utf8(delivery.body.clone()).unwrap();
        self.0
            .books
            .rows
            .lock()
            .unwrap()
            .extend(deliveries.iter().map(text));
        let published = job.stage.unwrap().publish(&job.cursors)?;
        Ok(Outcome::Synced(published))
    }
}

struct Scene {
    harness: Harness,
    folder: tempfile::TempDir,
    books: Arc<Books>,
    component: Arc<Component>,
}

fn scene() -> Scene {
    let books = Arc::new(Books::default());
    let component = Component {
        books: books.clone(),
        upstream_failures: Mutex::new(0),
        batches: Mutex::default(),
    };
    Scene {
        harness: set_up(),
        folder: tempfile::tempdir().unwrap(),
        books,
        component: Arc::new(component),
    }
}

fn shop() -> SourceName {
    "shop".parse().unwrap()
}

impl Scene {
    fn ingest(&self) -> Arc<Ingest> {
        let ports = Ports {
            extracts: Arc::new(Page(self.books.clone())),
            ..self.harness.ingest.ports.clone()
        };
        Ingest::new(ports, self.harness.ingest.rules.clone())
    }

    fn receiving(&self, ingest: Arc<Ingest>) -> Arc<Receiving> {
        let config = ReceiveConfig {
            folder: self.folder.path().join("inbox"),
            limits: InboxLimits {
                deliveries: 1_000,
                bytes: 1 << 20,
            },
            batch_deliveries: 8,
            batch_bytes: 1 << 20,
            window: Duration::from_millis(20),
            idle: Duration::from_millis(50),
            pause: Duration::from_millis(1),
        };
        Receiving::new(ingest, self.component.clone(), config)
    }

    fn rows(&self) -> Vec<String> {
        self.books.rows.lock().unwrap().clone()
    }
}

fn send(receiving: &Arc<Receiving>, body: &str) {
    let delivery = Delivery {
        id: body.into(),
        headers: Vec::new(),
        body: body.into(),
    };
    receiving.take(&shop(), delivery, true).unwrap();
}

#[track_caller]
fn settled(receiving: &Arc<Receiving>) -> Standing {
    let begun = Instant::now();
    loop {
        let standing = receiving.standing(&shop()).unwrap();
        if standing.waiting == 0 {
            return standing;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{standing:?}");
        std::thread::yield_now();
    }
}

#[test]
fn deliveries_become_rows_in_order_and_a_run_each_batch() {
    let t = scene();
    let receiving = t.receiving(t.ingest());
    for body in ["a", "b", "c"] {
        send(&receiving, body);
    }
    assert!(settled(&receiving).dead.is_empty());
    assert_eq!(t.rows(), ["a", "b", "c"]);
    assert_eq!(t.books.cursors.lock().unwrap()[INBOX], b"3");
    receiving.close();
    let saved = t.harness.fake.saved.lock().unwrap();
    assert!(saved.iter().all(|run| run.operation == Operation::Receive));
    assert!(saved.last().unwrap().state.is_final());
}

#[test]
fn one_that_cannot_be_handled_is_set_aside_and_the_rest_goes_on() {
    let t = scene();
    let receiving = t.receiving(t.ingest());
    for body in ["a", "b", "bad", "c", "d", "bad too", "e"] {
        send(&receiving, body);
    }
    let dead = settled(&receiving).dead;
    assert_eq!(t.rows(), ["a", "b", "c", "d", "e"]);
    let dead: Vec<_> = dead
        .into_iter()
        .map(|head| (head.id, head.failure.unwrap().message))
        .collect();
    let told = |id: &str| (id.to_owned(), format!("cannot read {id}"));
    assert_eq!(dead, [told("bad"), told("bad too")]);
    // At most twice the depth of the bisection a dead letter, and the rest.
    assert!(t.component.batches.lock().unwrap().len() < 20);
}

#[test]
fn what_may_work_later_is_tried_again_and_nothing_is_set_aside() {
    let t = scene();
    *t.component.upstream_failures.lock().unwrap() = 3;
    let receiving = t.receiving(t.ingest());
    send(&receiving, "a");
    assert!(settled(&receiving).dead.is_empty());
    assert_eq!(t.rows(), ["a"]);
}

#[test]
fn what_never_works_is_set_aside_after_its_attempts() {
    let t = scene();
    *t.component.upstream_failures.lock().unwrap() = 5;
    let receiving = t.receiving(t.ingest());
    send(&receiving, "a");
    assert_eq!(settled(&receiving).dead.len(), 1);
    receiving.retry(&shop(), 1).unwrap();
    assert!(settled(&receiving).dead.is_empty());
    assert_eq!(t.rows(), ["a"]);
}

#[test]
fn what_waited_when_a_server_ended_is_rows_once_after_the_next_start() {
    let t = scene();
    let ingest = t.ingest();
    // As while a source is moved: nothing is run, so nothing is lost or doubled.
    let hold = ingest.hold(&shop()).unwrap();
    let first = t.receiving(ingest.clone());
    send(&first, "a");
    send(&first, "b");
    first.close();
    assert!(t.rows().is_empty());
    drop(hold);
    let second = t.receiving(t.ingest());
    second.start();
    settled(&second);
    send(&second, "a");
    send(&second, "c");
    settled(&second);
    assert_eq!(t.rows(), ["a", "b", "c"]);
}

#[test]
fn a_batch_waits_while_the_source_is_held() {
    let t = scene();
    let ingest = t.ingest();
    t.books.syncing.store(true, Ordering::SeqCst);
    let hold = ingest.hold(&shop()).unwrap();
    let receiving = t.receiving(ingest.clone());
    send(&receiving, "a");
    assert_eq!(receiving.standing(&shop()).unwrap().waiting, 1);
    t.books.syncing.store(false, Ordering::SeqCst);
    drop(hold);
    settled(&receiving);
    assert_eq!(t.rows(), ["a"]);
}

#[test]
fn a_source_that_is_gone_takes_its_inbox_with_it() {
    let t = scene();
    let receiving = t.receiving(t.ingest());
    send(&receiving, "a");
    receiving.forget(&shop()).unwrap();
    assert!(!t.folder.path().join("inbox/shop").exists());
}
