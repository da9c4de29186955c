//! Bodies and records that no decoder can take.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::world::{Case, World};

fn body(kind: &str, url: &str) -> Value {
    json!({"behaviour": "appends_body", "kind": kind, "url": url})
}

fn bytes(kind: &str, url: &str) -> Value {
    json!({"behaviour": "appends_bytes", "kind": kind, "url": url})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn nested(depth: usize) -> String {
    format!("[{{\"id\": {}{}}}]", "[".repeat(depth), "]".repeat(depth))
}

/// A message of an Arrow stream that says that it is 2 GiB long.
fn claims_2_gib() -> Vec<u8> {
    [
        u32::MAX.to_le_bytes(),
        0x7fff_fff0_u32.to_le_bytes(),
        [7; 4],
    ]
    .concat()
}

/// A parquet file whose directory says that it is larger than the file.
fn lying_parquet() -> Vec<u8> {
    [b"PAR1", &[7; 64][..], &u32::MAX.to_le_bytes(), b"PAR1"].concat()
}

/// The parquet file that the source published, changed.
fn own_parquet(world: &World, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let files = world.published();
    let is_parquet = |path: &std::path::Path| path.extension().is_some_and(|e| e == "parquet");
    let (_, whole) = files
        .iter()
        .find(|(path, _)| is_parquet(path))
        .expect("it published a table");
    let mut changed = whole.clone();
    change(&mut changed);
    changed
}

#[test]
fn columnar_bodies_that_lie_are_refused() {
    let world = World::start();
    let garbage = world.serves("/garbage", b"this is neither".repeat(100));
    let empty = world.serves("/empty", "");
    let claims = world.serves("/claims", claims_2_gib());
    let lying = world.serves("/lying", lying_parquet());
    let cut = world.serves(
        "/cut",
        own_parquet(&world, |file| file.truncate(file.len() / 2)),
    );
    let flipped = own_parquet(&world, |file| {
        let middle = file.len() / 2;
        file.iter_mut()
            .skip(middle)
            .take(64)
            .for_each(|byte| *byte ^= 0xff);
    });
    let flipped = world.serves("/flipped", flipped);
    let arrow = "failed (upstream): table `rows`, not a valid Arrow IPC stream";
    let parquet = "failed (upstream): table `rows`, not a valid parquet file";
    world.suffers(&[
        Case::new("an Arrow body of garbage", body("arrow", &garbage), arrow),
        Case::new("an Arrow body of nothing", body("arrow", &empty), arrow),
        Case::new(
            "an Arrow message that claims 2 GiB",
            body("arrow", &claims),
            arrow,
        ),
        Case::new(
            "Arrow records of garbage",
            bytes("arrow", &garbage),
            "failed (bug): table `rows`, not a valid Arrow IPC stream",
        ),
        Case::new(
            "a parquet body of garbage",
            body("parquet", &garbage),
            parquet,
        ),
        Case::new(
            "a parquet body of nothing",
            body("parquet", &empty),
            parquet,
        ),
        Case::new(
            "a parquet directory that lies",
            body("parquet", &lying),
            parquet,
        ),
        Case::new("half a parquet file", body("parquet", &cut), parquet),
        Case::new(
            "a parquet file with flipped bits",
            body("parquet", &flipped),
            "failed (upstream): table `rows`",
        ),
    ]);
}

#[test]
fn bombs_and_endless_texts_are_cut() {
    let world = World::start();
    // A member of 1 MiB a thousand times: 1 GiB of one field.
    let bomb = world.serves("/bomb.gz", gzip(&vec![b'x'; 1 << 20]).repeat(1_024));
    let encoded = gzip(&vec![b'x'; 96 << 20]);
    world.internet.handle("/encoded", move |_| {
        use axum::response::IntoResponse;
        ([("content-encoding", "gzip")], encoded.clone()).into_response()
    });
    let encoded = world.internet.url("/encoded");
    for (path, head) in [
        ("/field", "id\n"),
        ("/quoted", "id\n\""),
        ("/line", "{\"id\": \""),
    ] {
        world
            .internet
            .endless(path, "text/plain", head, "abcdefghijklmnop");
    }
    let [field, quoted, line] = ["/field", "/quoted", "/line"].map(|path| world.internet.url(path));
    let deep = world.serves("/deep", nested(100_000));
    let no_text = world.serves("/no-text", b"id,name\n1,\xff\xfe\n");
    let too_large = "failed (limit): table `rows`: a CSV field is larger than 32 MiB";
    world.suffers(&[
        Case::new("a gzip bomb", body("gzip", &bomb), too_large),
        Case::new(
            "a gzip bomb as parquet",
            body("parquet", &bomb),
            "failed (upstream): table `rows`, not a valid parquet file",
        ),
        Case::new(
            "a gzip bomb as content encoding",
            body("ndjson", &encoded),
            "failed (limit): ",
        ),
        Case::new("a CSV field without an end", body("csv", &field), too_large),
        Case::new(
            "a quoted CSV field without an end",
            body("csv", &quoted),
            too_large,
        ),
        Case::new(
            "an NDJSON line without an end",
            body("ndjson", &line),
            "failed (limit): ",
        ),
        Case::new(
            "a JSON document without an end",
            body("json", &line),
            "failed (limit): ",
        ),
        Case::new(
            "JSON nested 100,000 deep",
            body("json", &deep),
            "failed (upstream): table `rows`, row 1: not valid JSON: recursion limit exceeded",
        ),
        Case::new(
            "NDJSON nested 100,000 deep",
            body("ndjson", &deep),
            "failed (upstream): table `rows`, row 1: not valid JSON",
        ),
        Case::new(
            "records nested 100,000 deep",
            bytes("json", &deep),
            "failed (bug): table `rows`, row 1: not valid JSON: recursion limit exceeded",
        ),
        Case::new(
            "CSV that is no text",
            body("csv", &no_text),
            "failed (upstream): table `rows`, row 1: `\u{fffd}\u{fffd}` is not UTF-8",
        ),
    ]);
}
