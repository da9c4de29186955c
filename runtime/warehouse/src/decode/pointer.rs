//! RFC 6901 pointers into a document that is read as it stands, without a tree of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::arrived::shorten;
use super::columns::{Columns, Sink};
use super::error::DecodeError;
use super::json::{Records, failed};
use super::shape::{Copy, Shape};

/// As the connector interface promises.
const MAX_POINTERS: usize = 16;
const MAX_VALUE: usize = 64 << 10;

/// The JSON text at each pointer; `None` where the document has nothing there.
pub(super) fn values(
    document: &[u8],
    pointers: &[String],
) -> Result<Vec<Option<String>>, DecodeError> {
    if pointers.len() > MAX_POINTERS {
        let reason = format!("more than {MAX_POINTERS} pointers to values were given");
        return Err(DecodeError::Body(reason));
    }
    let mut found = Vec::with_capacity(pointers.len());
    for pointer in pointers {
        let mut text = None;
        walk(document, pointer, &mut |input| {
            let mut copied = String::new();
            let copy = Copy {
                text: &mut copied,
                shape: &mut Shape::Mixed,
                depth: 0,
            };
            input.copy(copy)?;
            text = Some(copied);
            Ok(())
        })
        .map_err(|error| malformed(&error))??;
        if text.as_ref().is_some_and(|text| text.len() > MAX_VALUE) {
            let (pointer, most) = (shorten(pointer), MAX_VALUE >> 10);
            let reason = format!("the value at `{pointer}` is larger than {most} KiB");
            return Err(DecodeError::Limit(reason));
        }
        found.push(text);
    }
    Ok(found)
}

/// Decodes the records at a pointer.
pub(super) fn records(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    document: &[u8],
    pointer: &str,
) -> Result<(), DecodeError> {
    let mut found = false;
    let walked = walk(document, pointer, &mut |input| {
        found = true;
        input.records(Records {
            columns: &mut *columns,
            sink: &mut *sink,
        })
    });
    match walked {
        Ok(checked) => checked?,
        Err(error) => return Err(failed(columns, &error)),
    }
    if found {
        return Ok(());
    }
    let reason = format!(
        "the document has nothing at `{}`, where the records should be",
        shorten(pointer)
    );
    Err(DecodeError::Body(reason))
}

fn malformed(error: &serde_json::Error) -> DecodeError {
    DecodeError::Body(format!("not valid JSON: {error}"))
}

/// A value of the document that can be read in one of two ways.
trait Input {
    fn copy(&mut self, copy: Copy<'_>) -> Result<(), serde_json::Error>;
    fn records(&mut self, records: Records<'_>) -> Result<(), serde_json::Error>;
}

type Found<'f> = &'f mut dyn FnMut(&mut dyn Input) -> Result<(), serde_json::Error>;

/// Calls `found` with the value at a pointer, and reads the document to its end.
fn walk(
    document: &[u8],
    pointer: &str,
    found: Found<'_>,
) -> Result<Result<(), DecodeError>, serde_json::Error> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let steps: Vec<Cow<'_, str>> = match pointer.strip_prefix('/') {
        Some(rest) => rest.split('/').map(unescape).collect(),
        None if pointer.is_empty() => Vec::new(),
        None => {
            let reason = format!(
                "`{}` is not a JSON pointer: it must start with `/`",
                shorten(pointer)
            );
            return Ok(Err(DecodeError::Body(reason)));
        }
    };
    let mut input = serde_json::Deserializer::from_slice(document);
    Step {
        steps: &steps,
        found,
    }
    .deserialize(&mut input)?;
    input.end()?;
    Ok(Ok(()))
}

fn unescape(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

struct Step<'s, 'f> {
    steps: &'s [Cow<'s, str>],
    found: Found<'f>,
}

/// Carries a deserializer whose type the callback does not know.
struct Carrier<D> {
    input: Option<D>,
    error: Option<String>,
}

impl<'de, D: de::Deserializer<'de>> Input for Carrier<D> {
    fn copy(&mut self, copy: Copy<'_>) -> Result<(), serde_json::Error> {
        self.run(|input| copy.deserialize(input))
    }

    fn records(&mut self, records: Records<'_>) -> Result<(), serde_json::Error> {
        self.run(|input| records.deserialize(input))
    }
}

impl<D> Carrier<D> {
    fn run<E: fmt::Display>(
        &mut self,
        read: impl FnOnce(D) -> Result<(), E>,
    ) -> Result<(), serde_json::Error> {
        let Some(input) = self.input.take() else {
            return Ok(());
        };
        read(input).map_err(|error| {
            self.error = Some(error.to_string());
            de::Error::custom(error)
        })
    }
}

impl<'de> DeserializeSeed<'de> for Step<'_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        if !self.steps.is_empty() {
            return input.deserialize_any(self);
        }
        let mut carrier = Carrier {
            input: Some(input),
            error: None,
        };
        let read = (self.found)(&mut carrier);
        match (carrier.error, read) {
            (Some(error), _) => Err(de::Error::custom(error)),
            (None, read) => read.map_err(de::Error::custom),
        }
    }
}

impl<'de> Visitor<'de> for Step<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.steps.split_first() else {
            return Ok(());
        };
        let mut found = Some(self.found);
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            match found.take_if(|_| name == *step) {
                Some(found) => members.next_value_seed(Step { steps: rest, found })?,
                None => members.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.steps.split_first() else {
            return Ok(());
        };
        let wanted = step
            .parse::<usize>()
            .ok()
            .filter(|at| at.to_string() == **step);
        let mut found = Some(self.found);
        for at in 0_usize.. {
            let more = match found.take_if(|_| wanted == Some(at)) {
                Some(found) => items
                    .next_element_seed(Step { steps: rest, found })?
                    .is_some(),
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}
