//! The life of a connector's versions: listed, upgraded, rolled back with their cursors, revoked, collected.

use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration_tests::{App, Internet, component, outcome, shown, sluice, wasm, without_digests};
use serde_json::{Value, json};

use crate::shop::count;

/// A server with source `shop`, which reads three more rows at each run, at version 1 of its connector.
struct Stage {
    app: App,
    first: String,
}

/// Installs a version of the fixtures with another manifest.
#[track_caller]
pub(crate) fn install(app: &App, version: &str, change: impl FnOnce(&mut Value)) -> String {
    let fixtures = std::fs::read(component("fixtures")).unwrap();
    app.install_bytes(&wasm::with_manifest(&fixtures, |manifest| {
        manifest["version"] = json!(version);
        change(manifest);
    }))
}

impl Stage {
    #[track_caller]
    fn set() -> Self {
        let app = App::start();
        let first = install(&app, "1.0.0", |_| {});
        let settings = json!({"behaviour": "resumes", "rows": 3});
        app.add_source("shop", "fixtures", &settings, &[]);
        Self { app, first }
    }

    #[track_caller]
    fn run(&self) -> Value {
        assert_eq!(outcome(&self.app.run("shop")), "succeeded");
        self.rows()
    }

    #[track_caller]
    fn rows(&self) -> Value {
        let sql = "SELECT count(*), count(DISTINCT id) FROM rows";
        self.app.rows(sql)[0].take()
    }

    #[track_caller]
    fn version(&self) -> String {
        let source = self.app.get("/api/sources/shop").ok();
        source["version"].as_str().unwrap().to_owned()
    }

    /// The audit's actions about sources and versions since the source was added, with how they ended.
    #[track_caller]
    fn audit(&self) -> Vec<String> {
        let mut command = sluice();
        command.args(["admin", "audit", "export", "--data-dir"]);
        let export = command.arg(&self.app.data).output().unwrap();
        let text = String::from_utf8(export.stdout).unwrap();
        let entries = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let told = entries.map(|entry| {
            let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", word("action"), word("result"))
        });
        told.skip_while(|entry| entry != "source.create ok")
            .skip(1)
            .collect()
    }

    #[track_caller]
    fn cli(&self, words: &str) -> Output {
        self.app.cli().args(words.split(' ')).output().unwrap()
    }

    /// What a command prints that works.
    #[track_caller]
    fn says(&self, words: &str) -> String {
        let output = self.cli(words);
        assert!(output.status.success(), "{}", shown(&output));
        without_digests(&String::from_utf8(output.stdout).unwrap())
    }
}

#[test]
fn a_rollback_brings_back_the_version_and_the_cursors_that_it_had() {
    let stage = Stage::set();
    let app = &stage.app;
    assert_eq!(stage.run(), json!([3, 3]));
    let second = install(app, "2.0.0", |_| {});
    let moved = app.post("/api/sources/shop/upgrade", &json!({})).ok();
    assert_eq!(
        (&moved["state"], &moved["version"]),
        (&json!("done"), &json!(second))
    );
    assert_eq!(stage.run(), json!([6, 6]));
    let pins = app.get("/api/sources/shop/pins").ok();
    assert_eq!(pins["pins"][0]["version"], stage.first.as_str());

    let back = app.post("/api/sources/shop/rollback", &json!({})).ok();
    assert_eq!(back["version"], stage.first.as_str());
    assert_eq!(back["rows_removed"], json!({"rows": 3}));
    assert_eq!(stage.version(), stage.first);
    assert_eq!(stage.rows(), json!([3, 3]));
    // From the cursor of before: no row is missing, none is there twice.
    assert_eq!(stage.run(), json!([6, 6]));
    let again = app.post("/api/sources/shop/rollback", &json!({})).detail();
    insta::assert_snapshot!(again, @"409 Source `shop` has left no version to which it could go back");
    let ended = [
        "source.upgrade ok",
        "source.rollback begun",
        "source.rollback ok",
    ];
    let audit = stage.audit();
    let moves: Vec<_> = audit.iter().filter(|e| e.starts_with("source.")).collect();
    assert_eq!(moves, ended.each_ref());
}

#[test]
fn a_source_that_runs_is_not_moved_and_one_goes_nowhere_twice() {
    let stage = Stage::set();
    let app = &stage.app;
    let internet = Internet::start();
    internet.held("/held", "text/plain", "it begins");
    let settings = json!({"behaviour": "slow_rows", "url": internet.url("/held")});
    app.add_source("slow", "fixtures", &settings, &[&internet.exception()]);
    let run = app.start("slow");
    internet.wait_for("/held", 1);
    install(app, "2.0.0", |_| {});
    let upgrade = |source: &str| {
        let answer = app.post(&format!("/api/sources/{source}/upgrade"), &json!({}));
        without_digests(&answer.detail().replace(&run, "RUN"))
    };
    insta::assert_snapshot!(upgrade("slow"), @"409 source `slow` is running already, as run RUN");
    app.post(&format!("/api/runs/{run}/cancel"), &json!({}))
        .ok();
    app.wait(&run);
    app.post("/api/sources/slow/upgrade", &json!({})).ok();
    insta::assert_snapshot!(upgrade("slow"), @"409 Source `slow` is at version DIGEST already");
    insta::assert_snapshot!(upgrade("nothing"), @"404 there is no source `nothing`; `sluice source list` shows what there is");
}

#[test]
fn settings_that_do_not_fit_a_version_keep_the_source_where_it_is() {
    let stage = Stage::set();
    install(&stage.app, "2.0.0", |m| {
        m["settings"]["properties"]["rows"]["maximum"] = json!(2);
    });
    let answer = stage.app.post("/api/sources/shop/upgrade", &json!({}));
    assert_eq!(answer.json()["errors"][0]["pointer"], "/rows");
    assert_eq!((answer.status, stage.version()), (422, stage.first.clone()));
    assert_eq!(stage.run(), json!([3, 3]));
}

#[test]
fn a_disabled_source_does_not_run_and_keeps_what_it_published() {
    let stage = Stage::set();
    stage.run();
    insta::assert_snapshot!(stage.says("source disable shop"), @"Source `shop` does not run until it is enabled. What it published stays.");
    let run = stage.app.post("/api/sources/shop/runs", &json!({}));
    insta::assert_snapshot!(run.detail(), @"409 source `shop` is disabled");
    assert_eq!(stage.rows(), json!([3, 3]));
    assert!(stage.says("source list").contains("disabled"));
    insta::assert_snapshot!(stage.says("source enable shop"), @"Source `shop` may run.");
    assert_eq!(stage.run(), json!([6, 6]));
    let mut audit = stage.audit();
    audit.retain(|entry| entry.starts_with("source."));
    assert_eq!(audit, ["source.disable ok", "source.enable ok"]);
}

#[test]
fn a_revoked_version_is_no_way_up_and_no_way_back() {
    let stage = Stage::set();
    let app = &stage.app;
    let second = install(app, "2.0.0", |_| {});
    stage.says("source upgrade shop");
    let told = stage.says(&format!("connector revoke {}", &stage.first[..8]));
    insta::assert_snapshot!(told, @"Connector `fixtures` 1.0.0 (DIGEST) is trusted no more: no further run of it starts.");
    let back = app.post("/api/sources/shop/rollback", &json!({})).detail();
    insta::assert_snapshot!(without_digests(&back), @"409 version DIGEST of connector `fixtures` is not trusted; an admin must trust it first");
    let to = json!({"digest": stage.first});
    let up = app.post("/api/sources/shop/upgrade", &to);
    assert_eq!((up.status, stage.version()), (409, second));
    stage.says(&format!("connector trust {}", stage.first));
    insta::assert_snapshot!(stage.says("source rollback shop"), @"Source `shop` is back at version DIGEST, with the cursors that it had.");
}

#[test]
fn versions_are_listed_with_what_each_changed() {
    let stage = Stage::set();
    install(&stage.app, "1.1.0", |m| {
        m["egress"] = json!(["{settings.url}", "api.example.com"]);
        m["limits"] = json!({"rows": 7});
        m["settings"]["properties"]["stack"] = json!({"type": "string"});
    });
    let listed = stage.says("connector versions fixtures");
    let (_, changes) = listed.split_once("\n\n").unwrap();
    insta::assert_snapshot!(changes, @r"
    Connector `fixtures` 1.1.0 (DIGEST) since DIGEST:
      + egress to api.example.com
      ~ the limit rows: 2000000000 → 7
      + settings/properties/stack
    ");
    let versions = stage.app.get("/api/connectors?name=fixtures").ok();
    let versions = versions["connectors"].as_array().unwrap().clone();
    assert_eq!(versions[0]["previous"], stage.first.as_str());
    assert_eq!(versions[1]["previous"], Value::Null);
    assert_eq!(versions[0]["publisher"], "tests");
    let none = stage.app.get("/api/connectors?name=nothing").ok();
    assert_eq!(none["connectors"], json!([]));
}

#[test]
fn a_collection_takes_the_versions_that_no_source_needs() {
    let stage = Stage::set();
    let app = &stage.app;
    let idle = install(app, "1.5.0", |_| {});
    install(app, "2.0.0", |_| {});
    stage.says("source upgrade shop");
    insta::assert_snapshot!(stage.says("connector gc"), @"0 versions, 0 B: removed");
    let shown = stage.says("connector gc --older-than 0 --dry-run");
    let (named, sum) = shown.trim_end().split_once('\n').unwrap();
    insta::assert_snapshot!(named, @"Connector `fixtures` 1.5.0 (DIGEST)");
    assert!(sum.ends_with("would be removed"), "{sum}");
    let file = app.data.join(format!("connectors/{idle}.wasm"));
    assert!(file.exists());
    stage.says("connector gc --older-than 0");
    assert!(!file.exists());
    assert_eq!(app.get(&format!("/api/connectors/{idle}")).status, 404);
    assert!(stage.audit().contains(&"connector.collect ok".to_owned()));
    // What the source can go back to is there.
    stage.says("source rollback shop");
    assert_eq!(stage.run(), json!([3, 3]));
    assert_eq!(app.rows("SELECT count(*) FROM rows"), count(3));
}

#[test]
fn a_publisher_hands_over_the_key_as_openssh_writes_it() {
    let app = App::start();
    let digits = app.key.public();
    let bytes = (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap());
    let key: Vec<u8> = bytes.collect();
    let line = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), &key].concat();
    let line = format!("ssh-ed25519 {} ada@example", STANDARD.encode(line));
    let mut add = app.cli();
    add.args(["publisher", "add", "ada", "--key", &line]);
    let output = add.output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let known = app.get("/api/publishers").ok();
    assert_eq!(known["publishers"][0]["public_key"], digits.as_str());
    let signed = app.key.sign(&component("fixtures"));
    assert_eq!(app.upload(&signed).ok()["publisher"], "ada");
}
