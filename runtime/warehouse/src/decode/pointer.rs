//! RFC 6901 pointers into a document that is read as it stands, without a tree of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::arrived::shorten;
use super::columns::{Columns, Sink};
use super::digits;
use super::error::DecodeError;
use super::json::{Records, failed};
use super::shape::{Copy, Shape};

/// As the connector interface promises.
const MAX_POINTERS: usize = 16;
pub(super) const MAX_VALUE: usize = 64 << 10;

/// Decodes the records at a pointer, and gives the JSON text at each of the other pointers; `None` where the
/// document has nothing there.
pub(super) fn read(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    document: &[u8],
    records: &str,
    values: &[String],
) -> Result<Vec<Option<String>>, DecodeError> {
    let paths = paths(records, values)?;
    let mut reading = Reading {
        columns,
        sink,
        texts: vec![None; values.len()],
        has_records: false,
        is_in_records: false,
    };
    // In one go, unless a value lies in another.
    let passes = match is_apart(&paths) {
        true => vec![(0..paths.len()).collect()],
        false => (0..paths.len())
            .map(|index| vec![index])
            .collect::<Vec<_>>(),
    };
    for pass in passes {
        let targets = pass.iter().filter_map(|index| {
            let path = paths.get(*index)?;
            Some((*index, path.as_slice()))
        });
        let walked = walk(document, targets.collect(), &mut |index, input| {
            reading.take(index, input)
        });
        walked.map_err(|error| reading.failed(&error))?;
    }
    if !reading.has_records {
        return Err(DecodeError::Body(format!(
            "the document has nothing at `{}`, where the records should be",
            shorten(records)
        )));
    }
    check_lengths(values, &reading.texts)?;
    Ok(reading.texts)
}

/// The paths to the values, and behind them the one to the records.
pub(super) fn paths<'s>(
    records: &'s str,
    values: &'s [String],
) -> Result<Vec<Path<'s>>, DecodeError> {
    if values.len() > MAX_POINTERS {
        let reason = format!("more than {MAX_POINTERS} pointers to values were given");
        return Err(DecodeError::Body(reason));
    }
    let mut paths = values
        .iter()
        .map(|pointer| steps(pointer))
        .collect::<Result<Vec<_>, _>>()?;
    paths.push(steps(records)?);
    Ok(paths)
}

/// The compact text of a value that stands alone.
pub(super) fn copied(value: &[u8]) -> Option<String> {
    let value = &*digits::quoted(value);
    let mut text = String::new();
    let copy = Copy {
        text: &mut text,
        shape: &mut Shape::Mixed,
        depth: 0,
    };
    let mut input = serde_json::Deserializer::from_slice(value);
    copy.deserialize(&mut input).ok()?;
    input.end().ok()?;
    Some(text)
}

fn check_lengths(pointers: &[String], texts: &[Option<String>]) -> Result<(), DecodeError> {
    let mut found = pointers.iter().zip(texts);
    match found.find(|(_, text)| text.as_ref().is_some_and(|text| text.len() > MAX_VALUE)) {
        None => Ok(()),
        Some((pointer, _)) => Err(DecodeError::Limit(format!(
            "the value at `{}` is larger than {} KiB",
            shorten(pointer),
            MAX_VALUE >> 10
        ))),
    }
}

/// What comes of a document.
struct Reading<'a> {
    columns: &'a mut Columns,
    sink: &'a mut dyn Sink,
    texts: Vec<Option<String>>,
    has_records: bool,
    is_in_records: bool,
}

impl Reading<'_> {
    /// The error of a walk: at a row where it met one.
    fn failed(&mut self, error: &serde_json::Error) -> DecodeError {
        match self.is_in_records {
            true => failed(self.columns, error),
            false => DecodeError::Body(format!("not valid JSON: {error}")),
        }
    }

    /// Takes the value of a path: the last one is that of the records.
    fn take(&mut self, index: usize, input: &mut dyn Input) -> Result<(), serde_json::Error> {
        let Some(text) = self.texts.get_mut(index) else {
            (self.has_records, self.is_in_records) = (true, true);
            input.records(Records {
                columns: self.columns,
                sink: self.sink,
            })?;
            self.is_in_records = false;
            return Ok(());
        };
        let mut copied = String::new();
        input.copy(Copy {
            text: &mut copied,
            shape: &mut Shape::Mixed,
            depth: 0,
        })?;
        *text = Some(copied);
        Ok(())
    }
}

pub(super) type Path<'s> = Vec<Cow<'s, str>>;

fn steps(pointer: &str) -> Result<Path<'_>, DecodeError> {
    match pointer.strip_prefix('/') {
        Some(rest) => Ok(rest.split('/').map(unescape).collect()),
        None if pointer.is_empty() => Ok(Vec::new()),
        None => Err(DecodeError::Body(format!(
            "`{}` is not a JSON pointer: it must start with `/`",
            shorten(pointer)
        ))),
    }
}

fn unescape(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

/// Whether no path leads through the end of another.
pub(super) fn is_apart(paths: &[Path<'_>]) -> bool {
    let mut pairs = paths
        .iter()
        .enumerate()
        .flat_map(|(at, one)| paths.iter().skip(at + 1).map(move |other| (one, other)));
    pairs.all(|(one, other)| !one.starts_with(other) && !other.starts_with(one))
}

/// A value of the document that can be read in one of two ways.
trait Input {
    fn copy(&mut self, copy: Copy<'_>) -> Result<(), serde_json::Error>;
    fn records(&mut self, records: Records<'_>) -> Result<(), serde_json::Error>;
}

/// Hears of the value of a path, which is named by its index.
type Found<'f> = &'f mut dyn FnMut(usize, &mut dyn Input) -> Result<(), serde_json::Error>;

/// Paths by their index, as far as they have not been gone.
type Targets<'s> = Vec<(usize, &'s [Cow<'s, str>])>;

/// Calls `found` with the values of these paths, none of which lies in another, and reads the document to its end.
fn walk(document: &[u8], targets: Targets<'_>, found: Found<'_>) -> Result<(), serde_json::Error> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let document = &*digits::quoted(document);
    let step = Step { targets, found };
    // What is known to be UTF-8 as a whole need not be looked at text by text.
    match std::str::from_utf8(document) {
        Ok(text) => {
            let mut input = serde_json::Deserializer::from_str(text);
            step.deserialize(&mut input)?;
            input.end()
        }
        Err(_) => {
            let mut input = serde_json::Deserializer::from_slice(document);
            step.deserialize(&mut input)?;
            input.end()
        }
    }
}

struct Step<'s, 'f> {
    targets: Targets<'s>,
    found: Found<'f>,
}

/// Takes out the paths that go on like this, each without that step.
fn split_off<'s>(targets: &mut Targets<'s>, leads: impl Fn(&str) -> bool) -> Targets<'s> {
    let mut taken = Vec::new();
    targets.retain(|(index, path)| match path.split_first() {
        Some((step, rest)) if leads(step) => {
            taken.push((*index, rest));
            false
        }
        _ => true,
    });
    taken
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
        let here = self.targets.iter().find(|(_, path)| path.is_empty());
        let Some((index, _)) = here else {
            return input.deserialize_any(self);
        };
        let mut carrier = Carrier {
            input: Some(input),
            error: None,
        };
        let read = (self.found)(*index, &mut carrier);
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

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            let targets = split_off(&mut self.targets, |step| step == name);
            if targets.is_empty() {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let found = &mut *self.found;
            members.next_value_seed(Step { targets, found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for at in 0_usize.. {
            let targets = match self.targets.is_empty() {
                true => Vec::new(),
                false => split_off(&mut self.targets, |step| step == at.to_string()),
            };
            let more = if targets.is_empty() {
                items.next_element::<IgnoredAny>()?.is_some()
            } else {
                let found = &mut *self.found;
                items.next_element_seed(Step { targets, found })?.is_some()
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
