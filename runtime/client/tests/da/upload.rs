//! What an analyst's folder gives to the server.

use serde_json::json;

use crate::server::Server;

#[test]
fn a_session_is_sent_once_and_again_when_it_grew() {
    let server = Server::start();
    server.write("user/sessions/a.jsonl", "{\"n\": 1}\n");
    server.write("user/sessions/b.jsonl", "{\"n\": 2}\n");
    server.write("user/sessions/notes.txt", "not for the server");
    server.write(".claude/CLAUDE.local.md", "# Mine\n");
    let would = server.json(&["sync", "--upload-only", "--dry-run", "--json"], true);
    assert_eq!(would["summary"]["sessions_count"], 2, "{would}");
    assert_eq!(server.asked(), Vec::<String>::new());

    let upload = ["sync", "--upload-only", "--json"];
    let first = server.json(&upload, true);
    assert_eq!(
        (&first["sessions"], &first["local_md"]),
        (&json!(2), &json!(true))
    );
    let asked = server.asked();
    assert!(
        asked[0].starts_with("POST /api/upload/sessions --da-"),
        "{asked:?}"
    );
    assert!(asked[0].contains("filename=\"a.jsonl\"") && asked[0].contains("{\"n\": 1}"));
    assert_eq!(
        asked[2],
        "POST /api/upload/local-md {\"content\":\"# Mine\\n\"}"
    );

    let again = server.json(&upload, true);
    assert_eq!(
        (&again["sessions"], &again["unchanged"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(server.asked(), Vec::<String>::new());

    server.write("user/sessions/a.jsonl", "{\"n\": 1}\n{\"n\": 3}\n");
    assert_eq!(server.json(&upload, true)["sessions"], 1);
}

#[test]
fn what_the_server_refuses_is_told_and_sent_again_next_time() {
    let server = Server::start();
    server.write("user/sessions/a.jsonl", "{}\n");
    server.write(".claude/CLAUDE.local.md", "# Mine\n");
    server.fails("/api/upload/sessions", 413);
    let report = server.json(&["sync", "--upload-only", "--json"], false);
    assert_eq!(report["local_md"], true, "{report}");
    assert!(
        report["errors"][0]["file"]
            .as_str()
            .unwrap()
            .ends_with("a.jsonl")
    );
    server.shelf.lock().unwrap().errors.clear();
    assert_eq!(
        server.json(&["sync", "--upload-only", "--json"], true)["sessions"],
        1
    );
}
