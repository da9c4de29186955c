//! Against DuckDB, which reads the same rows from files of its own machine and copies them to parquet.

use std::path::Path;
use std::time::Instant;

use flate2::{Compression, write::GzEncoder};
use integration_tests::{App, Internet};
use serde_json::{Value, json};

use super::Stage;
use crate::load;
use crate::peer::{self, figure, measure};
use crate::process::{Watch, processor_seconds};
use crate::report::{Aim, Row, number};
use crate::samples::Samples;

/// Records of a page, and times as many lines of a slice.
const PAGE: u64 = 1_000;
const SLICE: u64 = 10_000;

/// One kind of body, measured in turns.
#[derive(Default)]
struct Contest {
    ours: Samples,
    again: Samples,
    ours_processor: Samples,
    peer: Samples,
    peer_processor: Samples,
    peer_memory: Samples,
}

/// JSON in pages and CSV in slices.
pub fn bench(stage: &Stage, rows: u64, turns: usize) -> (Vec<Row>, Vec<String>) {
    let copy = Copy { stage };
    let bytes = copy.prepare(rows);
    let mut contests = [Contest::default(), Contest::default()];
    for turn in 0..=turns {
        for (source, contest) in ["json", "csv"].into_iter().zip(&mut contests) {
            let mut ignored = Contest::default();
            // The first turn warms caches up on both sides.
            copy.turn(source, if turn == 0 { &mut ignored } else { contest });
        }
        println!("DuckDB: turn {turn} of {turns}");
    }
    copy.verify(rows);
    let [json, csv] = contests;
    let mut lines = json.rows("JSON", rows, bytes[0], 1.5, copy.memory("json"));
    lines.extend(csv.rows("CSV", rows, bytes[1], 0.9, copy.memory("csv")));
    let sizes = ["json", "csv"].map(|source| format!("{source}: {}", copy.sizes(source)));
    let sizes = format!("Parquet written, ours and DuckDB's: {}.", sizes.join("; "));
    (lines, vec![sizes])
}

struct Copy<'a> {
    stage: &'a Stage,
}

impl Copy<'_> {
    fn app(&self) -> &App {
        &self.stage.app
    }

    fn folder(&self) -> &Path {
        self.stage.folder.path()
    }

    /// Puts the rows where both sides find them; returns how many bytes the JSON and the compressed CSV have.
    fn prepare(&self, rows: u64) -> [u64; 2] {
        let internet = &self.stage.internet;
        let json_bytes = load::serve_pages(internet, rows, PAGE);
        load::write_arrays(self.folder(), rows, PAGE);
        let (urls, csv_bytes) = self.slices(internet, rows);
        let pages = json!({"name": "orders_json", "url": internet.url("/orders"), "format": "json",
            "records": "/orders", "next": "/next"});
        let slices = json!({"name": "orders_csv", "urls": urls, "format": "csv"});
        for (name, table) in [("json", pages), ("csv", slices)] {
            let settings = json!({ "tables": [table] });
            let exception = internet.exception();
            self.app()
                .add_source(name, "files", &settings, &[&exception]);
        }
        [json_bytes, csv_bytes]
    }

    fn slices(&self, internet: &Internet, rows: u64) -> (Vec<String>, u64) {
        let mut bytes = 0;
        let starts = (0..rows).step_by(SLICE as usize);
        let urls = starts.map(|from| {
            let path = format!("/orders-{from:08}.csv.gz");
            let body = gzip(load::csv(from, rows.min(from + SLICE)).as_bytes());
            std::fs::write(self.folder().join(&path[1..]), &body).expect("the folder takes files");
            bytes += load::serve_body(internet, &path, "application/gzip", body);
            internet.url(&path)
        });
        (urls.collect(), bytes)
    }

    fn turn(&self, source: &str, contest: &mut Contest) {
        let before = processor_seconds(self.app().pid());
        contest.ours.push(self.seconds(source));
        let processor = processor_seconds(self.app().pid()) - before;
        contest.ours_processor.push(processor);
        let peer = measure(&["extract", &self.peer_sql(source)]);
        contest.peer.push(figure(&peer, "seconds"));
        contest.peer_processor.push(figure(&peer, "cpu"));
        contest.peer_memory.push(figure(&peer, "megabytes"));
        contest.again.push(self.seconds(source));
    }

    fn seconds(&self, source: &str) -> f64 {
        let began = Instant::now();
        let run = self.app().run(source);
        assert_eq!(run["state"], "succeeded", "{run}");
        began.elapsed().as_secs_f64()
    }

    fn peer_sql(&self, source: &str) -> String {
        let folder = self.folder().display();
        let rows = match source {
            "json" => format!("read_json('{folder}/*.json', format = 'array')"),
            _ => format!("read_csv('{folder}/*.csv.gz')"),
        };
        format!(
            "COPY (FROM {rows}) TO '{folder}/{source}.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
    }

    /// Both sides must have made the same table.
    fn verify(&self, rows: u64) {
        let probe = "count(*), sum(id), sum(amount)::DECIMAL(18, 2), sum(quantity), count(note), \
                     count(*) FILTER (WHERE paid), max(length(customer)), min(due::DATE), \
                     max(epoch(ordered_at::TIMESTAMP))";
        for source in ["json", "csv"] {
            let query = format!("SELECT {probe} FROM orders_{source}");
            let ours = self.app().rows(&query);
            assert_eq!(ours[0][0], json!(rows));
            let folder = self.folder().join(format!("{source}.parquet"));
            let peer = peer_says(&folder, probe);
            assert_eq!(
                plain(&ours[0]),
                plain(&peer),
                "the two made different tables of {source}"
            );
        }
    }

    /// The most memory that server and runner hold at once in a run.
    fn memory(&self, source: &str) -> Samples {
        let turns = (0..3).map(|_| {
            let watch = Watch::start(self.app().pid());
            self.app().run(source);
            watch.megabytes()
        });
        turns.collect::<Vec<_>>().into()
    }

    fn sizes(&self, source: &str) -> String {
        let tables = self.app().get("/api/sync/manifest").ok();
        let ours = tables["tables"][format!("orders_{source}")]["size_bytes"].as_f64();
        let ours = ours.unwrap_or_default() / 1e6;
        let file = self.folder().join(format!("{source}.parquet"));
        let peer = std::fs::metadata(file).expect("the peer wrote it").len();
        format!("{ours:.1} and {:.1} MB", peer as f64 / 1e6)
    }
}

impl Contest {
    fn rows(self, title: &str, rows: u64, bytes: u64, aim: f64, memory: Samples) -> Vec<Row> {
        let (count, megabytes) = (rows as f64, bytes as f64 / 1e6);
        let a_second = |of: &Samples, amount: f64| of.map(|s| amount / s);
        let row = |work: String, [ours, peer]: [Samples; 2], unit, aim| Row {
            work,
            ours,
            peer: Some(peer),
            unit,
            aim,
        };
        let sides = [&self.ours, &self.peer];
        let processors = [&self.ours_processor, &self.peer_processor];
        vec![
            row(
                format!(
                    "{} rows of {title}, {megabytes:.0} MB; peer: DuckDB",
                    number(count)
                ),
                sides.map(|s| a_second(s, count)),
                "rows/s",
                Aim::TimesPeer(aim),
            ),
            row(
                format!("{title}: the same side twice"),
                [&self.ours, &self.again].map(|s| a_second(s, count)),
                "rows/s",
                Aim::Nothing,
            ),
            row(
                format!("{title}: the same in bytes; peer: DuckDB"),
                sides.map(|s| a_second(s, megabytes)),
                "MB/s",
                Aim::Nothing,
            ),
            row(
                format!("{title}: rows a second of processor time; peer: DuckDB"),
                processors.map(|s| a_second(s, count)),
                "rows/s",
                if title == "JSON" {
                    Aim::TimesPeer(1.0)
                } else {
                    Aim::Nothing
                },
            ),
            row(
                format!("{title}: peak memory; peer: DuckDB"),
                [memory, self.peer_memory],
                "MB",
                Aim::Nothing,
            ),
        ]
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn peer_says(file: &Path, probe: &str) -> Value {
    let code = "import duckdb, json, sys\n\
                print(json.dumps([str(v) for v in duckdb.sql(sys.argv[1]).fetchone()]))";
    let sql = format!("SELECT {probe} FROM '{}'", file.display());
    let output = peer::python(&["-c", code, &sql]).output();
    let output = output.expect("the peer starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("the peer cannot read: {errors}"))
}

/// The values of a row as text, numbers without a fraction of nothing.
fn plain(row: &Value) -> Vec<String> {
    let values = row.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    values
        .iter()
        .map(|v| text(v).trim_end_matches(".0").to_owned())
        .collect()
}
