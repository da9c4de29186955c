//! The binary against a small server that can cut, lie and forget.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what goes wrong shall stop it at once"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use duckdb::Connection;
use md5::{Digest, Md5};
use serde_json::{Value, json};

/// What the server has, and what was asked of it.
#[derive(Default)]
struct Shelf {
    tables: BTreeMap<String, (Vec<u8>, String)>,
    /// After how many bytes the next download ends.
    cut: Option<usize>,
    ranges: Vec<String>,
    asked: Vec<String>,
    /// Answers to other paths.
    pages: BTreeMap<String, Vec<u8>>,
}

struct Server {
    url: String,
    shelf: Arc<Mutex<Shelf>>,
    folder: tempfile::TempDir,
}

fn answer(mut stream: TcpStream, shelf: &Mutex<Shelf>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = reader.by_ref().lines();
    let first = lines.next().unwrap().unwrap();
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|l| !l.is_empty())
        .collect();
    let length = headers.iter().find_map(|h| {
        h.to_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let mut sent = vec![0; length.map_or(0, |n| n.parse().unwrap())];
    reader.read_exact(&mut sent).unwrap();
    let mut shelf = shelf.lock().unwrap();
    shelf.asked.push(format!(
        "{} {path} {}",
        first.split(' ').next().unwrap(),
        String::from_utf8(sent).unwrap()
    ));
    let name = path
        .strip_prefix("/api/data/")
        .and_then(|p| p.strip_suffix("/download"));
    let (body, tag) = match name {
        Some(name) => shelf.tables[name].clone(),
        None if path == "/api/sync/manifest" => (manifest(&shelf), String::new()),
        None if path == "/api/memory/bundle" => (
            br#"{"mandatory": [{"id": "m1", "title": "Net"}], "approved": []}"#.to_vec(),
            String::new(),
        ),
        None => (
            shelf
                .pages
                .get(&path)
                .cloned()
                .unwrap_or_else(|| b"{}".to_vec()),
            String::new(),
        ),
    };
    let range = headers.iter().find_map(|h| {
        h.to_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    let start: usize = range
        .as_ref()
        .map_or(0, |r| r.trim_end_matches('-').parse().unwrap());
    shelf.ranges.extend(range);
    let status = if start > 0 {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    let rest = &body[start..];
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\netag: \"{tag}\"\r\ncontent-range: bytes {start}-{}/{}\r\n\r\n", rest.len(), body.len() - 1, body.len()).unwrap();
    let sent = if name.is_some() {
        shelf.cut.take()
    } else {
        None
    };
    stream
        .write_all(&rest[..sent.unwrap_or(rest.len()).min(rest.len())])
        .ok();
}

fn manifest(shelf: &Shelf) -> Vec<u8> {
    let entry = |(name, (bytes, hash)): (&String, &(Vec<u8>, String))| {
        (
            name.clone(),
            json!({"hash": hash, "rows": 1, "size_bytes": bytes.len(), "query_mode": "local", "source_type": "x", "updated": null}),
        )
    };
    let tables: serde_json::Map<String, Value> = shelf.tables.iter().map(entry).collect();
    json!({"tables": tables, "assets": {}, "server_time": ""})
        .to_string()
        .into_bytes()
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let shared = Arc::clone(&shelf);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &shared);
            }
        });
        Self {
            url,
            shelf,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Gives the server a table of one row.
    fn table(&self, name: &str, value: i64) {
        let file = self.folder.path().join("made.parquet");
        let sql = format!(
            "COPY (SELECT {value} AS n, range(2000) AS l) TO '{}' (FORMAT parquet)",
            file.display()
        );
        Connection::open_in_memory()
            .unwrap()
            .execute_batch(&sql)
            .unwrap();
        let bytes = std::fs::read(file).unwrap();
        let hash = hex::encode(Md5::digest(&bytes));
        self.shelf
            .lock()
            .unwrap()
            .tables
            .insert(name.to_owned(), (bytes, hash));
    }

    fn da(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_da"));
        command
            .args(arguments)
            .env("DA_SERVER", &self.url)
            .env_remove("DA_TOKEN");
        command
            .env("DA_LOCAL_DIR", self.path("work"))
            .env("DA_CONFIG_DIR", self.path("config"));
        command.output().unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// What a sync says on stdout, which is JSON and nothing else.
    #[track_caller]
    fn sync(&self, succeeds: bool) -> Value {
        let output = self.da(&["sync", "--json"]);
        assert_eq!(output.status.success(), succeeds, "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn rows(&self, sql: &str) -> Value {
        let output = self.da(&["query", sql, "--json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

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

/// What a scan answers: one column of two numbers.
fn stream() -> Vec<u8> {
    let array: ArrayRef = Arc::new(Int64Array::from(vec![4, 5]));
    let batch = RecordBatch::try_from_iter([("n", array)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_snapshot_outlives_a_sync_and_is_replaced_only_when_told() {
    let server = Server::start();
    server.table("orders", 7);
    server
        .shelf
        .lock()
        .unwrap()
        .pages
        .insert("/api/v2/scan".into(), stream());
    let fetch = [
        "fetch", "orders", "--where", "n > 3", "--as", "big", "--json",
    ];
    let output = server.da(&fetch);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"], 2, "{output:?}");
    server.sync(true);
    assert_eq!(
        server.rows("SELECT sum(n)::INT AS s FROM big"),
        json!([{"s": 9}])
    );
    assert_eq!(server.da(&fetch).status.code(), Some(6));
    assert_eq!(
        server.da(&["fetch", "orders"]).status.code(),
        Some(6),
        "the name of a synced table"
    );
    assert!(server.da(&["snapshot", "drop", "big"]).status.success());
    assert_eq!(server.da(&["snapshot", "list"]).stdout, b"(no snapshots)\n");
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
