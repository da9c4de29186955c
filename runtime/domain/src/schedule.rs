//! When a source runs by itself: the forms that people write, and the moments that they mean.
//!
//! Pure: what the time is comes from outside, so that everything here can be tested for any moment. Only
//! [`Zone::parse`] looks at the machine, for its rules of time zones where it has any.

mod days;
mod field;
mod parse;
#[cfg(test)]
mod tests;

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use days::Days;

/// The most bytes of a schedule's text.
pub const MAX_BYTES: usize = 200;
/// 29 February comes at the latest after eight years, around a year that is a multiple of 100.
const MAX_DAYS: usize = 366 * 9;
/// A moment that was served is remembered against a clock that was set back by at most this; one that
/// lies further ahead came from a clock that was wrong.
const TRUSTED_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no schedule: {reason}")]
pub struct ScheduleError {
    /// What was written, shortened.
    pub text: String,
    /// What is wrong, and what would do.
    pub reason: String,
}

/// Why a name is no time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no time zone `{0}`; write a name such as `Europe/Prague` or `UTC`")]
pub struct ZoneError(pub String);

/// When to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// After each such span, counted from the start of 1970 in UTC, so that no restart moves it.
    Every(SignedDuration),
    /// At these times, ascending, of these days.
    At { days: Days, times: Vec<Time> },
}

/// Where a schedule's days and hours are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// A zone by its name in the IANA database.
    ///
    /// # Errors
    /// [`ZoneError`] for a name that is not there.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        let shown = || ZoneError(name.chars().take(64).flat_map(char::escape_debug).collect());
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(shown());
        }
        let rules = TimeZone::get(name).map_err(|_| shown())?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Ok(Self { name, rules })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: TimeZone::UTC,
        }
    }
}

impl Schedule {
    /// Reads `every 15m`, `daily 03:00`, `daily 07:00,13:00`, `weekly mon 03:00`, `monthly 1 03:00`, or
    /// the five fields of cron.
    ///
    /// # Errors
    /// [`ScheduleError`], which says what would do.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let refused = |reason: String| ScheduleError {
            text: text.chars().take(80).flat_map(char::escape_debug).collect(),
            reason,
        };
        if text.len() > MAX_BYTES {
            return Err(refused(format!("it has more than {MAX_BYTES} bytes")));
        }
        let words: Vec<_> = text.split_whitespace().collect();
        let schedule = Self {
            text: words.join(" "),
            form: parse::form(&words).map_err(refused)?,
        };
        match schedule.next(Timestamp::UNIX_EPOCH, &Zone::default()) {
            Some(_) => Ok(schedule),
            None => Err(refused("such a day never comes".to_owned())),
        }
    }

    /// The schedule as it was written, with single spaces.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first moment after this one. An hour that a zone leaves out begins at the first moment after
    /// the gap, and one that comes twice counts once, the first time.
    pub fn next(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match &self.form {
            Form::Every(span) => next_multiple(*span, after),
            Form::At { days, times } => next_at(days, times, after, &zone.rules),
        }
    }

    /// The moment to run next, where `served` was the last one that was run for. A clock that was set
    /// back a little does not bring that one again; one that had been far ahead is not believed.
    pub fn due(&self, served: Option<Timestamp>, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let ahead =
            |served: &Timestamp| *served > now && served.duration_since(now) <= TRUSTED_AHEAD;
        self.next(served.filter(ahead).unwrap_or(now), zone)
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// How much later than due a source runs, so that not all begin in one second: always the same for a
/// source, and at most `most`.
pub fn jitter(source: &str, most: SignedDuration) -> SignedDuration {
    let digest = crate::digest::Digest::of(source.to_lowercase().as_bytes()).to_string();
    // Sixteen hexadecimal digits are 64 bits.
    let number = digest
        .get(..16)
        .and_then(|d| u64::from_str_radix(d, 16).ok());
    let most = u64::try_from(most.as_millis()).unwrap_or_default();
    let milliseconds = number.unwrap_or_default() % most.saturating_add(1);
    SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or_default())
}

fn next_multiple(span: SignedDuration, after: Timestamp) -> Option<Timestamp> {
    let span = span.as_secs();
    let begun = after.as_second().div_euclid(span);
    let next = begun.checked_add(1)?.checked_mul(span)?;
    Timestamp::from_second(next).ok()
}

fn next_at(days: &Days, times: &[Time], after: Timestamp, rules: &TimeZone) -> Option<Timestamp> {
    let today = after.to_zoned(rules.clone()).date();
    // A gap moves the times of a day's end into the next day, so the day before may still matter.
    let mut date = today.yesterday().ok()?;
    for _ in 0..MAX_DAYS {
        if days.include(date)
            && let Some(found) = first_of(date, times, after, rules)
        {
            return Some(found);
        }
        date = date.tomorrow().ok()?;
    }
    None
}

fn first_of(date: Date, times: &[Time], after: Timestamp, rules: &TimeZone) -> Option<Timestamp> {
    let moments = times.iter().filter_map(|time| moment(date, *time, rules));
    moments.filter(|moment| *moment > after).min()
}

fn moment(date: Date, time: Time, rules: &TimeZone) -> Option<Timestamp> {
    let civil = date.to_datetime(time);
    match rules.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
        // Read with the offset of afterwards, the time lies before the gap.
        AmbiguousOffset::Gap { after, .. } => {
            let before_gap = after.to_timestamp(civil).ok()?;
            let end = rules.following(before_gap).next()?;
            Some(end.timestamp())
        }
    }
}
