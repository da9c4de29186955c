//! The decoders against bytes that nobody meant: they end with rows or with an error, never with a panic of their own,
//! and need no more memory than what arrived lets them.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::ipc::writer::StreamWriter;
use domain::Failure;
use domain::format::{BodyFormat, Compression, CsvOptions, JsonOptions};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Bodies here have a few KiB, so this is what a length that lies would take.
const MOST_MEMORY: usize = 768 << 20;

struct Nowhere;

impl Sink for Nowhere {
    fn take(&mut self, _: RecordBatch) -> Result<(), Failure> {
        Ok(())
    }
}

fn decode(format: &BodyFormat, bytes: &[u8]) -> Result<Appended, DecodeError> {
    let scratch = tempfile::tempdir().unwrap();
    let mut columns = Columns::new(&[], &[]).unwrap();
    let input = Box::new(std::io::Cursor::new(bytes.to_vec()));
    body(&mut columns, &mut Nowhere, format, input, scratch.path())
}

/// Decodes, and sees that an error has something to say, and that memory stayed within its bound.
fn survives(format: &BodyFormat, bytes: &[u8]) {
    if let Err(error) = decode(format, bytes) {
        assert!(!error.to_string().is_empty());
    }
    let peak = peak_memory();
    assert!(peak < MOST_MEMORY, "{peak} bytes");
}

/// The most memory that this process had; the tests have a process each.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: usize = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap();
    kib << 10
}

fn csv() -> BodyFormat {
    BodyFormat::Csv(CsvOptions {
        delimiter: None,
        quote: None,
        header: true,
        names: vec![],
        compression: Compression::Auto,
    })
}

fn json() -> BodyFormat {
    BodyFormat::Json(JsonOptions {
        records: "/data".into(),
        values: vec!["/next".into()],
        compression: Compression::Auto,
    })
}

fn ndjson() -> BodyFormat {
    BodyFormat::Ndjson(Compression::Auto)
}

/// A few rows of numbers, texts, lists and structs.
fn batch() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter(
        (0..200).map(|n| (n % 7 != 0).then_some(n)),
    ));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..200).map(|n| format!("text {}", n % 5)),
    ));
    let lists = (0..200).map(|n| Some((0..n % 4).map(Some)));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
    let field = Arc::new(Field::new("inner", DataType::Int64, true));
    let structs: ArrayRef = Arc::new(StructArray::from(vec![(field, numbers.clone())]));
    RecordBatch::try_from_iter([("n", numbers), ("t", texts), ("l", lists), ("s", structs)])
        .unwrap()
}

fn arrow_stream() -> Vec<u8> {
    let batch = batch();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn parquet_file() -> Vec<u8> {
    let batch = batch();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn json_document() -> Vec<u8> {
    let rows = (0..50).map(|n| format!(r#"{{"id": {n}, "at": "2026-01-31T10:00:00Z", "x": [{n}, {{"y": null}}], "t": "\u00e4"}}"#));
    format!(
        r#"{{"data": [{}], "next": "https://a.org/2"}}"#,
        rows.collect::<Vec<_>>().join(",")
    )
    .into_bytes()
}

fn csv_text() -> Vec<u8> {
    let rows = (0..50).map(|n| format!("{n},\"a \"\"b\"\"\n{n}\",2026-01-31,{}.5\n", n % 3));
    format!("id,text,day,number\n{}", rows.collect::<String>()).into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One thing that happens to bytes on their way, or is done to them.
#[derive(Debug, Clone)]
enum Harm {
    Flip(Index, u8),
    Overwrite(Index, u32),
    Cut(Index),
    Remove(Index, u8),
    Repeat(Index, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => any::<(Index, u8)>().prop_map(|(at, with)| Harm::Flip(at, with)),
        2 => any::<(Index, u32)>().prop_map(|(at, with)| Harm::Overwrite(at, with)),
        1 => (any::<Index>(), prop_oneof![Just(u32::MAX), Just(0x7fff_ffff), Just(0)])
            .prop_map(|(at, with)| Harm::Overwrite(at, with)),
        1 => any::<Index>().prop_map(Harm::Cut),
        1 => any::<(Index, u8)>().prop_map(|(at, count)| Harm::Remove(at, count)),
        1 => any::<(Index, u8)>().prop_map(|(at, count)| Harm::Repeat(at, count)),
    ]
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match harm {
            Harm::Flip(at, with) => bytes[at.index(length)] ^= with,
            Harm::Overwrite(at, with) => {
                let at = at.index(length);
                let end = (at + 4).min(length);
                bytes[at..end].copy_from_slice(&with.to_le_bytes()[..end - at]);
            }
            Harm::Cut(at) => bytes.truncate(at.index(length)),
            Harm::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + usize::from(*count)).min(length));
            }
            Harm::Repeat(at, count) => {
                let at = at.index(length);
                let piece = bytes[at..(at + usize::from(*count)).min(length)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn harms() -> impl Strategy<Value = Vec<Harm>> {
    proptest::collection::vec(harm(), 1..6)
}

#[test]
fn what_is_harmed_below_is_whole_before() {
    for (format, bytes, rows) in [
        (csv(), csv_text(), 50),
        (csv(), gzip(&csv_text()), 50),
        (json(), json_document(), 50),
        (BodyFormat::Arrow, arrow_stream(), 200),
        (BodyFormat::Parquet, parquet_file(), 200),
    ] {
        assert_eq!(decode(&format, &bytes).unwrap().rows, rows, "{format:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_at_all_break_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for format in [csv(), json(), ndjson(), BodyFormat::Parquet, BodyFormat::Arrow] {
            survives(&format, &bytes);
        }
    }

    #[test]
    fn no_text_breaks_a_decoder(text in "[\\[\\]{}\",:0-9a-z\\\\\n -]{0,200}") {
        for format in [csv(), json(), ndjson()] {
            survives(&format, text.as_bytes());
        }
    }

    #[test]
    fn harmed_csv_breaks_nothing(harms in harms()) {
        survives(&csv(), &harmed(csv_text(), &harms));
        survives(&csv(), &harmed(gzip(&csv_text()), &harms));
    }

    #[test]
    fn harmed_json_breaks_nothing(harms in harms()) {
        let bytes = harmed(json_document(), &harms);
        survives(&json(), &bytes);
        survives(&ndjson(), &bytes);
    }

    #[test]
    fn a_harmed_arrow_stream_breaks_nothing(harms in harms()) {
        survives(&BodyFormat::Arrow, &harmed(arrow_stream(), &harms));
    }

    #[test]
    fn a_harmed_parquet_file_breaks_nothing(harms in harms()) {
        survives(&BodyFormat::Parquet, &harmed(parquet_file(), &harms));
    }

    /// The directory is a twentieth of the file and all of its trust.
    #[test]
    fn a_parquet_file_with_a_harmed_directory_breaks_nothing(harms in harms()) {
        let mut file = parquet_file();
        let tail = file.len() - 8;
        let length = u32::from_le_bytes(file[tail..tail + 4].try_into().unwrap()) as usize;
        let directory = file.split_off(tail - length);
        let (directory, end) = directory.split_at(length);
        let directory = harmed(directory.to_vec(), &harms);
        let length = u32::try_from(directory.len()).unwrap();
        file.extend(directory);
        file.extend(length.to_le_bytes());
        file.extend(&end[4..]);
        survives(&BodyFormat::Parquet, &file);
    }
}
