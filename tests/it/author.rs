//! The author's loop: a connector in any language, tried against recordings, without a server.

use std::path::{Path, PathBuf};
use std::process::Output;

use integration_tests::artifacts::sluice_ok;
use integration_tests::wasm::with_manifest;
use integration_tests::{App, Options, component, files, shown, sluice};
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::tidy::root;

fn example(language: &str, file: &str) -> PathBuf {
    root()
        .join("connectors-wasm/examples")
        .join(language)
        .join(file)
}

/// Runs the acceptance suite.
fn tried(component: &Path, recording: &Path) -> Output {
    let mut command = sluice();
    command.args(["connector", "test", "--json"]).arg(component);
    command.arg("--recording").arg(recording).output().unwrap()
}

/// Each check with its result, and its reason.
fn checks(output: &Output) -> Vec<(String, String, String)> {
    let result: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", shown(output)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = result["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            (
                text(&check["name"]),
                text(&check["verdict"]),
                text(&check["reason"]),
            )
        })
        .collect()
}

#[track_caller]
fn assert_accepted(component: &Path, recording: &Path) {
    let output = tried(component, recording);
    let checks = checks(&output);
    assert!(checks.len() >= 13, "{checks:#?}");
    assert!(
        checks.iter().all(|(_, verdict, _)| verdict == "passed"),
        "{checks:#?}"
    );
    assert!(output.status.success(), "{}", shown(&output));
}

#[track_caller]
fn reason(output: &Output, name: &str, verdict: &str) -> String {
    let checks = checks(output);
    let found = checks
        .iter()
        .find(|check| check.0 == name && check.1 == verdict);
    found.unwrap_or_else(|| panic!("{checks:#?}")).2.clone()
}

#[test]
fn the_rust_example_passes_the_acceptance_suite() {
    assert_accepted(
        &component("example-rust"),
        &example("rust", "recording.jsonl"),
    );
}

#[test]
fn the_python_example_passes_the_same_suite() {
    assert_accepted(
        &component("example-python"),
        &example("rust", "recording.jsonl"),
    );
}

#[test]
fn the_javascript_example_passes_the_same_suite() {
    assert_accepted(
        &component("example-javascript"),
        &example("rust", "recording.jsonl"),
    );
}

#[test]
fn a_connector_whose_service_works_in_the_background_passes_it_too() {
    let recording = crate::tidy::root().join("connectors-wasm/keboola/recording.jsonl");
    assert_accepted(&component("keboola"), &recording);
}

#[test]
fn the_rust_example_has_forty_lines_or_fewer() {
    let source = std::fs::read_to_string(example("rust", "src/lib.rs")).unwrap();
    assert!(source.lines().count() <= 40, "{}", source.lines().count());
}

/// The recording of the examples with one text in place of another, in a folder of its own.
fn recording_with(from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let text = std::fs::read_to_string(example("rust", "recording.jsonl")).unwrap();
    assert!(text.contains(from));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.jsonl");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    (folder, path)
}

#[test]
fn a_request_that_was_not_recorded_fails_the_check_that_sent_it() {
    let (_folder, recording) = recording_with("orders?since=2026-01-02", "orders?since=never");
    let output = tried(&component("example-rust"), &recording);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let why = reason(&output, "sync again", "failed");
    assert!(
        why.contains("`GET https://shop.example/api/orders?since=2026-01-02`"),
        "{why}"
    );
    reason(&output, "replay", "passed");
}

#[test]
fn rows_that_the_primary_key_says_are_the_same_are_noticed() {
    // Its second page names the cursor that leads to the first again.
    let (_folder, recording) =
        recording_with(r#""changed_until":"2026-01-02""#, r#""changed_until":"""#);
    let output = tried(&component("example-rust"), &recording);
    let why = reason(&output, "sync again", "failed");
    assert_eq!(why, "table `orders` has more than one row with the key [1]");
}

#[test]
fn settings_that_do_not_fit_fail_the_manifest_and_nothing_else_is_tried() {
    let (_folder, recording) =
        recording_with(r#"{"url":"https://shop.example/api"}"#, r#"{"url":7}"#);
    let output = tried(&component("example-rust"), &recording);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    reason(&output, "manifest", "failed");
    assert_eq!(
        checks(&output)
            .iter()
            .filter(|check| check.1 == "skipped")
            .count(),
        12
    );
}

#[test]
fn the_table_of_passes_is_for_people() {
    let printed = sluice_ok([
        "connector".into(),
        "test".into(),
        component("example-rust"),
        "--recording".into(),
        example("rust", "recording.jsonl"),
    ]);
    insta::assert_snapshot!(printed, @r"
    check         result  why
    ────────────  ──────  ────────────────────────────────────────────────
    manifest      passed  orders-rust 0.1.0, 1 egress rule
    check         passed  1 request sent
    discover      passed  1 table
    sync          passed  3 rows in 1 table
    sync again    passed  cursor honoured, then 5 rows in 1 table
    replay        passed  the same rows from the same answers
    bad settings  passed  failed as `config`
    denied host   passed  failed as `limit`
    one 500       passed  tried again, and all rows came
    only 500s     passed  failed as `upstream`; the extract is intact
    only 429s     passed  failed as `rate-limited`; the extract is intact
    only 401s     passed  failed as `auth`; the extract is intact
    cancelled     passed  stopped at request 2 of 2; the extract is intact
    ");
}

/// Compares two components over the recording of the examples.
fn compared(old: &Path, new: &Path) -> Output {
    let mut command = sluice();
    command
        .args(["connector", "compare", "--json"])
        .arg(old)
        .arg(new);
    command
        .arg("--recording")
        .arg(example("rust", "recording.jsonl"));
    command.output().unwrap()
}

#[test]
fn versions_that_do_the_same_agree_whatever_they_are_written_in() {
    let output = compared(&component("example-rust"), &component("example-javascript"));
    assert!(output.status.success(), "{}", shown(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["runs"][0]["differences"], json!([]), "{result}");
    assert_eq!(result["runs"][0]["new"]["counts"]["rows"], 3, "{result}");
}

#[test]
fn versions_that_do_not_do_the_same_are_told_apart() {
    let old = std::fs::read(component("example-rust")).unwrap();
    let narrower = with_manifest(&old, |manifest| {
        manifest["egress"] = json!(["https://elsewhere.example"]);
    });
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("new.wasm");
    std::fs::write(&new, narrower).unwrap();
    let output = compared(&component("example-rust"), &new);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let differences = result["runs"][0]["differences"].to_string();
    for part in [
        "outcome: succeeded",
        "rows: orders: 3 gone, 0 new",
        "schema: orders.id is gone",
        "cost: ",
    ] {
        assert!(differences.contains(part), "{part}: {differences}");
    }
}

#[test]
fn a_new_connector_is_a_folder_that_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    for language in ["rust", "python", "javascript"] {
        let make = || {
            let mut command = sluice();
            command.current_dir(folder.path());
            command.args([
                "connector",
                "new",
                &format!("my-{language}"),
                "--lang",
                language,
            ]);
            command.output().unwrap()
        };
        let output = make();
        assert!(output.status.success(), "{}", shown(&output));
        let readme = folder.path().join(format!("my-{language}/README.md"));
        assert!(
            std::fs::read_to_string(readme)
                .unwrap()
                .starts_with(&format!("# my-{language}\n"))
        );
        assert_eq!(make().status.code(), Some(1));
    }
}

#[test]
fn a_new_connector_in_python_builds_and_passes_as_it_is() {
    assert_skeleton_works("python");
}

#[test]
fn a_new_connector_in_javascript_builds_and_passes_as_it_is() {
    assert_skeleton_works("javascript");
}

#[test]
fn a_new_connector_in_rust_builds_and_passes_as_it_is() {
    assert_skeleton_works("rust");
}

#[track_caller]
fn assert_skeleton_works(language: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    let built = folder.path().join("mine.wasm");
    let sdk = root().join("connectors-wasm/sdk");
    let mut new = vec!["connector", "new", "mine", "--lang", language];
    new.extend(["--dir", mine.to_str().unwrap()]);
    if language == "rust" {
        new.extend(["--sdk", sdk.to_str().unwrap()]);
    }
    sluice_ok(new);
    if language == "rust" {
        // The versions that this machine has; an author's machine fetches the newest.
        std::fs::copy(root().join("Cargo.lock"), mine.join("Cargo.lock")).unwrap();
    }
    sluice_ok([
        "connector",
        "build",
        mine.to_str().unwrap(),
        "-o",
        built.to_str().unwrap(),
    ]);
    assert_accepted(&built, &mine.join("recording.jsonl"));
}

#[test]
fn a_tool_that_is_missing_is_named_with_the_command_that_installs_it() {
    for (language, variable, command) in [
        (
            "python",
            "SLUICE_COMPONENTIZE_PY",
            "`python3 -m pip install componentize-py==",
        ),
        (
            "javascript",
            "SLUICE_COMPONENTIZE_JS",
            "`npm install --global @bytecodealliance/componentize-js ",
        ),
    ] {
        let mut build = sluice();
        build
            .env(variable, "/nowhere/tool")
            .args(["connector", "build", "-o", "/dev/null"]);
        let output = build.arg(example(language, "")).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains("/nowhere/tool") && told.contains(command),
            "{told}"
        );
    }
}

#[test]
fn a_server_keeps_the_last_recordings_of_a_source_and_versions_are_compared_over_them() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&config, "runs:\n  keep_recordings: 2\n").unwrap();
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--config".into(), config.path().to_str().unwrap().into()],
        ..Options::default()
    }));
    let url = shop.internet.url("/orders.csv");
    shop.source("shop", [files::csv("orders", &url)]);
    for _ in 0..3 {
        assert_eq!(shop.outcome("shop"), "succeeded");
    }
    let kept = std::fs::read_dir(shop.data.join("recordings/shop")).unwrap();
    assert_eq!(kept.count(), 2);

    let compare = |new: &Path| {
        let mut command = sluice();
        command.args(["connector", "compare", "--source", "shop", "--data-dir"]);
        command.arg(&shop.data).arg(component("files")).arg(new);
        command.output().unwrap()
    };
    let same = compare(&component("files"));
    assert!(same.status.success(), "{}", shown(&same));
    let told = String::from_utf8_lossy(&same.stdout).into_owned();
    assert_eq!(
        told.matches("the same, 3 rows by 1 request,").count(),
        2,
        "{told}"
    );
    let other = compare(&component("example-rust"));
    assert_eq!(other.status.code(), Some(1), "{}", shown(&other));
}
