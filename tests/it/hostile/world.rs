//! The source that does wrong, the neighbour that must not notice, and what is looked at after each misdeed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use integration_tests::internet::Gate;
use integration_tests::{App, Internet, component, files, outcome, until, wasm};
use serde_json::{Value, json};

use crate::shop::count;

/// Hosts that the source is granted, of which none may be reached: their addresses are not public.
const INNER: [&str; 5] = [
    "http://169.254.169.254",
    "http://10.0.0.1",
    "http://127.0.0.1:9",
    "http://localhost:9",
    "http://192.168.1.1:8080",
];

/// One misdeed and how it must end.
pub(super) struct Case {
    what: &'static str,
    order: Value,
    ends: &'static str,
    operation: &'static str,
}

impl Case {
    /// A misdeed in `sync`, and how the words begin with which it ends.
    pub(super) fn new(what: &'static str, order: Value, ends: &'static str) -> Self {
        Self {
            what,
            order,
            ends,
            operation: "sync",
        }
    }

    /// The same in another operation.
    pub(super) fn of(mut self, operation: &'static str) -> Self {
        self.operation = operation;
        self
    }
}

pub(super) struct World {
    pub(super) app: App,
    pub(super) internet: Internet,
    gate: Gate,
    extract: Files,
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

impl World {
    /// A server on which the sources `prey` and `neighbour` have published.
    #[track_caller]
    pub(super) fn start() -> Self {
        let (app, internet) = (App::start(), Internet::start());
        app.install("files");
        app.install_bytes(&fixtures());
        let gate = internet.gated("/neighbour.csv", "text/csv", "id\n1\n", "2\n");
        let inner = internet.exception();
        let table = files::csv("neighbour", &internet.url("/neighbour.csv"));
        app.add_source("neighbour", "files", &files::settings([table]), &[&inner]);
        let settings = json!({"behaviour": "obeys", "url": internet.url("/order")});
        app.add_source("prey", "fixtures", &settings, &[&inner]);
        let mut world = Self {
            app,
            internet,
            gate,
            extract: Files::new(),
        };
        let rows = json!({"behaviour": "rows", "rows": 10});
        assert_eq!(world.obeys("sync", &rows), "succeeded");
        world.extract = world.published();
        world
    }

    /// Has the source do what an order says, and tells how that ended.
    #[track_caller]
    pub(super) fn obeys(&self, operation: &str, order: &Value) -> String {
        let order = order.to_string();
        self.internet.page("/order", "application/json", order);
        let run = self.app.start_as("prey", &json!({"operation": operation}));
        let run = self.app.wait(&run);
        self.internet.named(&outcome(&run))
    }

    /// Goes through cases; what ended otherwise than expected is told for all of them at once.
    #[track_caller]
    pub(super) fn suffers(&self, cases: &[Case]) {
        let mut wrong = Vec::new();
        let neighbour = self.neighbour();
        for case in cases {
            let told = self.obeys(case.operation, &case.order);
            self.is_well_after(case.what);
            if !told.starts_with(case.ends) {
                wrong.push(format!(
                    "{}:\n  {told}\n  instead of {}",
                    case.what, case.ends
                ));
            }
        }
        self.lets_go(&neighbour);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Starts a run of the neighbour, which goes on until it is let go.
    #[track_caller]
    pub(super) fn neighbour(&self) -> String {
        let run = self.app.start("neighbour");
        self.internet.wait_for("/neighbour.csv", 1);
        run
    }

    /// Lets the neighbour's run come to its end, and sees that nothing of what happened meanwhile disturbed it.
    #[track_caller]
    pub(super) fn lets_go(&self, neighbour: &str) {
        self.gate.let_one_through();
        let run = self.app.wait(neighbour);
        assert_eq!(outcome(&run), "succeeded");
        assert_eq!(run["counts"]["rows"], 2);
        until("no runner is left", || self.app.runners().is_empty());
    }

    /// Sees that the server is well, that what was published is untouched, and that only the neighbour's runner runs.
    #[track_caller]
    pub(super) fn is_well_after(&self, what: &str) {
        assert_eq!(self.app.get("/api/health").ok()["status"], "ok", "{what}");
        let untouched = self.published() == self.extract;
        assert!(untouched, "{what} changed what was published");
        let rows = self.app.rows("SELECT count(*) FROM rows");
        assert_eq!(rows, count(10), "{what}");
        until(&format!("the runner of {what} is gone"), || {
            self.app.runners().len() == 1
        });
    }

    /// Every file of the source's extract with its bytes.
    pub(super) fn published(&self) -> Files {
        let mut files = Files::new();
        read_into(&self.app.data.join("extracts/prey"), &mut files);
        files
    }

    /// The address of a body that is served as it is.
    pub(super) fn serves(&self, path: &str, body: impl Into<Vec<u8>>) -> String {
        self.internet.page(path, "application/octet-stream", body);
        self.internet.url(path)
    }
}

/// The fixtures with narrow limits, and with egress to addresses that nobody reaches.
fn fixtures() -> Vec<u8> {
    let fixtures = std::fs::read(component("fixtures")).unwrap();
    wasm::with_manifest(&fixtures, |manifest| {
        manifest["limits"] = json!({
            "memory_bytes": 64 << 20, "wall_seconds": 3, "cpu_seconds": 30, "bytes_in": 64 << 20,
            "rows": 100_000, "requests": 40, "log_bytes": 10_000,
        });
        let own = ["{settings.url}"];
        manifest["egress"] = own.iter().chain(&INNER).copied().collect();
    })
}

fn read_into(folder: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_into(&path, files);
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}
