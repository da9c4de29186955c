//! How types grow: the one type that holds the values of two, and how values are moved into it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StringBuilder,
    StructArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::{LineDelimited, WriterBuilder};

/// Timestamps are stored as microseconds in UTC.
pub(crate) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The narrowest type that holds the values of both.
pub(crate) fn join(a: &DataType, b: &DataType) -> DataType {
    use DataType::{Boolean, Date32, Decimal128, Float64, Int64, List, Null, Struct, Utf8};
    match (a, b) {
        _ if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Boolean, Int64) | (Int64, Boolean) => Int64,
        (Boolean | Int64 | Decimal128(..), Float64)
        | (Float64, Boolean | Int64 | Decimal128(..)) => Float64,
        (Date32, other) | (other, Date32) if *other == TIMESTAMP => TIMESTAMP,
        (Decimal128(p, s), Int64) | (Int64, Decimal128(p, s)) => join_decimals((*p, *s), (19, 0)),
        (Decimal128(p, s), Decimal128(q, t)) => join_decimals((*p, *s), (*q, *t)),
        (List(a), List(b)) => list_of(join(a.data_type(), b.data_type())),
        (Struct(a), Struct(b)) => join_structs(a, b).unwrap_or(Utf8),
        _ => Utf8,
    }
}

fn join_decimals((p, s): (u8, i8), (q, t): (u8, i8)) -> DataType {
    let scale = s.max(t);
    let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
    match u8::try_from(whole + i16::from(scale)) {
        Ok(precision) if precision <= 38 => DataType::Decimal128(precision, scale),
        _ => DataType::Float64,
    }
}

fn join_structs(a: &Fields, b: &Fields) -> Option<DataType> {
    let mut fields: Vec<FieldRef> = a
        .iter()
        .map(|field| match b.find(field.name()) {
            Some((_, other)) => {
                let joined = join(field.data_type(), other.data_type());
                Arc::new(Field::new(field.name(), joined, true))
            }
            None => Arc::clone(field),
        })
        .collect();
    fields.extend(
        b.iter()
            .filter(|field| a.find(field.name()).is_none())
            .cloned(),
    );
    // SQL does not tell two fields apart that differ in case only.
    let mut seen = HashSet::new();
    fields
        .iter()
        .all(|field| seen.insert(field.name().to_lowercase()))
        .then(|| DataType::Struct(fields.into()))
}

/// A list type as it is stored.
pub(crate) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// The type as a file can hold it: what was null only becomes text.
pub(crate) fn storable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => list_of(storable(item.data_type())),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(storable_field).collect()),
        other => other.clone(),
    }
}

/// A nullable field of a type that a file can hold.
pub(crate) fn storable_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), storable(field.data_type()), true))
}

/// Moves values into a wider type.
pub(crate) fn conform(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    if *from == DataType::Null || array.null_count() == array.len() {
        return Ok(new_null_array(to, array.len()));
    }
    match (from, to) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            conform_struct(array.as_struct(), fields)
        }
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = conform(list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?))
        }
        (from, DataType::Utf8) if from.is_nested() => json_text(array),
        (from, to) if join(from, to) == *to => cast(array, to),
        (from, to) => Err(ArrowError::CastError(format!(
            "{from} is not narrower than {to}"
        ))),
    }
}

fn conform_struct(array: &StructArray, fields: &Fields) -> Result<ArrayRef, ArrowError> {
    let columns = fields
        .iter()
        .map(|field| match array.column_by_name(field.name()) {
            Some(column) => conform(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), array.len())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let nulls = array.nulls().cloned();
    Ok(Arc::new(StructArray::try_new_with_length(
        fields.clone(),
        columns,
        nulls,
        array.len(),
    )?))
}

/// Moves a batch into a wider schema: columns are found by name, missing ones are null.
pub(crate) fn conform_batch(
    batch: &RecordBatch,
    to: &Arc<Schema>,
) -> Result<RecordBatch, ArrowError> {
    let columns = to
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => conform(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(to), columns, &options)
}

/// Each value as its JSON text; nulls stay null.
pub(crate) fn json_text(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let field = Field::new("v", array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(schema, vec![Arc::clone(array)])?;
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    let lines = String::from_utf8(writer.into_inner())
        .map_err(|error| ArrowError::JsonError(error.to_string()))?;
    let mut texts = StringBuilder::with_capacity(array.len(), lines.len());
    for (row, line) in lines.lines().enumerate() {
        let value = line
            .strip_prefix("{\"v\":")
            .and_then(|rest| rest.strip_suffix('}'));
        texts.append_option(value.filter(|_| array.is_valid(row)));
    }
    Ok(Arc::new(texts.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Date32Array, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::DataType::{Boolean, Date32, Decimal128, Float64, Int64, Null, Utf8};

    fn structure(fields: &[(&str, DataType)]) -> DataType {
        let fields = fields
            .iter()
            .map(|(name, kind)| Field::new(*name, kind.clone(), true));
        DataType::Struct(fields.collect())
    }

    #[test]
    fn types_widen_by_the_rules_and_in_any_order() {
        let table = [
            (Null, Boolean, Boolean),
            (Boolean, Int64, Int64),
            (Boolean, Float64, Float64),
            (Int64, Float64, Float64),
            (Boolean, Utf8, Utf8),
            (Int64, Utf8, Utf8),
            (Float64, Utf8, Utf8),
            (Date32, TIMESTAMP, TIMESTAMP),
            (Date32, Utf8, Utf8),
            (TIMESTAMP, Utf8, Utf8),
            (Date32, Int64, Utf8),
            (Boolean, TIMESTAMP, Utf8),
            (Decimal128(10, 2), Int64, Decimal128(21, 2)),
            (Decimal128(10, 2), Decimal128(6, 4), Decimal128(12, 4)),
            (Decimal128(38, 30), Int64, Float64),
            (Decimal128(10, 2), Float64, Float64),
            (list_of(Int64), list_of(Float64), list_of(Float64)),
            (list_of(Int64), list_of(Null), list_of(Int64)),
            (list_of(Int64), Int64, Utf8),
            (structure(&[("a", Int64)]), list_of(Int64), Utf8),
            (structure(&[("a", Int64)]), structure(&[("A", Int64)]), Utf8),
        ];
        for (a, b, wide) in table {
            assert_eq!(join(&a, &b), wide, "{a} and {b}");
            assert_eq!(join(&b, &a), wide, "{b} and {a}");
        }
        let joined = join(
            &structure(&[("a", Int64), ("b", Utf8)]),
            &structure(&[("c", Boolean), ("a", Float64)]),
        );
        assert_eq!(
            joined,
            structure(&[("a", Float64), ("b", Utf8), ("c", Boolean)])
        );
    }

    #[test]
    fn values_keep_their_meaning_in_the_wider_type() {
        let bools: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
        let ints = conform(&bools, &Int64).unwrap();
        assert_eq!(ints.as_ref(), &Int64Array::from(vec![Some(1), None]));
        let doubles = conform(&ints, &Float64).unwrap();
        assert_eq!(doubles.as_ref(), &Float64Array::from(vec![Some(1.0), None]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(1)]));
        let text = conform(&days, &Utf8).unwrap();
        assert_eq!(text.as_ref(), &StringArray::from(vec!["1970-01-02"]));
        assert!(conform(&text, &Int64).is_err());
    }

    #[test]
    fn nested_values_become_their_json_text() {
        let array: ArrayRef = Arc::new(ListArray::from_iter_primitive::<
            arrow::datatypes::Int64Type,
            _,
            _,
        >(vec![
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]));
        let text = conform(&array, &Utf8).unwrap();
        assert_eq!(
            text.as_ref(),
            &StringArray::from(vec![Some("[1,null]"), None, Some("[]")])
        );
    }
}
