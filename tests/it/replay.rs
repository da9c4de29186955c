//! A recorded run is replayed with the random numbers and the clock that it had.

use std::path::PathBuf;

use integration_tests::artifacts::sluice_ok;
use integration_tests::wasm::with_manifest;
use integration_tests::{App, outcome, until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A connector whose every row is otherwise each time.
const APP: &str = r#"
import secrets
import time

import sluice

DRAWN = sluice.TableSpec("drawn")


class Chance(sluice.Connector):
    def check(self):
        pass

    def discover(self):
        return [DRAWN]

    def sync(self, tables):
        rows = [{"token": secrets.token_hex(16), "at": int(time.time() * 1000)} for _ in range(3)]
        sluice.Table(DRAWN).append(rows)


Pull = sluice.export(Chance)
"#;

/// The folder that it is built in, and the component.
fn chance() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = json!({
        "wit": "0.1.0", "name": "chance", "version": "1.0.0", "title": "Chance", "description": "",
        "worlds": ["source"], "settings": {"type": "object"}, "egress": []
    });
    std::fs::write(folder.path().join("app.py"), APP).unwrap();
    std::fs::write(folder.path().join("connector.json"), manifest.to_string()).unwrap();
    let built = folder.path().join("chance.wasm");
    sluice_ok([
        "connector".as_ref(),
        "build".as_ref(),
        folder.path().as_os_str(),
        "-o".as_ref(),
        built.as_os_str(),
    ]);
    (folder, built)
}

/// How another version differs from the source's over its recording, as the server finds, which has compiled both.
#[track_caller]
fn differences(app: &App, new: &str) -> Vec<String> {
    let comparisons = "/api/sources/dice/comparisons";
    let asked = app.post(comparisons, &json!({"new": new}));
    assert_eq!(asked.status, 202);
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    let mut compared = Value::Null;
    until("the versions are compared", || {
        compared = app.get(&format!("{comparisons}/{id}")).ok();
        compared["state"] != "running"
    });
    assert_eq!(compared["failure"], Value::Null, "{compared}");
    let lines = compared["runs"][0]["differences"].as_array().unwrap();
    let lines = lines.iter().map(|line| line.as_str().unwrap().to_owned());
    lines.collect()
}

#[test]
fn a_replay_has_the_random_numbers_of_the_recorded_run_and_a_clock_that_begins_with_it() {
    let (_folder, built) = chance();
    let component = std::fs::read(&built).unwrap();
    let app = App::start();
    let version = app.install_bytes(&component);
    app.add_source("dice", "chance", &json!({}), &[]);
    app.put("/api/sources/dice/policy", &json!({"recordings": 1}))
        .ok();
    assert_eq!(outcome(&app.run("dice")), "succeeded");
    let published = app.rows("SELECT token FROM drawn ORDER BY token");
    assert_eq!(
        differences(&app, &version),
        [""; 0],
        "each replay is the same"
    );

    // One that does not get through shows the rows of the other.
    let none = with_manifest(&component, |manifest| {
        manifest["version"] = json!("2.0.0");
        manifest["limits"] = json!({"rows": 1});
    });
    let lines = differences(&app, &app.install_bytes(&none)).join("\n");
    let mut recordings = std::fs::read_dir(app.data.join("recordings/dice")).unwrap();
    let recording = recordings.next().unwrap().unwrap().path();
    for row in published.as_array().unwrap() {
        assert!(lines.contains(row[0].as_str().unwrap()), "{row}: {lines}");
    }
    let text = std::fs::read_to_string(&recording).unwrap();
    let head: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let began = head["recorded_at"].as_str().unwrap().trim_end_matches('Z');
    let began = app.rows(&format!("SELECT epoch_ms(TIMESTAMP '{began}')"))[0][0].as_u64();
    let began = began.unwrap();
    let (_, at) = lines.split_once("\"at\":").unwrap();
    let digits = at
        .split(|sign: char| !sign.is_ascii_digit())
        .next()
        .unwrap();
    let at: u64 = digits.parse().unwrap();
    // Each look is a millisecond later; Python looks a few times before the connector does.
    assert!((began..began + 1_000).contains(&at), "{began}: {lines}");
}
