//! Components that were built when a version of the connector interface was released stay loadable, and
//! stay harmless: the sandbox holds against every version that the host speaks.

use std::path::PathBuf;

use integration_tests::{App, Internet, outcome, until, wasm};
use serde_json::{Value, json};

use crate::tidy::{files, root};

/// The fixtures as they were built for a version. Never built again: an author's old binary is not either.
fn released() -> Vec<(String, PathBuf)> {
    let found = files(&["tests/data"], ".wasm").into_iter();
    let named = found.map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let version = name.strip_prefix("fixtures-v").expect("its version");
        (version.to_owned(), path)
    });
    named.collect()
}

/// Each released version, with a server that has its fixtures with these limits.
fn each(limits: &Value, mut test: impl FnMut(&App)) {
    for (_, path) in released() {
        let app = App::start();
        let bytes = std::fs::read(path).unwrap();
        app.install_bytes(&wasm::with_manifest(&bytes, |manifest| {
            manifest["limits"] = limits.clone();
        }));
        test(&app);
        assert_eq!(app.get("/api/health").ok()["status"], "ok");
        until("the runner is gone", || app.runners().is_empty());
    }
}

fn behave(app: &App, source: &str, settings: &Value, private: &[&str]) -> String {
    app.add_source(source, "fixtures", settings, private);
    outcome(&app.run(source))
}

#[test]
fn every_version_of_the_interface_has_its_component() {
    let folders = std::fs::read_dir(root().join("wit")).unwrap();
    let mut versions: Vec<_> = folders
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            name.strip_prefix('v').map(str::to_owned)
        })
        .collect();
    versions.sort();
    let components: Vec<_> = released().into_iter().map(|(version, _)| version).collect();
    assert_eq!(components, versions);
}

#[test]
fn a_component_of_every_version_checks_discovers_syncs_and_goes_on_from_its_cursor() {
    each(&json!({}), |app| {
        let settings = json!({"behaviour": "resumes", "rows": 3});
        app.add_source("shop", "fixtures", &settings, &[]);
        for operation in ["check", "discover", "sync", "sync"] {
            let run = app.start_as("shop", &json!({ "operation": operation }));
            assert_eq!(outcome(&app.wait(&run)), "succeeded", "{operation}");
        }
        let rows = app.rows("SELECT count(*), max(id) FROM rows");
        assert_eq!(rows, json!([[6, 5]]));
    });
}

#[test]
fn the_walls_hold_against_every_version() {
    let internet = Internet::start();
    internet.page("/secret", "text/plain", "a secret");
    let limits =
        json!({"memory_bytes": 33_554_432, "wall_seconds": 5, "rows": 10_000, "log_bytes": 10_000});
    each(&limits, |app| {
        let behaves = |behaviour: &str, kind: &str| {
            let told = behave(app, behaviour, &json!({"behaviour": behaviour}), &[]);
            assert!(
                told.starts_with(&format!("failed ({kind})")),
                "{behaviour}: {told}"
            );
        };
        behaves("loops_forever", "limit");
        behaves("eats_memory", "limit");
        behaves("endless_rows", "limit");
        behaves("floods_log", "limit");
        behaves("panics", "bug");
        behaves("stack_overflow", "bug");
        behaves("lies_about_table", "bug");
        behaves("out_of_order", "bug");
        // Granted by its manifest, and an inner address all the same.
        let settings = json!({"behaviour": "dials", "url": internet.url("/secret")});
        let told = behave(app, "dials", &settings, &[]);
        assert!(told.contains("not globally routable"), "{told}");
        let metadata = json!({"behaviour": "dials", "url": "http://169.254.169.254/latest/"});
        let told = behave(app, "metadata", &metadata, &[]);
        assert!(told.contains("not globally routable"), "{told}");
        assert!(internet.seen().is_empty());
        assert_eq!(app.get("/api/catalog/tables").ok()["count"], 0);
    });
}
