//! What the bench of the sandbox measures and no command of `sluice` does: warm instances, and runs without walls.
//!
//! `rehearsal warm FILE SETTINGS TIMES` prints the microseconds of each instance in one confined runner;
//! `rehearsal walls FILE SLUICE ADDRESS TURNS SETTINGS...` prints the seconds of each run, with walls and without.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a part of the bench: what goes wrong shall stop it at once, and what it prints is read by the bench"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use broker::{Broker, BrokerConfig};
use domain::ports::{Component, Ended, Executor as _, Extracts as _, Job, NoCredentials, Observer};
use domain::protocol::{FromRunner, Start, ToRunner, read_frame, write_frame};
use domain::run::{EgressRow, Level, Progress};
use domain::{Cancel, Capabilities, Digest, Limits, Operation, RunId};
use domain::{Manifest, SourceName};
use sandbox::{Unwalled, artifact};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use warehouse::Warehouse;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["runner"] => return sandbox::runner_main(),
        ["rehearses", times] => return sandbox::rehearsing_main(times.parse().unwrap()),
        ["warm", file, settings, times] => println!("{}", warm(file, settings, times)),
        ["walls", file, sluice, address, turns, ref settings @ ..] => {
            let stage = Stage::open(file, sluice.into(), address);
            println!("{}", stage.turns(turns.parse().unwrap(), settings));
        }
        _ => panic!("{words:?}"),
    }
    ExitCode::SUCCESS
}

/// The microseconds that each instance took in one runner.
fn warm(file: &str, settings: &str, times: &str) -> Value {
    let own = std::env::current_exe().unwrap();
    let workshop = Workshop::open(file, own.clone());
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut runner = Command::new(own)
        .args(["rehearses", times])
        .stdin(OwnedFd::from(theirs))
        .stdout(File::open(&workshop.component.compiled).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ready = read_frame::<FromRunner>(&mut ours).unwrap().message;
    assert!(matches!(ready, FromRunner::Ready { .. }), "{ready:?}");
    let start = ToRunner::Run(Start {
        wit: workshop.component.wit.clone(),
        operation: Operation::Check,
        settings: settings.into(),
        tables: Vec::new(),
        memory_bytes: Limits::default().memory_bytes,
        wall_seconds: Limits::default().wall_seconds,
        cpu_seconds: Limits::default().cpu_seconds,
        random_seed: [0; 32],
        clock_from: None,
    });
    write_frame(&mut ours, &start, &[]).unwrap();
    let mut said = String::new();
    let mut stderr = runner.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(runner.wait().unwrap().success(), "{said}");
    let microseconds = said.lines().map(|line| line.parse::<f64>().unwrap() / 1e3);
    microseconds.collect()
}

/// A component, compiled, and a broker.
struct Workshop {
    manifest: Manifest,
    component: Component,
    broker: Broker,
    // After what works in them.
    _runtime: Runtime,
    folder: TempDir,
}

impl Workshop {
    fn open(file: &str, runner_exe: PathBuf) -> Self {
        let bytes = std::fs::read(file).unwrap();
        let manifest = artifact::inspect(&bytes).unwrap().manifest;
        let runtime = Runtime::new().unwrap();
        let broker = Broker::new(BrokerConfig {
            runner_exe,
            handle: runtime.handle().clone(),
            max_runs: 1,
            user_agent: "sluice".into(),
            extra_ca: None,
            requests_per_second: Limits::MAXIMUM.requests_per_second,
            requests_at_once: Limits::MAXIMUM.requests_at_once,
            required_walls: Vec::new(),
        });
        let broker = broker.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let compiled = broker.compile(&bytes).unwrap();
        let path = folder.path().join("component.cwasm");
        std::fs::write(&path, &compiled).unwrap();
        let component = Component {
            compiled: path,
            compiled_digest: Digest::of(&compiled),
            wit: manifest.wit.clone(),
        };
        Self {
            manifest,
            component,
            broker,
            _runtime: runtime,
            folder,
        }
    }
}

/// Where the same runs are made with walls and without.
struct Stage {
    workshop: Workshop,
    warehouse: Warehouse,
    unwalled: Unwalled,
    address: String,
}

impl Stage {
    fn open(file: &str, sluice: PathBuf, address: &str) -> Self {
        let workshop = Workshop::open(file, sluice);
        let warehouse = Warehouse::open(workshop.folder.path().join("data")).unwrap();
        warehouse.orchestrator.rebuild().unwrap();
        let compiled = File::open(&workshop.component.compiled).unwrap();
        Self {
            workshop,
            warehouse,
            unwalled: Unwalled::load(compiled).unwrap(),
            address: address.into(),
        }
    }

    /// For each of the settings the seconds of all turns: with walls, without, and without once more.
    fn turns(&self, turns: usize, settings: &[&str]) -> Value {
        let mut measured = vec![[const { Vec::new() }; 3]; settings.len()];
        for turn in 0..=turns {
            for (index, settings) in settings.iter().enumerate() {
                let source = SourceName::parse(&format!("source_{index}")).unwrap();
                let settings = serde_json::from_str::<Value>(settings).unwrap();
                let seconds = [true, false, false]
                    .map(|is_walled| self.seconds(&source, &settings, is_walled));
                // The first turn warms caches up.
                if turn > 0 {
                    let all = measured[index].iter_mut().zip(seconds);
                    all.for_each(|(samples, seconds): (&mut Vec<f64>, f64)| samples.push(seconds));
                }
            }
        }
        json!(measured)
    }

    /// From the job to the rebuilt views.
    fn seconds(&self, source: &SourceName, settings: &Value, is_walled: bool) -> f64 {
        let began = Instant::now();
        let job = self.job(source, settings);
        let broker = &self.workshop.broker;
        let (_, result) = match is_walled {
            true => broker.execute(job),
            false => std::thread::scope(|scope| {
                let (ours, theirs) = UnixStream::pair().unwrap();
                scope.spawn(move || self.unwalled.serve(theirs).unwrap());
                broker.execute_over(job, &ours)
            }),
        };
        if let Err(Ended::Failed(failure)) = result {
            panic!("{failure}");
        }
        self.warehouse.extracts.rebuild(source).unwrap();
        began.elapsed().as_secs_f64()
    }

    fn job(&self, source: &SourceName, settings: &Value) -> Job {
        let run = RunId::generate();
        Job {
            run,
            source: source.clone(),
            operation: Operation::Sync,
            tables: Vec::new(),
            settings: settings.clone(),
            capabilities: self.capabilities(settings),
            credentials: BTreeMap::new(),
            keeper: Arc::new(NoCredentials),
            component: self.workshop.component.clone(),
            cursors: Default::default(),
            stage: Some(self.warehouse.extracts.stage(source, run).unwrap()),
            observer: Arc::new(Nothing),
            cancel: Cancel::new(),
        }
    }

    /// What the component asks for, the address of the bench, and no pace that would hide what is measured.
    fn capabilities(&self, settings: &Value) -> Capabilities {
        let asked = ingest::plan(&self.workshop.manifest, settings).unwrap();
        let mut granted = asked.clone();
        granted.private_addresses = vec![self.address.parse().unwrap()];
        let mut effective = asked.effective(&granted);
        effective.limits.requests_per_second = Limits::MAXIMUM.requests_per_second;
        effective
    }
}

/// Hears nothing.
struct Nothing;

impl Observer for Nothing {
    fn started(&self) {}
    fn log(&self, _: Level, _: &str) {}
    fn progress(&self, _: &Progress) {}
    fn egress(&self, _: &EgressRow) {}
}
