//! The search for canaries finds what was planted, in every form and place; and the master key is changed
//! while it is watched.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use integration_tests::{App, Internet, Leaks, component, files, outcome, sluice, wasm};
use serde_json::json;

const CANARY: &str = "c4nary/Planted+in~every form>?";

/// The value in each form, as something that is not this search would write it.
fn planted() -> Vec<String> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut planted = vec![
        CANARY.to_owned(),
        hex.to_uppercase(),
        hex,
        "c4nary%2FPlanted%2Bin~every%20form%3E%3F".into(),
        CANARY.bytes().map(|byte| format!("%{byte:02x}")).collect(),
    ];
    for before in ["", "u", "us", "user:"] {
        planted.push(STANDARD.encode(format!("{before}{CANARY} and more")));
        planted.push(URL_SAFE_NO_PAD.encode(format!("{before}{CANARY}")));
    }
    planted
}

#[test]
fn the_search_finds_a_planted_leak_in_each_form_and_nothing_else() {
    let leaks = Leaks::default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/er/a.log");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    assert!(
        leaks.search(folder.path(), CANARY).is_empty(),
        "nothing is guarded yet"
    );
    leaks.guard(CANARY);
    std::fs::write(&file, "an ordinary line").unwrap();
    assert_eq!(leaks.search(folder.path(), "as it should be"), [""; 0]);
    for form in planted() {
        let line = format!("before {form} after");
        assert!(
            !leaks.search(folder.path(), &line).is_empty(),
            "printed: {form}"
        );
        std::fs::write(&file, &line).unwrap();
        assert!(
            !leaks.search(folder.path(), "").is_empty(),
            "in a file: {form}"
        );
        std::fs::write(&file, "").unwrap();
    }
}

#[test]
fn the_search_decodes_published_rows_and_reads_answers() {
    let internet = Internet::start();
    internet.page(
        "/orders.csv",
        "text/csv",
        "id,note\n1,c4nary-in-a-row-of-parquet\n",
    );
    let app = App::start();
    app.install("files");
    let settings = files::settings([files::csv("orders", &internet.url("/orders.csv"))]);
    app.add_source("shop", "files", &settings, &[&internet.exception()]);
    assert_eq!(outcome(&app.run("shop")), "succeeded");
    let leaks = Leaks::default();
    leaks.guard("c4nary-in-a-row-of-parquet");
    let found = leaks.search(&app.data, "").join("\n");
    assert!(
        found.contains(".parquet, decoded, holds a credential, as it is"),
        "{found}"
    );
    let client = (*app).clone().watched_by(&leaks);
    client.rows("SELECT note FROM orders");
    let found = leaks.search(&app.data, "").join("\n");
    assert!(
        found.contains("the answer to /api/query holds a credential"),
        "{found}"
    );
}

#[test]
fn the_search_reads_what_a_database_compresses() {
    const FILL: &str = "import duckdb, sys
database = duckdb.connect(sys.argv[1])
database.execute('CREATE TABLE notes AS SELECT ? || (i % 500) AS note FROM range(100000) AS r(i)', [sys.argv[2]])";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.duckdb");
    let python = crate::tidy::root().join(".tools/py/bin/python");
    let mut fill = std::process::Command::new(python);
    fill.args(["-c", FILL]).arg(&file).arg(CANARY);
    assert!(fill.status().unwrap().success());
    let leaks = Leaks::default();
    leaks.guard(CANARY);
    let found = leaks.search(folder.path(), "").join("\n");
    assert!(
        found.contains("a.duckdb, decoded, holds a credential, as it is"),
        "{found}"
    );
    std::fs::write(&file, "no database").unwrap();
    let found = leaks.search(folder.path(), "").join("\n");
    assert!(found.contains("a.duckdb could not be searched"), "{found}");
}

/// A server with a credential that its runs need.
fn with_credential(internet: &Internet) -> App {
    internet.handle("/orders.csv", |seen| {
        use axum::response::IntoResponse as _;
        match seen.header("authorization") {
            Some("Bearer c4nary-under-the-key") => "id\n1\n".into_response(),
            _ => axum::http::StatusCode::FORBIDDEN.into_response(),
        }
    });
    let app = App::start();
    let files = std::fs::read(component("files")).unwrap();
    let slot = json!([{"name": "token", "title": "A token", "required": true, "scheme": "bearer", "hosts": [internet.url("")]}]);
    app.install_bytes(&wasm::with_manifest(&files, |m| m["credentials"] = slot));
    let settings = files::settings([files::csv("orders", &internet.url("/orders.csv"))]);
    app.add_source("shop", "files", &settings, &[&internet.exception()]);
    let value = json!({"value": "c4nary-under-the-key"});
    assert_eq!(
        app.put("/api/sources/shop/credentials/token", &value)
            .status,
        204
    );
    app
}

#[test]
fn the_master_key_is_changed_while_the_server_serves_and_while_it_is_stopped() {
    let internet = Internet::start();
    let mut app = with_credential(&internet);
    let file = app.data.join("state/master.key");
    let key = || std::fs::read(&file).unwrap();
    let rotate = |app: &App| {
        let mut command = sluice();
        let output = command
            .args(["admin", "rotate-key", "--data-dir"])
            .arg(&app.data)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            printed.contains("1 credential was sealed with it"),
            "{output:?}"
        );
    };
    let first = key();
    rotate(&app);
    assert_eq!(outcome(&app.run("shop")), "succeeded");
    let second = key();
    app.stop();
    rotate(&app);
    let third = key();
    assert!(first != second && second != third && first != third);
    app.restart();
    assert_eq!(outcome(&app.run("shop")), "succeeded");
    assert!(!file.with_file_name("master.key.previous").exists());
}

#[test]
fn a_change_of_the_master_key_may_be_killed_at_any_moment() {
    let internet = Internet::start();
    let mut app = with_credential(&internet);
    app.stop();
    for kill in 0..12_u64 {
        let mut command = sluice();
        command
            .args(["admin", "rotate-key", "--data-dir"])
            .arg(&app.data);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Each one a little later, so that the kills fall on all steps; where they fall exactly does
        // not matter to what must hold.
        std::thread::sleep(Duration::from_millis(kill * 12));
        let _ = child.kill();
        child.wait().unwrap();
    }
    app.restart();
    assert_eq!(outcome(&app.run("shop")), "succeeded");
}
