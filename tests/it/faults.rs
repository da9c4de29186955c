//! The machine dies in the middle of a run: the last good extract is there when it comes back.

mod damage;
mod disk;
mod kills;
mod sources;
mod time;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::IntoResponse;
use integration_tests::{files, until};
use serde_json::json;

use crate::shop::Shop;

const KILLS: u64 = 30;

/// The rows of a state, big enough that writing them takes a while.
fn page(state: u64) -> String {
    format!(
        "state,n\n{}",
        (0..20_000)
            .map(|n| format!("{state},{n}\n"))
            .collect::<String>()
    )
}

/// Something that is seen from outside while a run goes on; then the server is killed.
type Moment = (&'static str, fn(&Shop, &Before));

/// What was there when the run began.
struct Before {
    requests: usize,
    extract: Option<u64>,
    files: usize,
    master: Option<u64>,
}

impl Before {
    fn now(shop: &Shop) -> Self {
        Self {
            requests: shop.internet.seen().len(),
            extract: inode(&extract(shop)),
            files: parquet_files(shop),
            master: inode(&shop.data.join("analytics/server.duckdb")),
        }
    }
}

fn extract(shop: &Shop) -> std::path::PathBuf {
    shop.data.join("extracts/shop/extract.duckdb")
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}

fn parquet_files(shop: &Shop) -> usize {
    fn count(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                if entry.path().is_dir() {
                    count(&entry.path())
                } else {
                    1
                }
            })
            .sum()
    }
    count(&shop.data.join("extracts/shop/data"))
}

fn stages(shop: &Shop) -> Vec<String> {
    let entries = std::fs::read_dir(shop.data.join("extracts/shop"))
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

/// Spins until the moment has come, or is over because the run was faster; it is too short to sleep.
fn spin(shop: &Shop, before: &Before, come: impl Fn() -> bool) {
    until("the moment comes", || {
        (0..1_000).any(|_| come() || committed(shop, before))
    });
}

const MOMENTS: &[Moment] = &[
    ("before the runner", |_, _| ()),
    ("the stage is opened", |shop, before| {
        spin(shop, before, || !stages(shop).is_empty());
    }),
    ("the runner runs", |shop, before| {
        spin(shop, before, || !shop.runners().is_empty());
    }),
    ("the first request", |shop, before| {
        spin(shop, before, || {
            shop.internet.seen().len() > before.requests
        });
    }),
    ("the last request", |shop, before| {
        spin(shop, before, || {
            shop.internet.seen().len() > before.requests + 1
        });
    }),
    ("new files", |shop, before| {
        spin(shop, before, || parquet_files(shop) > before.files);
    }),
    ("the commit", |shop, before| spin(shop, before, || false)),
    ("the master views", |shop, before| {
        until("the master views are new", || {
            inode(&shop.data.join("analytics/server.duckdb")) != before.master
        });
    }),
];

fn committed(shop: &Shop, before: &Before) -> bool {
    inode(&extract(shop)) != before.extract
}

#[test]
fn a_server_that_is_killed_thirty_times_has_the_last_good_extract_each_time() {
    let mut shop = Shop::open();
    let state = Arc::new(AtomicU64::new(0));
    for path in ["/a.csv", "/b.csv"] {
        let state = state.clone();
        shop.internet.handle(path, move |_| {
            page(state.load(Ordering::SeqCst)).into_response()
        });
    }
    let tables =
        ["a", "b"].map(|name| files::csv(name, &shop.internet.url(&format!("/{name}.csv"))));
    shop.source("shop", tables);
    assert_eq!(shop.outcome("shop"), "succeeded");
    let mut good = 0;
    let mut committed = 0;

    for kill in 1..=KILLS {
        let (moment, reached) = MOMENTS[kill as usize % MOMENTS.len()];
        state.store(kill, Ordering::SeqCst);
        let before = Before::now(&shop);
        let run = shop.start("shop");
        reached(&shop, &before);
        let orphans = shop.runners();
        shop.app().kill();
        shop.app().restart();

        // One that had not begun goes on.
        shop.wait(&run);
        let now = published(&shop, moment);
        assert!(
            now == good || now == kill,
            "{moment}: {now} is neither {good} nor {kill}"
        );
        committed += u64::from(now == kill);
        good = now;
        assert_eq!(
            stages(&shop),
            Vec::<String>::new(),
            "{moment}: nothing of the run is left"
        );
        let run = shop.get(&format!("/api/runs/{run}")).ok();
        assert!(
            ["interrupted", "succeeded"].contains(&run["state"].as_str().unwrap()),
            "{run}"
        );
        assert!(
            run["state"] == "interrupted" || now == kill,
            "{moment}: {run}"
        );
        until("the old runner is gone", || {
            orphans.iter().all(|pid| !is_runner(*pid))
        });
    }
    assert!(
        (1..KILLS).contains(&committed),
        "{committed}: before and after the commit were met"
    );

    state.store(99, Ordering::SeqCst);
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(published(&shop, "the end"), 99);
}

/// The one state that both tables show, whole.
#[track_caller]
fn published(shop: &Shop, moment: &str) -> u64 {
    let rows = shop.rows(
        "SELECT min(state), max(state), count(*), sum(n) FROM a \
         UNION ALL SELECT min(state), max(state), count(*), sum(n) FROM b",
    );
    let state = rows[0][0].as_u64().expect("a number");
    let whole = json!([state, state, 20_000, 199_990_000]);
    assert_eq!(rows, json!([whole, whole]), "{moment}");
    state
}

/// Whether this process is a runner, and not another one that has come to its number.
fn is_runner(pid: u32) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.windows(6).any(|part| part == b"runner")
}
