//! A real PostgreSQL on a free port of this machine, with data that is thrown away.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::until;

/// Nobody: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// A server with a database `shop`, whose owner is `owner`.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    process: Option<Child>,
    /// Where it listens.
    pub port: u16,
}

impl Postgres {
    /// Starts one that lets in nobody without this password.
    #[track_caller]
    pub fn start(password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, password).expect("it can be written");
        give_away(folder.path());
        let mut init = program("initdb");
        init.args([
            "--username=owner",
            "--auth=scram-sha-256",
            "--no-sync",
            "--pwfile",
        ]);
        let made = init
            .arg(&file)
            .arg("-D")
            .arg(folder.path().join("data"))
            .output();
        let made = made.expect("initdb starts");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut server = Self {
            folder,
            process: None,
            port,
        };
        server.resume();
        server.sql("postgres", password, "CREATE DATABASE shop");
        server
    }

    /// Starts it again where it was.
    #[track_caller]
    pub fn resume(&mut self) {
        let mut postgres = program("postgres");
        postgres.arg("-D").arg(self.folder.path().join("data"));
        postgres.args(["-p", &self.port.to_string(), "-c", "fsync=off", "-c"]);
        postgres.args(["listen_addresses=127.0.0.1", "-c"]);
        postgres.arg(format!(
            "unix_socket_directories={}",
            self.folder.path().display()
        ));
        postgres.stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(postgres.spawn().expect("postgres starts"));
        let socket = self.folder.path().join(format!(".s.PGSQL.{}", self.port));
        until("PostgreSQL listens", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok() && self.is_ready()
        });
    }

    fn is_ready(&self) -> bool {
        let mut ready = program("pg_isready");
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    /// Stops it at once, connections or not.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let mut stop = program("pg_ctl");
        stop.args(["stop", "-m", "immediate", "-D"])
            .arg(self.folder.path().join("data"));
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = process.wait();
    }

    /// Runs SQL as the owner.
    #[track_caller]
    pub fn sql(&self, database: &str, password: &str, sql: &str) -> String {
        let mut psql = program("psql");
        psql.args([
            "-h",
            "127.0.0.1",
            "-U",
            "owner",
            "-p",
            &self.port.to_string(),
        ]);
        psql.args(["-d", database, "-v", "ON_ERROR_STOP=1", "-Atc", sql]);
        let done = psql
            .env("PGPASSWORD", password)
            .output()
            .expect("psql starts");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program of PostgreSQL, run by somebody who is not root.
fn program(name: &str) -> Command {
    let mut command = Command::new(found(name));
    command.current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn found(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut places: Vec<PathBuf> = versions.map(|v| v.path().join("bin").join(name)).collect();
    places.retain(|place| place.exists());
    places.sort();
    places.pop().unwrap_or_else(|| PathBuf::from(name))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn give_away(folder: &Path) {
    if !is_root() {
        return;
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    for path in [folder, &folder.join("password")] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
}
