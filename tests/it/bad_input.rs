//! What people do wrong: each time one clear error that says what to do, and nothing is harmed.

use std::path::Path;
use std::process::{Command, Output};

use integration_tests::app::serve;
use integration_tests::{App, Options, files, outcome, shown, sluice};
use serde_json::{Value, json};

use crate::shop::{Shop, count};

/// What a command says that must not work, with the folder called `DATA`.
#[track_caller]
fn told(command: &mut Command, data: &Path) -> String {
    let output: Output = command.output().expect("sluice starts");
    assert!(!output.status.success());
    shown(&output).replace(data.to_str().unwrap(), "DATA")
}

#[test]
fn wrong_flags() {
    let here = Path::new("/nowhere");
    insta::assert_snapshot!(told(sluice().arg("swim"), here), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'swim'

    Usage: sluice <COMMAND>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(told(sluice().args(["serve", "--sink"]), here), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: unexpected argument '--sink' found

    Usage: sluice serve [OPTIONS]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(told(sluice().args(["serve", "--data-dir", "/nowhere", "--listen", "here"]), here), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: invalid value 'here' for '--listen <ADDR:PORT>': invalid socket address syntax

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(told(sluice().args(["query"]), here), @r"
    exit status: 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      <SQL>

    Usage: sluice query <SQL>

    For more information, try '--help'.
    ");
}

#[test]
fn a_port_in_use() {
    let first = App::start();
    let address = first.url.strip_prefix("http://").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut second = sluice();
    second
        .args(["serve", "--listen", address, "--data-dir"])
        .arg(dir.path());
    insta::assert_snapshot!(told(&mut second, dir.path()).replace(address, "ADDRESS"), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: cannot listen on ADDRESS: Address already in use (os error 98)
    hint: stop what listens there, or choose another port with --listen 127.0.0.1:8001, or a free one with port 0
    ");
}

#[test]
fn a_data_folder_that_cannot_be_written_to() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("data");
    insta::assert_snapshot!(told(&mut serve(&below, &Options::default()), file.path()), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: cannot write to the data folder `DATA/data`: Not a directory (os error 20)
    hint: create it and let this user write there, or choose another with --data-dir
    ");
    insta::assert_snapshot!(told(&mut serve(file.path(), &Options::default()), file.path()), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: cannot write to the data folder `DATA`: File exists (os error 17)
    hint: create it and let this user write there, or choose another with --data-dir
    ");
}

#[test]
fn a_second_server_on_the_same_folder() {
    let shop = Shop::with_orders();
    let told = told(&mut serve(&shop.data, &Options::default()), &shop.data);
    insta::assert_snapshot!(told.replace(&shop.pid().to_string(), "PID"), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: the data folder `DATA` is in use by another server (process PID)
    hint: stop that one, or give this one a folder of its own with --data-dir
    ");
    assert_eq!(shop.orders(), count(3));
}

#[test]
fn a_state_file_that_is_damaged() {
    let mut shop = Shop::with_orders();
    shop.app().stop();
    let file = shop.data.join("state/system.duckdb");
    std::fs::write(&file, "this is no database").unwrap();
    insta::assert_snapshot!(told(&mut serve(&shop.data, &Options::default()), &shop.data), @r#"
    exit status: 1
    --- stdout
    --- stderr
    error: the state file `DATA/state/system.duckdb` is damaged: IO Error: The file "DATA/state/system.duckdb" exists, but it is not a valid DuckDB database file!
    hint: stop the server, move the file away, and put back a backup or a copy that a migration left beside it
    "#);
    assert_eq!(
        std::fs::read(&file).unwrap(),
        b"this is no database",
        "it is left as it was"
    );
}

#[test]
fn a_configuration_file_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sluice.yaml");
    let start = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = serve(&dir.path().join("data"), &Options::default());
        told(command.arg("--config").arg(&file), dir.path())
    };
    insta::assert_snapshot!(start("listen: [1, 2"), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: the configuration cannot be used:
    DATA/sluice.yaml:2:1: this is not YAML: while parsing a flow sequence, expected ',' or ']'
    hint: config/instance.yaml.example shows every key with its default; `sluice config check` tells what is wrong without starting anything
    ");
    insta::assert_snapshot!(start("lisen: 127.0.0.1:8000"), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: the configuration cannot be used:
    DATA/sluice.yaml:1:1: there is no key `lisen`; there is `config_version`, `http`, `auth`, `mail`, `storage`, `runs`, `alerts`, `webhooks`, `egress`, `sandbox`, `queries`, `scans`, `downloads`, `uploads`, `clients`, `remote`, `hybrid`, `credentials`, `audit` and `log`
    hint: config/instance.yaml.example shows every key with its default; `sluice config check` tells what is wrong without starting anything
    ");
    std::fs::remove_file(&file).unwrap();
    let mut command = serve(&dir.path().join("data"), &Options::default());
    insta::assert_snapshot!(told(command.arg("--config").arg(&file), dir.path()), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: the configuration `DATA/sluice.yaml` cannot be read: No such file or directory (os error 2)
    hint: config/instance.yaml.example shows every key with its default; `sluice config check` tells what is wrong without starting anything
    ");
}

#[test]
fn an_extract_that_is_damaged_is_served_as_it_was_and_the_others_as_they_are() {
    let mut shop = Shop::with_orders();
    assert_eq!(shop.publish("other", "a\n1\n"), "succeeded");
    shop.app().stop();
    let extract = shop.data.join("extracts/other");
    std::fs::write(extract.join("extract.duckdb"), "this is no database").unwrap();
    shop.app().restart();
    assert_eq!(shop.orders(), count(3));
    let line = shop.line(&["other"]);
    assert!(line.contains("WARN") || line.contains("ERROR"), "{line}");
    assert_eq!(shop.rows("SELECT a FROM other"), json!([[1]]));

    // It may hold cursors, so it is not written over without being asked.
    let told = shop
        .outcome("other")
        .replace(shop.data.to_str().unwrap(), "DATA");
    insta::assert_snapshot!(told, @"failed (limit): the extract of `other` is damaged: cannot open `DATA/extracts/other/extract.duckdb`; put its folder back from a backup, or bring all tables anew with `sluice run other --full-refresh`");
    std::fs::remove_dir_all(&extract).unwrap();
    assert_eq!(shop.outcome("other"), "succeeded");
    assert_eq!(shop.rows("SELECT a FROM other"), json!([[1]]));
}

#[test]
fn a_table_whose_file_is_gone_is_left_out_and_the_others_are_served() {
    let mut shop = Shop::with_orders();
    assert_eq!(shop.publish("other", "a\n1\n"), "succeeded");
    shop.app().stop();
    std::fs::remove_dir_all(shop.data.join("extracts/other/data")).unwrap();
    shop.app().restart();
    assert_eq!(shop.orders(), count(3));
    assert_eq!(shop.query("SELECT * FROM other").status, 400);
    let told = shop.outcome("other");
    assert!(
        told.contains("is damaged") && told.contains("--full-refresh"),
        "{told}"
    );
    assert_eq!(shop.orders(), count(3));
}

#[test]
fn a_folder_beside_the_extracts_that_is_none_is_left_alone() {
    let mut shop = Shop::with_orders();
    shop.app().stop();
    let stray = shop.data.join("extracts/not a source");
    std::fs::create_dir_all(&stray).unwrap();
    std::fs::write(stray.join("extract.duckdb"), "junk").unwrap();
    std::fs::write(shop.data.join("extracts/file"), "junk").unwrap();
    shop.app().restart();
    assert_eq!(shop.orders(), count(3));
    assert!(stray.join("extract.duckdb").exists());
}

/// Adds a source with everything that it asks for granted, as far as that gets.
fn added(app: &App, name: &str, connector: &str, settings: &Value) -> String {
    let plan = json!({"connector": connector, "settings": settings});
    let plan = app.post("/api/sources/plan", &plan);
    let grant = if plan.status == 200 {
        plan.json()["requested"].clone()
    } else {
        json!({})
    };
    let body = json!({"name": name, "connector": connector, "settings": settings, "grant": grant});
    let answer = app.post("/api/sources", &body);
    if answer.status == 201 {
        "201".into()
    } else {
        answer.detail()
    }
}

#[test]
fn settings_that_are_wrong_are_told_by_their_place() {
    let shop = Shop::open();
    let detail = |settings: Value| added(&shop, "s", "files", &settings);
    insta::assert_snapshot!(detail(json!([])), @"422 the settings are not valid: /: settings are a JSON object");
    insta::assert_snapshot!(detail(json!({})), @r#"422 the settings are not valid: /: "tables" is a required property"#);
    insta::assert_snapshot!(detail(json!({"tables": []})), @"422 the settings are not valid: /tables: [] has less than 1 item");
    insta::assert_snapshot!(detail(json!({"tables": [{"name": "a"}]})), @r#"422 the settings are not valid: /tables/0: "format" is a required property; /tables/0: {"name":"a"} is not valid under any of the schemas listed in the 'oneOf' keyword"#);
    let mut table = files::csv("a", "https://example.com/a.csv");
    table["format"] = json!("xml");
    insta::assert_snapshot!(detail(files::settings([table])), @r#"422 the settings are not valid: /tables/0/format: "xml" is not one of "csv", "json" or "ndjson""#);
    insta::assert_snapshot!(detail(files::settings([files::csv("a b", "https://example.com/a.csv")])), @r#"422 the settings are not valid: /tables/0/name: "a b" does not match "^[A-Za-z_][A-Za-z0-9_]{0,63}$""#);
    insta::assert_snapshot!(detail(files::settings([files::csv("a", "file:///etc/passwd")])), @r#"422 the settings are not valid: /tables/0/url: "file:///etc/passwd" does not match "^https?://""#);
    insta::assert_snapshot!(detail(files::settings([files::csv("a", "no url")])), @r#"422 the settings are not valid: /tables/0/url: "no url" does not match "^https?://""#);

    let body = json!({"connector": "files", "settings": {"tables": [{"name": "a"}]}});
    let errors = shop.post("/api/sources/plan", &body).json()["errors"].take();
    assert_eq!(errors[0]["pointer"], "/tables/0", "{errors}");
}

#[test]
fn what_does_not_exist_is_said() {
    let shop = Shop::open();
    let url = shop.internet.url("/orders.csv");
    let settings = files::settings([files::csv("orders", &url)]);
    insta::assert_snapshot!(added(&shop, "s", "salesforce", &settings), @"404 There is no connector `salesforce`; upload one with `sluice connector push`");
    insta::assert_snapshot!(added(&shop, "../s", "files", &settings), @"422 Failed to deserialize the JSON body into the target type: name: `../s` is not a valid source name: use a letter or underscore, then letters, digits and underscores, at most 64 at line 1 column 14");
    assert_eq!(added(&shop, "s", "files", &settings), "201");
    insta::assert_snapshot!(added(&shop, "s", "files", &settings), @"409 there is already a source `s`");
    insta::assert_snapshot!(shop.post("/api/sources/nothing/runs", &json!({})).detail(), @"404 there is no source `nothing`; `sluice source list` shows what there is");
    insta::assert_snapshot!(shop.post("/api/sources/s/runs", &json!({"operation": "dance"})).detail(), @"422 Failed to deserialize the JSON body into the target type: operation: unknown variant `dance`, expected one of `check`, `discover`, `sync`, `receive` at line 1 column 20");
    insta::assert_snapshot!(shop.delete("/api/sources/nothing").detail(), @"404 there is no source `nothing`; `sluice source list` shows what there is");
    let nothing = shop.post("/api/sync/trigger", &json!(["nothing"])).ok();
    assert_eq!(nothing["runs"], json!([]));
}

#[test]
fn a_grant_that_does_not_cover_what_is_asked_for_is_refused_line_by_line() {
    let shop = Shop::open();
    let tables = ["https://a.example.com/a.csv", "https://b.example.com/b.csv"];
    let tables = tables.map(|url| files::csv(&url[8..9], url));
    let settings = files::settings(tables);
    let plan = shop.post(
        "/api/sources/plan",
        &json!({"connector": "files", "settings": settings}),
    );
    let mut grant = plan.ok()["requested"].take();
    grant["egress"].as_array_mut().unwrap().pop();
    let body = json!({"name": "s", "connector": "files", "settings": settings, "grant": grant});
    insta::assert_snapshot!(shop.post("/api/sources", &body).detail(), @"422 the connector asks for more than was granted: egress to b.example.com");
    assert_eq!(shop.get("/api/sources").ok()["sources"], json!([]));
}

#[test]
fn a_host_that_nobody_knows() {
    let shop = Shop::open();
    let url = "https://nobody.invalid/orders.csv";
    shop.add_source(
        "s",
        "files",
        &files::settings([files::csv("orders", url)]),
        &[],
    );
    let run = shop.run("s");
    let told = outcome(&run);
    // What the machine's resolver says about it differs from machine to machine.
    assert_eq!(run["failure"]["kind"], "upstream", "{told}");
    assert!(told.contains("nobody.invalid"), "{told}");
}

#[test]
fn two_sources_with_the_same_table() {
    let shop = Shop::with_orders();
    shop.internet.page("/others.csv", "text/csv", "id\n1\n");
    shop.source(
        "late",
        [files::csv("ORDERS", &shop.internet.url("/others.csv"))],
    );
    assert_eq!(shop.outcome("late"), "succeeded");
    assert_eq!(shop.orders(), count(3), "the first one keeps the name");
    assert_eq!(shop.delete("/api/sources/shop").status, 204);
    assert_eq!(shop.orders(), count(1), "then it is free");
}
