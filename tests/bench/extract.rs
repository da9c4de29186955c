//! From an address to a published table: a connector in its sandbox, the egress gate, decoding, parquet, publish.

mod copy;
mod guest;
mod memory;
mod merge;
mod movers;

use integration_tests::{App, Internet, Options};
use serde_json::Value;
use tempfile::TempDir;

use crate::Scale;
use crate::report::Report;

const METHOD: &str = "\
The same rows of fourteen mixed columns, as pages of JSON with 1,000 records each and as slices of CSV in gzip with 10,000 lines
each. Ours: from the request that starts the run to its last event, that is a new runner process, the connector in the
sandbox, HTTP from a local web server through the egress gate, decoding, zstd parquet, fsync, atomic publish and rebuilt
views. *DuckDB*: its own `COPY (FROM read_json / read_csv) TO parquet` with zstd from local files on all cores, in Python,
without the start of Python; no HTTP, no fsync, no wall. *dlt*: its `rest_api` source and `filesystem` destination, from the
same web server to parquet. *airbyte-cdk*: a declarative source that reads the same pages and writes nothing; both without
their start. *Native*: the very code that shapes the rows in the component, compiled for this machine, in a process that writes them
with the same warehouse and without walls. A source may send 100 requests a second by default, to spare the service: here
1,000, which is the most. Processor time is that of server and runner (the web server's is not in it, but it shares the
cores); memory is the most that both held at once.";

/// Where the time goes in lines that miss their aims, by sampling (`perf record`) and by the times between the steps of a run.
const MISSED: [&str; 4] = [
    "Every run has a fixed part of about 0.13 s, nearly all of it on one thread: 16 ms until the runner has linked DuckDB's library, which the one \
     binary needs, and has confined itself; 25 ms for the complete new `extract.duckdb`, of which DuckDB's own fsyncs are two thirds; 25 ms for the last \
     row group and its fsync; and five transactions of the state of 3 to 7 ms, each durable before the next step. The rows of Arrow and of the merge \
     miss by less than this part. DuckDB's side and the native ones write no state, and DuckDB's syncs nothing.",
    "JSON against DuckDB: between the fixed parts both processors are busy nine tenths of the time, so what counts is processor time. Of that about a \
     quarter is decoding (serde_json, and copying values), a sixth zstd at its lowest level (libzstd), a sixth the rest of encoding, a fifth the fixed \
     part, 8 % the look at quotes and brackets, 8 % the kernel and HTTP, which a reader of files does without, and 4 % the two hashes that the contract asks \
     for; the web server's share is not in the figure. 1.5 times DuckDB's speed would be 0.35 s for all of it, on two processors that need \
     0.4 s without any pause.",
    "dlt and airbyte-cdk: 30 times their speed would be 0.5 and 1 million rows a second, more than DuckDB copies from files of this machine.",
    "Arrow by a guest: the batches are built in wasm, copied out of the guest's memory and through a socket; the native side does neither.",
];

/// Where everything is measured.
struct Stage {
    app: App,
    internet: Internet,
    folder: TempDir,
}

impl Stage {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("sluice.yaml");
        let text = "config_version: 1\negress:\n  requests_per_second: 1000\n";
        std::fs::write(&config, text).expect("it can be written");
        let app = App::with(Options {
            arguments: vec!["--config".into(), config.display().to_string()],
            ..Options::default()
        });
        app.install("files");
        app.install("workload");
        Self {
            app,
            internet: Internet::start(),
            folder,
        }
    }

    /// A source of the connector that makes its rows itself.
    fn add_workload(&self, name: &str, settings: &Value) {
        self.app.add_source(name, "workload", settings, &[]);
    }
}

/// Measures.
pub fn bench(scale: Scale) -> Report {
    let rows = scale.of(200_000, 20_000);
    let turns = scale.of(9, 2);
    let stage = Stage::open();
    println!("{rows} rows, {turns} turns");
    let (mut lines, mut notes) = copy::bench(&stage, rows, turns);
    let (more, versions) = movers::bench(&stage, rows, scale.of(3, 1));
    lines.extend(more);
    notes.push(versions);
    lines.extend(guest::bench(&stage, rows, turns));
    lines.extend(merge::bench(&stage, scale));
    drop(stage);
    lines.extend(memory::bench(scale));
    notes.extend(MISSED.map(str::to_owned));
    Report {
        name: "extract",
        title: "Extract: from an address to a published table",
        method: METHOD,
        rows: lines,
        notes,
    }
}
