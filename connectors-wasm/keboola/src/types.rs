//! Column types as Storage's metadata has them.

use connector_sdk::{Column, ColumnType};

use crate::api::{Metadata, StorageTable};

const BASE_TYPE: &str = "KBC.datatype.basetype";
const TYPE: &str = "KBC.datatype.type";
const LENGTH: &str = "KBC.datatype.length";
const DESCRIPTION: &str = "KBC.description";

/// Whose word counts most, first; others follow.
const PROVIDERS: [&str; 4] = [
    "user",
    "storage",
    "ai-metadata-enrichment",
    "keboola.snowflake-transformation",
];

/// The columns of these names; without types all are text, as Storage has them where nobody said more.
pub(crate) fn columns(table: &StorageTable, names: &[String], typed: bool) -> Vec<Column> {
    let none = Vec::new();
    let column = |name: &String| {
        let notes = table.column_metadata.get(name).unwrap_or(&none);
        Column {
            name: name.clone(),
            column_type: match typed {
                true => column_type(notes),
                false => ColumnType::Varchar,
            },
            description: description(notes),
        }
    };
    names.iter().map(column).collect()
}

/// What people wrote about a table or column.
pub(crate) fn description(notes: &[Metadata]) -> Option<String> {
    said(notes, DESCRIPTION).map(|note| note.value.clone())
}

/// What the provider that counts most says.
fn said<'a>(notes: &'a [Metadata], key: &str) -> Option<&'a Metadata> {
    let rank = |note: &&Metadata| {
        let place = PROVIDERS.iter().position(|known| *known == note.provider);
        place.unwrap_or(PROVIDERS.len())
    };
    let fitting = |note: &&Metadata| note.key == key && !note.value.trim().is_empty();
    notes.iter().filter(fitting).min_by_key(rank)
}

fn column_type(notes: &[Metadata]) -> ColumnType {
    let Some(kind) = said(notes, BASE_TYPE).or_else(|| said(notes, TYPE)) else {
        return ColumnType::Varchar;
    };
    // A length belongs to the type that the same provider gave.
    let length = notes
        .iter()
        .find(|note| note.key == LENGTH && note.provider == kind.provider)
        .and_then(|note| digits(&note.value));
    match kind.value.trim().to_ascii_uppercase().as_str() {
        "INTEGER" | "BIGINT" | "INT" => match length {
            Some((precision @ 19..=38, 0)) => ColumnType::Decimal {
                precision,
                scale: 0,
            },
            _ => ColumnType::Bigint,
        },
        "NUMERIC" | "DECIMAL" | "NUMBER" => match length {
            Some((precision @ 1..=38, scale)) if scale <= precision => {
                ColumnType::Decimal { precision, scale }
            }
            _ => ColumnType::Double,
        },
        "FLOAT" | "DOUBLE" => ColumnType::Double,
        "BOOLEAN" => ColumnType::Boolean,
        "DATE" => ColumnType::Date,
        "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMP_TZ" | "TIMESTAMP_LTZ" => ColumnType::Timestamp,
        _ => ColumnType::Varchar,
    }
}

/// `38,2`, or `38` for no digits behind the point.
fn digits(length: &str) -> Option<(u8, u8)> {
    let (precision, scale) = length.split_once(',').unwrap_or((length, "0"));
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}
