//! A real emulator of BigQuery on a free port of this machine: the package `bqemulator` of PyPI.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::until;

/// The emulator. Dropping it ends it.
#[derive(Debug)]
pub struct BigQuery {
    child: Child,
    /// Where its REST API listens on loopback.
    pub port: u16,
}

impl BigQuery {
    /// Starts one without any table.
    #[track_caller]
    pub fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bqemulator");
        let free = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (rest, grpc) = (free(), free());
        let port = |free: &TcpListener| free.local_addr().expect("an address").port();
        let ports = (port(&rest), port(&grpc));
        drop((rest, grpc));
        let mut command = Command::new(folder.join("py/bin/python"));
        let child = command
            .args(["-m", "bqemulator", "start", "--ephemeral"])
            .args(["--rest-port", &ports.0.to_string()])
            .args(["--grpc-port", &ports.1.to_string()])
            .env("HOME", folder.join("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the emulator of BigQuery: run the tests through ./dev test");
        let emulator = Self {
            child,
            port: ports.0,
        };
        until("the emulator of BigQuery listens", || {
            TcpStream::connect(("127.0.0.1", emulator.port)).is_ok()
        });
        emulator
    }

    /// Runs one statement in a project, whatever it is.
    #[track_caller]
    pub fn sql(&self, project: &str, sql: &str) {
        let url = format!(
            "http://127.0.0.1:{}/bigquery/v2/projects/{project}/queries",
            self.port
        );
        let body = serde_json::json!({"query": sql, "useLegacySql": false});
        let answer = ureq::post(&url).send_json(&body);
        answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

impl Drop for BigQuery {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
