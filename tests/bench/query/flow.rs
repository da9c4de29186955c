//! Much at once: ten million rows as a stream, and a large file, beside nginx with sendfile.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use integration_tests::{App, until};
use serde_json::json;

use crate::Scale;
use crate::peer::python;
use crate::process::resident;
use crate::samples::Samples;

const NGINX: &str = ".tools/nginx/usr/sbin/nginx";

/// What was measured.
#[derive(Default)]
pub struct Flow {
    /// Megabytes by which the server grew while it streamed.
    pub grown: Samples,
    /// Rows a second of that, in millions.
    pub rows: Samples,
    /// Megabytes a second of a download.
    pub ours: Samples,
    /// The same of nginx, where it is there.
    pub nginx: Option<Samples>,
}

/// Measures on a server, which is started anew for it.
pub fn measure(app: &mut App, scale: Scale) -> Flow {
    let (rows, file_rows) = scale.of((10_000_000_u64, 26_000_000_u64), (1_000_000, 1_000_000));
    large_table(&app.data, file_rows);
    app.restart();
    let mut flow = Flow::default();
    for _ in 0..scale.of(5, 2) {
        stream(app, rows, &mut flow);
    }
    let peer = Nginx::start(&app.data.join("extracts/large/data"));
    let mut theirs = Samples::default();
    for _ in 0..scale.of(7, 2) {
        let path = "/api/data/large/download";
        flow.ours.push(fetch(&app.url, path, app.token.as_deref()));
        if let Some(peer) = &peer {
            theirs.push(fetch(&peer.url, "/large.parquet", None));
        }
    }
    flow.nginx = peer.map(|_| theirs);
    flow
}

/// An extract that another program writes: numbers that no encoding makes small, 40 bytes a row.
fn large_table(data: &Path, rows: u64) {
    let folder = data.join("extracts/large");
    fs::create_dir_all(folder.join("data")).expect("a folder");
    let (database, file) = (
        folder.join("extract.duckdb"),
        folder.join("data/large.parquet"),
    );
    let (database, file) = (database.display(), file.display());
    let columns: Vec<String> = (0..5)
        .map(|n| format!("hash(range + {n}) AS c{n}"))
        .collect();
    let columns = columns.join(", ");
    let script = format!(
        "import duckdb, os\n\
         c = duckdb.connect('{database}')\n\
         c.execute(\"COPY (SELECT {columns} FROM range({rows})) TO '{file}' (FORMAT parquet, COMPRESSION uncompressed)\")\n\
         c.execute(\"CREATE VIEW large AS SELECT * FROM read_parquet('{file}')\")\n\
         c.execute('CREATE TABLE _meta(table_name VARCHAR, description VARCHAR, rows INTEGER, size_bytes BIGINT, \
         extracted_at TIMESTAMP, query_mode VARCHAR)')\n\
         c.execute(\"INSERT INTO _meta VALUES ('large', '', {rows}, ?, now()::TIMESTAMP, 'local')\", [os.path.getsize('{file}')])\n\
         c.close()\n"
    );
    let status = python(&["-c", &script]).status().expect("Python starts");
    assert!(status.success(), "the large table was not written");
}

fn stream(app: &App, rows: u64, flow: &mut Flow) {
    let sql = format!("SELECT range a, range * 2 b, 'row ' || range c FROM range({rows})");
    let body = json!({"sql": sql, "format": "arrow"}).to_string();
    let token = app.token.as_deref().unwrap_or_default();
    let (began, before) = (Instant::now(), resident(app.pid()));
    let request = format!(
        "POST /api/query HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut most = before;
    let bytes = send(&app.url, &request, || most = most.max(resident(app.pid())));
    assert!(bytes > rows * 20, "{bytes} bytes came");
    flow.rows
        .push(rows as f64 / 1e6 / began.elapsed().as_secs_f64());
    flow.grown.push(most.saturating_sub(before) as f64 / 1e6);
}

/// Megabytes a second.
fn fetch(url: &str, path: &str, token: Option<&str>) -> f64 {
    let token = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{token}Connection: close\r\n\r\n");
    let began = Instant::now();
    let bytes = send(url, &request, || {});
    assert!(bytes > 30_000_000, "{bytes} bytes came");
    bytes as f64 / 1e6 / began.elapsed().as_secs_f64()
}

/// Sends a request and reads the answer away, looking up every 16 MiB; its bytes.
fn send(url: &str, request: &str, mut look: impl FnMut()) -> u64 {
    let address = url.strip_prefix("http://").expect("a plain address");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        let count = stream.read(&mut buffer).expect("it answers") as u64;
        if count == 0 {
            return bytes;
        }
        if bytes >> 24 != (bytes + count) >> 24 {
            look();
        }
        bytes += count;
    }
}

/// nginx on a free port, for one folder.
struct Nginx {
    url: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start(root: &Path) -> Option<Self> {
        let program = fs::canonicalize(NGINX).ok()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let (own, root) = (folder.path().display(), root.display());
        let config = format!(
            "daemon off;\nworker_processes 1;\nuser root;\npid {own}/pid;\nerror_log {own}/error.log;\n\
             events {{}}\nhttp {{\n access_log off; sendfile on; tcp_nopush on;\n client_body_temp_path {own}/b;\n \
             proxy_temp_path {own}/p;\n fastcgi_temp_path {own}/f;\n uwsgi_temp_path {own}/u;\n scgi_temp_path {own}/s;\n \
             server {{ listen 127.0.0.1:{port}; root {root}; }}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).expect("a file");
        let process = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn();
        let nginx = Self {
            url: format!("http://127.0.0.1:{port}"),
            process: process.ok()?,
            _folder: folder,
        };
        until("nginx listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it, at this signal and at no other.
        let _ = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        let _ = self.process.wait();
    }
}
