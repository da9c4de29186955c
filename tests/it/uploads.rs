//! What people give to the server: whose it is, where it lies, how much it may be.

use std::path::{Path, PathBuf};

use integration_tests::{App, Client, Options, Response};
use serde_json::json;
use ureq::http::Method;

/// A server with small limits, and its configuration's folder.
fn server() -> (App, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sluice.yaml");
    let text = "uploads: {max_file_bytes: 2000000, max_bytes_per_user: 3000000}\n";
    std::fs::write(&file, text).unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let app = App::with(Options {
        arguments: arguments.map(str::to_owned).into(),
        ..Options::default()
    });
    (app, folder)
}

fn send(client: &Client, kind: &str, name: &str, content: &str) -> Response {
    let head = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
    let body = format!("--b\r\n{head}\r\n\r\n{content}\r\n--b--\r\n");
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let path = format!("/api/upload/{kind}");
    client.send(Method::POST, &path, &headers, body.as_bytes())
}

/// All files below a folder, without it.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(below(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn each_persons_files_lie_under_their_id_and_nothing_leads_out_of_there() {
    let (app, _folder) = server();
    let ada = app.newcomer("ada@example.com");
    let id = ada.get("/api/me").ok()["id"].as_str().unwrap().to_owned();
    let kept = send(&ada, "sessions", "../../../evil.jsonl", "{}\n").ok();
    assert_eq!(
        kept,
        json!({"status": "ok", "filename": "evil.jsonl", "size": 3})
    );
    send(&ada, "sessions", "evil.jsonl", "{\"n\": 2}\n").ok();
    assert!(
        send(&ada, "artifacts", ".profile", "x").ok()["filename"]
            .as_str()
            .unwrap()
            .starts_with("upload_")
    );
    let notes = ada
        .post("/api/upload/local-md", &json!({"content": "# é"}))
        .ok();
    assert_eq!(
        notes,
        json!({"status": "ok", "user": "ada@example.com", "size": 3})
    );

    let own = app.data.join("uploads").join(&id);
    let files = below(&app.data.join("uploads"));
    assert!(files.iter().all(|file| file.starts_with(&own)), "{files:?}");
    assert!(!format!("{files:?}").contains("ada@"), "{files:?}");
    let read = |name: &str| std::fs::read_to_string(own.join(name)).unwrap();
    assert_eq!(read("sessions/evil.jsonl"), "{\"n\": 2}\n");
    assert_eq!(read("notes/CLAUDE.local.md"), "# é");
    assert_eq!(files.len(), 3);
}

#[test]
fn what_is_too_large_or_too_much_is_refused_and_leaves_nothing() {
    let (app, _folder) = server();
    let ada = app.newcomer("ada@example.com");
    let large = "x".repeat(2_000_001);
    let refused = send(&ada, "sessions", "a", &large);
    assert_eq!(refused.detail(), "413 File too large (max 1MB)");
    let endless = "x".repeat(3_000_000);
    assert_eq!(send(&ada, "sessions", "a", &endless).status, 413);
    send(&ada, "sessions", "a", "").ok();
    let most = "x".repeat(2_000_000);
    send(&ada, "sessions", "a", &most).ok();
    send(&ada, "sessions", "a", &most).ok();
    let refused = send(&ada, "artifacts", "b", &most);
    assert!(
        refused.detail().contains("2000000 of 3000000 bytes"),
        "{}",
        refused.detail()
    );
    send(&app.newcomer("eve@example.com"), "artifacts", "b", &most).ok();
    let unfinished = below(&app.data.join("uploads/.incoming"));
    assert!(unfinished.is_empty(), "{unfinished:?}");
}

#[test]
fn a_form_without_a_file_is_refused_without_being_held_in_memory() {
    let (app, _folder) = server();
    let ada = app.newcomer("ada@example.com");
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let send = |body: &[u8]| ada.send(Method::POST, "/api/upload/sessions", &headers, body);
    assert_eq!(send(&vec![b'x'; 4_000_000]).status, 413);
    assert_eq!(send(b"no form").status, 400);
    let other = b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--\r\n";
    assert_eq!(
        send(other).detail(),
        "422 The form's first field must be `file`"
    );
    assert_eq!(ada.post("/api/upload/sessions", &json!({})).status, 400);
}

#[test]
fn what_was_sent_is_in_the_audit_without_its_name() {
    let (mut app, _folder) = server();
    let ada = app.newcomer("ada@example.com");
    send(&ada, "sessions", "secret-plan.jsonl", "12345").ok();
    app.stop();
    let mut export = integration_tests::sluice();
    let export = export.args(["admin", "--data-dir"]).arg(&app.data);
    let output = export.args(["audit", "export"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("upload.session"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.contains("\"bytes\":5") && !line.contains("secret-plan"),
        "{line}"
    );
}
