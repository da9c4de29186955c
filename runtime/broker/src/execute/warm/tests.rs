//! Batches, with a shell script in the runner's place that says which process it is.

use std::fs;
use std::sync::Arc;

use domain::SlotName;
use domain::protocol::{End, FromRunner, write_frame};

use super::super::tests::{READY, Scene};
use super::*;
use crate::testing::stage::Lines;
use crate::testing::{Heard, heard};

/// Says that it is ready, and then that each batch ended well; `after` is what it does then.
fn scene(after: &str) -> Scene {
    let mut ready = Vec::new();
    write_frame(&mut ready, &READY, &[]).unwrap();
    let script = format!(
        "echo $$ >> $frames.started\nhead -c {} $frames\nwhile :; do\n\
         while :; do read -r line || exit; case $line in *DONE) break;; esac; done\n\
         tail -c +{} $frames\n{after}\ndone",
        ready.len(),
        ready.len() + 1
    );
    let script = format!("exec 1>&0\n{script}");
    Scene::new(&script, &[READY, FromRunner::End(End::Done)])
}

fn started(scene: &Scene) -> usize {
    let path = scene.folder.path().join("frames.started");
    fs::read_to_string(path).unwrap().lines().count()
}

fn job(scene: &Scene, stage: &Lines, heard: &Arc<Heard>) -> Job {
    let mut job = scene.job(Operation::Receive, heard);
    job.stage = Some(Box::new(stage.clone()));
    job
}

fn deliveries() -> Vec<Delivery> {
    vec![Delivery {
        id: "1".into(),
        headers: vec![("x-event".into(), "paid".into())],
        body: b"\nDONE\n".to_vec(),
    }]
}

#[track_caller]
fn batch(scene: &Scene, warm: &mut Warm<'_>, change: impl FnOnce(&mut Job)) -> Lines {
    let stage = Lines::default();
    let mut job = job(scene, &stage, &heard());
    change(&mut job);
    let (_, result) = warm.receive(job, deliveries());
    assert!(matches!(result, Ok(Outcome::Synced(_))), "{result:?}");
    stage
}

#[test]
fn two_batches_are_taken_by_one_process_and_each_is_published() {
    let scene = scene("");
    let mut warm = Warm::new(&scene.broker);
    for position in ["1", "2"] {
        let cursors = [("@inbox".to_owned(), position.as_bytes().to_vec())];
        let stage = batch(&scene, &mut warm, |job| {
            job.cursors = cursors.clone().into();
        });
        assert_eq!(stage.0.lock().unwrap().published, [cursors.into()]);
    }
    assert_eq!(started(&scene), 1);
    warm.rest();
    batch(&scene, &mut warm, |_| ());
    assert_eq!(started(&scene), 2);
}

#[test]
fn other_settings_grants_credentials_or_versions_begin_with_a_new_process() {
    let scene = scene("");
    let mut warm = Warm::new(&scene.broker);
    batch(&scene, &mut warm, |_| ());
    batch(&scene, &mut warm, |job| {
        job.settings = serde_json::json!({"a": 1});
    });
    assert_eq!(started(&scene), 2);
    batch(&scene, &mut warm, |job| job.capabilities.limits.rows = 7);
    assert_eq!(started(&scene), 3);
    let slot = SlotName::parse("key").unwrap();
    batch(&scene, &mut warm, |job| {
        job.credentials.insert(slot, Secret::new("another"));
    });
    assert_eq!(started(&scene), 4);
    fs::write(scene.folder.path().join("component"), "newer").unwrap();
    batch(&scene, &mut warm, |job| {
        job.component.compiled_digest = Digest::of(b"newer");
    });
    assert_eq!(started(&scene), 5);
}

#[test]
fn a_runner_that_speaks_unasked_or_leaves_between_batches_is_not_used_again() {
    for after in ["cat $frames", "exit"] {
        let scene = scene(after);
        let mut warm = Warm::new(&scene.broker);
        batch(&scene, &mut warm, |_| ());
        // Whether it was noticed at the end of the batch or shows only now, the next one is not answered by
        // what was said before it was asked.
        let waited = Instant::now();
        while let Some(kept) = warm.kept.lock().unwrap().as_ref()
            && is_silent(kept.runner.socket())
        {
            assert!(waited.elapsed() < Duration::from_secs(60), "{after}");
            std::thread::yield_now();
        }
        batch(&scene, &mut warm, |_| ());
        assert_eq!(started(&scene), 2, "{after}");
    }
}

#[test]
fn a_batch_that_failed_ends_its_runner() {
    let scene = scene("");
    let mut warm = Warm::new(&scene.broker);
    let stage = Lines::default();
    stage.0.lock().unwrap().fails = Some(Failure::limit("the disk is full"));
    let (_, result) = warm.receive(job(&scene, &stage, &heard()), deliveries());
    assert!(matches!(result, Err(Ended::Failed(_))), "{result:?}");
    batch(&scene, &mut warm, |_| ());
    assert_eq!(started(&scene), 2);
}

#[test]
fn a_batch_without_deliveries_or_of_another_operation_is_refused() {
    let scene = scene("");
    let mut warm = Warm::new(&scene.broker);
    let nothing = warm.receive(job(&scene, &Lines::default(), &heard()), Vec::new());
    assert!(matches!(nothing.1, Err(Ended::Failed(_))));
    let sync = scene.job(Operation::Sync, &heard());
    assert!(matches!(
        warm.receive(sync, deliveries()).1,
        Err(Ended::Failed(_))
    ));
}
