//! What a stage does not take.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::format::{BodyFormat, Compression};
use domain::ports::{Cursors, Extracts as _};
use domain::{FailureKind, RunId, WriteMode};

use super::{open, source, spec, table};

#[test]
fn a_body_with_more_rows_than_the_limit_is_not_read_to_its_end() {
    let (_folder, warehouse) = open();
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    stage
        .open_table(&spec("orders", WriteMode::Replace))
        .unwrap();
    stage.limit_rows(10);
    let read = Arc::new(AtomicU64::new(0));
    let body = Box::new(Ones(Arc::clone(&read)).take(1 << 30));
    let format = BodyFormat::Ndjson(Compression::None);
    let failure = stage
        .append_body(&table("orders"), &format, body)
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.message.contains("`rows` of 10"), "{failure}");
    assert!(read.load(Ordering::Relaxed) < 1 << 24);
}

#[test]
fn more_bytes_than_the_limit_are_not_published() {
    let (_folder, warehouse) = open();
    let shop = source("shop");
    let mut stage = warehouse.extracts.stage(&shop, RunId::generate()).unwrap();
    stage
        .open_table(&spec("orders", WriteMode::Replace))
        .unwrap();
    stage.limit_bytes(100);
    stage
        .append_json(&table("orders"), br#"[{"id": 1}]"#)
        .unwrap();
    let failure = stage.publish(&Cursors::new()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.message.contains("`bytes_out` of 100"), "{failure}");
    drop(stage);
    assert!(warehouse.extracts.cursors(&shop).unwrap().is_empty());
    assert!(
        !warehouse
            .paths
            .extract(&shop)
            .join("extract.duckdb")
            .exists()
    );
}

/// Rows without an end, and how many bytes of them were read.
struct Ones(Arc<AtomicU64>);

impl Read for Ones {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let row = b"{\"id\":1}\n";
        let count = buffer.len() / row.len() * row.len();
        for place in buffer[..count].chunks_exact_mut(row.len()) {
            place.copy_from_slice(row);
        }
        self.0.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
