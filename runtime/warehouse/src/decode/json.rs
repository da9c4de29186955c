//! JSON objects straight into columns, one pass and no tree in between.

use std::fmt;
use std::io::Read;

use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::columns::{Columns, Sink};
use super::digits;
use super::error::DecodeError;
use super::lane::Cell;
use super::shape::Copy;

/// One record; a longer line is no record but a document.
const MAX_LINE: usize = 32 << 20;
const CHUNK: usize = 1 << 20;

/// One object a line. Blank lines are passed over.
pub(super) fn lines(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    mut input: Box<dyn Read + '_>,
) -> Result<(), DecodeError> {
    let mut held: Vec<u8> = Vec::new();
    loop {
        let before = held.len();
        let read = (&mut input)
            .take(CHUNK as u64)
            .read_to_end(&mut held)
            .map_err(DecodeError::Read)?;
        let fresh = held.get(before..).unwrap_or_default();
        let complete = match (read, fresh.iter().rposition(|byte| *byte == b'\n')) {
            (0, _) => held.len(),
            (_, Some(at)) => before + at + 1,
            (_, None) => 0,
        };
        for line in held
            .get(..complete)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
        {
            let line = line
                .strip_prefix(b"\xef\xbb\xbf")
                .unwrap_or(line)
                .trim_ascii();
            if !line.is_empty() {
                record(columns, line)?;
                columns.end_row(line.len(), sink)?;
            }
        }
        held.drain(..complete);
        if read == 0 {
            return Ok(());
        }
        if held.len() > MAX_LINE {
            let reason = format!("a line is longer than {} MiB", MAX_LINE >> 20);
            return Err(DecodeError::Limit(reason));
        }
    }
}

fn record(columns: &mut Columns, line: &[u8]) -> Result<(), DecodeError> {
    let line = &*digits::quoted(line);
    // What is known to be UTF-8 as a whole need not be looked at text by text.
    let read = match std::str::from_utf8(line) {
        Ok(line) => object(columns, serde_json::Deserializer::from_str(line)),
        Err(_) => object(columns, serde_json::Deserializer::from_slice(line)),
    };
    read.map_err(|error| failed(columns, &error))
}

fn object<'de, R: serde_json::de::Read<'de>>(
    columns: &mut Columns,
    mut input: serde_json::Deserializer<R>,
) -> Result<(), serde_json::Error> {
    input.deserialize_any(Record(columns))?;
    input.end()
}

/// The error that a visitor kept, or the parser's.
pub(super) fn failed(columns: &mut Columns, error: &serde_json::Error) -> DecodeError {
    match columns.kept() {
        Some(kept) => kept,
        None => columns.row_error(format!("not valid JSON: {error}")),
    }
}

/// The records of an array, or a single one.
pub(super) struct Records<'a> {
    pub(super) columns: &'a mut Columns,
    pub(super) sink: &'a mut dyn Sink,
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects, or one object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Record(self.columns))?.is_some() {
            let ended = self.columns.end_row(0, self.sink);
            ended.map_err(|error| de::Error::custom(self.columns.keep(error)))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        Record(self.columns).visit_map(members)?;
        let ended = self.columns.end_row(0, self.sink);
        ended.map_err(|error| de::Error::custom(self.columns.keep(error)))
    }
}

struct Record<'a>(&'a mut Columns);

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(found) = members.next_key_seed(Key(self.0))? {
            match found {
                Some(column) => members.next_value_seed(Value {
                    columns: self.0,
                    column,
                })?,
                None => members.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// Finds the column of a member.
struct Key<'a>(&'a mut Columns);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;
    fn deserialize<D: de::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        self.0
            .find(key)
            .map_err(|error| E::custom(self.0.keep(error)))
    }
}

/// Puts a value into its column.
struct Value<'a> {
    columns: &'a mut Columns,
    column: usize,
}

impl Value<'_> {
    fn push<E: de::Error>(self, cell: Cell<'_>) -> Result<(), E> {
        let pushed = self.columns.push(self.column, cell);
        pushed.map_err(|error| E::custom(self.columns.keep(error)))
    }

    fn nested<E: de::Error>(self, copy: impl FnOnce(Copy<'_>) -> Result<(), E>) -> Result<(), E> {
        let pushed = self.columns.push_nested(self.column, |text, shape| {
            copy(Copy {
                text,
                shape,
                depth: 0,
            })
        })?;
        pushed.map_err(|error| E::custom(self.columns.keep(error)))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.push(Cell::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.push(Cell::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.push(Cell::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.push(i64::try_from(value).map_or(Cell::Big(value), Cell::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.push(Cell::Double(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.push(Cell::Str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.nested(|copy| copy.list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        self.nested(|copy| copy.object(members))
    }
}
