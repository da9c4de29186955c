//! The structure of nested JSON values, found while they are copied into a compact text.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::widen::list_of;

/// Beyond this many fields or levels an object is a dictionary rather than a record.
const MAX_FIELDS: usize = 200;
const MAX_DEPTH: usize = 16;

/// What the values that were seen have in common.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Shape {
    /// Nothing but nulls.
    #[default]
    Null,
    Bool,
    Int,
    Double,
    Text,
    List(Box<Self>),
    Struct(Vec<(String, Self)>),
    /// The structure differs from value to value.
    Mixed,
}

impl Shape {
    fn scalar(&mut self, seen: Self) {
        let joined = match (&*self, seen) {
            (Self::Null, seen) => seen,
            (Self::Mixed | Self::List(_) | Self::Struct(_), _) => Self::Mixed,
            (Self::Int, Self::Double) | (Self::Double, Self::Int) => Self::Double,
            (mine, seen) if *mine == seen => return,
            _ => Self::Text,
        };
        *self = joined;
    }

    /// The shape of the items, if the value may still be a list.
    fn items(&mut self) -> Option<&mut Self> {
        if *self == Self::Null {
            *self = Self::List(Box::default());
        }
        if !matches!(self, Self::List(_)) {
            *self = Self::Mixed;
        }
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The fields, if the value may still be a record.
    fn fields(&mut self) -> Option<&mut Vec<(String, Self)>> {
        if *self == Self::Null {
            *self = Self::Struct(Vec::new());
        }
        if !matches!(self, Self::Struct(fields) if fields.len() <= MAX_FIELDS) {
            *self = Self::Mixed;
        }
        match self {
            Self::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The column type for values of this shape; none where they have no common structure.
    pub(crate) fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Null => DataType::Null,
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::List(items) => list_of(items.data_type()?),
            Self::Struct(fields) => struct_type(fields)?,
            Self::Mixed => return None,
        })
    }
}

fn struct_type(fields: &[(String, Shape)]) -> Option<DataType> {
    let mut seen = HashSet::new();
    // Neither parquet nor SQL can hold a record without fields, or tell names apart by case.
    let named = !fields.is_empty()
        && fields.iter().all(|(name, _)| {
            !name.is_empty() && !name.contains('\0') && seen.insert(name.to_lowercase())
        });
    if !named {
        return None;
    }
    let fields = fields
        .iter()
        .map(|(name, shape)| Some(Arc::new(Field::new(name, shape.data_type()?, true))))
        .collect::<Option<Vec<_>>>()?;
    Some(DataType::Struct(fields.into()))
}

/// Reads texts of nested values as a typed column.
pub(crate) fn typed(texts: &StringArray, shape: &Shape) -> Result<ArrayRef, ArrowError> {
    let data_type = shape
        .data_type()
        .ok_or_else(|| ArrowError::JsonError("no common structure".to_owned()))?;
    let mut decoder = ReaderBuilder::new_with_field(Field::new("v", data_type, true))
        .with_batch_size(texts.len())
        .with_coerce_primitive(true)
        .build_decoder()?;
    for text in texts {
        for bytes in [text.unwrap_or("null").as_bytes(), b"\n"] {
            let read = decoder.decode(bytes)?;
            if read < bytes.len() && bytes.get(read..).is_some_and(|rest| rest != b"\n") {
                return Err(ArrowError::JsonError("trailing bytes".to_owned()));
            }
        }
    }
    let batch = decoder.flush()?;
    batch
        .filter(|batch| batch.num_rows() == texts.len())
        .map(|batch| Arc::clone(batch.column(0)))
        .ok_or_else(|| ArrowError::JsonError("rows are missing".to_owned()))
}

/// Copies a JSON value into `text`, and widens `shape` so that it covers the value.
pub(crate) struct Copy<'a> {
    pub(crate) text: &'a mut String,
    pub(crate) shape: &'a mut Shape,
    pub(crate) depth: usize,
}

impl Copy<'_> {
    fn put<E: de::Error>(self, value: impl fmt::Display, seen: Shape) -> Result<(), E> {
        self.shape.scalar(seen);
        write!(self.text, "{value}").map_err(E::custom)
    }

    /// Copies the items of an array whose start was read.
    pub(crate) fn list<'de, A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut unknown = Shape::Mixed;
        let deep = self.depth >= MAX_DEPTH;
        let shape = if deep { None } else { self.shape.items() }.unwrap_or(&mut unknown);
        self.text.push('[');
        let start = self.text.len();
        let depth = self.depth + 1;
        while items
            .next_element_seed(Copy {
                text: self.text,
                shape,
                depth,
            })?
            .is_some()
        {
            self.text.push(',');
        }
        if self.text.len() > start {
            // The comma behind the last item.
            self.text.pop();
        }
        self.text.push(']');
        if deep {
            *self.shape = Shape::Mixed;
        }
        Ok(())
    }

    /// Copies the members of an object whose start was read.
    pub(crate) fn object<'de, A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut unknown = Shape::Mixed;
        let deep = self.depth >= MAX_DEPTH;
        let mut fields = if deep { None } else { self.shape.fields() };
        let mut first = true;
        self.text.push('{');
        while let Some(name) = members.next_key::<std::borrow::Cow<'_, str>>()? {
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            quote(self.text, &name)?;
            self.text.push(':');
            let shape = fields
                .as_mut()
                .map_or(&mut unknown, |fields| field(fields, &name));
            members.next_value_seed(Copy {
                text: self.text,
                shape,
                depth: self.depth + 1,
            })?;
        }
        self.text.push('}');
        if deep {
            *self.shape = Shape::Mixed;
        }
        Ok(())
    }
}

fn field<'a>(fields: &'a mut Vec<(String, Shape)>, name: &str) -> &'a mut Shape {
    let at = fields
        .iter()
        .position(|(known, _)| known == name)
        .unwrap_or(fields.len());
    if at == fields.len() {
        fields.push((name.to_owned(), Shape::Null));
    }
    let last = fields.len().saturating_sub(1);
    &mut fields[at.min(last)].1
}

/// Adds a text as a JSON string.
pub(crate) fn quote<E: de::Error>(out: &mut String, text: &str) -> Result<(), E> {
    out.push_str(&serde_json::to_string(text).map_err(E::custom)?);
    Ok(())
}

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.text.push_str("null");
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.put(value, Shape::Bool)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.put(value, Shape::Int)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        let shape = if i64::try_from(value).is_ok() {
            Shape::Int
        } else {
            Shape::Text
        };
        self.put(value, shape)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.put(
            serde_json::Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?,
            Shape::Double,
        )
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.shape.scalar(Shape::Text);
        quote(self.text, value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.list(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        self.object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::util::display::array_value_to_string;

    fn copy(texts: &[&str]) -> (Vec<String>, Shape) {
        let mut shape = Shape::Null;
        let copies = texts.iter().map(|text| {
            let mut out = String::new();
            let copy = Copy {
                text: &mut out,
                shape: &mut shape,
                depth: 0,
            };
            copy.deserialize(&mut serde_json::Deserializer::from_str(text))
                .unwrap();
            out
        });
        (copies.collect(), shape)
    }

    #[test]
    fn a_copy_is_the_same_value_in_compact_form() {
        for text in [
            r#"{"a":[1,-2,2.5,"x\n\"ü",null,true,[],{}],"b":{"c":{}}}"#,
            "[]",
            "[[],[[]]]",
            r#"["["]"#,
        ] {
            assert_eq!(copy(&[text]).0, [text]);
        }
        assert_eq!(copy(&["[ 1 , 2 ]"]).0, ["[1,2]"]);
    }

    #[test]
    fn shapes_grow_until_the_structure_differs() {
        let (texts, shape) = copy(&[r#"{"a":1}"#, r#"{"a":2.5,"b":["x"]}"#, r#"{"b":[]}"#]);
        let column = typed(&texts.into(), &shape).unwrap();
        assert_eq!(
            array_value_to_string(&column, 1).unwrap(),
            "{a: 2.5, b: [x]}"
        );
        assert_eq!(copy(&[r#"{"a":1}"#, "[1]"]).1, Shape::Mixed);
        assert_eq!(copy(&[r#"{"a":1}"#, r#"{"a":{}}"#]).1.data_type(), None);
        assert_eq!(copy(&["{}"]).1.data_type(), None);
        assert_eq!(copy(&[r#"{"a":1,"A":2}"#]).1.data_type(), None);
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(copy(&[&deep]).1.data_type(), None);
    }

    #[test]
    fn an_object_with_endless_keys_is_no_record() {
        let texts: Vec<String> = (0..400).map(|n| format!(r#"{{"k{n}":1}}"#)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(copy(&texts).1, Shape::Mixed);
    }
}
