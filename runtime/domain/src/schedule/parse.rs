//! From words to a form. Each error completes the sentence "it is no schedule: …".

use std::str::FromStr as _;

use cron::TimeUnitSpec as _;
use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};

use super::Form;
use super::days::{CronDays, Days};
use super::field;

const FORMS: &str = "write `every 15m`, `daily 03:00`, `weekly mon 03:00`, `monthly 1 03:00`, or the five fields of cron, such as `0 3 * * mon-fri`";
/// More often would be a connector that polls without end.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);
/// Times of a day, days of a week or month: more is cron's.
const MAX_ITEMS: usize = 48;

type Parsed<T> = Result<T, String>;

pub(super) fn form(words: &[&str]) -> Parsed<Form> {
    match words {
        ["every", span] => every(span),
        ["daily", times] => at(Days::Daily, times),
        ["weekly", days, times] => at(Days::Weekly(items(days, weekday)?), times),
        ["monthly", days, times] => at(Days::Monthly(items(days, day_of_month)?), times),
        [minute, hour, day, month, weekday] => cron([minute, hour, day, month, weekday]),
        _ => Err(FORMS.to_owned()),
    }
}

fn every(text: &str) -> Parsed<Form> {
    let wrong = || format!("`{text}` is no span; write minutes, hours or days: `15m`, `6h`, `2d`");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let number: u32 = whole(number).ok_or_else(wrong)?;
    let span = SignedDuration::from_secs(i64::from(number) * seconds);
    if !(SHORTEST..=LONGEST).contains(&span) {
        return Err("a span is from one minute to 366 days".to_owned());
    }
    Ok(Form::Every(span))
}

fn at(days: Days, times: &str) -> Parsed<Form> {
    let mut times = items(times, time)?;
    times.sort();
    times.dedup();
    Ok(Form::At { days, times })
}

fn items<T>(text: &str, parse: fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let found = text.split(',').map(parse).collect::<Parsed<Vec<_>>>()?;
    match found.len() {
        ..=MAX_ITEMS => Ok(found),
        _ => Err(format!("a list has at most {MAX_ITEMS} entries")),
    }
}

/// Digits alone: no sign, as `parse` would take.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn time(text: &str) -> Parsed<Time> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        if minute.len() != 2 || hour.len() > 2 {
            return None;
        }
        Time::new(whole(hour)?, whole(minute)?, 0, 0).ok()
    };
    read().ok_or_else(|| format!("`{text}` is no time of a day; write it like `03:00`"))
}

fn weekday(text: &str) -> Parsed<Weekday> {
    field::weekday_name(text).ok_or_else(|| {
        format!("`{text}` is no day of a week; write mon, tue, wed, thu, fri, sat or sun")
    })
}

fn day_of_month(text: &str) -> Parsed<i8> {
    let day = whole(text).filter(|day| (1..=31).contains(day));
    day.ok_or_else(|| format!("`{text}` is no day of a month; write 1 to 31"))
}

/// Five fields, as cron has them. The crate's own days of the week count from 1 for Sunday, so they are
/// read here and handed to it as names.
fn cron(fields: [&str; 5]) -> Parsed<Form> {
    let [minute, hour, day, month, week] = fields;
    let weekdays = field::weekdays(week)?;
    let names: Vec<_> = weekdays.iter().map(|day| field::name_of(*day)).collect();
    let text = format!("0 {minute} {hour} {day} {month} {}", names.join(","));
    let read = cron::Schedule::from_str(&text)
        .map_err(|_| format!("cron does not know these five fields; {FORMS}"))?;
    let numbers = |found: &mut dyn Iterator<Item = u32>| -> Vec<i8> {
        found.filter_map(|n| i8::try_from(n).ok()).collect()
    };
    let minutes = numbers(&mut read.minutes().iter());
    let hours = numbers(&mut read.hours().iter());
    let times = hours.iter().flat_map(|hour| {
        let of_hour = minutes.iter();
        of_hour.filter_map(|minute| Time::new(*hour, *minute, 0, 0).ok())
    });
    let days = CronDays {
        months: numbers(&mut read.months().iter()),
        days_of_month: numbers(&mut read.days_of_month().iter()),
        weekdays,
        either: is_restricted(day) && is_restricted(week),
    };
    Ok(Form::At {
        days: Days::Cron(days),
        times: times.collect(),
    })
}

fn is_restricted(field: &str) -> bool {
    !field.starts_with(['*', '?'])
}
