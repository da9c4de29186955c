//! Columns that arrive as Arrow arrays: which types are taken, and what they become.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::util::display::array_value_to_string;

use super::error::DecodeError;
use super::widen::TIMESTAMP;

/// A text for an error: its first 64 characters, without control characters.
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(64)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// An array in the type by which its kind of values is stored.
pub(crate) fn normal(array: &ArrayRef, name: &str) -> Result<ArrayRef, DecodeError> {
    let Some(to) = stored_type(array.data_type(), 0) else {
        let (name, found) = (shorten(name), shorten(&array.data_type().to_string()));
        let reason = format!("the column `{name}` has the type {found}, which cannot be stored");
        return Err(DecodeError::Body(reason));
    };
    reshape(array, &to)
}

fn reshape(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, DecodeError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), to) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let held = array.as_struct();
            let columns = held.columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| reshape(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let nulls = held.nulls().cloned();
            let fields = fields.clone();
            Ok(Arc::new(StructArray::try_new_with_length(
                fields,
                columns,
                nulls,
                held.len(),
            )?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let held = array.as_list::<i32>();
            let values = reshape(held.values(), item.data_type())?;
            let (offsets, nulls) = (held.offsets().clone(), held.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?))
        }
        (DataType::LargeList(item) | DataType::FixedSizeList(item, _), DataType::List(_)) => {
            let list = cast(array, &DataType::List(Arc::clone(item)))?;
            reshape(&list, to)
        }
        _ => Ok(cast(array, to)?),
    }
}

/// The type by which the host stores a kind of values; `None` where it has none.
pub(crate) fn stored_type(from: &DataType, depth: usize) -> Option<DataType> {
    use DataType as T;
    Some(match from {
        _ if depth > 16 => return None,
        T::Null | T::Boolean | T::Int64 | T::Float64 | T::Utf8 | T::Date32 | T::Binary => {
            from.clone()
        }
        T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Float16 | T::Float32 => T::Float64,
        T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Date64 => T::Date32,
        T::Timestamp(..) => TIMESTAMP,
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) if (0..=38).contains(s) => {
            T::Decimal128(*p, *s)
        }
        T::Time32(_) | T::Time64(_) => T::Utf8,
        T::Dictionary(_, value) => stored_type(value, depth + 1)?,
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            super::widen::list_of(stored_type(item.data_type(), depth + 1)?)
        }
        T::Struct(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|field| {
                let stored = stored_type(field.data_type(), depth + 1)?;
                Some(Arc::new(Field::new(field.name(), stored, true)))
            });
            T::Struct(fields.collect::<Option<Vec<FieldRef>>>()?.into())
        }
        _ => return None,
    })
}

/// An array in its declared type, or the first row that does not fit and its value.
pub(crate) fn strict(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, (usize, String)> {
    if array.data_type().is_nested() && *to == DataType::Utf8 {
        return super::widen::json_text(array).map_err(|error| (0, error.to_string()));
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let shown = |row: usize| shorten(&array_value_to_string(array, row).unwrap_or_default());
    let typed = cast_with_options(array, to, &options).map_err(|_| (0, shown(0)))?;
    let lost = (0..array.len()).find(|row| array.is_valid(*row) && typed.is_null(*row));
    match lost.or_else(|| changed(array, &typed)) {
        Some(row) => Err((row, shown(row))),
        None => Ok(typed),
    }
}

/// The first row whose number a cast has rounded.
fn changed(array: &ArrayRef, typed: &ArrayRef) -> Option<usize> {
    let rounding = array.data_type().is_numeric() && typed.data_type().is_numeric();
    if !rounding
        || array.data_type() == typed.data_type()
        || *typed.data_type() == DataType::Float64
    {
        return None;
    }
    let back = cast(typed, array.data_type()).ok()?;
    (0..array.len()).find(|row| {
        array.is_valid(*row)
            && array_value_to_string(array, *row).ok() != array_value_to_string(&back, *row).ok()
    })
}
