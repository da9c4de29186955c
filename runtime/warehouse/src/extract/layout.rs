//! How a file's columns are encoded, found in its first rows: a dictionary pays where values come back, and costs
//! a hash and a copy of each value where they do not.

use std::collections::HashSet;
use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use parquet::basic::Encoding;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;

use crate::decode::TIMESTAMP;

/// Values of a column that are looked at.
const SAMPLE: usize = 2_048;
/// Fewer values say nothing.
const LEAST: usize = 64;

/// Has columns whose values hardly come back written without a dictionary; whole numbers and times as differences.
pub(super) fn choose(
    mut properties: WriterPropertiesBuilder,
    head: &[RecordBatch],
) -> WriterPropertiesBuilder {
    let Some(first) = head.first() else {
        return properties;
    };
    for (index, field) in first.schema().fields().iter().enumerate() {
        let values = head.iter().map(|batch| batch.column(index));
        if !is_diverse(values) {
            continue;
        }
        let path = ColumnPath::from(field.name().as_str());
        properties = properties.set_column_dictionary_enabled(path.clone(), false);
        if *field.data_type() == DataType::Int64 || *field.data_type() == TIMESTAMP {
            properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties
}

/// Whether more than half of the first values differ from each other. `false` where that is not known.
fn is_diverse<'a>(columns: impl Iterator<Item = &'a ArrayRef>) -> bool {
    let (mut values, mut different) = (0, 0);
    for column in columns {
        let part = column.slice(0, column.len().min(SAMPLE - values));
        let Some(found) = count_different(&part) else {
            return false;
        };
        values += part.len() - part.null_count();
        // Of several batches each for itself: a value that comes back in another counts twice, which only keeps the
        // dictionary away from columns that nearly did without.
        different += found;
        if values >= SAMPLE {
            break;
        }
    }
    values >= LEAST && different * 2 > values
}

fn count_different(column: &ArrayRef) -> Option<usize> {
    fn count<T: Hash + Eq>(values: impl Iterator<Item = Option<T>>) -> Option<usize> {
        Some(values.flatten().collect::<HashSet<_>>().len())
    }
    match column.data_type() {
        DataType::Utf8 => count(column.as_string::<i32>().iter()),
        DataType::Int64 => count(column.as_primitive::<Int64Type>().iter()),
        DataType::Date32 => count(column.as_primitive::<Date32Type>().iter()),
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().iter();
            count(values.map(|value| value.map(f64::to_bits)))
        }
        kind if *kind == TIMESTAMP => {
            count(column.as_primitive::<TimestampMicrosecondType>().iter())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use parquet::file::properties::WriterProperties;

    use super::*;

    #[test]
    fn values_that_come_back_have_a_dictionary_and_others_have_none() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..500));
        let kinds: Vec<_> = (0..500).map(|row| format!("kind {}", row % 7)).collect();
        let names: Vec<_> = (0..500).map(|row| format!("name {row}")).collect();
        let [kinds, names]: [ArrayRef; 2] =
            [kinds, names].map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef);
        let head = RecordBatch::try_from_iter([("key", keys), ("kind", kinds), ("a.name", names)]);
        let chosen = choose(WriterProperties::builder(), &[head.unwrap()]).build();
        let path = |name: &str| ColumnPath::from(name);
        assert!(chosen.dictionary_enabled(&path("kind")));
        assert!(!chosen.dictionary_enabled(&path("key")));
        assert!(!chosen.dictionary_enabled(&path("a.name")));
        assert_eq!(
            chosen.encoding(&path("key")),
            Some(Encoding::DELTA_BINARY_PACKED)
        );
        assert_eq!(chosen.encoding(&path("kind")), None);
    }

    #[test]
    fn few_values_say_nothing() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let head = RecordBatch::try_from_iter([("key", keys)]).unwrap();
        let chosen = choose(WriterProperties::builder(), &[head]).build();
        assert!(chosen.dictionary_enabled(&ColumnPath::from("key")));
    }
}
