//! What Storage lends for a file: used on every cloud, lent again when it ends, and seen by nobody.

use integration_tests::{component, files, until, wasm};

use super::*;

#[test]
fn each_cloud_takes_what_storage_lends_for_it() {
    for cloud in [Cloud::Aws, Cloud::Azure] {
        let crm = Crm::open(cloud, &[]);
        crm.works();
        assert_eq!(crm.orders()[2][2], -1.0, "{cloud:?}");
    }
}

#[test]
fn what_ends_in_mid_run_is_lent_again_and_no_slice_comes_twice() {
    for (cloud, mood) in [
        // The host knows, and does not even ask.
        (
            Cloud::Google,
            Mood {
                first_lasts: Some(5),
                ..Mood::default()
            },
        ),
        // The storage says so, after one slice.
        (
            Cloud::Google,
            Mood {
                first_slices: Some(1),
                ..Mood::default()
            },
        ),
        (
            Cloud::Aws,
            Mood {
                first_slices: Some(1),
                ..Mood::default()
            },
        ),
        (
            Cloud::Azure,
            Mood {
                first_lasts: Some(5),
                ..Mood::default()
            },
        ),
    ] {
        let crm = Crm::open(cloud, &[]);
        crm.project.mood(mood.clone());
        let log = crm.works();
        assert!(log.contains("asking Storage for the file 1 again"), "{log}");
        assert_eq!(
            crm.orders().as_array().unwrap().len(),
            3,
            "{cloud:?} {mood:?}"
        );
        let files = crm.project.api.seen_at("/v2/storage/files/1");
        assert_eq!(files.len(), 2, "{cloud:?} {mood:?}");
        let first = crm.project.files.seen_at("/kbc/exp-1/slice%200");
        assert_eq!(first.len(), 1, "{cloud:?} {mood:?}");
    }
}

#[test]
fn a_recorded_run_is_played_again_without_what_was_lent() {
    let crm = Crm::open(Cloud::Aws, &[]);
    crm.app
        .put("/api/sources/crm/policy", &json!({"recordings": 1}))
        .ok();
    crm.works();
    let component = std::fs::read(component("keboola")).unwrap();
    let next = wasm::with_manifest(&component, |m| m["version"] = json!("9.9.9"));
    let version = crm.app.install_bytes(&next);
    let asked = crm
        .app
        .post("/api/sources/crm/comparisons", &json!({"new": version}));
    let id = asked.ok()["id"].as_str().unwrap().to_owned();
    let mut compared = Value::Null;
    until("the versions are compared", || {
        compared = crm
            .app
            .get(&format!("/api/sources/crm/comparisons/{id}"))
            .ok();
        compared["state"] != "running"
    });
    assert_eq!(compared["runs"][0]["differences"], json!([]), "{compared}");
    let seen = crm.project.api.seen().len();
    assert_eq!(crm.project.exports(ORDERS).len(), 1, "{seen} requests");
}

#[test]
fn an_admin_sees_what_is_lent_before_granting_it_and_cannot_enter_it() {
    let crm = Crm::open(Cloud::Google, &[]);
    let wish =
        json!({"connector": "keboola", "settings": {"url": "https://connection.keboola.com"}});
    let plan = crm.app.post("/api/sources/plan", &wish).ok();
    let lines = plan["requested_lines"].to_string();
    for line in [
        "credential `google-token` taken by the host from answers to requests with `storage-token` below /v2/storage/files",
        "credential `aws-key` sent to *.s3.eu-central-1.amazonaws.com",
        "egress to *.blob.core.windows.net",
    ] {
        assert!(lines.contains(line), "{line}: {lines}");
    }
    assert_eq!(plan["missing_credentials"], json!(["storage-token"]));
    let put = crm.app.put(
        "/api/sources/crm/credentials/google-token",
        &json!({"value": "mine-own-token"}),
    );
    assert_eq!(put.status, 422);
    assert!(
        put.detail().contains("there is nothing to enter"),
        "{}",
        put.detail()
    );
    let listed = crm.app.get("/api/sources/crm/credentials").ok();
    let slots = listed["credentials"].as_array().unwrap();
    let google = slots.iter().find(|slot| slot["slot"] == "google-token");
    assert_eq!(google.unwrap()["filled"], "service");
    let mut cli = crm.app.cli();
    let printed = cli.args(["source", "credentials", "crm"]).output().unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout);
    assert!(printed.contains("by the service, in each run"), "{printed}");
}

#[test]
fn a_connector_that_publishes_storages_answer_publishes_nothing_that_was_lent() {
    let crm = Crm::open(Cloud::Aws, &[]);
    crm.works();
    let keboola = std::fs::read(component("keboola")).unwrap();
    let mut slots = Value::Null;
    wasm::with_manifest(&keboola, |manifest| slots = manifest["credentials"].take());
    slots[0]["hosts"] = json!([crm.project.api.url("")]);
    for slot in slots.as_array_mut().unwrap().iter_mut().skip(1) {
        slot["hosts"] = json!([crm.project.files.url("")]);
    }
    let thief = std::fs::read(component("files")).unwrap();
    crm.app
        .install_bytes(&wasm::with_manifest(&thief, |manifest| {
            manifest["credentials"] = slots
        }));
    let url = crm.project.api.url("/v2/storage/files/1?federationToken=1");
    let table = json!({"name": "loot", "url": url, "format": "json"});
    let private = crm.project.exceptions();
    let private = private.each_ref().map(String::as_str);
    crm.app
        .add_source("thief", "files", &files::settings([table]), &private);
    let token = crm.app.put(
        "/api/sources/thief/credentials/storage-token",
        &json!({"value": TOKEN}),
    );
    assert_eq!(token.status, 204);
    assert_eq!(outcome(&crm.app.run("thief")), "succeeded");
    crm.guard();
    let rows = crm
        .app
        .rows("SELECT credentials.SecretAccessKey, url FROM loot");
    assert_eq!(rows[0][0], "[redacted]");
    let handle = crm
        .project
        .files
        .url("/kbc/exp-1/all.csvmanifest?sluice-derived=file-address-1");
    assert_eq!(rows[0][1], handle);
}
