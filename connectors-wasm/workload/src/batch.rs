//! Rows as a connector shapes them before it hands them over, as JSON records and as Arrow. The same code runs in a component
//! and natively, so that a bench can say what the sandbox costs it.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampSecondArray,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;

use crate::order::{Order, days, orders};

/// Orders as a JSON array of records.
pub fn order_records(from: u64, to: u64) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&orders(from, to))
}

/// Orders as an Arrow IPC stream.
pub fn order_stream(from: u64, to: u64) -> Result<Vec<u8>, ArrowError> {
    let orders = orders(from, to);
    let text = |of: fn(&Order) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(orders.iter().map(of)))
    };
    let seconds = orders.iter().map(|o| o.ordered_second);
    let whole = |of: fn(&Order) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            orders.iter().map(|o| of(o) as i64),
        ))
    };
    let paid: BooleanArray = orders.iter().map(|o| Some(o.paid)).collect();
    let note: StringArray = orders.iter().map(|o| o.note.as_deref()).collect();
    stream(vec![
        ("id", whole(|o| o.id)),
        ("reference", text(|o| &o.reference)),
        (
            "ordered_at",
            Arc::new(TimestampSecondArray::from_iter_values(seconds).with_timezone("UTC")),
        ),
        (
            "due",
            Arc::new(Date32Array::from_iter_values(
                orders.iter().map(|o| o.due_day),
            )),
        ),
        ("customer", text(|o| o.customer)),
        ("country", text(|o| o.country)),
        (
            "amount",
            Arc::new(Float64Array::from_iter_values(
                orders.iter().map(|o| o.amount),
            )),
        ),
        ("quantity", whole(|o| o.quantity)),
        ("paid", Arc::new(paid)),
        ("note", Arc::new(note)),
        ("email", text(|o| &o.email)),
        ("street", text(|o| &o.street)),
        ("page", text(|o| &o.page)),
        ("remark", text(|o| &o.remark)),
    ])
}

/// Events with these numbers out of `count` that are spread evenly over 60 months. `generation` is one of their
/// columns, and changes another.
pub fn event_stream(
    numbers: impl Iterator<Item = u64>,
    count: u64,
    generation: u64,
) -> Result<Vec<u8>, ArrowError> {
    let numbers: Vec<u64> = numbers.collect();
    let second = |n: &u64| i64::from(days(n * 60 * 28 / count)) * 86_400 + (n % 86_400) as i64;
    let amount = |n: &u64| ((n * 7_919 + generation) % 1_000_000) as f64 / 100.0;
    let count_up = std::iter::repeat_n(generation as i64, numbers.len());
    let texts = numbers
        .iter()
        .map(|n| format!("event {} of the kind {}", n % 9_973, n % 11));
    stream(vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                numbers.iter().map(|n| *n as i64),
            )),
        ),
        (
            "at",
            Arc::new(
                TimestampSecondArray::from_iter_values(numbers.iter().map(second))
                    .with_timezone("UTC"),
            ),
        ),
        (
            "amount",
            Arc::new(Float64Array::from_iter_values(numbers.iter().map(amount))),
        ),
        ("text", Arc::new(StringArray::from_iter_values(texts))),
        (
            "generation",
            Arc::new(Int64Array::from_iter_values(count_up)),
        ),
    ])
}

fn stream(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<u8>, ArrowError> {
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    writer.into_inner()
}
