//! An analyst's own folder, and what helps there.

use serde_json::{Value, json};

use crate::server::Server;

/// A token of somebody, as far as a client can tell.
const TOKEN: &str = "x.eyJlbWFpbCI6ImFkYUBleGFtcGxlLmNvbSIsInJvbGUiOiJ1c2VyIn0.y";

impl Server {
    /// A server that is well, and somebody who is logged in there.
    fn well() -> Self {
        let server = Self::start();
        let detailed = json!({"status": "healthy", "services": {"duckdb_state": {"status": "ok"}}});
        server.says("/api/health", &json!({"status": "ok"}));
        server.says("/api/health/detailed", &detailed);
        let import = ["auth", "import-token", "--token", TOKEN, "--skip-verify"];
        assert!(server.da(&import).status.success());
        server
    }
}

#[test]
fn a_folder_is_made_ready_in_one_step_and_not_twice() {
    let server = Server::well();
    server.table("orders", 7);
    server.says("/api/metrics", &json!({"metrics": []}));
    let setup = ["analyst", "setup", "--server-url", &server.url, "--json"];
    let made = server.json(&setup, true);
    assert_eq!(made["downloaded"], json!(["orders"]));
    assert_eq!(server.rows("SELECT n FROM orders"), json!([{"n": 7}]));
    let text = std::fs::read_to_string(server.path("work/CLAUDE.md")).unwrap();
    assert!(text.contains(&server.url) && !text.contains("{s"), "{text}");
    let status = server.json(&["analyst", "status", "--json"], true);
    assert_eq!(
        (
            &status["initialized"],
            &status["freshness"],
            &status["parquet_tables"]
        ),
        (&json!(true), &json!("fresh"), &json!(1))
    );
    server.write(".claude/CLAUDE.local.md", "mine");
    assert!(server.refused(&setup).1.contains("--force"));
    assert!(server.da(&["analyst", "setup", "--force"]).status.success());
    let own = std::fs::read_to_string(server.path("work/.claude/CLAUDE.local.md"));
    assert_eq!(own.unwrap(), "mine");
    let held = server.json(&["status", "--local", "--json"], true);
    assert_eq!(held["tables"]["orders"]["rows"], 1, "{held}");
}

#[test]
fn a_local_table_is_explored_with_its_columns_and_rows() {
    let server = Server::start();
    server.table("orders", 7);
    server.sync(true);
    let found = server.json(&["explore", "orders", "--json"], true);
    assert_eq!(
        (&found["row_count"], &found["sample_rows"][0]["n"]),
        (&json!(1), &json!(7))
    );
    assert_eq!(
        found["columns"][0],
        json!({"name": "n", "type": "INTEGER", "nullable": true})
    );
    let (_, said) = server.refused(&["explore", "no\" such"]);
    assert!(said.contains("da sync"), "{said}");
    server.says("/api/catalog/profile/orders", &json!({"row_count": 9}));
    assert_eq!(
        server.json(&["explore", "--remote", "orders", "--json"], true)["row_count"],
        9
    );
}

fn status<'a>(diagnosis: &'a Value, name: &str) -> &'a Value {
    let checks = diagnosis["checks"].as_array().unwrap();
    &checks.iter().find(|check| check["name"] == name).unwrap()["status"]
}

#[test]
fn a_diagnosis_names_what_does_not_work_and_what_helps() {
    let server = Server::well();
    let well = server.json(&["diagnose", "--json"], true);
    assert_eq!(
        (status(&well, "api"), status(&well, "token")),
        (&json!("ok"), &json!("ok"))
    );
    assert_eq!(status(&well, "local"), "warning");
    assert_eq!(well["overall"], "degraded");
    server.fails("/api/health", 500);
    server.da(&["auth", "logout"]);
    let ill = server.json(&["diagnose", "--json", "--symptom", "disk is full"], false);
    assert_eq!(
        (status(&ill, "api"), status(&ill, "token")),
        (&json!("error"), &json!("error"))
    );
    let actions = ill["suggested_actions"].to_string();
    assert!(
        actions.contains("da login") && actions.contains("da snapshot prune"),
        "{actions}"
    );
    let one = server.json(&["diagnose", "--component", "local", "--json"], true);
    assert_eq!(one["checks"].as_array().unwrap().len(), 1);
    assert_eq!(server.refused(&["diagnose", "--component", "moon"]).0, 2);
}

#[test]
fn metrics_go_to_files_and_back_and_a_broken_file_costs_only_itself() {
    let server = Server::start();
    let metric = json!({"id": "sales/net", "name": "net", "category": "sales", "sql": "SELECT 1\nFROM t", "table_name": "Orders", "tables": ["gone"]});
    let odd = json!({"id": "x", "name": "../../evil", "category": "sales"});
    server.says("/api/metrics", &json!({"metrics": [metric, odd]}));
    let folder = server.path("export");
    let folder = folder.to_str().unwrap();
    let report = server.json(&["metrics", "export", "--dir", folder, "--json"], false);
    assert_eq!(
        (&report["exported"], &report["refused"]),
        (&json!(1), &json!(["x"]))
    );
    let text = std::fs::read_to_string(server.path("export/sales/net.yml")).unwrap();
    assert!(text.contains("sql: |-\n  SELECT 1\n  FROM t\n"), "{text}");

    server.asked();
    server.says(
        "/api/admin/metrics/import",
        &json!({"status": "imported", "count": 1}),
    );
    let sent = server.json(&["metrics", "import", folder, "--json"], true);
    assert_eq!((&sent["imported"], &sent["files"]), (&json!(1), &json!(1)));
    assert!(server.asked()[0].contains(&text));
    server.fails("/api/admin/metrics/import", 400);
    let refused = server.json(&["metrics", "import", folder, "--json"], false);
    assert_eq!(refused["errors"].as_array().unwrap().len(), 1);

    let tables = json!({"tables": [{"id": "orders", "name": "orders"}]});
    server.says("/api/catalog/tables", &tables);
    let judged = server.json(&["metrics", "validate", "--json"], false);
    assert_eq!(judged["metrics"][0]["missing_tables"], json!(["gone"]));
    assert_eq!(judged["metrics"][1]["status"], "OK");
}

#[test]
fn guides_are_listed_and_shown_also_by_their_old_names() {
    let server = Server::start();
    let listed = server.json(&["skills", "list", "--json"], true);
    assert_eq!(listed.as_array().unwrap().len(), 9);
    let shown = server.da(&["skills", "show", "agnes-data-querying"]);
    assert!(shown.stdout.starts_with(b"# Ask questions"));
    assert_eq!(server.refused(&["skills", "show", "nothing"]).0, 1);
}

#[test]
fn a_new_server_is_claimed_and_what_is_missing_is_named() {
    let server = Server::start();
    let claimed = json!({"access_token": TOKEN, "email": "ada@example.com", "role": "admin"});
    server.says("/auth/bootstrap", &claimed);
    let claim = [
        "setup",
        "bootstrap",
        "ada@example.com",
        "--code",
        "c0de",
        "--json",
    ];
    assert_eq!(server.json(&claim, true)["claimed"], true);
    assert!(server.asked()[0].contains(r#""code":"c0de""#));
    let me = server.json(&["auth", "whoami", "--json"], true);
    assert_eq!(me["email"], "ada@example.com");
    server.fails("/auth/bootstrap", 403);
    assert_eq!(
        server.json(&["setup", "bootstrap", "a@b.c", "--json"], true)["claimed"],
        false
    );
    assert_eq!(server.refused(&claim).0, 1);

    server.says("/api/health", &json!({"status": "ok"}));
    let verified = server.json(&["setup", "verify", "--json"], true);
    assert_eq!(verified["overall"], "warn", "no tables yet: {verified}");
    server.fails("/docs", 404);
    let verified = server.json(&["setup", "verify", "--json"], false);
    assert_eq!(status(&verified, "api_docs"), "fail");
}
