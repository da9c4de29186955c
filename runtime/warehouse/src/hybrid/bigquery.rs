//! BigQuery's schema and rows, as its REST API writes them, as Arrow.
//!
//! Every value is text in JSON, an array is a list of `{"v": …}`, a STRUCT is `{"f": [{"v": …}, …]}`. What does not fit its
//! column's type is refused: a value that became null on its way would be a wrong answer.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

mod column;
mod scalar;
#[cfg(test)]
mod tests;

/// BigQuery's own limits on a schema.
const MOST_DEPTH: usize = 15;
const MOST_COLUMNS: usize = 10_000;
const LONGEST_NAME: usize = 300;

/// Why a schema or a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// The schema is none.
    #[error("BigQuery's schema cannot be used: {0}")]
    Schema(String),
    /// A row or a value is not as the schema says.
    #[error("BigQuery sent a value that does not fit its column `{column}`: {reason}")]
    Value {
        /// The column, with a dot before each field of a STRUCT.
        column: String,
        /// What is wrong. Never the value, which is somebody's data.
        reason: &'static str,
    },
}

/// The columns of a result.
#[derive(Debug, Clone)]
pub struct BigQueryShape {
    columns: Vec<Column>,
    schema: SchemaRef,
}

/// A column, or a field of a STRUCT.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// With the names of the STRUCTs around it.
    path: String,
    kind: Kind,
    repeated: bool,
}

/// What a value is.
#[derive(Debug, Clone)]
enum Kind {
    Int,
    Float,
    Numeric,
    Bool,
    Text,
    Bytes,
    Date,
    Time,
    DateTime,
    Timestamp,
    Struct(Vec<Column>),
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    fields: Vec<ToldField>,
}

#[derive(Deserialize)]
struct ToldField {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    fields: Vec<Self>,
}

impl BigQueryShape {
    /// Reads a schema, as `{"fields": […]}`.
    ///
    /// # Errors
    /// Where it has no column, two of one name, more or deeper ones than BigQuery allows, or a type that is not known.
    pub fn new(schema: &Value) -> Result<Self, ShapeError> {
        let told = Told::deserialize(schema)
            .map_err(|_| ShapeError::Schema("it is not what BigQuery's reference says".into()))?;
        let mut left = MOST_COLUMNS;
        let columns = columns(told.fields, "", MOST_DEPTH, &mut left)?;
        let fields: Fields = columns.iter().map(Column::field).collect();
        Ok(Self {
            columns,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The schema in Arrow.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows of a page, each as `{"f": [{"v": …}, …]}`.
    ///
    /// # Errors
    /// Where a row is none, or a value does not fit its column.
    pub fn batch(&self, rows: &[Value]) -> Result<RecordBatch, ShapeError> {
        let rows: Vec<Option<&Value>> = rows.iter().map(Some).collect();
        let arrays = column::of_rows(&self.columns, "", &rows)?;
        RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|error| ShapeError::Schema(format!("its rows are no table: {error}")))
    }
}

fn columns(
    told: Vec<ToldField>,
    outer: &str,
    depth: usize,
    left: &mut usize,
) -> Result<Vec<Column>, ShapeError> {
    let mut seen = HashSet::new();
    if told.is_empty() || depth == 0 {
        let what = if depth == 0 {
            "it is nested too deeply"
        } else {
            "there are no columns"
        };
        return Err(ShapeError::Schema(what.into()));
    }
    let column = |told: ToldField| {
        *left = left.checked_sub(1).ok_or_else(|| {
            ShapeError::Schema(format!("it has more than {MOST_COLUMNS} columns"))
        })?;
        let name = told.name.clone();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(ShapeError::Schema(format!(
                "a column's name has 1 to {LONGEST_NAME} bytes and no control characters"
            )));
        }
        // DuckDB takes names for the same that differ by the case of letters only.
        if !seen.insert(name.to_lowercase()) {
            return Err(ShapeError::Schema(format!(
                "two columns are named `{name}`; give one another name with AS"
            )));
        }
        let path = match outer {
            "" => name.clone(),
            outer => format!("{outer}.{name}"),
        };
        let kind = kind(&told.kind, told.fields, &path, depth, left)?;
        let repeated = told.mode.eq_ignore_ascii_case("REPEATED");
        Ok(Column {
            name,
            path,
            kind,
            repeated,
        })
    };
    told.into_iter().map(column).collect()
}

fn kind(
    name: &str,
    fields: Vec<ToldField>,
    path: &str,
    depth: usize,
    left: &mut usize,
) -> Result<Kind, ShapeError> {
    Ok(match name.to_ascii_uppercase().as_str() {
        "INTEGER" | "INT64" => Kind::Int,
        "FLOAT" | "FLOAT64" => Kind::Float,
        "NUMERIC" => Kind::Numeric,
        "BOOLEAN" | "BOOL" => Kind::Bool,
        // DuckDB has no decimal of 76 digits: as text none is lost.
        "BIGNUMERIC" | "STRING" | "JSON" | "GEOGRAPHY" | "INTERVAL" => Kind::Text,
        "BYTES" => Kind::Bytes,
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        "DATETIME" => Kind::DateTime,
        "TIMESTAMP" => Kind::Timestamp,
        "RECORD" | "STRUCT" => Kind::Struct(columns(fields, path, depth - 1, left)?),
        _ => {
            return Err(ShapeError::Schema(format!(
                "the column `{path}` has a type that is not known here; cast it to STRING in the remote query"
            )));
        }
    })
}

impl Column {
    fn field(&self) -> Field {
        let one = self.kind.data_type();
        match self.repeated {
            false => Field::new(&self.name, one, true),
            true => Field::new(&self.name, DataType::List(Arc::new(item(one))), true),
        }
    }

    fn wrong(&self, reason: &'static str) -> ShapeError {
        ShapeError::Value {
            column: self.path.clone(),
            reason,
        }
    }
}

/// The field of a list's values.
fn item(kind: DataType) -> Field {
    Field::new("item", kind, true)
}

impl Kind {
    fn data_type(&self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Numeric => DataType::Decimal128(scalar::DIGITS, scalar::SCALE),
            Self::Bool => DataType::Boolean,
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Struct(columns) => DataType::Struct(columns.iter().map(Column::field).collect()),
        }
    }
}
