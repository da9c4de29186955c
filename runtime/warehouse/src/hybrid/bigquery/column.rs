//! A column of values as an Arrow array; lists and STRUCTs by the columns within.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    ListArray, StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Fields;
use serde_json::Value;

use super::{Column, Kind, ShapeError, item, scalar};

/// The columns of rows; of a row that is missing every value is.
pub(super) fn of_rows(
    columns: &[Column],
    path: &str,
    rows: &[Option<&Value>],
) -> Result<Vec<ArrayRef>, ShapeError> {
    let mut cells = vec![Vec::with_capacity(rows.len()); columns.len()];
    for row in rows {
        let fields = row.map(|row| {
            let fields = row.get("f").and_then(Value::as_array);
            fields
                .filter(|fields| fields.len() == columns.len())
                .ok_or_else(|| ShapeError::Value {
                    column: path.to_owned(),
                    reason: "a row has another number of values than the schema has columns",
                })
        });
        let fields = fields.transpose()?;
        for (number, (cells, column)) in cells.iter_mut().zip(columns).enumerate() {
            let cell = fields.and_then(|fields| fields.get(number));
            cells.push(cell.map(|cell| inner(cell, column)).transpose()?.flatten());
        }
    }
    columns
        .iter()
        .zip(cells)
        .map(|(column, cells)| array(column, &cells))
        .collect()
}

/// What stands in a `{"v": …}`; nothing for null.
fn inner<'a>(cell: &'a Value, column: &Column) -> Result<Option<&'a Value>, ShapeError> {
    let value = cell.get("v").ok_or_else(|| column.wrong("it has no `v`"))?;
    Ok((!value.is_null()).then_some(value))
}

fn array(column: &Column, cells: &[Option<&Value>]) -> Result<ArrayRef, ShapeError> {
    match column.repeated {
        true => list(column, cells),
        false => plain(column, cells),
    }
}

/// BigQuery's results have no array that is null: it is empty.
fn list(column: &Column, cells: &[Option<&Value>]) -> Result<ArrayRef, ShapeError> {
    let mut offsets = vec![0_i32];
    let mut values = Vec::new();
    for cell in cells {
        let items = cell.map(|cell| {
            cell.as_array()
                .ok_or_else(|| column.wrong("it is no array"))
        });
        for one in items.transpose()?.into_iter().flatten() {
            values.push(inner(one, column)?);
        }
        let end =
            i32::try_from(values.len()).map_err(|_| column.wrong("its arrays are too long"))?;
        offsets.push(end);
    }
    let field = Arc::new(item(column.kind.data_type()));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let list = ListArray::try_new(field, offsets, plain(column, &values)?, None);
    list.map(|list| Arc::new(list) as ArrayRef)
        .map_err(|_| column.wrong("its arrays are no list"))
}

fn plain(column: &Column, cells: &[Option<&Value>]) -> Result<ArrayRef, ShapeError> {
    if let Kind::Struct(columns) = &column.kind {
        return structs(column, columns, cells);
    }
    let texts = cells
        .iter()
        .map(|cell| {
            cell.map(|cell| cell.as_str().ok_or_else(|| column.wrong("it is no text")))
                .transpose()
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match &column.kind {
        Kind::Int => Arc::new(each::<_, Int64Array>(column, &texts, scalar::int)?),
        Kind::Float => Arc::new(each::<_, Float64Array>(column, &texts, scalar::float)?),
        Kind::Numeric => {
            let decimals = each::<_, Decimal128Array>(column, &texts, scalar::numeric)?;
            let decimals = decimals.with_precision_and_scale(scalar::DIGITS, scalar::SCALE);
            Arc::new(decimals.map_err(|_| column.wrong("it is no NUMERIC"))?)
        }
        Kind::Bool => Arc::new(each::<_, BooleanArray>(column, &texts, scalar::boolean)?),
        Kind::Bytes => Arc::new(each::<_, BinaryArray>(column, &texts, scalar::bytes)?),
        Kind::Date => Arc::new(each::<_, Date32Array>(column, &texts, scalar::date)?),
        Kind::Time => Arc::new(each::<_, Time64MicrosecondArray>(
            column,
            &texts,
            scalar::time,
        )?),
        Kind::DateTime => Arc::new(each::<_, TimestampMicrosecondArray>(
            column,
            &texts,
            scalar::datetime,
        )?),
        Kind::Timestamp => {
            let instants = each::<_, TimestampMicrosecondArray>(column, &texts, scalar::int)?;
            Arc::new(instants.with_timezone("UTC"))
        }
        Kind::Text | Kind::Struct(_) => Arc::new(StringArray::from(texts)),
    })
}

fn each<T, A: FromIterator<Option<T>>>(
    column: &Column,
    texts: &[Option<&str>],
    read: fn(&str) -> Option<T>,
) -> Result<A, ShapeError> {
    let one = |text: &Option<&str>| match text {
        None => Ok(None),
        Some(text) => read(text)
            .map(Some)
            .ok_or_else(|| column.wrong("it cannot be read as the column's type")),
    };
    texts.iter().map(one).collect()
}

fn structs(
    column: &Column,
    columns: &[Column],
    cells: &[Option<&Value>],
) -> Result<ArrayRef, ShapeError> {
    let arrays = of_rows(columns, &column.path, cells)?;
    let fields: Fields = columns.iter().map(Column::field).collect();
    let nulls: NullBuffer = cells.iter().map(Option::is_some).collect::<Vec<_>>().into();
    let made = StructArray::try_new(fields, arrays, Some(nulls));
    made.map(|made| Arc::new(made) as ArrayRef)
        .map_err(|_| column.wrong("its STRUCTs are no table"))
}
