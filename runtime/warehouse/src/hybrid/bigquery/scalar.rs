//! Single values, read from the text that BigQuery writes for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Unit, civil};

/// NUMERIC: 38 digits, 9 of them after the point.
pub(super) const DIGITS: u8 = 38;
pub(super) const SCALE: i8 = 9;
const FRACTION: usize = 9;
const LARGEST: i128 = 10_i128.pow(38) - 1;

/// Also of a TIMESTAMP, which is asked for in microseconds.
pub(super) fn int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `NaN`, `Infinity` and `-Infinity` among them.
pub(super) fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "TRUE" => Some(true),
        "false" | "FALSE" => Some(false),
        _ => None,
    }
}

pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Billionths.
pub(super) fn numeric(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0
        || fraction.len() > FRACTION
        || !plain(whole)
        || !plain(fraction)
    {
        return None;
    }
    let value: i128 = format!("{whole}{fraction:0<FRACTION$}").parse().ok()?;
    (value <= LARGEST).then_some(if negative { -value } else { value })
}

/// Days since 1970.
pub(super) fn date(text: &str) -> Option<i32> {
    let date: civil::Date = text.parse().ok()?;
    let since = date.since((Unit::Day, civil::date(1970, 1, 1)));
    since.ok().map(|span| span.get_days())
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    let time: civil::Time = text.parse().ok()?;
    let seconds =
        i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1_000)
}

/// Microseconds since 1970, by the same clock.
pub(super) fn datetime(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once('T')?;
    i64::from(date(day)?)
        .checked_mul(86_400_000_000)?
        .checked_add(time(clock)?)
}
