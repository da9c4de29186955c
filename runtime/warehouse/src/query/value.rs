//! Values as they are sent: what JSON has as itself, everything else as text.

use std::io::{self, Write as _};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use duckdb::Statement;
use duckdb::core::LogicalTypeId;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::{Number, Value};

use crate::decode::json_text;

/// Whether a column is a DECIMAL; HUGEINT looks the same in Arrow.
pub(super) fn is_decimal(statement: &Statement<'_>, column: usize) -> bool {
    statement.column_logical_type(column).id() == LogicalTypeId::Decimal
}

/// Reads one column of a batch.
pub(super) struct Reader {
    array: ArrayRef,
    decimal: bool,
}

impl Reader {
    pub(super) fn new(array: &ArrayRef, decimal: bool) -> Self {
        Self {
            array: uniform(array),
            decimal,
        }
    }

    /// The value of a row.
    pub(super) fn value(&self, row: usize) -> Value {
        let array = &self.array;
        if array.is_null(row) || row >= array.len() {
            return Value::Null;
        }
        match array.data_type() {
            DataType::Null => Value::Null,
            DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
            DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
            DataType::UInt64 => Value::from(array.as_primitive::<UInt64Type>().value(row)),
            DataType::Float32 => float32(array.as_primitive::<Float32Type>().value(row)),
            DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
            DataType::Binary => Value::from(hex::encode(array.as_binary::<i32>().value(row))),
            DataType::Decimal128(_, 0) if !self.decimal => {
                whole(array.as_primitive::<Decimal128Type>().value(row))
            }
            DataType::Date32 => {
                let days = i64::from(array.as_primitive::<Date32Type>().value(row));
                self.or_shown(row, date(days))
            }
            DataType::Timestamp(_, zone) => {
                let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
                self.or_shown(row, timestamp(micros, zone.is_some()))
            }
            DataType::Time64(_) => {
                let micros = array.as_primitive::<Time64MicrosecondType>().value(row);
                self.or_shown(row, time(micros))
            }
            _ => self.or_shown(row, None),
        }
    }

    /// Writes the value of a row as JSON, the common types without a detour.
    pub(super) fn write_json(&self, row: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let array = &self.array;
        if array.is_null(row) || row >= array.len() {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        let written = match array.data_type() {
            DataType::Int64 => {
                return write!(out, "{}", array.as_primitive::<Int64Type>().value(row));
            }
            DataType::Utf8 => serde_json::to_writer(out, array.as_string::<i32>().value(row)),
            _ => serde_json::to_writer(out, &self.value(row)),
        };
        Ok(written?)
    }

    /// Whether a row has no value.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Hands out the value of a row as text, unless it is null.
    pub(super) fn with_text(&self, row: usize, take: impl FnOnce(&str)) {
        if !self.array.is_null(row) && *self.array.data_type() == DataType::Utf8 {
            return take(self.array.as_string::<i32>().value(row));
        }
        match self.value(row) {
            Value::Null => {}
            Value::String(text) => take(&text),
            other => take(&other.to_string()),
        }
    }

    fn or_shown(&self, row: usize, text: Option<String>) -> Value {
        let shown = || array_value_to_string(&self.array, row).ok();
        text.or_else(shown).map_or(Value::Null, Value::from)
    }
}

/// An array in one of the few types that `value` knows; what cannot be moved stays as it is.
fn uniform(array: &ArrayRef) -> ArrayRef {
    use DataType as T;
    let to = match array.data_type() {
        T::Int8 | T::Int16 | T::Int32 => T::Int64,
        T::UInt8 | T::UInt16 | T::UInt32 => T::UInt64,
        T::LargeUtf8 | T::Utf8View | T::Dictionary(..) => T::Utf8,
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Timestamp(_, zone) => {
            T::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone.clone())
        }
        T::Decimal32(p, s) | T::Decimal64(p, s) => T::Decimal128(*p, *s),
        T::List(_) | T::LargeList(_) | T::FixedSizeList(..) | T::Struct(_) | T::Map(..) => {
            return json_text(array).unwrap_or_else(|_| Arc::clone(array));
        }
        _ => return Arc::clone(array),
    };
    cast(array, &to).unwrap_or_else(|_| Arc::clone(array))
}

/// A number where JSON has it; `nan`, `inf` and `-inf` as text.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(
        || Value::from(value.to_string().to_lowercase()),
        Value::Number,
    )
}

/// By its shortest text, so that 0.1 does not become 0.10000000149011612.
fn float32(value: f32) -> Value {
    value.to_string().parse().map_or(Value::Null, float)
}

fn whole(value: i128) -> Value {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => Value::from(value),
        (_, Ok(value)) => Value::from(value),
        _ => Value::from(value.to_string()),
    }
}

fn date(days: i64) -> Option<String> {
    let seconds = days.checked_mul(86_400)?;
    let at = Timestamp::from_second(seconds)
        .ok()?
        .to_zoned(TimeZone::UTC);
    Some(at.date().to_string())
}

/// `2026-01-01 10:00:00`, six digits of fraction where there is one, the offset where there is a zone.
fn timestamp(micros: i64, zoned: bool) -> Option<String> {
    let at = Timestamp::from_microsecond(micros)
        .ok()?
        .to_zoned(TimeZone::UTC);
    let zone = if zoned { "+00:00" } else { "" };
    Some(format!("{} {}{zone}", at.date(), clock(at.time())))
}

fn time(micros: i64) -> Option<String> {
    // 24:00:00 is a time to DuckDB and to nobody else.
    let span = jiff::SignedDuration::from_micros(micros);
    Some(clock(Time::midnight().checked_add(span).ok()?))
}

fn clock(time: Time) -> String {
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    match time.subsec_nanosecond() / 1_000 {
        0 => format!("{hour:02}:{minute:02}:{second:02}"),
        micros => format!("{hour:02}:{minute:02}:{second:02}.{micros:06}"),
    }
}

/// About how many bytes a value has as JSON.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        _ => 9,
    }
}
