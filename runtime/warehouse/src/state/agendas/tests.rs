//! What is decided, accepted and told is all there after the server has died.

use domain::agenda::Trigger;
use domain::{Operation, RunState};
use jiff::ToSpan as _;

use super::*;
use crate::paths::Paths;
use crate::state::sources::tests::source;
use crate::state::tests::{entry, state};

fn queued(source: &SourceName) -> Run {
    Run::queued(
        source.clone(),
        domain::Digest::of(b"a"),
        Operation::Sync,
        Timestamp::now(),
    )
}

fn by_schedule(attempt: u32) -> Order {
    Order::of_schedule(attempt)
}

#[test]
fn what_was_decided_holds_for_its_source_until_that_is_gone() {
    let (_folder, state) = state();
    let shop = source("shop").name;
    let agenda = Agenda {
        choice: Choice::try_from("daily 03:00".to_owned()).unwrap(),
        zone: Some(Zone::parse("Europe/Prague").unwrap()),
        jitter_seconds: Some(30),
        stale_after_hours: Some(26),
        paused: true,
    };
    let early = state.set_agenda(&shop, &agenda, &entry());
    assert!(matches!(early, Err(StateError::NotFound { .. })));
    state.insert_source(&source("shop")).unwrap();
    assert_eq!(state.agenda(&shop).unwrap(), Agenda::default());
    state
        .set_agenda(&shop, &Agenda::default(), &entry())
        .unwrap();
    state.set_agenda(&shop, &agenda, &entry()).unwrap();
    assert_eq!(state.agenda(&shop).unwrap(), agenda);
    let entries = state.entries(&Defaults::default()).unwrap();
    assert_eq!(
        (entries.len(), &entries[0].plan.schedule),
        (1, &None),
        "it is paused"
    );

    let standing = Standing {
        planned_for: Some("x".into()),
        due_at: Some(Timestamp::UNIX_EPOCH),
        served_to: None,
        retry_at: Some(Timestamp::UNIX_EPOCH + 1.hours()),
        failures: 3,
    };
    state.save_standing(&shop, &standing).unwrap();
    let found = state.entry(&shop, &Defaults::default()).unwrap().unwrap();
    assert_eq!(found.standing, standing);
    state.delete_source(&shop).unwrap();
    state.save_standing(&shop, &standing).unwrap();
    state.insert_source(&source("shop")).unwrap();
    let found = state.entry(&shop, &Defaults::default()).unwrap().unwrap();
    assert_eq!(found.standing, Standing::default());
}

#[test]
fn a_run_that_waits_outlives_the_server_and_one_that_ran_is_tried_again_by_its_schedule_alone() {
    let (folder, state) = state();
    let mut runs = Vec::new();
    for (name, order, begun) in [
        (
            "asked",
            Order::of_person(Operation::Sync, vec!["orders".parse().unwrap()]),
            false,
        ),
        ("due", by_schedule(1), true),
        ("tried", by_schedule(3), true),
        (
            "person",
            Order::of_person(Operation::Sync, Vec::new()),
            true,
        ),
    ] {
        let source = source(name);
        state.insert_source(&source).unwrap();
        let mut run = queued(&source.name);
        let standing = Standing {
            failures: 7,
            ..Standing::default()
        };
        state.accept(&run, &order, Some(&standing)).unwrap();
        if begun {
            run.state = RunState::Running;
            state.save_run(&run).unwrap();
        }
        runs.push((run, order));
    }
    // Of a server that kept no orders.
    let old = queued(&source("asked").name);
    state.save_run(&old).unwrap();
    drop(state);
    let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
    let interrupted = state.mark_interrupted(3).unwrap();
    assert_eq!(interrupted.count, 4);
    assert_eq!(interrupted.given_up, [SourceName::parse("tried").unwrap()]);
    let waiting = state.waiting().unwrap();
    assert_eq!(waiting, runs[..1]);
    let retry = |name: &str| {
        let name = SourceName::parse(name).unwrap();
        let found = state.entry(&name, &Defaults::default()).unwrap().unwrap();
        (found.standing.retry_at.is_some(), found.standing.failures)
    };
    assert_eq!(retry("due"), (true, 1));
    assert_eq!((retry("tried"), retry("person")), ((false, 7), (false, 7)));
    let order = state.order(runs[1].0.id).unwrap().unwrap();
    assert_eq!(order.trigger, Trigger::Schedule);
    assert_eq!(state.order(old.id).unwrap(), None);
}

#[test]
fn what_people_are_told_is_kept_in_order_until_it_was_delivered() {
    let (folder, state) = state();
    let shop = source("shop");
    let health = Health {
        failing: true,
        ..Health::new(shop.created_at)
    };
    state
        .save_health(&shop.name, &health, None, Some("of nobody"))
        .unwrap();
    assert_eq!(state.next_alert().unwrap(), None);
    state.insert_source(&shop).unwrap();
    for text in ["one", "two"] {
        state
            .save_health(&shop.name, &health, None, Some(text))
            .unwrap();
    }
    drop(state);
    let state = State::open(&Paths::new(folder.path()).unwrap()).unwrap();
    let found = state
        .entry(&shop.name, &Defaults::default())
        .unwrap()
        .unwrap();
    assert_eq!(found.health, health);
    for text in ["one", "two"] {
        let alert = state.next_alert().unwrap().unwrap();
        assert_eq!(alert.text, text);
        state.forget_alert(alert.id).unwrap();
    }
    assert_eq!(state.next_alert().unwrap(), None);
}
