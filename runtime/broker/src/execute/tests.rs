//! Whole runs, with a shell script in the runner's place: what the process does decides how they end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;

use domain::ports::Component;
use domain::protocol::{Call, End, FromRunner, write_frame};
use domain::{
    Capabilities, Digest, FailureKind, Operation, RunId, Secret, SlotName, SourceName, TableName,
};
use domain::{TableSpec, WriteMode};
use tokio::runtime::Runtime;

use super::*;
use crate::BrokerConfig;
use crate::testing::stage::Lines;
use crate::testing::{Heard, heard};

pub(super) const READY: FromRunner = FromRunner::Ready {
    missing: Vec::new(),
};

/// A broker whose runner is a script. `$frames` in it is a file with these frames.
pub(super) struct Scene {
    pub(super) folder: tempfile::TempDir,
    runtime: Runtime,
    pub(super) broker: Broker,
}

impl Scene {
    pub(super) fn new(script: &str, frames: &[FromRunner]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        for frame in frames {
            write_frame(&mut bytes, frame, &[]).unwrap();
        }
        fs::write(folder.path().join("frames"), bytes).unwrap();
        fs::write(folder.path().join("component"), "compiled").unwrap();
        let exe = install(&folder, script);
        let runtime = Runtime::new().unwrap();
        let broker = Broker::new(BrokerConfig {
            requests_per_second: 1_000,
            requests_at_once: 64,
            runner_exe: exe,
            handle: runtime.handle().clone(),
            max_runs: 1,
            user_agent: "test".into(),
            extra_ca: None,
            required_walls: Wall::ALL.to_vec(),
        });
        Self {
            folder,
            runtime,
            broker: broker.unwrap(),
        }
    }

    pub(super) fn job(&self, operation: Operation, heard: &Arc<Heard>) -> Job {
        Job {
            keeper: Arc::new(crate::testing::Kept::default()),
            run: RunId::generate(),
            source: SourceName::parse("shop").unwrap(),
            operation,
            tables: vec![],
            settings: serde_json::json!({}),
            capabilities: Capabilities::default(),
            credentials: [(SlotName::parse("key").unwrap(), Secret::new("canary-77"))].into(),
            component: Component {
                compiled: self.folder.path().join("component"),
                compiled_digest: Digest::of(b"compiled"),
                wit: "0.1.0".into(),
            },
            cursors: Default::default(),
            stage: None,
            observer: heard.clone(),
            cancel: Cancel::new(),
        }
    }

    fn check(&self) -> (Arc<Heard>, Result<Outcome, Ended>) {
        let heard = heard();
        let (_, result) = execute(&self.broker, self.job(Operation::Check, &heard));
        (heard, result)
    }

    fn failure(&self) -> Failure {
        match self.check().1 {
            Err(Ended::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }
}

/// Another process writes the executable: one that this process has open for writing, and a child
/// inherits from another test's thread, could not be started.
fn install(folder: &tempfile::TempDir, script: &str) -> PathBuf {
    let (draft, exe) = (folder.path().join("draft"), folder.path().join("runner"));
    let frames = folder.path().join("frames");
    fs::write(
        &draft,
        format!("#!/bin/sh\nframes={}\n{script}\n", frames.display()),
    )
    .unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        Command::new("cp")
            .arg(&draft)
            .arg(&exe)
            .status()
            .unwrap()
            .success()
    );
    exe
}

#[test]
fn a_runner_gets_the_verified_component_and_its_result_is_the_runs() {
    let mut ready = Vec::new();
    write_frame(&mut ready, &READY, &[]).unwrap();
    let (ready, end) = (ready.len(), ready.len() + 1);
    // It looks at the component once it was told to run, as the real one does.
    let script = format!(
        "head -c {ready} $frames >&0; head -c 8 <&0 >/dev/null; cat <&1 >&2; echo >&2; tail -c +{end} $frames >&0; exec sleep 1000"
    );
    let scene = Scene::new(&script, &[READY, FromRunner::End(End::Done)]);
    let (heard, result) = scene.check();
    assert_eq!(result, Ok(Outcome::Checked));
    assert_eq!(heard.lines(), ["runner: compiled"]);
}

#[test]
fn a_runner_is_not_told_to_run_an_altered_component() {
    let scene = Scene::new("cat $frames >&0; head -c 8 <&0 >&2", &[READY]);
    fs::write(scene.folder.path().join("component"), "altered").unwrap();
    let (heard, result) = scene.check();
    assert!(
        matches!(result, Err(Ended::Failed(f)) if f.message.contains("not the one that was recorded"))
    );
    assert!(heard.lines().is_empty());
}

#[test]
fn a_runner_that_dies_is_reported_by_the_way_it_died() {
    for (script, kind, words) in [
        (
            "cat $frames >&0; exit 3",
            FailureKind::Bug,
            "without a result, exit status: 3",
        ),
        (
            "cat $frames >&0; kill -SEGV $$",
            FailureKind::Bug,
            "crashed with signal 11",
        ),
        (
            "cat $frames >&0; kill -KILL $$",
            FailureKind::Limit,
            "killed by the operating system",
        ),
        (
            "cat $frames >&0; kill -XCPU $$",
            FailureKind::Limit,
            "1800 s of processor time",
        ),
        (
            "echo no frame at all >&0",
            FailureKind::Bug,
            "broke the protocol",
        ),
        (
            "exec 0>&-; exec sleep 1000",
            FailureKind::Bug,
            "closed its socket",
        ),
    ] {
        let failure = Scene::new(script, &[READY]).failure();
        assert_eq!(failure.kind, kind, "{script}: {failure}");
        assert!(failure.message.contains(words), "{script}: {failure}");
    }
}

#[test]
fn what_a_runner_complains_is_in_the_log_without_credentials() {
    let scene = Scene::new("echo the key is canary-77 >&2; exit 1", &[]);
    let (heard, _) = scene.check();
    assert_eq!(heard.lines(), ["runner: the key is [redacted]"]);
}

#[test]
fn a_cancel_ends_a_run_that_hangs_within_a_second() {
    let scene = Scene::new(
        "echo hanging >&2; cat $frames >&0; exec sleep 1000",
        &[READY],
    );
    let heard = heard();
    let job = scene.job(Operation::Check, &heard);
    let cancel = job.cancel.clone();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| execute(&scene.broker, job));
        while heard.lines().is_empty() {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        cancel.cancel();
        let (counts, result) = run.join().unwrap();
        assert_eq!((counts, result), (Counts::default(), Err(Ended::Cancelled)));
        assert!(begun.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn a_run_that_waits_for_its_place_says_so_and_can_be_cancelled() {
    let scene = Scene::new(
        "echo hanging >&2; cat $frames >&0; exec sleep 1000",
        &[READY],
    );
    let (first, second) = (heard(), heard());
    let (running, waiting) = (
        scene.job(Operation::Check, &first),
        scene.job(Operation::Check, &second),
    );
    let (end_running, end_waiting) = (running.cancel.clone(), waiting.cancel.clone());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| execute(&scene.broker, running));
        while first.lines().is_empty() {
            std::thread::yield_now();
        }
        let waiting = scope.spawn(|| execute(&scene.broker, waiting));
        while second.lines().is_empty() {
            std::thread::yield_now();
        }
        let starts = (first.starts(), second.starts());
        end_waiting.cancel();
        assert_eq!(waiting.join().unwrap().1, Err(Ended::Cancelled));
        end_running.cancel();
        assert_eq!(running.join().unwrap().1, Err(Ended::Cancelled));
        // After both have ended: what fails before would wait for them for ever.
        assert_eq!(starts, (1, 0));
    });
    assert!(
        second.lines()[0].starts_with("waiting for a place: runs.max_at_once is 1"),
        "{:?}",
        second.lines()
    );
    assert_eq!(scene.broker.places.free(), 1);
}

#[test]
fn a_run_whose_time_is_up_is_killed() {
    let scene = Scene::new("printf '>' >&0; exec sleep 1000", &[]);
    let mut runner = Runner::start(&scene.broker.config.runner_exe, None, |_| ()).unwrap();
    let stop = Stop::new(&Cancel::new());
    let overdue = Failure::limit("time is up");
    let time = Duration::from_millis(20);
    let _watchdog = watch(
        scene.runtime.handle(),
        runner.killer(),
        &stop,
        time,
        overdue.clone(),
    );
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut runner.socket(), &mut bytes).unwrap();
    let lost: Result<(), _> = Err(SessionError::Violation("whatever came of it"));
    assert_eq!(
        judge(lost, &mut runner, &stop, None),
        Err(Ended::Failed(overdue))
    );
}

#[test]
fn a_defect_of_the_host_ends_its_run_and_nothing_else() {
    let open = Call::OpenTable(TableSpec {
        name: TableName::parse("orders").unwrap(),
        description: String::new(),
        columns: vec![],
        primary_key: vec![],
        mode: WriteMode::Replace,
        partition_by: None,
    });
    let frames = [READY, FromRunner::Call(open), FromRunner::End(End::Done)];
    let scene = Scene::new("cat $frames >&0; exec sleep 1000", &frames);
    let stage = Lines::default();
    stage.0.lock().unwrap().panics = true;
    let heard = heard();
    let mut job = scene.job(Operation::Sync, &heard);
    job.stage = Some(Box::new(stage.clone()));
    let (_, result) = execute(&scene.broker, job);
    assert!(matches!(result, Err(Ended::Failed(f)) if f.kind == FailureKind::Bug));

    let mut job = scene.job(Operation::Sync, &heard);
    job.stage = Some(Box::new(Lines::default()));
    let (_, result) = execute(&scene.broker, job);
    assert!(matches!(result, Ok(Outcome::Synced(_))), "{result:?}");
}

#[test]
fn limits_beyond_all_bounds_are_cut_to_the_hosts_own() {
    let scene = Scene::new(
        "cat $frames >&0; exec sleep 1000",
        &[READY, FromRunner::End(End::Done)],
    );
    let mut job = scene.job(Operation::Check, &heard());
    job.capabilities.limits.wall_seconds = u64::MAX;
    assert_eq!(execute(&scene.broker, job).1, Ok(Outcome::Checked));
}

#[test]
fn a_sync_without_a_stage_is_a_bug() {
    let scene = Scene::new("exit 1", &[]);
    let (_, result) = execute(&scene.broker, scene.job(Operation::Sync, &heard()));
    assert!(matches!(result, Err(Ended::Failed(f)) if f.message.contains("without a stage")));
}

#[test]
fn compiling_gives_what_the_runner_made_or_why_not() {
    let made = Scene::new(
        "cat $frames >&0; exec sleep 1000",
        &[READY, FromRunner::Piece { last: true }],
    );
    assert_eq!(made.broker.compile(b"\0asm"), Ok(Vec::new()));
    assert_eq!(
        made.broker.compile(b"").unwrap_err().kind,
        FailureKind::Config
    );
    let refusal = FromRunner::End(End::Failed(Failure::config("it is not WebAssembly")));
    let refused = Scene::new("cat $frames >&0", &[READY, refusal]);
    assert_eq!(
        refused.broker.compile(b"text"),
        Err(Failure::config("it is not WebAssembly"))
    );
    let died = Scene::new("kill -KILL $$", &[]);
    assert_eq!(
        died.broker.compile(b"\0asm").unwrap_err().kind,
        FailureKind::Limit
    );
}

#[test]
fn a_background_task_ends_with_its_owner() {
    let runtime = Runtime::new().unwrap();
    let (held, watch) = channel::<()>();
    let task = Background(runtime.spawn(async move {
        let _held = held;
        std::future::pending::<()>().await;
    }));
    drop(task);
    assert!(
        watch
            .recv_timeout(Duration::from_secs(10))
            .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}
