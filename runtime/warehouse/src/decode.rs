//! Turns bytes that nobody vouches for into Arrow batches, in memory-safe Rust.
//!
//! Types that the connector did not declare are found by these rules:
//!
//! - bool → bigint → double → varchar, and date → timestamp → varchar: a column has the narrowest
//!   type that holds all of its values, and only ever moves to the right. A bool in a number column
//!   is 1 or 0.
//! - In JSON a string stays a string, but for dates (`2026-01-31`) and timestamps
//!   (`2026-01-31T10:00:00Z`, stored in UTC). In CSV every field is looked at.
//! - Only canonical numbers are numbers: `007`, `+7` and integers beyond 64 bits stay text, since a
//!   number would lose digits.
//! - An object becomes a STRUCT and an array a LIST while their structure agrees; where it does not
//!   (an object here, a text there; an empty object; more than 200 fields) the column holds JSON
//!   text.
//! - A column that was never seen is null in earlier rows, one that is missing is null in later ones;
//!   columns stand in the order in which they were seen, declared ones first.
//! - In CSV an empty field without quotes is null, one with quotes is an empty text.
//! - Names that differ in case only get a number behind them, since SQL would not tell them apart.

mod arrived;
mod columnar;
mod columns;
mod csv;
mod declared;
mod digits;
mod error;
mod json;
mod lane;
mod pointer;
mod scan;
mod shape;
mod text;
mod widen;
mod zstd;

use std::io::{BufReader, Read};
use std::path::Path;

use domain::format::{Appended, BodyFormat, Compression, JsonOptions};
use flate2::bufread::MultiGzDecoder;

pub(crate) use arrived::{normal, shorten, stored_type};
pub(crate) use columns::{Columns, Sink};
pub(crate) use error::DecodeError;
pub(crate) use widen::{TIMESTAMP, conform_batch, join, json_text, storable, storable_field};

/// One document is held in memory; larger ones come as NDJSON or in pages.
const MAX_DOCUMENT: usize = 256 << 20;

/// Decodes a body as it arrives. `scratch` is a folder for what cannot be decoded before its end.
pub(crate) fn body(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    format: &BodyFormat,
    input: Box<dyn Read + Send>,
    scratch: &Path,
) -> Result<Appended, DecodeError> {
    columns.begin_append();
    match format {
        BodyFormat::Csv(options) => {
            csv::read(
                columns,
                sink,
                options,
                text(open(input, options.compression)?)?,
            )?;
        }
        BodyFormat::Json(options) => {
            let document = read_document(input, options.compression, Vec::new())?;
            let appended = json(columns, sink, &document, options)?;
            columns.flush(sink)?;
            return Ok(appended);
        }
        BodyFormat::Ndjson(compression) => {
            json::lines(columns, sink, text(open(input, *compression)?)?)?;
        }
        BodyFormat::Parquet => columnar::parquet(columns, sink, input, scratch)?,
        BodyFormat::Arrow => columnar::arrow(columns, sink, input)?,
    }
    columns.flush(sink)?;
    let (rows, values) = (columns.appended(), Vec::new());
    Ok(Appended { rows, values })
}

/// Decodes a JSON document. Its last rows may stay with the columns until there are more.
pub(crate) fn json(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    text: &[u8],
    options: &JsonOptions,
) -> Result<Appended, DecodeError> {
    columns.begin_append();
    let values = pointer::read(columns, sink, text, &options.records, &options.values)?;
    columns.end_document(text.len(), sink)?;
    let rows = columns.appended();
    Ok(Appended { rows, values })
}

/// What decoding a JSON document will say of it, if nothing is wrong inside of its records; `None` where its quotes and
/// brackets do not tell.
pub(crate) fn survey(text: &[u8], options: &JsonOptions) -> Option<Appended> {
    scan::survey(text, &options.records, &options.values)
}

/// Whether records that a connector shaped are an array, and not one object a line.
pub(crate) fn is_array(records: &[u8]) -> bool {
    let first = records.iter().find(|byte| !byte.is_ascii_whitespace());
    first == Some(&b'[')
}

/// Decodes records of which each is a line.
pub(crate) fn lines(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    bytes: &[u8],
) -> Result<u64, DecodeError> {
    columns.begin_append();
    json::lines(columns, sink, Box::new(std::io::Cursor::new(bytes)))?;
    columns.flush(sink)?;
    Ok(columns.appended())
}

/// Decodes an Arrow IPC stream.
pub(crate) fn arrow_stream(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    bytes: &[u8],
) -> Result<u64, DecodeError> {
    columns.begin_append();
    columnar::arrow(columns, sink, Box::new(bytes))?;
    Ok(columns.appended())
}

/// Undoes the compression.
fn open<'a>(
    input: Box<dyn Read + Send + 'a>,
    compression: Compression,
) -> Result<Box<dyn Read + 'a>, DecodeError> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let start = match compression {
        Compression::None => return Ok(Box::new(input)),
        Compression::Gzip => return Ok(Box::new(MultiGzDecoder::new(input))),
        Compression::Auto => std::io::BufRead::fill_buf(&mut input).map_err(DecodeError::Read)?,
    };
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(input)),
        start if start.starts_with(&zstd::MAGIC) => Box::new(zstd::Frames::new(input)),
        _ => Box::new(input),
    })
}

/// A text without the byte order mark that some programs put before it.
fn text<'a>(mut input: Box<dyn Read + 'a>) -> Result<Box<dyn Read + 'a>, DecodeError> {
    let mut start = Vec::new();
    let mut head = input.by_ref().take(3);
    head.read_to_end(&mut start).map_err(DecodeError::Read)?;
    Ok(match start.as_slice() {
        b"\xef\xbb\xbf" => input,
        _ => Box::new(std::io::Cursor::new(start).chain(input)),
    })
}

/// Reads a JSON document into an empty buffer.
pub(crate) fn read_document(
    input: Box<dyn Read + Send>,
    compression: Compression,
    mut buffer: Vec<u8>,
) -> Result<Vec<u8>, DecodeError> {
    let limit = MAX_DOCUMENT as u64 + 1;
    text(open(input, compression)?)?
        .take(limit)
        .read_to_end(&mut buffer)
        .map_err(DecodeError::Read)?;
    if buffer.len() > MAX_DOCUMENT {
        let reason = format!(
            "the JSON document is larger than {} MiB; fetch it in pages, or as NDJSON",
            MAX_DOCUMENT >> 20
        );
        return Err(DecodeError::Limit(reason));
    }
    Ok(buffer)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
