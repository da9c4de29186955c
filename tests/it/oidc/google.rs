//! The groups of Google Workspace, from an API that answers as Google documents its own.

use std::process::Command;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use integration_tests::Internet;
use serde_json::{Value, json};

use super::world::World;

const GROUPS: &str = "/v1/groups/-/memberships:searchTransitiveGroups";

/// The key file of a service account, whose tokens are given out here.
fn key_file(google: &Internet) -> String {
    const MAKE: &str = "process.stdout.write(require('crypto').generateKeyPairSync('rsa', { modulusLength: 2048 })\
        .privateKey.export({ type: 'pkcs8', format: 'pem' }))";
    let key = Command::new("node").args(["-e", MAKE]).output();
    let key = String::from_utf8(key.expect("Node.js").stdout).expect("PEM");
    json!({
        "type": "service_account", "project_id": "p", "private_key_id": "key-1", "private_key": key,
        "client_email": "sluice@p.iam.gserviceaccount.com", "token_uri": google.url("/token"),
    })
    .to_string()
}

fn answer_groups(google: &Internet, groups: &[&str]) {
    let memberships: Vec<Value> = groups
        .iter()
        .map(|address| {
            json!({
                "memberKey": {"id": "ada@example.com"}, "group": "groups/0184mhaj2",
                "groupKey": {"id": address}, "relationType": "DIRECT",
                "labels": {"cloudidentity.googleapis.com/groups.discussion_forum": ""},
            })
        })
        .collect();
    google.handle(GROUPS, move |_| {
        Json(json!({"memberships": memberships})).into_response()
    });
}

#[test]
fn the_groups_of_workspace_are_those_of_its_people_here_and_a_failure_takes_none_away() {
    let google = Internet::start();
    google.handle("/token", |_| {
        Json(json!({"access_token": "ya29.t", "expires_in": 3599, "token_type": "Bearer"}))
            .into_response()
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, key_file(&google)).unwrap();
    let mut world = World::with(&format!(
        "      google_groups:\n        enabled: true\n        service_account_file: {}\n        \
         subject: boss@example.com\n        prefix: data-\n        endpoint: {}\n",
        file.display(),
        google.url("")
    ));
    let in_groups = |world: &World| world.groups("ada@example.com");

    answer_groups(
        &google,
        &[
            "data-eng@example.com",
            "data-ops@example.com",
            "all@example.com",
        ],
    );
    world.enter("ada");
    assert_eq!(
        in_groups(&world),
        ["data-eng@example.com", "data-ops@example.com"]
    );
    let asked = google.seen_at(GROUPS);
    assert_eq!(asked[0].header("authorization"), Some("Bearer ya29.t"));
    assert!(asked[0].target.contains("ada%40example.com"), "{asked:?}");

    google.handle(GROUPS, |_| StatusCode::SERVICE_UNAVAILABLE.into_response());
    world.enter("ada");
    assert_eq!(
        in_groups(&world).len(),
        2,
        "Google was down, nobody left a group"
    );

    answer_groups(&google, &["data-ops@example.com"]);
    world.enter("ada");
    assert_eq!(in_groups(&world), ["data-ops@example.com"]);
    let log = world.app.output();
    assert!(
        !log.contains("ya29.t") && !log.contains("PRIVATE KEY"),
        "{log}"
    );
}
