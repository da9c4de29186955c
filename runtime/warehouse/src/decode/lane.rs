//! A column's values of one type while a batch is gathered.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int64Builder, NullArray, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};

use super::text::{parse_bool, parse_date, parse_double, parse_int, parse_timestamp};
use super::widen::{TIMESTAMP, conform, join};

/// A value as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond 63 bits.
    Big(u64),
    Double(f64),
    /// A string that is known to be one.
    Str(&'a str),
    /// A text that may mean anything, as in CSV.
    Field(&'a str),
    /// A JSON array or object as its compact text.
    Nested(&'a str),
}

impl Cell<'_> {
    /// The narrowest type that holds the value.
    fn data_type(&self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Bool(_) => DataType::Boolean,
            Self::Int(_) => DataType::Int64,
            Self::Double(_) => DataType::Float64,
            Self::Big(_) | Self::Nested(_) => DataType::Utf8,
            Self::Str(text) => temporal(text),
            Self::Field(text) if parse_bool(text).is_some() => DataType::Boolean,
            Self::Field(text) if parse_int(text).is_some() => DataType::Int64,
            Self::Field(text) if parse_double(text).is_some() => DataType::Float64,
            Self::Field(text) => temporal(text),
        }
    }

    /// The value as text, through `buffer` where it is none.
    pub(super) fn text<'b>(&'b self, buffer: &'b mut String) -> Option<&'b str> {
        buffer.clear();
        let written = match self {
            Self::Null => return None,
            Self::Str(text) | Self::Field(text) | Self::Nested(text) => return Some(text),
            Self::Bool(value) => write!(buffer, "{value}"),
            Self::Int(value) => write!(buffer, "{value}"),
            Self::Big(value) => write!(buffer, "{value}"),
            Self::Double(value) => write!(buffer, "{value}"),
        };
        written.ok().map(|()| buffer.as_str())
    }

    fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Field(text) => parse_int(text).or_else(|| parse_bool(text).map(i64::from)),
            _ => None,
        }
    }

    fn double(&self) -> Option<f64> {
        match self {
            Self::Double(value) => Some(*value),
            Self::Field(text) => parse_double(text).or_else(|| self.int().map(|int| int as f64)),
            _ => self.int().map(|int| int as f64),
        }
    }

    fn string(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Field(text) => Some(text),
            _ => None,
        }
    }
}

fn temporal(text: &str) -> DataType {
    if parse_date(text).is_some() {
        DataType::Date32
    } else if parse_timestamp(text).is_some() {
        TIMESTAMP
    } else {
        DataType::Utf8
    }
}

/// A builder for each type that inferred and declared columns have.
#[derive(Debug)]
pub(super) enum Lane {
    Null(usize),
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
}

/// Microseconds at the start of a day.
pub(super) fn midnight(days: i32) -> i64 {
    i64::from(days) * 86_400_000_000
}

impl Lane {
    /// An empty lane for a type; text for types that have no lane of their own.
    pub(super) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null(0),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int64 => Self::Int(Int64Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Decimal128(precision, scale) => Self::Decimal(
                Decimal128Builder::new().with_data_type(DataType::Decimal128(*precision, *scale)),
            ),
            other if *other == TIMESTAMP => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Null(_) => DataType::Null,
            Self::Bool(_) => DataType::Boolean,
            Self::Int(_) => DataType::Int64,
            Self::Double(_) => DataType::Float64,
            Self::Date(_) => DataType::Date32,
            Self::Timestamp(_) => TIMESTAMP,
            Self::Decimal(_) => DataType::Decimal128(38, 0),
            Self::Text(_) => DataType::Utf8,
        }
    }

    /// Adds nulls.
    pub(super) fn nulls(&mut self, count: usize) {
        match self {
            Self::Null(held) => *held += count,
            Self::Bool(builder) => builder.append_nulls(count),
            Self::Int(builder) => builder.append_nulls(count),
            Self::Double(builder) => builder.append_nulls(count),
            Self::Date(builder) => builder.append_nulls(count),
            Self::Timestamp(builder) => builder.append_nulls(count),
            Self::Decimal(builder) => builder.append_nulls(count),
            Self::Text(builder) => builder.append_nulls(count),
        }
    }

    /// Adds a value whose type is inferred, widening the lane where it must.
    pub(super) fn infer(&mut self, cell: Cell<'_>, buffer: &mut String) {
        if self.accept(&cell, buffer) {
            return;
        }
        self.widen(&join(&self.data_type(), &cell.data_type()));
        if !self.accept(&cell, buffer) {
            self.widen(&DataType::Utf8);
            self.accept(&cell, buffer);
        }
    }

    /// Adds a value if the lane's type holds it.
    fn accept(&mut self, cell: &Cell<'_>, buffer: &mut String) -> bool {
        if let Cell::Null = cell {
            self.nulls(1);
            return true;
        }
        let taken = match self {
            Self::Null(_) | Self::Decimal(_) => None,
            Self::Bool(builder) => match cell {
                Cell::Bool(value) => Some(*value),
                Cell::Field(text) => parse_bool(text),
                _ => None,
            }
            .map(|value| builder.append_value(value)),
            Self::Int(builder) => cell.int().map(|value| builder.append_value(value)),
            Self::Double(builder) => cell.double().map(|value| builder.append_value(value)),
            Self::Date(builder) => {
                let day = cell.string().and_then(parse_date);
                day.map(|value| builder.append_value(value))
            }
            Self::Timestamp(builder) => {
                let text = cell.string();
                let at =
                    text.and_then(|t| parse_timestamp(t).or_else(|| parse_date(t).map(midnight)));
                at.map(|value| builder.append_value(value))
            }
            Self::Text(builder) => cell.text(buffer).map(|text| builder.append_value(text)),
        };
        taken.is_some()
    }

    /// Moves the values into a wider lane.
    pub(super) fn widen(&mut self, to: &DataType) {
        let held = self.finish();
        let mut wide = Self::new(to);
        // Lanes widen along `join` only, where `conform` cannot fail; nulls keep the rows aligned if
        // it ever did.
        match conform(&held, to) {
            Ok(array) => wide.refill(&array),
            Err(_) => wide.nulls(held.len()),
        }
        *self = wide;
    }

    fn refill(&mut self, array: &ArrayRef) {
        match self {
            Self::Null(count) => *count += array.len(),
            Self::Bool(builder) => builder.extend(array.as_boolean().iter()),
            Self::Int(builder) => builder.extend(array.as_primitive::<Int64Type>().iter()),
            Self::Double(builder) => builder.extend(array.as_primitive::<Float64Type>().iter()),
            Self::Date(builder) => builder.extend(array.as_primitive::<Date32Type>().iter()),
            Self::Timestamp(builder) => {
                builder.extend(array.as_primitive::<TimestampMicrosecondType>().iter());
            }
            Self::Decimal(builder) => builder.append_nulls(array.len()),
            Self::Text(builder) => {
                builder.extend(array.as_string::<i32>().iter());
            }
        }
    }

    /// Takes the values out; the lane stays what it is.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Null(count) => Arc::new(NullArray::new(std::mem::take(count))),
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => {
                let texts = builder.finish();
                // The next batch will be like this one: room for it at once saves growing step by step.
                *builder = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
                Arc::new(texts)
            }
        }
    }
}
