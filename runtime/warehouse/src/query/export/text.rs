//! Answers as text: JSON as old clients read it, and CSV.

use std::io::Write as _;

use arrow::array::RecordBatch;

use super::super::value::Reader;
use super::{Counted, Encode, Exported, Fault, Shape};

/// What is collected before it is written on.
const PIECE: usize = 64 << 10;

/// Text on its way out.
struct Text<'a> {
    shape: Shape,
    out: Counted<'a>,
    buffer: Vec<u8>,
}

impl<'a> Text<'a> {
    fn new(shape: Shape, out: Counted<'a>) -> Self {
        Self {
            shape,
            out,
            buffer: Vec::with_capacity(2 * PIECE),
        }
    }

    fn bytes(&self) -> u64 {
        self.out.bytes + self.buffer.len() as u64
    }

    fn readers(&self, batch: &RecordBatch) -> Vec<Reader> {
        let columns = batch.columns().iter().zip(&self.shape.decimals);
        columns
            .map(|(array, decimal)| Reader::new(array, *decimal))
            .collect()
    }

    fn pass_on(&mut self, least: usize) -> Result<(), Fault> {
        if self.buffer.len() >= least {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// `{"columns":[…],"rows":[[…]],"row_count":n,"truncated":false}`.
pub(super) struct Json<'a> {
    text: Text<'a>,
    is_first: bool,
}

impl<'a> Json<'a> {
    pub(super) fn begin(shape: Shape, out: Counted<'a>) -> Result<Self, Fault> {
        let names: Vec<&String> = shape
            .schema
            .fields()
            .iter()
            .map(|field| field.name())
            .collect();
        let names = serde_json::to_string(&names).map_err(std::io::Error::from)?;
        let mut text = Text::new(shape, out);
        write!(text.buffer, "{{\"columns\":{names},\"rows\":[")?;
        Ok(Self {
            text,
            is_first: true,
        })
    }
}

impl Encode for Json<'_> {
    fn rows(&mut self, batch: &RecordBatch, most_bytes: u64) -> Result<usize, Fault> {
        let readers = self.text.readers(batch);
        for row in 0..batch.num_rows() {
            if self.text.bytes() > most_bytes {
                return Ok(row);
            }
            let buffer = &mut self.text.buffer;
            let opening: &[u8] = if self.is_first { b"[" } else { b",[" };
            buffer.extend_from_slice(opening);
            self.is_first = false;
            for (column, reader) in readers.iter().enumerate() {
                if column > 0 {
                    buffer.push(b',');
                }
                reader.write_json(row, buffer)?;
            }
            buffer.push(b']');
            self.text.pass_on(PIECE)?;
        }
        Ok(batch.num_rows())
    }

    fn bytes(&self) -> u64 {
        // Asked between batches only; each row is counted above.
        0
    }

    fn finish(mut self: Box<Self>, exported: Exported) -> Result<(), Fault> {
        let Exported { rows, cut } = exported;
        let truncated = cut.is_some();
        write!(
            self.text.buffer,
            "],\"row_count\":{rows},\"truncated\":{truncated}}}"
        )?;
        self.text.pass_on(0)
    }
}

/// Lines of values between commas.
pub(super) struct Csv<'a>(Text<'a>);

impl<'a> Csv<'a> {
    pub(super) fn begin(shape: Shape, out: Counted<'a>) -> Result<Self, Fault> {
        let mut text = Text::new(shape, out);
        for (column, field) in text.shape.schema.fields().iter().enumerate() {
            if column > 0 {
                text.buffer.push(b',');
            }
            quoted(field.name(), &mut text.buffer);
        }
        text.buffer.push(b'\n');
        Ok(Self(text))
    }
}

impl Encode for Csv<'_> {
    fn rows(&mut self, batch: &RecordBatch, most_bytes: u64) -> Result<usize, Fault> {
        let readers = self.0.readers(batch);
        for row in 0..batch.num_rows() {
            if self.0.bytes() > most_bytes {
                return Ok(row);
            }
            let buffer = &mut self.0.buffer;
            for (column, reader) in readers.iter().enumerate() {
                if column > 0 {
                    buffer.push(b',');
                }
                reader.with_text(row, |text| quoted(text, buffer));
            }
            // A line of nothing would be no row to most readers.
            if let [only] = readers.as_slice()
                && only.is_null(row)
            {
                buffer.extend_from_slice(b"\"\"");
            }
            buffer.push(b'\n');
            self.0.pass_on(PIECE)?;
        }
        Ok(batch.num_rows())
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn finish(mut self: Box<Self>, _: Exported) -> Result<(), Fault> {
        self.0.pass_on(0)
    }
}

/// A value between quotes where it needs them (RFC 4180); an empty one always, since nothing is null.
fn quoted(text: &str, out: &mut Vec<u8>) {
    let needs = |byte: u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let padded = text.starts_with(' ') || text.ends_with(' ');
    if !text.is_empty() && !padded && !text.bytes().any(needs) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
