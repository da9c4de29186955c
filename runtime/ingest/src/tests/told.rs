//! What people hear about a source: each thing once.

use domain::{Failure, Operation, SourceName};
use serde_json::json;

use super::scheduling::{rules, scheduled};
use crate::Ingest;

#[test]
fn people_hear_of_the_first_failure_and_of_the_sync_that_works_again() {
    let t = scheduled();
    let broken = || Err(Failure::config("a table is missing"));
    for end in [broken(), broken(), Ok(()), Ok(()), broken()] {
        let (run, _) = t.later(15).remove(0);
        t.end(&run, end);
    }
    let alerts = t.fake.book().alerts.clone();
    let heard: Vec<_> = alerts
        .iter()
        .map(|text| text.split(" (run ").next().unwrap())
        .collect();
    let failed = "Source `shop` failed: config: a table is missing";
    assert_eq!(heard, [failed, "Source `shop` works again: 7 rows", failed]);
}

#[test]
fn whether_they_were_told_outlives_the_server() {
    let t = scheduled();
    let shop = SourceName::parse("shop").unwrap();
    for _ in 0..2 {
        let next = Ingest::new(t.ingest.ports.clone(), rules());
        let run = next.start(&shop, Operation::Sync, vec![]).unwrap();
        t.end.send(Err(Failure::auth("refused").into())).unwrap();
        while next.watch(run.id).is_some() {
            std::thread::yield_now();
        }
    }
    assert_eq!(t.fake.book().alerts.len(), 1);
}

#[test]
fn a_source_that_takes_the_server_down_with_every_attempt_is_told_once() {
    let t = scheduled();
    let sources = [SourceName::parse("shop").unwrap()];
    t.ingest.given_up(&sources);
    t.ingest.given_up(&sources);
    let alerts = t.fake.book().alerts.clone();
    assert_eq!(
        alerts,
        ["Source `shop` failed: the server ended in the middle of each attempt"]
    );
}

#[test]
fn rows_that_grow_too_old_are_told_once_and_not_while_a_run_may_still_bring_new_ones() {
    let t = scheduled();
    let (run, _) = t.later(2 * 60 + 1).remove(0);
    assert!(t.fake.book().alerts.is_empty());
    t.end(&run, Err(Failure::upstream("down")));
    t.later(0);
    t.later(0);
    let alerts = t.fake.book().alerts.clone();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(
        alerts[0].contains("no sync has worked since 2026-01-01 12:01 UTC"),
        "{alerts:?}"
    );
    let (run, _) = t.later(2).remove(0);
    t.end(&run, Ok(()));
    let alerts = t.fake.book().alerts.clone();
    assert_eq!(alerts.len(), 2);
    assert!(
        alerts[1].starts_with("Source `shop` works again"),
        "{alerts:?}"
    );
}

#[test]
fn a_source_that_is_due_and_may_not_run_is_told_once() {
    let t = scheduled();
    t.fake.source.lock().unwrap().as_mut().unwrap().settings = json!({"region": 1});
    assert!(t.later(15).is_empty() && t.later(15).is_empty());
    let alerts = t.fake.book().alerts.clone();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(
        alerts[0].contains("the settings are not valid"),
        "{alerts:?}"
    );
}
