//! State and extracts after a power cut, 200 times and 60 times: what was acknowledged is there, nothing is half.
//!
//! The test starts its own binary as a process that writes as fast as it can, kills it at a random
//! moment with SIGKILL, and opens what it left.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::exit,
    reason = "this is a test"
)]

mod extracts;
mod publisher;
mod survivor;
mod writer;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use duckdb::Connection;
use libtest_mimic::{Arguments, Trial};
use warehouse::{Paths, State};

use survivor::Survivor;

/// Names the data folder to the process that writes.
const WRITER: &str = "SLUICE_TEST_WRITES_TO";
/// Names it to the process that publishes.
const PUBLISHER: &str = "SLUICE_TEST_PUBLISHES_TO";
/// Kills while extracts of every write mode are published.
const PUBLISHING: u32 = 60;
/// Longer than a publish takes.
const PUBLISH: Duration = Duration::from_millis(60);
/// Kills while a server writes, and while it brings an old file to its schema; 200 in all.
const WRITING: u32 = 190;
const MIGRATING: u32 = 10;
/// After so many a new folder is begun, so that looking at everything stays quick.
const LIVES: u32 = 19;
/// A kill comes after up to so many acknowledgements, and up to so much time: longer than a commit
/// and a checkpoint take.
const MOST: u32 = 6;
const LONGEST: Duration = Duration::from_millis(10);
/// Longer than a migration takes.
const MIGRATION: Duration = Duration::from_millis(80);

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(WRITER) {
        return writer::write(Path::new(&folder));
    }
    if let Some(folder) = std::env::var_os(PUBLISHER) {
        return publisher::publish(Path::new(&folder));
    }
    let trials = vec![
        Trial::test("every_acknowledged_write_survives_every_kill", || {
            std::thread::scope(|scope| {
                // Two at a time: one waits while the other works.
                scope.spawn(|| kill_writers(1, WRITING / 2));
                scope.spawn(|| kill_writers(2, WRITING / 2));
            });
            Ok(())
        }),
        Trial::test(
            "every_publish_of_every_write_mode_is_whole_after_every_kill",
            || {
                std::thread::scope(|scope| {
                    scope.spawn(|| kill_publishers(4, PUBLISHING / 2));
                    scope.spawn(|| kill_publishers(5, PUBLISHING / 2));
                });
                Ok(())
            },
        ),
        Trial::test(
            "a_kill_in_a_migration_leaves_the_old_schema_or_the_new",
            || {
                kill_migrations();
                Ok(())
            },
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn kill_writers(seed: u64, kills: u32) {
    let mut random = Random(seed);
    let mut acknowledged = 0;
    for _ in 0..kills / LIVES {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let mut survivor = Survivor::default();
        for _ in 0..LIVES {
            let mut life = Life::begin(WRITER, folder.path(), "ready");
            life.acknowledges(random.number(MOST));
            std::thread::sleep(random.below(LONGEST));
            let lines = life.end();
            let state = State::open(&paths).unwrap();
            acknowledged += survivor.examine(&state, &lines);
        }
    }
    assert!(
        acknowledged > kills,
        "too little was written: {acknowledged}"
    );
}

fn kill_publishers(seed: u64, kills: u32) {
    let mut random = Random(seed);
    let mut acknowledged = 0;
    let mut folder = tempfile::tempdir().unwrap();
    for kill in 0..kills {
        if kill % LIVES == 0 {
            folder = tempfile::tempdir().unwrap();
        }
        let mut life = Life::begin(PUBLISHER, folder.path(), "ready");
        life.acknowledges(random.number(MOST));
        std::thread::sleep(random.below(PUBLISH));
        acknowledged += extracts::examine(folder.path(), &life.end());
    }
    assert!(
        acknowledged > kills,
        "too little was published: {acknowledged}"
    );
}

fn kill_migrations() {
    let mut random = Random(3);
    for _ in 0..MIGRATING {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        paths.create().unwrap();
        old_state(&paths);
        let life = Life::begin(WRITER, folder.path(), "opening");
        std::thread::sleep(random.below(MIGRATION));
        let lines = life.end();
        let left = State::check_file(&paths.system_db()).unwrap();
        assert!([1, left.newest].contains(&left.schema), "{left:?}");
        assert_eq!(left.problems, [""; 0]);
        let state = State::open(&paths).unwrap();
        Survivor::default().examine(&state, &lines);
        let publishers = state.publishers().unwrap();
        assert_eq!(publishers.len(), 5_000, "what was there before is there");
    }
}

/// A file of the first schema with rows in it, as an earlier server left it.
fn old_state(paths: &Paths) {
    let connection = Connection::open(paths.system_db()).unwrap();
    connection
        .execute_batch(include_str!("../../migrations/0001_initial.sql"))
        .unwrap();
    connection
        .execute_batch(
            "CREATE TABLE schema_version (version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL); \
             INSERT INTO schema_version VALUES (1, now()::TIMESTAMP); \
             INSERT INTO publishers SELECT 'p' || n, md5(n::VARCHAR) || md5(n::VARCHAR), now()::TIMESTAMP \
             FROM range(5000) AS numbers(n)",
        )
        .unwrap();
}

/// A process that writes, until it is killed.
struct Life {
    child: Child,
    output: BufReader<ChildStdout>,
    heard: Vec<String>,
}

impl Life {
    /// Starts one, and waits until it says this.
    fn begin(what: &str, folder: &Path, word: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(what, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut life = Self {
            child,
            output,
            heard: Vec::new(),
        };
        while life.line() != word {}
        life
    }

    /// Waits until it has acknowledged so many writes.
    fn acknowledges(&mut self, writes: u32) {
        for _ in 0..writes {
            let line = self.line();
            self.heard.push(line);
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        assert!(read > 0, "the writer ended by itself");
        line.trim_end().to_owned()
    }

    /// Kills it; what it acknowledged until then.
    fn end(mut self) -> Vec<String> {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the writer failed by itself: {ended:?}");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // A line is one write, so the pipe holds none in part.
        self.heard.extend(self.output.lines().map(Result::unwrap));
        self.heard
    }
}

/// Moments as good as any, the same in each run as far as the machine allows.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: Duration) -> Duration {
        limit * self.number(1_000) / 1_000
    }

    fn number(&mut self, limit: u32) -> u32 {
        // Knuth's constants for a linear congruential generator; the high bits are the random ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as u32 % limit
    }
}
