//! The command line, as a newcomer meets it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use integration_tests::{App, Internet, component, files, shown, sluice, without_digests};

use crate::shop::{ORDERS, Shop};

/// Runs a command that must work; what it printed on the standard output.
#[track_caller]
fn works(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail with code 1; what it said.
#[track_caller]
fn fails(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert_eq!(output.stdout, b"", "errors go to the standard error");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn from_nothing_to_an_answer() {
    let app = App::start();
    let internet = Internet::start();
    internet.page("/orders.csv", "text/csv", ORDERS);
    let dir = tempfile::tempdir().unwrap();
    let signed = dir.path().join("files.wasm");
    std::fs::write(&signed, app.key.sign(&component("files"))).unwrap();
    let settings = files::settings([files::csv("orders", &internet.url("/orders.csv"))]);
    let settings_file = dir.path().join("settings.json");
    std::fs::write(&settings_file, settings.to_string()).unwrap();
    let cli = |arguments: &str| {
        let mut command = app.cli();
        command.args(arguments.split_whitespace());
        command
    };

    insta::assert_snapshot!(
        works(cli("publisher add me --public-key").arg(app.key.public_file())), @"Publisher `me` is trusted. Its connectors may be uploaded now.");
    let push = works(cli("connector push --trust").arg(&signed));
    let named = |text: String| without_digests(&internet.named(&text));
    insta::assert_snapshot!(named(push), @"Connector `files` 0.1.0, signed by `me`, is uploaded and trusted: DIGEST");
    let mut add = cli("source add shop --connector files --yes --allow-private");
    add.arg(internet.exception()).arg("--settings");
    add.arg(format!("@{}", settings_file.display()));
    insta::assert_snapshot!(named(works(&mut add)), @r"
    Source `shop` is added.
    Run it: sluice run shop
    ");
    let run = cli("run shop").output().unwrap();
    assert!(run.status.success(), "{}", shown(&run));
    assert!(!run.stdout.contains(&0x1b), "no colours where nobody looks");
    let updated = app.get("/api/sync/manifest").ok()["tables"]["orders"]["updated"].take();
    let tables = works(&mut cli("tables"));
    let tables = tables.replace(&updated.as_str().unwrap()[..19], "yyyy-mm-ddThh:mm:ss");
    insta::assert_snapshot!(tables, @r"
    name    rows  mode   connector  updated              description
    ──────  ────  ─────  ─────────  ───────────────────  ───────────
    orders  3     local  files      yyyy-mm-ddThh:mm:ss
    ");
    insta::assert_snapshot!(
        works(cli("query").arg("SELECT id, customer, amount FROM orders ORDER BY id")), @r"
    id  customer           amount
    ──  ─────────────────  ──────
    1   Ada                12.5
    2   Grace, née Murray  7.0
    3   two lines          100.25
    ");
    insta::assert_snapshot!(
        works(cli("query --format csv").arg("SELECT id, customer, shipped_at FROM orders ORDER BY id")), @r#"
    id,customer,shipped_at
    1,Ada,2026-02-01 08:00:00
    2,"Grace, née Murray",
    3,"two
    lines",2026-02-03 07:30:00
    "#);
    insta::assert_snapshot!(
        works(cli("query --format json --limit 1").arg("SELECT id, customer FROM orders ORDER BY id")), @r#"
    [
      {
        "id": 1,
        "customer": "Ada"
      }
    ]
    "#);
    let runs = works(&mut cli("runs shop"));
    assert!(
        runs.contains("succeeded") && runs.lines().count() >= 1,
        "{runs}"
    );
    let id = app.get("/api/runs").ok()["runs"][0]["id"].take();
    let log = works(&mut cli(&format!("log {}", id.as_str().unwrap())));
    assert!(log.contains("published `orders`: 3 rows"), "{log}");
    assert!(works(&mut cli("source list")).contains("shop"));
    assert!(works(&mut cli("publisher list")).contains(&app.key.public()));
    works(&mut cli("run shop --check"));
    assert!(works(&mut cli("run shop --discover")).contains("orders"));
    works(&mut cli("source remove shop"));
    assert!(!works(&mut cli("source list")).contains("shop"));
}

#[test]
fn a_failed_run_is_told_and_gives_code_one() {
    let shop = Shop::with_orders();
    shop.internet.status("/orders.csv", 404);
    let told = fails(shop.cli().args(["run", "shop"]));
    let run = shop.get("/api/runs?limit=1").ok()["runs"][0]["id"].take();
    let told = shop
        .internet
        .named(&told)
        .replace(run.as_str().unwrap(), "RUN");
    let error = told.lines().skip_while(|line| !line.starts_with("error:"));
    insta::assert_snapshot!(error.collect::<Vec<_>>().join("\n"), @r"
    error: run RUN failed (config): table `orders`: http://internet/orders.csv answered with status 404
    hint: sluice log RUN
    ");
}

#[test]
fn errors_say_what_to_do() {
    let app = App::start();
    let cli = |arguments: &[&str]| fails(app.cli().args(arguments));
    insta::assert_snapshot!(cli(&["run", "nothing"]), @"error: there is no source `nothing`; `sluice source list` shows what there is");
    insta::assert_snapshot!(cli(&["log", "nothing"]), @"error: Invalid URL: Cannot parse `id` with value `nothing`: UUID parsing failed: invalid character: found `n` at 0");
    insta::assert_snapshot!(cli(&["query", "SELECT * FROM nothing"]), @"error: there is no table `nothing`, or you may not read it");
    insta::assert_snapshot!(cli(&["source", "add", "s", "--connector", "c", "--settings", "{", "--yes"]), @r"
    error: --settings is not JSON: EOF while parsing an object at line 1 column 1
    hint: write --settings '{…}' or --settings @file.json
    ");
    insta::assert_snapshot!(cli(&["source", "add", "s", "--connector", "c", "--settings", "@/nowhere", "--yes"]), @"error: --settings: `/nowhere` cannot be read: No such file or directory (os error 2)");
    insta::assert_snapshot!(cli(&["connector", "push", "/nowhere.wasm"]), @"error: `/nowhere.wasm` cannot be read: No such file or directory (os error 2)");
    insta::assert_snapshot!(cli(&["publisher", "add", "p", "--public-key", "/nowhere.pub"]), @"error: `/nowhere.pub` cannot be read: No such file or directory (os error 2)");

    let mut stranger = app.cli();
    stranger.env("SLUICE_TOKEN", "a.b.c");
    insta::assert_snapshot!(fails(stranger.arg("tables")), @r"
    error: Invalid or expired token
    hint: SLUICE_TOKEN or --token does not hold a token of this server
    ");
    stranger.env_remove("SLUICE_TOKEN");
    insta::assert_snapshot!(fails(&mut stranger), @r"
    error: Missing or invalid Authorization header
    hint: set SLUICE_TOKEN to the token that setting up the server gave you, or pass --token
    ");
    let nobody = ["tables", "--server", "http://127.0.0.1:1", "--token", "x"];
    insta::assert_snapshot!(fails(sluice().args(nobody)), @r"
    error: no server answers at http://127.0.0.1:1
    hint: start one with `sluice serve`, or name it with --server or SLUICE_SERVER
    ");
}

/// Runs a command with this on its standard input.
fn with_input(command: &mut Command, input: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The command may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_grant_is_shown_and_needs_a_yes() {
    let shop = Shop::open();
    let settings = files::settings([files::csv("orders", "https://data.example.com/orders.csv")]);
    let add = || {
        let mut command = shop.cli();
        command.args("source add shop --connector files --settings".split(' '));
        command.arg(settings.to_string());
        command
    };
    let output = with_input(&mut add(), "y\n");
    assert_eq!(output.status.code(), Some(1));
    let told = without_digests(&shown(&output));
    // The numbers are told where they are set.
    let told = told.lines().map(|line| match line.split_once("of a run:") {
        Some((head, _)) => format!("{head}of a run"),
        None => line.to_owned(),
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r"
    exit status: 1
    --- stdout
    --- stderr
    Connector `files`, version DIGEST, asks for:
      • egress to data.example.com
      • credential `api-key` sent to data.example.com
      • limits of a run
    error: nobody is there to grant this
    hint: pass --yes to grant what is asked for
    ");
    assert_eq!(
        shop.get("/api/sources").ok()["sources"],
        serde_json::json!([])
    );
    works(add().arg("--yes"));
}

#[test]
fn a_credential_is_read_from_the_standard_input() {
    let shop = Shop::with_orders();
    let mut command = shop.cli();
    command.args(["source", "credential", "shop", "api-key"]);
    let output = with_input(&mut command, "s3cret\n");
    assert!(output.status.success(), "{}", shown(&output));
    assert!(!shown(&output).contains("s3cret"));
    assert_eq!(shop.outcome("shop"), "succeeded");
    let seen = shop.internet.seen();
    assert_eq!(seen.last().unwrap().header("x-api-key"), Some("s3cret"));
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let app = App::start();
    let dir = tempfile::tempdir().unwrap();
    let well = works(sluice().args(["doctor", "--data-dir"]).arg(dir.path()));
    for word in ["landlock", "system-calls", "DuckDB"] {
        assert!(
            well.to_lowercase().contains(&word.to_lowercase()),
            "{word} is not in {well}"
        );
    }
    works(sluice().args(["doctor", "--health", &app.url]));
    let gone = sluice()
        .args(["doctor", "--health", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(gone.status.code(), Some(1), "{}", shown(&gone));
    let file = tempfile::NamedTempFile::new().unwrap();
    let broken = sluice()
        .args(["doctor", "--data-dir"])
        .arg(file.path())
        .output()
        .unwrap();
    assert_eq!(broken.status.code(), Some(1), "{}", shown(&broken));
}

#[test]
fn help_is_there_for_every_command() {
    let help = works(sluice().arg("--help"));
    assert!(
        !help.contains("runner"),
        "what people do not call is not shown: {help}"
    );
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = commands
        .map_while(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    for expected in [
        "serve",
        "doctor",
        "admin",
        "connector",
        "publisher",
        "source",
        "run",
        "runs",
        "log",
        "query",
        "tables",
    ] {
        assert!(
            commands.contains(&expected),
            "{expected} is not in {commands:?}"
        );
    }
    for command in commands {
        works(sluice().args([command, "--help"]));
    }
    let version = works(sluice().arg("--version"));
    assert_eq!(
        version.trim(),
        format!("sluice {}", env!("CARGO_PKG_VERSION"))
    );
}
