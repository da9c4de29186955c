//! From an address to a published table: a connector in its sandbox, the egress gate, decoding, parquet, publish.

use std::path::Path;
use std::time::Instant;

use integration_tests::{App, Internet, Options};
use serde_json::{Value, json};

use crate::Scale;
use crate::load;
use crate::peer::{figure, measure};
use crate::process::{Watch, processor_seconds};
use crate::report::{Aim, Report, Row, number};
use crate::samples::Samples;

const PAGE: u64 = 1_000;

const METHOD: &str = "\
The same rows of fourteen mixed columns, as pages of JSON with 1,000 records each and as one CSV file. Ours: from the request
that starts the run to its last event, that is a new runner process, the connector in the sandbox, HTTP from a local web
server through the egress gate, decoding, zstd parquet, fsync, atomic publish and rebuilt views. Peer: DuckDB's own
`COPY (FROM read_json / read_csv) TO parquet` with zstd from local files on all cores, in Python, without the start of
Python; no HTTP, no fsync, no wall. A source may send 100 requests a second by default, to spare the service: here 1,000,
which is the most. Processor time is that of server and runner (the web server's is not in it, but it
shares the cores); memory is the most that both held at once.";

/// One kind of body, measured in turns.
#[derive(Default)]
struct Contest {
    ours: Samples,
    ours_processor: Samples,
    peer: Samples,
    peer_processor: Samples,
    peer_memory: Samples,
}

/// Everything that a turn needs.
struct Bench {
    app: App,
    folder: tempfile::TempDir,
}

/// Measures.
pub fn bench(scale: Scale) -> Report {
    let rows = scale.of(200_000, 20_000);
    let turns = scale.of(9, 2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("sluice.yaml");
    std::fs::write(
        &config,
        "config_version: 1\negress:\n  requests_per_second: 1000\n",
    )
    .expect("it can be written");
    let app = App::with(Options {
        arguments: vec!["--config".into(), config.display().to_string()],
        ..Options::default()
    });
    app.install("files");
    let internet = Internet::start();
    let bench = Bench { app, folder };
    println!("{rows} rows, {turns} turns");
    let bytes = bench.prepare(&internet, rows);
    let mut contests = [Contest::default(), Contest::default()];
    for turn in 0..=turns {
        for (source, contest) in ["json", "csv"].into_iter().zip(&mut contests) {
            let mut ignored = Contest::default();
            // The first turn warms caches up on both sides.
            bench.turn(source, if turn == 0 { &mut ignored } else { contest });
        }
        println!("turn {turn} of {turns}");
    }
    bench.verify(rows);
    bench.report(rows, bytes, contests)
}

impl Bench {
    /// Puts the rows where both sides find them; returns how many bytes the JSON and the CSV have.
    fn prepare(&self, internet: &Internet, rows: u64) -> [u64; 2] {
        let json_bytes = load::serve_pages(internet, rows, PAGE);
        load::write_arrays(self.folder.path(), rows, PAGE);
        let csv = load::csv(0, rows);
        std::fs::write(self.folder.path().join("orders.csv"), &csv)
            .expect("the folder takes files");
        let csv_bytes = load::serve_body(internet, "/orders.csv", "text/csv", csv);
        let exception = internet.exception();
        for (name, table) in [
            (
                "json",
                json!({"url": internet.url("/orders"), "format": "json", "records": "/orders", "next": "/next"}),
            ),
            (
                "csv",
                json!({"url": internet.url("/orders.csv"), "format": "csv"}),
            ),
        ] {
            let mut table = table;
            table["name"] = json!(format!("orders_{name}"));
            let settings = json!({ "tables": [table] });
            self.app.add_source(name, "files", &settings, &[&exception]);
        }
        [json_bytes, csv_bytes]
    }

    fn turn(&self, source: &str, contest: &mut Contest) {
        let before = processor_seconds(self.app.pid());
        let began = Instant::now();
        let run = self.app.run(source);
        contest.ours.push(began.elapsed().as_secs_f64());
        contest
            .ours_processor
            .push(processor_seconds(self.app.pid()) - before);
        assert_eq!(run["state"], "succeeded", "{run}");
        let peer = measure(&["extract", &self.peer_sql(source)]);
        contest.peer.push(figure(&peer, "seconds"));
        contest.peer_processor.push(figure(&peer, "cpu"));
        contest.peer_memory.push(figure(&peer, "megabytes"));
    }

    fn peer_sql(&self, source: &str) -> String {
        let folder = self.folder.path().display();
        let rows = match source {
            "json" => format!("read_json('{folder}/*.json', format = 'array')"),
            _ => format!("read_csv('{folder}/orders.csv')"),
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
            let ours = self
                .app
                .rows(&format!("SELECT {probe} FROM orders_{source}"));
            assert_eq!(ours[0][0], json!(rows));
            let folder = self.folder.path().join(format!("{source}.parquet"));
            let peer = self.peer_says(&folder, probe);
            assert_eq!(
                plain(&ours[0]),
                plain(&peer),
                "the two made different tables of {source}"
            );
        }
    }

    fn peer_says(&self, file: &Path, probe: &str) -> Value {
        let code = "import duckdb, json, sys\n\
                    print(json.dumps([str(v) for v in duckdb.sql(sys.argv[1]).fetchone()]))";
        let sql = format!("SELECT {probe} FROM '{}'", file.display());
        let output = crate::peer::python(&["-c", code, &sql])
            .output()
            .expect("the peer starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("the peer cannot read: {errors}"))
    }

    /// The most memory that server and runner hold at once in a run.
    fn memory(&self, source: &str) -> Samples {
        let turns = (0..3).map(|_| {
            let watch = Watch::start(self.app.pid());
            self.app.run(source);
            watch.megabytes()
        });
        turns.collect::<Vec<_>>().into()
    }

    fn report(&self, rows: u64, bytes: [u64; 2], contests: [Contest; 2]) -> Report {
        let [json, csv] = contests;
        let [json_bytes, csv_bytes] = bytes;
        let mut lines = json.rows("JSON", rows, json_bytes, self.memory("json"));
        lines.extend(csv.rows("CSV", rows, csv_bytes, self.memory("csv")));
        let sizes = ["json", "csv"].map(|source| format!("{source}: {}", self.sizes(source)));
        let sizes = sizes.join("; ");
        Report {
            name: "extract",
            title: "Extract: from an address to a published table",
            method: METHOD,
            rows: lines,
            notes: vec![
                "1.0 × DuckDB's reader is the aim of a later release, not of this one.".into(),
                format!("Parquet written, ours and the peer's: {sizes}."),
            ],
        }
    }

    fn sizes(&self, source: &str) -> String {
        let tables = self.app.get("/api/sync/manifest").ok();
        let ours = tables["tables"][format!("orders_{source}")]["size_bytes"].as_f64();
        let ours = ours.unwrap_or_default() / 1e6;
        let file = self.folder.path().join(format!("{source}.parquet"));
        let peer = std::fs::metadata(file).expect("the peer wrote it").len();
        format!("{ours:.1} and {:.1} MB", peer as f64 / 1e6)
    }
}

impl Contest {
    fn rows(self, title: &str, rows: u64, bytes: u64, memory: Samples) -> Vec<Row> {
        let row = |work: String, ours, peer, unit, aim| Row {
            work,
            ours,
            peer: Some(peer),
            unit,
            aim,
        };
        let (count, megabytes) = (rows as f64, bytes as f64 / 1e6);
        let speeds = |amount: f64| [&self.ours, &self.peer].map(|s| s.map(|s| amount / s));
        let [ours, peer] = speeds(count);
        let work = format!("{} rows of {title}, {megabytes:.0} MB", number(count));
        let mut lines = vec![row(work, ours, peer, "rows/s", Aim::TimesPeer(1.0))];
        let [ours, peer] = speeds(megabytes);
        for (work, ours, peer, unit) in [
            ("the same in bytes", ours, peer, "MB/s"),
            (
                "processor time",
                self.ours_processor,
                self.peer_processor,
                "s",
            ),
            ("peak memory", memory, self.peer_memory, "MB"),
        ] {
            lines.push(row(
                format!("{title}: {work}"),
                ours,
                peer,
                unit,
                Aim::Nothing,
            ));
        }
        lines
    }
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
