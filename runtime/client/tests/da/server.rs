//! A small server that can cut, lie and forget, and the binary told of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use duckdb::Connection;
use md5::{Digest, Md5};
use serde_json::{Value, json};

/// What the server has, and what was asked of it.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) tables: BTreeMap<String, (Vec<u8>, String)>,
    /// After how many bytes the next download ends.
    pub(crate) cut: Option<usize>,
    pub(crate) ranges: Vec<String>,
    pub(crate) asked: Vec<String>,
    /// Answers to other paths.
    pub(crate) pages: BTreeMap<String, Vec<u8>>,
    /// Paths that are answered with an error, and which.
    pub(crate) errors: BTreeMap<String, u16>,
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) shelf: Arc<Mutex<Shelf>>,
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
    if let Some(status) = shelf.errors.get(&path) {
        let body = r#"{"detail": "no"}"#;
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        return;
    }
    respond(
        &mut stream,
        &mut shelf,
        name.is_some(),
        &headers,
        &body,
        &tag,
    );
}

/// As much of the body as is wanted, or as the next cut lets through.
fn respond(
    stream: &mut TcpStream,
    shelf: &mut Shelf,
    is_file: bool,
    headers: &[String],
    body: &[u8],
    tag: &str,
) {
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
    let sent = if is_file { shelf.cut.take() } else { None };
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
    pub(crate) fn start() -> Self {
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
    pub(crate) fn table(&self, name: &str, value: i64) {
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

    /// What the server answers to a path.
    pub(crate) fn page(&self, path: &str, page: impl Into<Vec<u8>>) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.pages.insert(path.to_owned(), page.into());
    }

    /// The same in JSON.
    pub(crate) fn says(&self, path: &str, page: &Value) {
        self.page(path, page.to_string());
    }

    pub(crate) fn fails(&self, path: &str, status: u16) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.errors.insert(path.to_owned(), status);
    }

    /// What was asked, and is forgotten now.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shelf.lock().unwrap().asked)
    }

    /// A file in the analyst's folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path("work").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What a command prints on stdout, which is JSON and nothing else.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str], succeeds: bool) -> Value {
        let output = self.da(arguments);
        assert_eq!(output.status.success(), succeeds, "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command that fails says, and its exit code.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.da(arguments);
        assert!(!output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    }

    pub(crate) fn da(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.env("DA_NO_UPDATE_CHECK", "1").output().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_da"));
        command
            .args(arguments)
            .env("DA_SERVER", &self.url)
            .env_remove("DA_TOKEN");
        command
            .env("DA_LOCAL_DIR", self.path("work"))
            .env("DA_CONFIG_DIR", self.path("config"));
        command
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// What a sync says on stdout, which is JSON and nothing else.
    #[track_caller]
    pub(crate) fn sync(&self, succeeds: bool) -> Value {
        let output = self.da(&["sync", "--json"]);
        assert_eq!(output.status.success(), succeeds, "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Value {
        let output = self.da(&["query", sql, "--json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
