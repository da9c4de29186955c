//! What an admin says to the server through `da`.

use serde_json::json;

use crate::server::Server;

/// A server with one person and one group.
fn office() -> Server {
    let server = Server::start();
    server.says(
        "/api/users",
        &json!([{"id": "u1", "email": "ada@example.com"}]),
    );
    server.says("/api/admin/groups", &json!([{"id": "g1", "name": "Sales"}]));
    server
}

#[test]
fn a_password_is_reset_by_a_link_or_set() {
    let server = office();
    let made = json!({"reset_url": "https://x/reset", "email_sent": false});
    server.says("/api/users/u1/reset-password", &made);
    let output = server.da(&["admin", "reset-password", "ada@example.com"]);
    assert_eq!(output.stdout, b"https://x/reset\n");
    server.asked();
    let set = ["admin", "set-password", "u1", "--password", "long enough"];
    assert!(server.da(&set).status.success());
    assert_eq!(
        server.asked()[1],
        r#"POST /api/users/u1/set-password {"password":"long enough"}"#
    );
}

#[test]
fn a_group_is_granted_a_resource_by_its_name() {
    let server = office();
    assert!(
        server
            .da(&["admin", "grant", "create", "Sales", "table", "orders"])
            .status
            .success()
    );
    assert_eq!(
        server.asked()[1],
        r#"POST /api/admin/grants {"group_id":"g1","resource_type":"table","resource_id":"orders"}"#
    );
    server.da(&[
        "admin", "grant", "list", "--type", "table", "--group", "Sales",
    ]);
    assert_eq!(
        server.asked()[1],
        "GET /api/admin/grants?resource_type=table&group_id=g1 "
    );
}

#[test]
fn a_table_that_is_registered_already_is_no_failure() {
    let server = Server::start();
    let register = ["admin", "register-table", "orders", "--bucket", "in.c-main"];
    assert_eq!(server.da(&register).stdout, b"Registered: orders\n");
    assert!(server.asked()[0].contains(r#""bucket":"in.c-main""#));
    server.fails("/api/admin/register-table", 409);
    assert_eq!(server.da(&register).stdout, b"Already exists: orders\n");
    server.fails("/api/admin/register-table", 422);
    assert_eq!(server.refused(&register).0, 1);
}

#[test]
fn a_projects_tables_are_registered_with_their_whole_bucket() {
    let server = Server::start();
    let tables =
        json!([{"id": "in.c-main.orders", "name": "orders", "bucket": {"id": "in.c-main"}}]);
    server.says("/v2/storage/tables?include=buckets", &tables);
    let discover = [
        "admin",
        "discover-and-register",
        "--url",
        &server.url,
        "--token",
        "t",
        "--json",
    ];
    let would = server.json(&[&discover[..], &["--dry-run"]].concat(), true);
    assert_eq!(would["would_register"][0]["bucket"], "in.c-main");
    server.asked();
    let done = server.json(&discover, true);
    assert_eq!(
        (&done["registered"], &done["skipped"]),
        (&json!(1), &json!(0))
    );
    assert!(server.asked()[1].contains(r#""bucket":"in.c-main""#));
    let far = [
        "admin",
        "discover-and-register",
        "--url",
        "http://far.example",
        "--token",
        "t",
    ];
    assert!(server.refused(&far).1.contains("https"));
}

#[test]
fn a_proposal_is_written_table_by_table_and_pushed_where_that_was_said() {
    let server = Server::start();
    server.write(
        "p.json",
        r#"{"tables": {"a": {"columns": {"x": {"description": "X"}}}, "b": {"columns": {}}}}"#,
    );
    let file = server.path("work/p.json");
    let apply = ["admin", "metadata-apply", file.to_str().unwrap(), "--json"];
    server.json(&[&apply[..], &["--dry-run"]].concat(), true);
    assert_eq!(server.asked(), Vec::<String>::new());
    server.fails("/api/admin/metadata/b", 422);
    let report = server.json(&[&apply[..], &["--push-to-source"]].concat(), false);
    assert_eq!(
        (&report["tables"][0]["table"], &report["errors"][0]["table"]),
        (&json!("a"), &json!("b"))
    );
    let asked = server.asked();
    assert!(asked[0].contains(r#""confidence":"high""#), "{asked:?}");
    assert_eq!(asked[1], "POST /api/admin/metadata/a/push {}");
}

#[test]
fn what_is_done_at_the_server_itself_says_so() {
    let server = Server::start();
    let (code, said) = server.refused(&[
        "admin",
        "break-glass",
        "grant-admin",
        "ada@example.com",
        "-y",
    ]);
    assert_eq!(code, 1);
    assert!(
        said.contains("sluice admin break-glass ada@example.com"),
        "{said}"
    );
    assert!(
        server
            .refused(&["server", "backup"])
            .1
            .contains("sluice admin backup")
    );
    assert_eq!(server.asked(), Vec::<String>::new());
}
