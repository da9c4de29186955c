//! What a text is, if it is more than text: the fixed forms by which values are recognised.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// `true` or `false` in any case.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// An integer that is written the one way integers are written: `007` and `+7` are labels.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [b'0'] if digits.len() == text.len() => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => text.parse().ok(),
        _ => None,
    }
}

/// A number with a fraction or an exponent. An integer too large for 64 bits is none, since it would
/// lose its digits.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    if !is_decimal_form(text.as_bytes()) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?` with a fraction or an exponent.
fn is_decimal_form(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let (whole, rest) = digits(rest);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
        return false;
    }
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (whole, rest),
    };
    let has_fraction = fraction.as_ptr() != whole.as_ptr();
    let (exponent, end) = match rest {
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => digits(rest),
        _ => return has_fraction && !fraction.is_empty() && rest.is_empty(),
    };
    !fraction.is_empty() && !exponent.is_empty() && end.is_empty()
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.split_at(end)
}

/// `2026-01-31` as days since 1970.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    match text.as_bytes() {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => {
            let year = number(&[*y1, *y2, *y3, *y4])?;
            days(year, number(&[*m1, *m2])?, number(&[*d1, *d2])?)
        }
        _ => None,
    }
}

/// `2026-01-31T10:00`, with seconds, a fraction and an offset or `Z` where they are there, a blank in
/// the place of the `T`; as microseconds since 1970 in UTC.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let date = parse_date(text.get(..10)?)?;
    let clock = text.get(10..)?.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = split_offset(clock)?;
    let time = parse_clock(clock)?;
    (i64::from(date) * DAY)
        .checked_add(time)?
        .checked_sub(offset)
}

/// The time of day, and its distance from UTC in microseconds.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, 0));
    };
    let (clock, offset) = text.split_at(at);
    let (hours, minutes) = match offset.as_bytes() {
        [_, h1, h2] => (number(&[*h1, *h2])?, 0),
        [_, h1, h2, m1, m2] | [_, h1, h2, b':', m1, m2] => {
            (number(&[*h1, *h2])?, number(&[*m1, *m2])?)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let distance = i64::from(hours * 60 + minutes) * 60_000_000;
    Some((
        clock,
        if offset.starts_with('-') {
            -distance
        } else {
            distance
        },
    ))
}

fn parse_clock(text: &str) -> Option<i64> {
    let (hours, minutes, seconds, fraction) = match text.as_bytes() {
        [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, 0, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] => (
            number(&[*h1, *h2])?,
            number(&[*m1, *m2])?,
            number(&[*s1, *s2])?,
            micros(rest)?,
        ),
        _ => return None,
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(i64::from((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + i64::from(fraction))
}

/// `.123456789` as microseconds; digits beyond are cut.
fn micros(bytes: &[u8]) -> Option<i32> {
    match bytes {
        [] => Some(0),
        [b'.' | b',', digits @ ..] if (1..=9).contains(&digits.len()) => {
            number(digits)?;
            let mut six = [b'0'; 6];
            six.iter_mut()
                .zip(digits)
                .for_each(|(to, from)| *to = *from);
            number(&six)
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0_i32, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(i32::from(digit - b'0')),
        _ => None,
    })
}

/// Days since 1970 of a day of the proleptic Gregorian calendar, counted by eras of 400 years that
/// start in March, so that the leap day is a year's last.
fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let longest = match month {
        2 => 28 + i32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > longest {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        for (text, value) in [("0", 0), ("-7", -7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(parse_int(text), Some(value));
        }
        for text in [
            "",
            "-",
            "007",
            "+7",
            "-0",
            "1_000",
            "1 ",
            "9223372036854775808",
            "٣",
        ] {
            assert_eq!(parse_int(text), None, "{text}");
        }
    }

    #[test]
    fn doubles_have_a_fraction_or_an_exponent() {
        for (text, value) in [
            ("1.5", 1.5),
            ("-0.25", -0.25),
            ("1e3", 1000.0),
            ("2.5E-1", 0.25),
        ] {
            assert_eq!(parse_double(text), Some(value));
        }
        for text in [
            "1",
            "1.",
            ".5",
            "1e",
            "NaN",
            "inf",
            "1e999",
            "00.5",
            "0x1",
            "12345678901234567890",
        ] {
            assert_eq!(parse_double(text), None, "{text}");
        }
    }

    #[test]
    fn dates_exist_in_the_calendar() {
        for (text, value) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("1969-12-31", -1),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(parse_date(text), Some(value), "{text}");
        }
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "2026-01-00",
            "20260101",
            "2026/01/01",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_turned_to_utc() {
        for (text, value) in [
            ("1970-01-01T00:00:01Z", 1_000_000),
            ("1970-01-01 00:00:01.5", 1_500_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T19:00:00-0500", 0),
            ("1970-01-01T00:00:00.1234567Z", 123_456),
            ("1970-01-01T00:01", 60_000_000),
        ] {
            assert_eq!(parse_timestamp(text), Some(value), "{text}");
        }
        for text in [
            "1970-01-01",
            "1970-01-01T24:00:00",
            "1970-01-01T00:00:60",
            "1970-01-01Tx",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00+99",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
