//! The binary against a small server.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what goes wrong shall stop it at once"
)]

#[path = "da/admin.rs"]
mod admin;
#[path = "da/desk.rs"]
mod desk;
#[path = "da/server.rs"]
mod server;
#[path = "da/snapshots.rs"]
mod snapshots;
#[path = "da/update.rs"]
mod update;
#[path = "da/upload.rs"]
mod upload;

use std::path::Path;

use duckdb::Connection;
use serde_json::{Value, json};

use server::Server;

fn database(work: &Path) -> Connection {
    Connection::open(work.join("user/duckdb/analytics.duckdb")).unwrap()
}

#[test]
fn a_second_sync_skips_and_a_deleted_file_comes_back() {
    let server = Server::start();
    server.table("orders", 7);
    assert_eq!(server.sync(true)["downloaded"], json!(["orders"]));
    assert_eq!(server.rows("SELECT n FROM orders"), json!([{"n": 7}]));
    assert_eq!(server.sync(true)["skipped"], json!(["orders"]));
    std::fs::remove_file(server.path("work/server/parquet/orders.parquet")).unwrap();
    assert_eq!(server.sync(true)["downloaded"], json!(["orders"]));
    assert!(server.path("work/.claude/rules/km_m1.md").exists());
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_ended() {
    let server = Server::start();
    server.table("orders", 7);
    server.shelf.lock().unwrap().cut = Some(1_000);
    assert_eq!(server.sync(true)["downloaded"], json!(["orders"]));
    assert_eq!(server.shelf.lock().unwrap().ranges, ["1000-"]);
    assert_eq!(server.rows("SELECT n FROM orders"), json!([{"n": 7}]));
}

#[test]
fn a_file_that_is_not_what_the_manifest_says_leaves_the_good_one() {
    let server = Server::start();
    server.table("orders", 7);
    server.table("other", 1);
    server.sync(true);
    server.table("orders", 8);
    server.table("other", 2);
    server
        .shelf
        .lock()
        .unwrap()
        .tables
        .get_mut("orders")
        .unwrap()
        .1 = "0".repeat(32);
    let report = server.sync(false);
    assert_eq!(report["downloaded"], json!(["other"]));
    assert_eq!(report["errors"][0]["table"], "orders");
    assert!(
        report["errors"][0]["error"]
            .as_str()
            .unwrap()
            .contains("hash mismatch")
    );
    assert_eq!(
        server.rows("SELECT o.n, x.n AS m FROM orders o, other x"),
        json!([{"n": 7, "m": 2}])
    );
}

#[test]
fn a_table_that_is_gone_is_removed_and_the_analysts_own_stays() {
    let server = Server::start();
    server.table("orders", 7);
    server.table("old", 1);
    server.sync(true);
    database(&server.path("work"))
        .execute_batch("CREATE TABLE mine AS SELECT 3 AS n")
        .unwrap();
    server.shelf.lock().unwrap().tables.remove("old");
    assert_eq!(server.sync(true)["pruned"], json!(["old"]));
    assert!(!server.path("work/server/parquet/old.parquet").exists());
    assert_eq!(server.rows("SELECT n FROM mine"), json!([{"n": 3}]));
    assert!(!server.da(&["query", "SELECT * FROM old"]).status.success());
}

#[test]
fn a_table_named_like_a_path_is_refused_and_the_rest_comes() {
    let server = Server::start();
    server.table("../../evil", 7);
    server.table("orders", 7);
    let report = server.sync(false);
    assert_eq!(report["downloaded"], json!(["orders"]));
    assert_eq!(report["errors"][0]["table"], "../../evil");
}

#[test]
fn a_dry_run_writes_nothing_and_takes_its_options_anywhere() {
    let server = Server::start();
    server.table("orders", 7);
    let output = server.da(&["--json", "sync", "--dry-run"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["would_download"][0]["table"], "orders");
    assert!(!server.path("work/server").exists());
}

#[test]
fn a_remote_query_says_on_stderr_that_it_was_cut() {
    let server = Server::start();
    let page = json!({"columns": ["n"], "rows": [[1]], "row_count": 1, "truncated": true});
    server
        .shelf
        .lock()
        .unwrap()
        .pages
        .insert("/api/query".into(), page.to_string().into_bytes());
    let output = server.da(&[
        "query",
        "--remote",
        "SELECT n FROM t",
        "--format",
        "csv",
        "--limit",
        "1",
    ]);
    assert_eq!(output.stdout, b"n\n1\n");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("truncated at 1 rows")
    );
    let asked = server.shelf.lock().unwrap().asked.clone();
    assert_eq!(
        asked,
        [r#"POST /api/query {"sql":"SELECT n FROM t","limit":1}"#]
    );
}

#[test]
fn parts_for_bigquery_go_to_the_server_and_what_came_of_them_is_told() {
    let server = Server::start();
    let page = json!({"columns": ["n"], "rows": [[1]], "row_count": 1, "truncated": false,
        "registered": [{"alias": "spent", "rows": 7, "bytes": 3_145_728}]});
    let shelf = || server.shelf.lock().unwrap();
    shelf()
        .pages
        .insert("/api/query/hybrid".into(), page.to_string().into_bytes());
    let part = "spent=SELECT 1 AS a WHERE 1 = 1";
    let output = server.da(&[
        "query",
        "SELECT n FROM spent",
        "--register-bq",
        part,
        "--json",
    ]);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows, json!([{"n": 1}]));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("Registered alias 'spent': 7 rows, 3.0 MiB"),
        "{told}"
    );
    let asked = shelf().asked.clone();
    assert_eq!(
        asked,
        [
            r#"POST /api/query/hybrid {"register_bq":{"spent":"SELECT 1 AS a WHERE 1 = 1"},"sql":"SELECT n FROM spent","limit":1000}"#
        ]
    );
    let output = server.da(&["query", "SELECT 1", "--register-bq", "SELECT 1"]);
    assert!(!output.status.success());
}

#[test]
fn a_token_is_revoked_by_its_name() {
    let server = Server::start();
    let page = json!([{"id": "i1", "name": "ci", "prefix": "abc"}]);
    server
        .shelf
        .lock()
        .unwrap()
        .pages
        .insert("/auth/tokens".into(), page.to_string().into_bytes());
    assert!(
        server
            .da(&["auth", "token", "revoke", "ci"])
            .status
            .success()
    );
    assert_eq!(
        server.shelf.lock().unwrap().asked[1],
        "DELETE /auth/tokens/i1 "
    );
    assert!(
        !server
            .da(&["auth", "token", "revoke", "other"])
            .status
            .success()
    );
}

#[test]
fn an_admin_names_a_person_by_their_address() {
    let server = Server::start();
    let page = json!([{"id": "u1", "email": "ada@example.com"}]);
    server
        .shelf
        .lock()
        .unwrap()
        .pages
        .insert("/api/users".into(), page.to_string().into_bytes());
    assert!(
        server
            .da(&["admin", "set-role", "ada@example.com", "admin"])
            .status
            .success()
    );
    assert_eq!(
        server.shelf.lock().unwrap().asked[1],
        r#"PATCH /api/users/u1 {"role":"admin"}"#
    );
    assert!(
        !server
            .da(&["admin", "deactivate", "eve@example.com"])
            .status
            .success()
    );
}
