//! The schedule of one source against clocks that sleep, jump ahead and are set back.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn plan(schedule: &str, jitter: u32) -> Plan {
    let agenda = Agenda {
        choice: Choice::Own(Schedule::parse(schedule).unwrap()),
        jitter_seconds: Some(jitter),
        ..Agenda::default()
    };
    let source = SourceName::parse("shop").unwrap();
    Plan::of(&source, &agenda, None, &Defaults::default())
}

/// Asks as the server does: what was decided is written down; says which attempt runs.
fn ask(plan: &Plan, standing: &mut Standing, now: Timestamp) -> Option<u32> {
    match plan.decide(standing, now) {
        Decision::Run { attempt, after } => {
            *standing = after;
            Some(attempt)
        }
        Decision::Wait(until) => {
            assert!(until > now, "{until} is not later than {now}");
            None
        }
        Decision::Rest => None,
    }
}

#[test]
fn missed_moments_are_caught_up_by_one_run() {
    let (plan, mut standing) = (plan("every 15m", 0), Standing::default());
    let start = at("2026-01-01T12:01:00Z");
    assert_eq!(ask(&plan, &mut standing, start), None);
    assert_eq!(ask(&plan, &mut standing, start + 9.hours()), Some(1));
    assert_eq!(ask(&plan, &mut standing, start + 9.hours()), None);
    assert_eq!(standing.due_at, Some(at("2026-01-01T21:15:00Z")));
}

#[test]
fn a_clock_that_is_set_back_repeats_nothing_and_one_that_was_far_ahead_stops_nothing() {
    let (plan, mut standing) = (plan("daily 03:00", 0), Standing::default());
    ask(&plan, &mut standing, at("2026-01-01T02:00:00Z"));
    assert_eq!(
        ask(&plan, &mut standing, at("2026-01-01T03:00:05Z")),
        Some(1)
    );
    assert_eq!(ask(&plan, &mut standing, at("2026-01-01T02:30:00Z")), None);
    assert_eq!(ask(&plan, &mut standing, at("2026-01-01T03:00:05Z")), None);

    assert_eq!(
        ask(&plan, &mut standing, at("2036-06-01T12:00:00Z")),
        Some(1)
    );
    assert_eq!(ask(&plan, &mut standing, at("2026-01-01T12:00:00Z")), None);
    assert_eq!(standing.due_at, Some(at("2026-01-02T03:00:00Z")));
}

#[test]
fn jitter_moves_a_source_always_alike_and_never_onto_its_next_moment() {
    let often = plan("every 1m", 3_600);
    let mut standing = Standing::default();
    let start = at("2026-01-01T12:00:00Z");
    let begins = often.coming(&standing, start, 2);
    assert_eq!(begins, often.coming(&standing, start, 2));
    assert!(begins[0] < at("2026-01-01T12:01:31Z"), "{begins:?}");
    ask(&often, &mut standing, start);
    let runs = (0..600).filter(|second| {
        let now = start + i64::from(*second).seconds();
        ask(&often, &mut standing, now).is_some()
    });
    assert_eq!(runs.count(), 9);
}

#[test]
fn a_source_that_stands_still_neither_runs_nor_makes_up_for_it_afterwards() {
    let (going, mut standing) = (plan("every 15m", 0), Standing::default());
    let still = Plan {
        schedule: None,
        ..going.clone()
    };
    let start = at("2026-01-01T12:01:00Z");
    ask(&going, &mut standing, start);
    assert_eq!(
        still.decide(&mut standing, start + 1.hours()),
        Decision::Rest
    );
    assert_eq!(ask(&going, &mut standing, start + 2.hours()), None);
    assert_eq!(ask(&going, &mut standing, start + 135.minutes()), Some(1));
}

#[test]
fn another_schedule_counts_from_when_it_was_given() {
    let mut standing = Standing::default();
    let start = at("2026-01-01T12:01:00Z");
    ask(&plan("every 15m", 0), &mut standing, start);
    let later = plan("daily 03:00", 0);
    assert_eq!(ask(&later, &mut standing, start + 1.hours()), None);
    assert_eq!(standing.due_at, Some(at("2026-01-02T03:00:00Z")));
}

#[test]
fn a_moment_that_comes_before_the_next_attempt_takes_its_place() {
    let (plan, mut standing) = (plan("every 15m", 0), Standing::default());
    let start = at("2026-01-01T12:01:00Z");
    ask(&plan, &mut standing, start);
    standing.failures = 2;
    standing.retry_at = Some(start + 1.hours());
    assert_eq!(ask(&plan, &mut standing, start + 14.minutes()), Some(3));
    assert_eq!(standing.retry_at, None);
    standing.retry_at = Some(start + 16.minutes());
    assert_eq!(ask(&plan, &mut standing, start + 16.minutes()), Some(3));
}

#[test]
fn a_run_that_waits_covers_what_brings_no_more_and_is_tried_no_oftener() {
    let table = |name: &str| vec![name.parse().unwrap()];
    let all = Order::of_person(Operation::Sync, Vec::new());
    let some = Order::of_person(Operation::Sync, table("a"));
    let due = Order::of_schedule(2);
    assert!(all.covers(&some) && some.covers(&some) && due.covers(&all) && due.covers(&due));
    assert!(!some.covers(&all) && !all.covers(&due));
    assert!(!some.covers(&Order::of_person(Operation::Sync, table("b"))));
    assert!(!all.covers(&Order::of_person(Operation::Check, Vec::new())));
}

#[test]
fn only_what_may_work_another_time_is_tried_again_and_not_for_ever() {
    let backoff = Backoff {
        most_attempts: 3,
        first: SignedDuration::from_secs(60),
    };
    let down = Failure::upstream("down");
    let first = backoff.pause(&down, 1, "shop").unwrap();
    let second = backoff.pause(&down, 2, "shop").unwrap();
    assert!((60..=75).contains(&first.as_secs()) && (120..=150).contains(&second.as_secs()));
    assert_eq!(backoff.pause(&down, 3, "shop"), None);
    for failure in [
        Failure::config(""),
        Failure::auth(""),
        Failure::limit(""),
        Failure::bug(""),
    ] {
        assert_eq!(backoff.pause(&failure, 1, "shop"), None, "{}", failure.kind);
    }
    let asked = Failure {
        retry_after_seconds: Some(7_000),
        ..down.clone()
    };
    assert!(backoff.pause(&asked, 1, "shop").unwrap().as_secs() >= 7_000);
    let for_ever = Failure {
        retry_after_seconds: Some(u32::MAX),
        ..down
    };
    assert_eq!(backoff.pause(&for_ever, 1, "shop"), Some(MOST_PAUSE));
    let long = Backoff {
        most_attempts: u32::MAX,
        ..backoff
    };
    assert!(
        long.pause(&Failure::upstream(""), 1_000, "shop").unwrap() <= SignedDuration::from_mins(75)
    );
}

/// What may happen to a server, between two looks at its schedules.
#[derive(Debug, Clone)]
enum Event {
    /// It looks again after so many seconds: it was awake, or asleep, or down.
    Later(u32),
    /// Its clock is set back by so many seconds, less than a day.
    SetBack(u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (1_u32..400).prop_map(Event::Later),
        2 => (400_u32..40_000).prop_map(Event::Later),
        1 => (1_u32..40_000).prop_map(Event::SetBack),
    ];
    prop::collection::vec(event, 1..120)
}

/// The moments of a schedule in `(from, to]`.
fn moments(plan: &Plan, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let schedule = plan.schedule.as_ref().unwrap();
    let next = |at: &Timestamp| schedule.next(*at, &plan.zone);
    let all = std::iter::successors(next(&from), next);
    all.take_while(|at| *at <= to).collect()
}

proptest! {
    /// Each run serves the moments that have passed and were not served; none is served twice, and once the
    /// clock has passed all that it ever showed, none is left out, whatever the clock did in between.
    #[test]
    fn no_moment_is_served_twice_and_none_is_lost(
        events in events(),
        form in prop::sample::select(vec!["every 7m", "*/20 * * * *", "daily 00:10,13:50"]),
        most in prop::sample::select(vec![0_u32, 90, 3_600]),
    ) {
        let (plan, mut standing) = (plan(form, most), Standing::default());
        let start = at("2026-03-28T12:00:00Z");
        let (mut now, mut latest) = (start, start);
        let mut served = BTreeSet::new();
        prop_assert_eq!(ask(&plan, &mut standing, now), None);
        let mut before = start;
        let last = [Event::Later(200_000), Event::Later(90_000)];
        for event in events.into_iter().chain(last) {
            now = match event {
                Event::Later(seconds) => now + i64::from(seconds).seconds(),
                // Never by more than a day from the latest, which is another rule.
                Event::SetBack(seconds) => (now - i64::from(seconds).seconds()).max(latest - 20.hours()),
            };
            latest = latest.max(now);
            // A restart knows nothing but what was written down.
            standing = standing.clone();
            if ask(&plan, &mut standing, now).is_some() {
                let to = standing.served_to.unwrap();
                let new = moments(&plan, before, to);
                prop_assert!(!new.is_empty(), "a run without a moment at {now}");
                for moment in new {
                    prop_assert!(served.insert(moment), "{moment} was served twice");
                }
                before = to;
                // Asked again at once, nothing is left to do.
                prop_assert_eq!(ask(&plan, &mut standing, now), None);
            }
        }
        let expected: BTreeSet<_> = moments(&plan, start, before).into_iter().collect();
        prop_assert_eq!(&served, &expected);
        prop_assert!(!served.is_empty());
        let unserved = moments(&plan, before, latest);
        prop_assert!(unserved.len() <= 1, "{unserved:?} are late by more than their jitter");
    }

    /// However far off the clock had been, the source runs again after one look at its next moment.
    #[test]
    fn a_clock_that_was_wrong_by_years_does_not_stop_a_source(ahead in 25_i64..200_000, back in 0_i64..100) {
        let (plan, mut standing) = (plan("every 15m", 30), Standing::default());
        let start = at("2026-03-28T12:00:00Z");
        ask(&plan, &mut standing, start);
        ask(&plan, &mut standing, start + ahead.hours());
        let now = start - back.hours();
        let Decision::Wait(until) = plan.decide(&mut standing, now) else {
            return Err(TestCaseError::fail("nothing is due at once"));
        };
        prop_assert!(until <= now + 16.minutes(), "{until}");
        prop_assert_eq!(ask(&plan, &mut standing, until), Some(1));
    }
}
