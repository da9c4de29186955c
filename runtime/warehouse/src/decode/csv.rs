//! CSV by RFC 4180, with options. Every record must have as many fields as the first.

use std::io::Read;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder, Terminator};
use domain::format::CsvOptions;

use super::arrived::shorten;
use super::columns::{Columns, Sink};
use super::error::DecodeError;
use super::lane::Cell;

const CHUNK: usize = 256 << 10;
/// A field beyond this is a quote that was never closed.
const MAX_FIELD: usize = 32 << 20;

/// Decodes a CSV body.
pub(super) fn read(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    options: &CsvOptions,
    input: Box<dyn Read + '_>,
) -> Result<(), DecodeError> {
    let (delimiter, quote) = (byte(options.delimiter, b',')?, byte(options.quote, b'"')?);
    let mut fields = Fields::new(delimiter, quote, input);
    let mut names = options.names.clone();
    if options.header {
        let header = header(columns, &mut fields)?;
        if header.is_empty() {
            let reason = "the body is empty, where a first line should name the columns";
            return Err(DecodeError::Body(reason.to_owned()));
        }
        if names.is_empty() {
            names = header;
        }
    } else if names.is_empty() {
        let reason = "a CSV body without a header line needs the columns' names";
        return Err(DecodeError::Body(reason.to_owned()));
    }
    let order = places(columns, &names)?;
    rows(columns, sink, &mut fields, &order)
}

fn byte(option: Option<char>, default: u8) -> Result<u8, DecodeError> {
    let given = option.map_or(Ok(default), u8::try_from);
    given
        .ok()
        .filter(|byte| byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0))
        .ok_or_else(|| {
            DecodeError::Body(
                "the CSV delimiter and quote must be single ASCII characters".to_owned(),
            )
        })
}

fn header(columns: &Columns, fields: &mut Fields<'_>) -> Result<Vec<String>, DecodeError> {
    let mut names = Vec::new();
    while let Some(field) = fields.next()? {
        let name = text(columns, fields.value())?;
        names.push(name.strip_prefix('\u{feff}').unwrap_or(name).to_owned());
        if field.ends_record {
            break;
        }
    }
    Ok(names)
}

/// The column of each field. A name that stands there twice gets a number behind it.
fn places(columns: &mut Columns, names: &[String]) -> Result<Vec<usize>, DecodeError> {
    let mut places: Vec<usize> = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let base = if name.is_empty() {
            format!("column{}", at + 1)
        } else {
            name.clone()
        };
        let mut key = base.clone();
        let mut count = 0;
        loop {
            match columns.find(&key)? {
                Some(place) if !places.contains(&place) => {
                    places.push(place);
                    break;
                }
                _ => {
                    count += 1;
                    key = format!("{base}_{count}");
                }
            }
        }
    }
    Ok(places)
}

fn rows(
    columns: &mut Columns,
    sink: &mut dyn Sink,
    fields: &mut Fields<'_>,
    order: &[usize],
) -> Result<(), DecodeError> {
    let (mut at, mut bytes) = (0, 0);
    while let Some(field) = fields.next()? {
        let value = fields.value();
        let Some(column) = order.get(at) else {
            return Err(columns.row_error(format!(
                "it has more than the {} fields of the header",
                order.len()
            )));
        };
        if field.ends_record && at + 1 < order.len() {
            let (has, wants) = (at + 1, order.len());
            return Err(
                columns.row_error(format!("it has {has} fields, and the header has {wants}"))
            );
        }
        let cell = match value {
            [] if !field.quoted => Cell::Null,
            value => Cell::Field(text(columns, value)?),
        };
        columns.push(*column, cell)?;
        (at, bytes) = (at + 1, bytes + value.len());
        if field.ends_record {
            columns.end_row(bytes, sink)?;
            (at, bytes) = (0, 0);
        }
    }
    Ok(())
}

fn text<'a>(columns: &Columns, bytes: &'a [u8]) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| {
        let shown = shorten(&String::from_utf8_lossy(bytes));
        columns.row_error(format!("`{shown}` is not UTF-8"))
    })
}

/// What is known of a field beside its value.
struct FieldEnd {
    quoted: bool,
    ends_record: bool,
}

/// The fields of a body, one after the other.
struct Fields<'a> {
    reader: Reader,
    quote: u8,
    input: Box<dyn Read + 'a>,
    chunk: Vec<u8>,
    start: usize,
    end: usize,
    value: Vec<u8>,
    length: usize,
}

impl<'a> Fields<'a> {
    fn new(delimiter: u8, quote: u8, input: Box<dyn Read + 'a>) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .quote(quote)
            .terminator(Terminator::CRLF)
            .build();
        Self {
            reader,
            quote,
            input,
            chunk: vec![0; CHUNK],
            start: 0,
            end: 0,
            value: vec![0; 4096],
            length: 0,
        }
    }

    /// The value of the field that `next` found.
    fn value(&self) -> &[u8] {
        self.value.get(..self.length).unwrap_or_default()
    }

    /// Reads the next field; `None` at the body's end.
    fn next(&mut self) -> Result<Option<FieldEnd>, DecodeError> {
        self.length = 0;
        let (mut quotes, mut first) = (0_usize, None);
        loop {
            if self.start == self.end {
                self.start = 0;
                self.end = self
                    .input
                    .read(&mut self.chunk)
                    .map_err(DecodeError::Read)?;
            }
            let unread = self.chunk.get(self.start..self.end).unwrap_or_default();
            let room = self.value.get_mut(self.length..).unwrap_or_default();
            let (result, read, written) = self.reader.read_field(unread, room);
            let taken = unread.get(..read).unwrap_or_default();
            first = first.or_else(|| taken.iter().find(|b| !matches!(b, b'\r' | b'\n')).copied());
            if first == Some(self.quote) {
                quotes += taken.iter().filter(|byte| **byte == self.quote).count();
            }
            self.start += read;
            self.length += written;
            match result {
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::OutputFull => self.grow()?,
                ReadFieldResult::Field { record_end } => {
                    if unread.is_empty() && quotes % 2 == 1 {
                        let reason = "the body ends inside a quoted field";
                        return Err(DecodeError::Body(reason.to_owned()));
                    }
                    return Ok(Some(FieldEnd {
                        quoted: quotes > 0,
                        ends_record: record_end,
                    }));
                }
                ReadFieldResult::End => return Ok(None),
            }
        }
    }

    fn grow(&mut self) -> Result<(), DecodeError> {
        if self.value.len() >= MAX_FIELD {
            let most = MAX_FIELD >> 20;
            let reason = format!("a CSV field is larger than {most} MiB; is a quote never closed?");
            return Err(DecodeError::Limit(reason));
        }
        self.value.resize(self.value.len() * 2, 0);
        Ok(())
    }
}
