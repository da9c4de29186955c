//! A real server on a free port with a data folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::artifacts::{Key, component, sluice};
use crate::client::Client;
use crate::until;

/// The longest that a start may take before a test gives up; a start takes far less.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to start a server.
#[derive(Debug, Default)]
pub struct Options {
    /// More arguments of `sluice serve`.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
    /// A program and its arguments that become the server, whose command line follows them.
    pub through: Vec<String>,
}

/// A server that is running, claimed by its first admin. Dropping it kills it.
#[derive(Debug)]
pub struct App {
    client: Client,
    process: Process,
    code: Option<String>,
    /// The publisher whose key signs what is installed.
    pub key: Arc<Key>,
    /// The data folder.
    pub data: PathBuf,
    folder: Option<tempfile::TempDir>,
    options: Options,
}

impl Deref for App {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

/// `sluice serve` on a free port.
pub fn serve(data: &Path, options: &Options) -> Command {
    let mut command = through(sluice(), &options.through);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data);
    command
        .args(&options.arguments)
        .envs(options.environment.iter().map(|(k, v)| (k, v)));
    command
}

/// A command as another program starts it.
fn through(command: Command, program: &[String]) -> Command {
    let Some((name, arguments)) = program.split_first() else {
        return command;
    };
    let mut outer = Command::new(name);
    outer.args(arguments).arg(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// The operating system's side of a server.
#[derive(Debug)]
struct Process {
    child: Child,
    /// What it has printed so far.
    output: Arc<Mutex<String>>,
    lines: Receiver<String>,
}

impl Process {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (sender, lines) = channel();
        let mut process = Self {
            child: command.spawn().expect("sluice starts"),
            output: Arc::default(),
            lines,
        };
        let pipes: [Box<dyn Read + Send>; 2] = [
            Box::new(process.child.stdout.take().expect("piped")),
            Box::new(process.child.stderr.take().expect("piped")),
        ];
        for pipe in pipes {
            let (sender, output) = (sender.clone(), process.output.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let mut output = output.lock().expect("not poisoned");
                    output.push_str(&line);
                    output.push('\n');
                    // Nobody listens any more once the server has started.
                    let _ = sender.send(line);
                }
            });
        }
        process
    }

    /// Waits until it listens: where, and the code with which it can be claimed.
    #[track_caller]
    fn listens(&self) -> (String, Option<String>) {
        let mut code = None;
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("the server does not listen: {}", self.printed());
            };
            if let Some(text) = line.strip_prefix("Code: ") {
                code = Some(text.trim().to_owned());
            } else if let Some(url) = line.strip_prefix("Sluice listens on ") {
                return (url.trim().to_owned(), code);
            }
        }
    }

    /// How it ended, if it did: its connections close a moment before there is a status.
    fn ended_just_now(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            let status = self.child.try_wait().ok().flatten();
            if status.is_some() || Instant::now() > deadline {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn printed(&self) -> String {
        self.output.lock().expect("not poisoned").clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl App {
    /// A fresh server, claimed by its first admin.
    #[track_caller]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// A fresh server with options, claimed by its first admin.
    #[track_caller]
    pub fn with(options: Options) -> Self {
        let mut app = Self::unclaimed(options);
        app.claim();
        app
    }

    /// A fresh server that belongs to nobody yet.
    #[track_caller]
    pub fn unclaimed(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut app = Self::open(&folder.path().join("data"), options);
        app.folder = Some(folder);
        app
    }

    /// A fresh server on a folder that outlives it, claimed by its first admin.
    #[track_caller]
    pub fn on(data: &Path, options: Options) -> Self {
        let mut app = Self::open(data, options);
        app.claim();
        app
    }

    #[track_caller]
    fn open(data: &Path, options: Options) -> Self {
        let process = Process::start(serve(data, &options));
        let (url, code) = process.listens();
        Self {
            client: Client::new(&url, None),
            process,
            code,
            key: Arc::new(Key::generate()),
            data: data.to_owned(),
            folder: None,
            options,
        }
    }

    /// The code that it printed with which it can be claimed.
    #[track_caller]
    pub fn code(&self) -> &str {
        let code = self.code.as_deref();
        code.expect("a fresh server prints a code before it listens")
    }

    #[track_caller]
    fn claim(&mut self) {
        let claim = json!({"email": "admin@example.com", "code": self.code()});
        let claimed = self.post("/auth/bootstrap", &claim).ok();
        self.client.token = claimed["access_token"].as_str().map(str::to_owned);
    }

    /// Starts the server anew on the same folder; the token stays good.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        self.process = Process::start(serve(&self.data, &self.options));
        (self.client.url, self.code) = self.process.listens();
    }

    /// Starts a server on the folder of one that was killed, and kills it after so long, wherever it is then.
    pub fn start_and_die(&mut self, life: Duration) {
        let process = Process::start(serve(&self.data, &self.options));
        std::thread::sleep(life);
        drop(process);
    }

    /// Changes the state as no request can, while the server is down: makes it look as if time had gone by.
    #[track_caller]
    pub fn rewrite_state(&mut self, sql: &str) {
        assert!(self.stop().success());
        rewrite(&self.data.join("state/system.duckdb"), sql);
        self.restart();
    }

    /// Kills the server as a power cut would, if it still runs.
    pub fn kill(&mut self) {
        let _ = self.process.child.kill();
        let _ = self.process.child.wait();
    }

    /// Asks the server to end, and waits for it.
    pub fn stop(&mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success());
        let status = self.process.child.wait().expect("it can be waited for");
        // Its last words are heard before the pipes close.
        while self.process.lines.recv().is_ok() {}
        status
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// What the server has printed so far. A line about something that has happened may still be on its way:
    /// see [`App::line`].
    pub fn output(&self) -> String {
        self.process.printed()
    }

    /// The first line that the server has printed which holds all of `words`, waiting until it comes.
    #[track_caller]
    pub fn line(&self, words: &[&str]) -> String {
        let mut found = None;
        until(&format!("the server prints {words:?}"), || {
            let printed = self.output();
            let mut lines = printed.lines();
            found = lines
                .find(|line| words.iter().all(|word| line.contains(word)))
                .map(str::to_owned);
            found.is_some()
        });
        found.expect("just found")
    }

    /// A client without a token.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.client.url, None).watched_by(&self.client.leaks)
    }

    /// The command line, speaking to this server as its admin.
    pub fn cli(&self) -> Command {
        let mut command = sluice();
        command.env("SLUICE_SERVER", &self.client.url);
        command.env(
            "SLUICE_TOKEN",
            self.client.token.as_deref().unwrap_or_default(),
        );
        command
    }

    /// Signs, uploads and trusts a connector of this repository; returns its digest.
    #[track_caller]
    pub fn install(&self, connector: &str) -> String {
        let component = std::fs::read(component(connector)).expect("it can be read");
        self.install_bytes(&component)
    }

    /// Signs, uploads and trusts a component; returns its digest.
    #[track_caller]
    pub fn install_bytes(&self, component: &[u8]) -> String {
        self.trust_publisher();
        let version = self.upload(&self.key.sign_bytes(component)).ok();
        let digest = version["digest"].as_str().expect("a digest").to_owned();
        self.post(&format!("/api/connectors/{digest}/trust"), &json!({}))
            .ok();
        digest
    }

    /// Registers the key as publisher `tests`, if it is not yet.
    #[track_caller]
    pub fn trust_publisher(&self) {
        let known = self.get("/api/publishers").ok().to_string();
        if !known.contains(&self.key.public()) {
            let publisher = json!({"name": "tests", "public_key": self.key.public()});
            self.post("/api/publishers", &publisher).ok();
        }
    }

    /// The process ids of the runners that are alive.
    pub fn runners(&self) -> Vec<u32> {
        let tasks = format!("/proc/{}/task", self.pid());
        let Ok(tasks) = std::fs::read_dir(tasks) else {
            return Vec::new();
        };
        let children = tasks.flatten().map(|task| {
            // A thread may end while it is looked at.
            std::fs::read_to_string(task.path().join("children")).unwrap_or_default()
        });
        let children = children.collect::<String>();
        let pids = children.split_whitespace().flat_map(str::parse);
        pids.filter(|pid| !is_zombie(*pid)).collect()
    }
}

/// Runs SQL on a database that no server has open.
#[track_caller]
pub fn rewrite(database: &Path, sql: &str) {
    const RUN: &str = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/py/bin/python");
    let mut command = Command::new(python);
    let rewritten = command.args(["-c", RUN]).arg(database).arg(sql).status();
    assert!(rewritten.expect("Python starts").success());
}

/// Every server is searched for the credentials that were entered, when its test is done with it.
impl Drop for App {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = self.process.ended_just_now();
            eprintln!("the server ({ended:?}) said:\n{}", self.output());
        }
        self.kill();
        if !std::thread::panicking() {
            let found = self.client.leaks.search(&self.data, &self.output());
            assert!(found.is_empty(), "{}", found.join("\n"));
        }
    }
}

/// Whether a process has ended and only waits to be noticed.
fn is_zombie(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:\tZ")
}
