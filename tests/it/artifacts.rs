//! What a connector's file is, who may sign it, and what is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration_tests::{App, Key, component, outcome, shown, sluice, wasm, without_digests};
use serde_json::json;

use crate::shop::{Shop, count};

fn connector(arguments: &[&str]) -> Output {
    sluice().arg("connector").args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file in a folder of its own.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("connector.wasm");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn files_component() -> Vec<u8> {
    std::fs::read(component("files")).unwrap()
}

/// What `verify` says about these bytes and a public key.
fn verified(bytes: &[u8], key: &str) -> String {
    let (_dir, path) = file(bytes);
    let told = shown(&connector(&["verify", text(&path), "--public-key", key]));
    without_digests(&told.replace(text(&path), "FILE").replace(key, "KEY"))
}

#[test]
fn the_same_source_gives_the_same_bytes_wherever_it_lies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Always the same place, so that the compiler's cache does not grow.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("elsewhere");
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir_all(&copy).unwrap();
    for part in [
        "Cargo.toml",
        "Cargo.lock",
        "connectors-wasm",
        "runtime",
        "tests",
        "wit",
    ] {
        let copied = Command::new("cp")
            .arg("-r")
            .arg(root.join(part))
            .arg(&copy)
            .status();
        assert!(copied.unwrap().success());
    }
    let out = copy.join("files.wasm");
    let built = connector(&[
        "build",
        text(&copy.join("connectors-wasm/files")),
        "-o",
        text(&out),
    ]);
    assert!(built.status.success(), "{}", shown(&built));
    let (ours, theirs) = (files_component(), std::fs::read(&out).unwrap());
    assert!(ours == theirs, "{} and {} bytes", ours.len(), theirs.len());
}

#[test]
fn a_signature_is_deterministic_and_leaves_the_rest_as_it_is() {
    let key = Key::generate();
    let unsigned = files_component();
    let signed = key.sign_bytes(&unsigned);
    assert_eq!(signed, key.sign_bytes(&unsigned));
    assert!(
        signed
            .windows(100)
            .any(|part| part == &unsigned[1000..1100])
    );
    assert_ne!(signed, Key::generate().sign_bytes(&unsigned));
}

#[test]
fn inspect_shows_what_a_connector_asks_for_without_running_it() {
    let told = connector(&["inspect", text(&component("files"))]);
    assert!(told.status.success(), "{}", shown(&told));
    // Its digest and size change with every change of its code.
    let told = String::from_utf8(told.stdout).unwrap();
    let lines = told
        .lines()
        .filter(|line| !line.starts_with("digest") && !line.starts_with("size"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    name        files
    version     0.1.0
    title       Files
    description CSV, JSON and NDJSON files from web addresses. Each address, or list of addresses, is a table; JSON pages are followed to the last one.
    signed      no
    worlds      source
    interface   0.1.0
    egress      {settings.tables.*.url}, {settings.tables.*.urls.*}
    credentials api-key
    imports     sluice:connector/types@0.1.0, sluice:connector/http@0.1.0, sluice:connector/tables@0.1.0, sluice:connector/run@0.1.0
    exports     sluice:connector/pull@0.1.0
    ");

    let json = connector(&["inspect", text(&component("files")), "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["manifest"]["name"], "files");
}

#[test]
fn verify_tells_signed_from_unsigned_tampered_and_foreign() {
    let (key, other) = (Key::generate(), Key::generate());
    let signed = key.sign_bytes(&files_component());
    insta::assert_snapshot!(verified(&signed, &key.public()), @r"
    exit status: 0
    --- stdout
    FILE  signed by KEY
    --- stderr
    ");
    insta::assert_snapshot!(verified(&signed, text(&key.public_file())), @r"
    exit status: 0
    --- stdout
    FILE  signed by DIGEST
    --- stderr
    ");
    insta::assert_snapshot!(verified(&signed, &other.public()), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: the component was signed by a key that is not trusted here: have an admin add its publisher
    ");
    insta::assert_snapshot!(verified(&files_component(), &key.public()), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: the component is not signed: sign it with `sluice connector sign`
    ");
    insta::assert_snapshot!(verified(&tampered(&signed), &key.public()), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: the component was changed after `publisher` signed it, or its signature is forged
    ");
    insta::assert_snapshot!(verified(b"no component", &key.public()), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: this is not a WebAssembly component: build one with `sluice connector build`
    ");
    insta::assert_snapshot!(verified(&signed, "abc"), @r"
    exit status: 1
    --- stdout
    --- stderr
    error: `KEY` cannot be read: No such file or directory (os error 2)
    ");
}

/// One bit in the middle is another.
fn tampered(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[test]
fn the_secret_half_of_a_key_is_for_its_owner_alone_and_not_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let key = Key::generate();
    let mode = std::fs::metadata(key.secret())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(key.secret()).unwrap();
    let again = connector(&["keygen", "-o", text(&key.secret())]);
    assert_eq!(again.status.code(), Some(1));
    let told = shown(&again).replace(text(&key.secret()), "KEY");
    insta::assert_snapshot!(told, @r"
    exit status: 1
    --- stdout
    --- stderr
    error: `KEY` cannot be written: File exists (os error 17)
    hint: keys are never overwritten; choose another name, in a folder that exists
    ");
    assert_eq!(std::fs::read(key.secret()).unwrap(), before);
}

#[test]
fn an_upload_that_is_not_what_it_should_be_is_refused() {
    let app = App::start();
    app.trust_publisher();
    let unsigned = files_component();
    let signed = app.key.sign_bytes(&unsigned);
    let detail = |bytes: &[u8]| app.upload(bytes).detail();

    insta::assert_snapshot!(detail(b""), @"400 this is not a WebAssembly component: build one with `sluice connector build`");
    insta::assert_snapshot!(detail(b"no component at all"), @"400 this is not a WebAssembly component: build one with `sluice connector build`");
    insta::assert_snapshot!(detail(b"\0asm\x01\0\0\0"), @"400 this is a WebAssembly core module, not a component: build it with `sluice connector build`");
    insta::assert_snapshot!(detail(&unsigned), @"400 the component is not signed: sign it with `sluice connector sign`");
    insta::assert_snapshot!(detail(&tampered(&signed)), @"400 the component was changed after `tests` signed it, or its signature is forged");
    let cut = detail(&signed[..signed.len() - 1000]);
    insta::assert_snapshot!(cut.split(" at byte").next().unwrap(), @"400 the component is cut off or damaged");
    insta::assert_snapshot!(detail(&Key::generate().sign_bytes(&unsigned)), @"400 the component was signed by a key that is not trusted here: have an admin add its publisher");
    assert_eq!(app.get("/api/connectors").ok()["connectors"], json!([]));
    let kept = std::fs::read_dir(app.data.join("connectors"))
        .into_iter()
        .flatten()
        .flatten();
    assert_eq!(
        kept.filter(|entry| entry.path().is_file()).count(),
        0,
        "nothing of it is kept"
    );
}

#[test]
fn a_manifest_that_breaks_a_rule_is_refused() {
    let app = App::start();
    app.trust_publisher();
    let detail = |change: &dyn Fn(&mut serde_json::Value)| {
        let changed = wasm::with_manifest(&files_component(), change);
        app.upload(&app.key.sign_by_hand(&changed)).detail()
    };
    insta::assert_snapshot!(detail(&|m| m["wit"] = json!("9.9.9")), @"400 the component was built for version 9.9.9 of the connector interface; this host speaks 0.1.0");
    insta::assert_snapshot!(detail(&|m| m["name"] = json!("../files")), @"400 the manifest is malformed: `../files` is not a valid connector name: use a lower-case letter, then lower-case letters, digits and hyphens, at most 64 at line 1 column 32");
    insta::assert_snapshot!(detail(&|m| m["wish"] = json!(1)), @"400 the manifest is malformed: unknown field `wish`, expected one of `wit`, `name`, `version`, `title`, `description`, `worlds`, `settings`, `credentials`, `egress`, `webhook`, `remote_extensions`, `schedule`, `tables`, `limits` at line 1 column 2952");
}

#[test]
fn a_manifest_of_which_no_source_could_be_made_is_refused_with_the_place() {
    let app = App::start();
    app.trust_publisher();
    let detail = |change: &dyn Fn(&mut serde_json::Value)| {
        let changed = wasm::with_manifest(&files_component(), change);
        app.upload(&app.key.sign_by_hand(&changed)).detail()
    };
    insta::assert_snapshot!(detail(&|m| m["egress"] = json!(["a.org", "*"])), @"400 the manifest's `egress` is wrong: at /egress/1, `*` is not an egress rule: a wildcard stands only at the start, and queries, user names and escapes are not part of a rule; write a host such as `api.example.com`, `*.example.com` or `http://host:8080/path/`");
    insta::assert_snapshot!(detail(&|m| m["egress"] = json!(["{settings.tables"])), @"400 the manifest's `egress` is wrong: at /egress/0, a brace of `{settings.tables` is not closed");
    insta::assert_snapshot!(detail(&|m| m["credentials"][0]["hosts"] = json!(["ftp://a.org"])), @"400 the manifest's `credentials` is wrong: at /credentials/0/hosts/0, `ftp://a.org` is not an egress rule: the scheme is neither https nor http; write a host such as `api.example.com`, `*.example.com` or `http://host:8080/path/`");
    insta::assert_snapshot!(detail(&|m| m["settings"]["properties"]["tables"]["type"] = json!("nonsense")), @r#"400 the manifest's schema of the settings is broken: at /settings/properties/tables/type, "nonsense" is not valid under any of the schemas listed in the 'anyOf' keyword"#);
    insta::assert_snapshot!(detail(&|m| m["webhook"] = json!("nothing")), @"400 the manifest's `webhook` is wrong: `nothing` is none of the slots in /credentials");
    assert_eq!(app.get("/api/connectors").ok()["connectors"], json!([]));
}

#[test]
fn a_component_for_another_interface_is_refused() {
    let app = App::start();
    app.trust_publisher();
    // Our own tools refuse to sign this.
    let (from, to) = (b"@0.1.0", b"@9.9.9");
    let mut foreign = files_component();
    let mut found = 0;
    for start in 0..foreign.len() - from.len() {
        if &foreign[start..start + from.len()] == from {
            foreign[start..start + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    insta::assert_snapshot!(app.upload(&app.key.sign_by_hand(&foreign)).detail(), @"400 the component was built for version 9.9.9 of the connector interface; this host speaks 0.1.0");
}

#[test]
fn the_same_upload_again_is_the_same_version() {
    let app = App::start();
    let digest = app.install("files");
    let again = app.upload(&app.key.sign_bytes(&files_component()));
    assert_eq!(again.json()["digest"], digest.as_str(), "{}", again.json());
    assert_eq!(
        app.get("/api/connectors").ok()["connectors"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let view = app.get(&format!("/api/connectors/{digest}")).ok();
    assert_eq!(view["publisher"], "tests");
    assert_eq!(view["trusted"], true);
}

#[test]
fn a_version_runs_only_while_it_is_trusted() {
    let shop = Shop::with_orders();
    let digest = shop.get("/api/sources/shop").ok()["version"].take();
    let digest = digest.as_str().unwrap();
    let named = |text: String| without_digests(&text);

    let revoked = shop.delete(&format!("/api/connectors/{digest}/trust")).ok();
    assert_eq!(revoked["trusted"], false);
    let run = shop.post("/api/sources/shop/runs", &json!({}));
    insta::assert_snapshot!(named(run.detail()), @"409 version DIGEST of connector `files` is not trusted; an admin must trust it first");
    let plan = shop.post(
        "/api/sources/plan",
        &json!({"connector": "files", "settings": {"tables": []}}),
    );
    insta::assert_snapshot!(named(plan.detail()), @"409 No version of connector `files` is trusted; an admin must trust one first");
    assert_eq!(shop.orders(), count(3));

    shop.post(&format!("/api/connectors/{digest}/trust"), &json!({}))
        .ok();
    assert_eq!(shop.outcome("shop"), "succeeded");
}

#[test]
fn a_publisher_who_is_no_longer_trusted_takes_his_versions_along() {
    let shop = Shop::with_orders();
    assert_eq!(shop.delete("/api/publishers/tests").status, 204);
    let run = shop.post("/api/sources/shop/runs", &json!({}));
    let told = if run.status == 202 {
        shop.internet
            .named(&outcome(&shop.wait(run.json()["id"].as_str().unwrap())))
    } else {
        run.detail()
    };
    insta::assert_snapshot!(without_digests(&told), @"failed (config): version DIGEST must not run: the component was signed by a key that is not trusted here: have an admin add its publisher");
    assert_eq!(shop.orders(), count(3));
}

/// The one file below a folder that ends so.
fn only_file(folder: &Path, extension: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| path.is_file() && text(path).ends_with(extension))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_component_that_was_altered_on_disk_does_not_run() {
    let shop = Shop::with_orders();
    let path = only_file(&shop.data.join("connectors"), ".wasm");
    let bytes = std::fs::read(&path).unwrap();
    let told = || {
        let outcome = shop.outcome("shop");
        without_digests(&outcome)
    };

    replace(&path, &tampered(&bytes));
    insta::assert_snapshot!(told(), @"failed (config): the file of version DIGEST was changed on disk; remove it and upload the version again");
    std::fs::remove_file(&path).unwrap();
    insta::assert_snapshot!(told(), @"failed (config): the file of version DIGEST cannot be read: No such file or directory (os error 2); upload it again");
    replace(&path, &bytes);
    assert_eq!(told(), "succeeded");
}

#[test]
fn a_compiled_form_that_was_altered_on_disk_is_not_used() {
    let shop = Shop::with_orders();
    let path = only_file(&shop.data.join("connectors/compiled"), "");
    let bytes = std::fs::read(&path).unwrap();
    replace(&path, &tampered(&bytes));
    let told = shop
        .outcome("shop")
        .replace(shop.data.to_str().unwrap(), "DATA");
    insta::assert_snapshot!(without_digests(&told), @"failed (bug): the compiled component DATA/connectors/compiled/DIGEST.cwasm is not the one that was recorded (DIGEST instead of DIGEST): upload the connector again");
    assert_eq!(shop.orders(), count(3));
    let again = shop.upload(&shop.key.sign_bytes(&files_component()));
    assert_eq!(again.status, 201);
    assert_eq!(shop.outcome("shop"), "succeeded", "the upload healed it");
}

/// Writes a file anew, as somebody would who may write to the folder.
fn replace(path: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
}
