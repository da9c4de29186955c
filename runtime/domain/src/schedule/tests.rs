//! What schedules mean, in zones where hours are missing or come twice.

use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

/// The next moments after one, as the clocks of the zone show them.
fn after(schedule: &str, zone_name: &str, from: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (Schedule::parse(schedule).unwrap(), zone(zone_name));
    let mut now = at(from);
    let mut found = Vec::new();
    for _ in 0..count {
        now = schedule.next(now, &zone).unwrap();
        let shown = now.to_zoned(zone.rules.clone());
        found.push(shown.strftime("%a %Y-%m-%d %H:%M %:z").to_string());
    }
    found
}

/// A schedule, and the next two moments after 30 January 2026, 12:00.
const FORMS: [(&str, [&str; 2]); 15] = [
    (
        "every 15m",
        ["Fri 2026-01-30 12:15", "Fri 2026-01-30 12:30"],
    ),
    ("every 6h", ["Fri 2026-01-30 18:00", "Sat 2026-01-31 00:00"]),
    (
        "daily 03:00",
        ["Sat 2026-01-31 03:00", "Sun 2026-02-01 03:00"],
    ),
    (
        "daily 13:00,7:00",
        ["Fri 2026-01-30 13:00", "Sat 2026-01-31 07:00"],
    ),
    (
        "weekly mon 03:00",
        ["Mon 2026-02-02 03:00", "Mon 2026-02-09 03:00"],
    ),
    (
        "weekly Sun,thu 03:00",
        ["Sun 2026-02-01 03:00", "Thu 2026-02-05 03:00"],
    ),
    (
        "monthly 1 03:00",
        ["Sun 2026-02-01 03:00", "Sun 2026-03-01 03:00"],
    ),
    (
        "monthly 31 03:00",
        ["Sat 2026-01-31 03:00", "Sat 2026-02-28 03:00"],
    ),
    (
        "*/20 12 * * *",
        ["Fri 2026-01-30 12:20", "Fri 2026-01-30 12:40"],
    ),
    (
        "0 3 * * 1-5",
        ["Mon 2026-02-02 03:00", "Tue 2026-02-03 03:00"],
    ),
    (
        "0 3 * * 0",
        ["Sun 2026-02-01 03:00", "Sun 2026-02-08 03:00"],
    ),
    (
        "0 3 * * 7",
        ["Sun 2026-02-01 03:00", "Sun 2026-02-08 03:00"],
    ),
    (
        "0 3 * * fri-sun",
        ["Sat 2026-01-31 03:00", "Sun 2026-02-01 03:00"],
    ),
    (
        "0 3 2 * mon",
        ["Mon 2026-02-02 03:00", "Mon 2026-02-09 03:00"],
    ),
    (
        "0 3 29 2 *",
        ["Tue 2028-02-29 03:00", "Sun 2032-02-29 03:00"],
    ),
];

#[test]
fn each_form_means_what_it_says() {
    let from = "2026-01-30T12:00:00Z";
    for (schedule, expected) in FORMS {
        let expected = expected.map(|moment| format!("{moment} +00:00"));
        assert_eq!(after(schedule, "UTC", from, 2), expected, "{schedule}");
    }
}

#[test]
fn an_hour_that_is_left_out_begins_after_the_gap_and_one_that_comes_twice_counts_once() {
    let gap = after("daily 02:30", "Europe/Prague", "2026-03-28T12:00:00Z", 2);
    assert_eq!(
        gap,
        ["Sun 2026-03-29 03:00 +02:00", "Mon 2026-03-30 02:30 +02:00"]
    );
    let fold = after("daily 02:30", "Europe/Prague", "2026-10-24T12:00:00Z", 2);
    assert_eq!(
        fold,
        ["Sun 2026-10-25 02:30 +02:00", "Mon 2026-10-26 02:30 +01:00"]
    );
    // Here the gap is the first hour of a day, and a whole day was left out once.
    let gap = after("daily 00:30", "America/Santiago", "2026-09-05T12:00:00Z", 1);
    assert_eq!(gap, ["Sun 2026-09-06 01:00 -03:00"]);
    let gap = after("daily 12:00", "Pacific/Apia", "2011-12-29T22:30:00Z", 1);
    assert_eq!(gap, ["Sat 2011-12-31 00:00 +14:00"]);
    // Half an hour, both ways.
    let gap = after(
        "daily 02:15",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        1,
    );
    assert_eq!(gap, ["Sun 2026-10-04 02:30 +11:00"]);
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "write `every 15m`"),
        ("hourly", "write `every 15m`"),
        ("every 15", "is no span"),
        ("every -5m", "is no span"),
        ("every 0m", "from one minute"),
        ("every 999999h", "from one minute"),
        ("every 99999999999m", "is no span"),
        ("daily 25:00", "is no time"),
        ("daily 3", "is no time"),
        ("daily 03:00,", "is no time"),
        ("weekly someday 03:00", "is no day of a week"),
        ("monthly 32 03:00", "is no day of a month"),
        ("0 3 * * 8", "is no day-of-week field"),
        ("0 3 * * 1/0", "is no day-of-week field"),
        ("61 3 * * *", "cron does not know"),
        ("0 3 30 2 *", "never comes"),
        ("ü ü ü ü ü", "is no day-of-week field"),
    ] {
        let told = Schedule::parse(text).unwrap_err().to_string();
        assert!(told.contains(reason), "{text}: {told}");
    }
    assert!(
        Schedule::parse(&"0,".repeat(200))
            .unwrap_err()
            .reason
            .contains("200 bytes")
    );
    for name in ["", "Mars/Base", "../../etc/passwd", "Europe/Prague\n"] {
        assert!(Zone::parse(name).is_err(), "{name}");
    }
}

#[test]
fn a_clock_that_is_set_back_brings_no_moment_twice_and_one_that_was_far_ahead_is_not_believed() {
    let (daily, zone) = (Schedule::parse("daily 03:00").unwrap(), Zone::default());
    let served = Some(at("2026-01-10T03:00:00Z"));
    let due = |now: &str| daily.due(served, at(now), &zone).unwrap();
    assert_eq!(due("2026-01-10T03:00:05Z"), at("2026-01-11T03:00:00Z"));
    assert_eq!(due("2026-01-10T02:50:00Z"), at("2026-01-11T03:00:00Z"));
    assert_eq!(due("2025-06-01T00:00:00Z"), at("2025-06-01T03:00:00Z"));
    assert_eq!(due("2026-01-20T04:00:00Z"), at("2026-01-21T03:00:00Z"));
}

#[test]
fn the_jitter_of_a_source_is_always_the_same_and_bounded() {
    let most = SignedDuration::from_secs(30);
    let all: Vec<_> = (0..100).map(|n| jitter(&format!("s{n}"), most)).collect();
    assert!(
        all.iter()
            .all(|jitter| *jitter <= most && !jitter.is_negative())
    );
    assert!(all.iter().max() > all.iter().min());
    assert_eq!(jitter("Shop", most), jitter("shop", most));
    assert_eq!(jitter("shop", SignedDuration::ZERO), SignedDuration::ZERO);
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Prague",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
];

fn times() -> impl Strategy<Value = (i8, i8)> {
    (0..24_i8, 0..60_i8)
}

proptest! {
    #[test]
    fn the_next_run_is_strictly_later_and_nothing_lies_between(
        (hour, minute) in times(), weekly in prop::option::of(0..7_usize),
        zone_name in prop::sample::select(&ZONES[..]), second in 1_200_000_000..2_000_000_000_i64,
    ) {
        let zone = zone(zone_name);
        let now = Timestamp::from_second(second).unwrap();
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let text = match weekly {
            Some(day) => format!("weekly {} {hour:02}:{minute:02}", days[day]),
            None => format!("daily {hour:02}:{minute:02}"),
        };
        let schedule = Schedule::parse(&text).unwrap();
        let next = schedule.next(now, &zone).unwrap();
        prop_assert!(next > now);
        // Half way there, the next one is the same: nothing was passed over.
        let middle = now + (next.duration_since(now) / 2);
        prop_assert_eq!(schedule.next(middle, &zone), Some(next));
        // The clock shows the form's time, or the end of a gap in which that lies.
        let shown = next.to_zoned(zone.rules.clone());
        let wanted = Time::new(hour, minute, 0, 0).unwrap();
        if shown.time() != wanted {
            let before = next - SignedDuration::from_secs(1);
            let gap_begins = before.to_zoned(zone.rules.clone()).datetime();
            prop_assert!(gap_begins < shown.date().to_datetime(wanted)
                || gap_begins < shown.date().yesterday().unwrap().to_datetime(wanted));
            prop_assert!(shown.offset() != before.to_zoned(zone.rules.clone()).offset());
        } else if let Some(day) = weekly {
            prop_assert_eq!(shown.weekday().to_monday_zero_offset(), i8::try_from(day).unwrap());
        }
    }

    #[test]
    fn a_span_is_kept_from_one_run_to_the_next(minutes in 1..5_000_i64, second in 0..4_000_000_000_i64) {
        let schedule = Schedule::parse(&format!("every {minutes}m")).unwrap();
        let now = Timestamp::from_second(second).unwrap();
        let first = schedule.next(now, &Zone::default()).unwrap();
        let second = schedule.next(first, &Zone::default()).unwrap();
        prop_assert!(first > now && first.duration_since(now) <= SignedDuration::from_mins(minutes));
        prop_assert_eq!(second.duration_since(first), SignedDuration::from_mins(minutes));
    }

    #[test]
    fn no_text_makes_the_parser_stumble(text in "\\PC{0,60}", fields in "[0-9a-z*/,-]{1,9}( [0-9a-z*/,-]{1,9}){4}") {
        let _ = Schedule::parse(&text);
        let _ = Schedule::parse(&fields);
    }
}
