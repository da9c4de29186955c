//! Columns whose type the connector declared: a value that does not fit is an error, never another
//! type and never silently changed.

use arrow::datatypes::DataType;
use domain::ColumnType;

use super::lane::{Cell, Lane, midnight};
use super::text::{parse_bool, parse_date, parse_timestamp};
use super::widen::TIMESTAMP;

/// How a declared column is stored.
pub(crate) fn data_type(declared: ColumnType) -> DataType {
    match declared {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Bigint => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Decimal { precision, scale } => {
            let precision = precision.clamp(1, 38);
            let scale = scale.min(precision);
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0))
        }
        ColumnType::Varchar | ColumnType::Json => DataType::Utf8,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => TIMESTAMP,
    }
}

/// The type in words for an error.
pub(crate) fn describe(declared: ColumnType) -> String {
    match declared {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Bigint => "bigint".to_owned(),
        ColumnType::Double => "double".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Varchar => "varchar".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Json => "json".to_owned(),
    }
}

/// Adds a value to a declared column; `None` where it does not fit.
pub(super) fn push(
    lane: &mut Lane,
    declared: ColumnType,
    cell: Cell<'_>,
    buffer: &mut String,
) -> Option<()> {
    let blank = matches!(cell, Cell::Field(text) if text.is_empty());
    let textual = matches!(declared, ColumnType::Varchar);
    if matches!(cell, Cell::Null) || (blank && !textual) {
        lane.nulls(1);
        return Some(());
    }
    match lane {
        Lane::Bool(builder) => builder.append_value(boolean(cell)?),
        Lane::Int(builder) => builder.append_value(bigint(cell)?),
        Lane::Double(builder) => builder.append_value(double(cell)?),
        Lane::Date(builder) => builder.append_value(date(cell)?),
        Lane::Timestamp(builder) => builder.append_value(timestamp(cell)?),
        Lane::Decimal(builder) => {
            let ColumnType::Decimal { precision, scale } = declared else {
                return None;
            };
            builder.append_value(decimal(cell.text(buffer)?, precision, scale)?);
        }
        Lane::Text(builder) if declared == ColumnType::Json => match cell {
            Cell::Str(text) => builder.append_value(serde_json::to_string(text).ok()?),
            Cell::Field(text) => {
                serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
                builder.append_value(text);
            }
            other => builder.append_value(other.text(buffer)?),
        },
        Lane::Text(builder) => builder.append_value(cell.text(buffer)?),
        Lane::Null(_) => return None,
    }
    Some(())
}

fn boolean(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(value) => Some(value),
        Cell::Str(text) => parse_bool(text),
        Cell::Field("1") => Some(true),
        Cell::Field("0") => Some(false),
        Cell::Field(text) => parse_bool(text),
        _ => None,
    }
}

fn bigint(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(value) => Some(value),
        // 2^53: up to here a double names one integer only.
        Cell::Double(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => {
            Some(value as i64)
        }
        Cell::Str(text) | Cell::Field(text) => text.parse().ok(),
        _ => None,
    }
}

fn double(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Int(value) => Some(value as f64),
        Cell::Big(value) => Some(value as f64),
        Cell::Double(value) => Some(value),
        Cell::Str(text) | Cell::Field(text) => text.parse().ok(),
        _ => None,
    }
}

fn date(cell: Cell<'_>) -> Option<i32> {
    let (Cell::Str(text) | Cell::Field(text)) = cell else {
        return None;
    };
    parse_date(text).or_else(|| {
        let day = parse_date(text.get(..10)?)?;
        (parse_timestamp(text)? == midnight(day)).then_some(day)
    })
}

fn timestamp(cell: Cell<'_>) -> Option<i64> {
    let (Cell::Str(text) | Cell::Field(text)) = cell else {
        return None;
    };
    parse_timestamp(text).or_else(|| parse_date(text).map(midnight))
}

/// The unscaled value of a decimal number; none where digits would be lost.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if whole.len() + fraction.len() == 0 || !all().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Places by which the digits must move to stand at the column's scale.
    let places = i64::from(scale) + i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
    let mut value: i128 = 0;
    let kept = i64::try_from(whole.len() + fraction.len()).ok()? + places.min(0);
    for (at, digit) in all().enumerate() {
        let digit = i128::from(digit - b'0');
        if i64::try_from(at).ok()? < kept {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else if digit != 0 {
            return None;
        }
    }
    if value != 0 {
        for _ in 0..places.max(0) {
            value = value.checked_mul(10)?;
        }
    }
    let limit = 10_i128.checked_pow(u32::from(precision.clamp(1, 38)))?;
    (value < limit).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_every_digit_or_is_refused() {
        for (text, value) in [
            ("1.5", 150),
            ("-0.01", -1),
            ("12", 1200),
            ("1.500", 150),
            ("1e2", 10_000),
            ("15E-1", 150),
            ("+3", 300),
            ("0e99", 0),
        ] {
            assert_eq!(decimal(text, 6, 2), Some(value), "{text}");
        }
        for text in ["1.005", "10000", "", ".", "1,5", "1e99", "abc", "1e", "--1"] {
            assert_eq!(decimal(text, 6, 2), None, "{text}");
        }
    }

    #[test]
    fn a_value_fits_its_declared_type_or_is_refused() {
        use ColumnType::{Bigint, Boolean, Date, Double, Json, Timestamp, Varchar};
        let fits = |declared, cell| {
            let mut lane = Lane::new(&data_type(declared));
            push(&mut lane, declared, cell, &mut String::new()).is_some()
        };
        for (declared, cell) in [
            (Boolean, Cell::Bool(true)),
            (Boolean, Cell::Field("1")),
            (Bigint, Cell::Str("007")),
            (Bigint, Cell::Double(3.0)),
            (Bigint, Cell::Field("")),
            (Double, Cell::Int(3)),
            (Double, Cell::Field("1e3")),
            (Varchar, Cell::Nested("[]")),
            (Varchar, Cell::Big(u64::MAX)),
            (Date, Cell::Str("2026-01-01T00:00:00")),
            (Timestamp, Cell::Field("2026-01-01")),
            (Json, Cell::Field("{}")),
            (Json, Cell::Str("{")),
        ] {
            assert!(fits(declared, cell), "{declared:?} {cell:?}");
        }
        for (declared, cell) in [
            (Boolean, Cell::Int(1)),
            (Bigint, Cell::Double(1.5)),
            (Bigint, Cell::Big(u64::MAX)),
            (Bigint, Cell::Str("")),
            (Double, Cell::Bool(true)),
            (Date, Cell::Str("2026-01-01T10:00:00")),
            (Date, Cell::Str("2026-02-30")),
            (Timestamp, Cell::Int(1)),
            (Json, Cell::Field("{")),
        ] {
            assert!(!fits(declared, cell), "{declared:?} {cell:?}");
        }
    }
}
