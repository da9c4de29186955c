//! The use-cases over fakes: what starts, what is refused, and what is written down in the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use domain::ports::{
    Component, Components, Credentials, Cursors, Ended, Executor, Extracts, Job, Outcome, Stage,
    Store,
};
use domain::run::{Counts, EgressRow, Level, LogLine, RunEvent};
use domain::{
    Capabilities, Digest, Failure, HostRule, Manifest, Operation, PublishedTable, Run, RunId,
    RunState, Secret, SlotName, Source, SourceName, SyncReport, Version,
};
use jiff::Timestamp;
use serde_json::json;

use crate::{Ingest, IngestError, Ports};

mod holding;
pub(crate) mod publishing;
mod queueing;
mod scheduling;
mod told;

#[derive(Default)]
pub(crate) struct Fake {
    source: Mutex<Option<Source>>,
    version: Mutex<Option<Version>>,
    pub(crate) saved: Mutex<Vec<Run>>,
    log: Mutex<Vec<LogLine>>,
    rebuilt: Mutex<Vec<SourceName>>,
    reports: Mutex<Vec<SyncReport>>,
    book: Mutex<scheduling::Book>,
}

impl Store for Fake {
    fn source(&self, name: &SourceName) -> Result<Option<Source>, Failure> {
        Ok(self
            .source
            .lock()
            .unwrap()
            .clone()
            .filter(|source| source.name == *name))
    }
    fn version(&self, _: &Digest) -> Result<Option<Version>, Failure> {
        Ok(self.version.lock().unwrap().clone())
    }
    fn save_run(&self, run: &Run) -> Result<(), Failure> {
        self.saved.lock().unwrap().push(run.clone());
        Ok(())
    }
    fn append_log(&self, _: RunId, lines: &[LogLine]) -> Result<(), Failure> {
        self.log.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
    fn append_egress(&self, _: RunId, _: &[EgressRow]) -> Result<(), Failure> {
        Ok(())
    }
    fn record_sync(&self, report: &SyncReport) -> Result<(), Failure> {
        self.reports.lock().unwrap().push(report.clone());
        Ok(())
    }
}

impl Extracts for Fake {
    fn stage(&self, _: &SourceName, _: RunId) -> Result<Box<dyn Stage>, Failure> {
        Err(Failure::limit("the disk is full"))
    }
    fn cursors(&self, _: &SourceName) -> Result<Cursors, Failure> {
        Ok(Cursors::new())
    }
    fn rebuild(&self, source: &SourceName) -> Result<Vec<PublishedTable>, Failure> {
        self.rebuilt.lock().unwrap().push(source.clone());
        Ok(Vec::new())
    }
}

impl Components for Fake {
    fn load(&self, version: &Version) -> Result<Component, Failure> {
        Ok(Component {
            compiled: PathBuf::new(),
            compiled_digest: version.digest,
            wit: "0.1.0".into(),
        })
    }
}

impl Credentials for Fake {
    fn credentials(&self, _: &SourceName) -> Result<BTreeMap<SlotName, Secret>, Failure> {
        Ok(BTreeMap::new())
    }

    fn replace(&self, _: &SourceName, _: &SlotName, _: &Secret, _: &Secret) -> Result<(), Failure> {
        Ok(())
    }
}

/// Ends a run as the test says, once the test says it.
struct Script(Mutex<Receiver<Result<Outcome, Ended>>>);

impl Executor for Script {
    fn execute(&self, job: Job) -> (Counts, Result<Outcome, Ended>) {
        job.observer.started();
        job.observer.log(Level::Info, "at work");
        let result = self.0.lock().unwrap().recv().unwrap();
        let result = if job.cancel.is_cancelled() {
            Err(Ended::Cancelled)
        } else {
            result
        };
        (
            Counts {
                rows: 7,
                ..Default::default()
            },
            result,
        )
    }
}

pub(crate) struct Harness {
    pub(crate) fake: Arc<Fake>,
    pub(crate) ingest: Arc<Ingest>,
    end: Sender<Result<Outcome, Ended>>,
}

fn manifest(egress: &str) -> Manifest {
    let manifest = json!({
        "wit": "0.1.0", "name": "shop", "version": "1.0.0", "title": "Shop", "description": "", "worlds": ["source"],
        "settings": {"type": "object", "required": ["region"], "properties": {"region": {"type": "string"}}},
        "egress": [egress],
    });
    Manifest::parse(manifest.to_string().as_bytes()).unwrap()
}

pub(crate) fn set_up() -> Harness {
    let fake = Arc::new(Fake::default());
    let digest = Digest::of(b"component");
    *fake.version.lock().unwrap() = Some(Version {
        digest,
        manifest: manifest("{settings.region}.shop.example"),
        publisher: "us".into(),
        trusted: true,
        size_bytes: 9,
        compiled: None,
        uploaded_at: Timestamp::now(),
    });
    *fake.source.lock().unwrap() = Some(Source {
        name: SourceName::parse("shop").unwrap(),
        connector: "shop".parse().unwrap(),
        version: digest,
        settings: json!({"region": "eu"}),
        granted: Capabilities {
            egress: vec![HostRule::parse("*.shop.example").unwrap()],
            ..Default::default()
        },
        enabled: true,
        created_at: Timestamp::now(),
    });
    let (end, script) = channel();
    let ports = Ports {
        store: fake.clone(),
        extracts: fake.clone(),
        executor: Arc::new(Script(Mutex::new(script))),
        components: fake.clone(),
        credentials: fake.clone(),
        agendas: fake.clone(),
        clock: fake.clone(),
    };
    let ingest = Ingest::new(ports, scheduling::rules());
    Harness { fake, ingest, end }
}

impl Harness {
    fn start(&self) -> Result<Run, IngestError> {
        self.ingest.start(
            &SourceName::parse("shop").unwrap(),
            Operation::Check,
            Vec::new(),
        )
    }

    /// Waits for the final state through a watch, as the API does.
    fn last(&self, run: &Run) -> Run {
        if let Some(mut watch) = self.ingest.watch(run.id) {
            while let Ok(event) = watch.events.blocking_recv() {
                if let RunEvent::State { run } = event
                    && run.state.is_final()
                {
                    return run;
                }
            }
        }
        self.fake.saved.lock().unwrap().last().cloned().unwrap()
    }
}

#[test]
fn a_run_is_queued_runs_and_succeeds() {
    let t = set_up();
    let run = t.start().unwrap();
    t.end.send(Ok(Outcome::Checked)).unwrap();
    let last = t.last(&run);
    assert_eq!((last.state, last.counts.rows), (RunState::Succeeded, 7));
    let states: Vec<_> = t
        .fake
        .saved
        .lock()
        .unwrap()
        .iter()
        .map(|run| run.state)
        .collect();
    assert_eq!(
        states,
        [RunState::Queued, RunState::Running, RunState::Succeeded]
    );
    assert!(
        t.fake
            .log
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.message == "at work")
    );
}

#[test]
fn a_failure_is_written_down_with_its_kind() {
    let t = set_up();
    let run = t.start().unwrap();
    t.end
        .send(Err(Failure::auth("the key was refused").into()))
        .unwrap();
    let last = t.last(&run);
    assert_eq!(
        (last.state, last.failure),
        (RunState::Failed, Some(Failure::auth("the key was refused")))
    );
    assert_eq!(
        t.fake.log.lock().unwrap().last().unwrap().message,
        "failed (auth): the key was refused"
    );
}

#[test]
fn a_panic_in_a_port_ends_that_run_only() {
    let t = set_up();
    let run = t.start().unwrap();
    drop(t.end);
    assert_eq!(
        t.fake.saved.lock().unwrap().first().unwrap().state,
        RunState::Queued
    );
    while t.ingest.watch(run.id).is_some() {
        std::thread::yield_now();
    }
    let last = t.fake.saved.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        (last.state, last.failure.unwrap().kind),
        (RunState::Failed, domain::FailureKind::Bug)
    );
}

#[test]
fn a_cancelled_run_says_so_and_shutdown_waits_for_it() {
    let t = set_up();
    let run = t.start().unwrap();
    t.ingest.cancel(run.id).unwrap();
    t.end.send(Ok(Outcome::Checked)).unwrap();
    t.ingest.shutdown();
    assert_eq!(
        t.fake.saved.lock().unwrap().last().unwrap().state,
        RunState::Cancelled
    );
    assert!(matches!(t.start(), Err(IngestError::Stopping)));
    assert!(matches!(
        t.ingest.cancel(run.id),
        Err(IngestError::UnknownRun(_))
    ));
}

#[test]
fn what_is_known_to_be_wrong_is_refused_before_it_runs() {
    let t = set_up();
    assert!(matches!(
        t.ingest.start(
            &SourceName::parse("other").unwrap(),
            Operation::Sync,
            vec![]
        ),
        Err(IngestError::UnknownSource(_))
    ));
    t.fake.source.lock().unwrap().as_mut().unwrap().settings = json!({"region": 1});
    let error = t.start().unwrap_err().to_string();
    assert!(
        error.contains("/region: 1 is not of type \"string\""),
        "{error}"
    );
    t.fake.source.lock().unwrap().as_mut().unwrap().settings = json!({"region": "eu"});

    t.fake.version.lock().unwrap().as_mut().unwrap().manifest = manifest("other.example");
    let error = t.start().unwrap_err().to_string();
    assert_eq!(
        error,
        "source `shop` waits for a grant: its connector asks for egress to other.example; see `sluice source grant shop`"
    );

    t.fake.version.lock().unwrap().as_mut().unwrap().trusted = false;
    assert!(matches!(t.start(), Err(IngestError::NotTrusted { .. })));
    assert!(t.fake.saved.lock().unwrap().is_empty());
}

#[test]
fn a_stage_that_cannot_be_opened_fails_the_run() {
    let t = set_up();
    let run = t
        .ingest
        .start(&SourceName::parse("shop").unwrap(), Operation::Sync, vec![])
        .unwrap();
    let last = t.last(&run);
    assert_eq!(last.failure, Some(Failure::limit("the disk is full")));
    let report = t.fake.reports.lock().unwrap().remove(0);
    assert_eq!(report.failure.as_deref(), Some("the disk is full"));
}
