//! The day-of-week field of cron as everybody knows it: 0 and 7 are Sunday, names will do, ranges may
//! have steps.

use jiff::civil::Weekday;

const NAMES: [(&str, Weekday); 7] = [
    ("sun", Weekday::Sunday),
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
];

/// A day by its first three letters.
pub(super) fn weekday_name(text: &str) -> Option<Weekday> {
    let mut names = NAMES.iter();
    let found = names.find(|(name, _)| text.eq_ignore_ascii_case(name));
    found.map(|(_, day)| *day)
}

/// The first three letters of a day.
pub(super) fn name_of(day: Weekday) -> &'static str {
    let mut names = NAMES.iter();
    let found = names.find(|(_, known)| *known == day);
    found.map_or("sun", |(name, _)| name)
}

/// The days of a field, ascending from Sunday.
pub(super) fn weekdays(field: &str) -> Result<Vec<Weekday>, String> {
    let wrong = || {
        format!(
            "`{field}` is no day-of-week field; write 0 to 7 (0 and 7 are Sunday) or mon to sun, such as `1-5` or `mon,thu`"
        )
    };
    let mut chosen = [false; 8];
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, number(step).filter(|step| *step > 0)),
            None => (item, Some(1)),
        };
        let step = step.ok_or_else(wrong)?;
        let (first, last) = bounds(range, item.contains('/')).ok_or_else(wrong)?;
        for day in (first..=last).step_by(step) {
            *chosen.get_mut(day).ok_or_else(wrong)? = true;
        }
    }
    let sunday = chosen.last().copied().unwrap_or_default();
    let days = NAMES.iter().zip(chosen).filter_map(|((name, day), taken)| {
        let taken = taken || (sunday && *name == "sun");
        taken.then_some(*day)
    });
    Ok(days.collect())
}

fn bounds(range: &str, stepped: bool) -> Option<(usize, usize)> {
    if matches!(range, "*" | "?") {
        return Some((0, 6));
    }
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (day(first)?, day(last)?),
        None if stepped => (day(range)?, 6),
        None => (day(range)?, day(range)?),
    };
    // `fri-sun` ends with the Sunday that follows.
    let last = if last == 0 && first > 0 { 7 } else { last };
    (first <= last).then_some((first, last))
}

fn day(text: &str) -> Option<usize> {
    let position = NAMES
        .iter()
        .position(|(name, _)| text.eq_ignore_ascii_case(name));
    position.or_else(|| number(text)).filter(|day| *day <= 7)
}

fn number(text: &str) -> Option<usize> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
