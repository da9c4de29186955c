//! What it costs to know who asks: with a token and without, among few users and among many, and while a hundred people
//! sign in.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use integration_tests::{App, Client, Internet, Options};
use serde_json::json;

use crate::Scale;
use crate::connection::Connection;
use crate::peer::python;
use crate::process::processor_seconds;
use crate::report::{Aim, Report, Row};
use crate::samples::Samples;

/// Anybody may ask for this, and it is answered from memory.
const OPEN: &str = "/api/version";
/// Only admins may ask for this, and it is answered from memory too: what is more is the gate's.
const GUARDED: &str = "/api/admin/resource-types";
/// Users may ask for this, and get what they were granted.
const GRANTED: &str = "/api/catalog/tables";

const READER: &str = "reader@example.com";

const METHOD: &str = "\
Two servers on one machine, asked in turns: one whose directory is all but empty (an admin, and a user with one grant), and
one with 5,000 users in ten groups each, 500 groups and 50,000 grants. *With a token* is `GET /api/admin/resource-types`
as admin, *without* is `GET /api/version`: both answer less than a kilobyte of JSON from memory and pass the same layers, so that
what differs is the gate, and that the first answer is three times as long. *The catalogue* is `GET /api/catalog/tables` as a user who was
granted the one table there is. Sign-ins are `POST /auth/token` by different people, all at the same moment, on the server with the
full directory, while another client asks with a token every 2 ms; its time runs from when a request was due, so that one which is held up
counts for those behind it as well. Peer: what the line says, of the same server or of the one with the empty directory.
Clients share the cores with the servers.";

/// How often the other client asks while people sign in.
const PAUSE: Duration = Duration::from_millis(2);

/// A server, and who asks it.
struct Subject {
    app: App,
    reader: String,
    // What it was started with lies there.
    _folder: tempfile::TempDir,
}

/// Ours, and what it is compared with.
type Pair = [f64; 2];

/// What one turn measured.
struct Turn {
    /// Answers a second to one client, with a token and without.
    one: Pair,
    /// The same of eight.
    eight: Pair,
    /// Microseconds of the server's processor time for one of these.
    processor: Pair,
    /// p99 in milliseconds with the full directory and with the empty one.
    guarded: Pair,
    /// The same of the catalogue.
    granted: Pair,
    /// Milliseconds until the first answer after a change.
    change: Pair,
    /// p99 in milliseconds while people sign in, and while nobody does.
    crowded: Pair,
    /// Seconds until all of them are in.
    crowd: f64,
}

/// Measures.
pub fn bench(scale: Scale) -> Report {
    let seconds = scale.of(3.0, 0.3);
    let turns = scale.of(9, 2);
    let crowd = scale.of(100, 10);
    let internet = Internet::start();
    let empty = Subject::start(&internet);
    let mut full = Subject::start(&internet);
    full.fill();
    let mut measured = Vec::new();
    for turn in 0..=turns {
        let people = turn * crowd..(turn + 1) * crowd;
        measured.push(Turn::measure(&full, &empty, seconds, people));
        println!("turn {turn} of {turns}");
    }
    // It has warmed caches up on both sides.
    measured.remove(0);
    report(&measured, crowd)
}

impl Turn {
    fn measure(full: &Subject, empty: &Subject, seconds: f64, people: Range<u64>) -> Self {
        let [with, without] = [GUARDED, OPEN].map(|path| gate(&empty.app, path, seconds));
        let [ours, peer] = [full, empty].map(|subject| directory(subject, seconds));
        let (crowded, crowd) = crowd_in(&full.app, people, seconds);
        Self {
            one: [with.0, without.0],
            eight: [with.1, without.1],
            processor: [with.2, without.2],
            guarded: [ours.0, peer.0],
            granted: [ours.1, peer.1],
            change: [ours.2, peer.2],
            crowded,
            crowd,
        }
    }
}

impl Subject {
    /// A server with one table, and a user who may read it.
    fn start(internet: &Internet) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("sluice.yaml");
        // All clients have one address here, and sign in more often than one client may.
        let text = "config_version: 1\nauth:\n  rate:\n    per_address_per_minute: 100000\n";
        std::fs::write(&config, text).expect("it can be written");
        let app = App::with(Options {
            arguments: vec!["--config".into(), config.display().to_string()],
            ..Options::default()
        });
        publish(&app, internet);
        let reader = add_reader(&app);
        Self {
            app,
            reader,
            _folder: folder,
        }
    }

    /// Puts the directory of a large company into it.
    fn fill(&mut self) {
        const FILL: &str =
            "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(open(sys.argv[2]).read())";
        assert!(self.app.stop().success());
        let state = self
            .app
            .data
            .join("state/system.duckdb")
            .display()
            .to_string();
        let filled = python(&["-c", FILL, &state, "tests/bench/directory.sql"]).status();
        assert!(filled.expect("Python starts").success());
        self.app.restart();
        let users = self.app.get("/api/users").ok();
        let grants = self.app.get("/api/admin/grants").ok();
        let counts = [users, grants].map(|list| list.as_array().map_or(0, Vec::len));
        assert_eq!(counts, [5_002, 50_001]);
    }

    /// Changes who may do what, and leaves nothing behind.
    fn change(&self) {
        let group = self.app.add_group("Change");
        self.app.delete(&format!("/api/admin/groups/{group}")).ok();
    }

    fn connect(&self, path: &str) -> Connection {
        let token = if path == GRANTED {
            Some(self.reader.as_str())
        } else {
            self.app.token.as_deref()
        };
        Connection::new(&self.app.url, path, token)
    }
}

fn publish(app: &App, internet: &Internet) {
    app.install("files");
    internet.page("/orders.csv", "text/csv", "a\n1\n");
    let url = internet.url("/orders.csv");
    let settings = json!({"tables": [{"name": "orders", "url": url, "format": "csv"}]});
    app.add_source("shop", "files", &settings, &[&internet.exception()]);
    let run = app.run("shop");
    assert_eq!(run["state"], "succeeded", "{run}");
}

/// Adds a user with a grant on the one table; the token of a session.
fn add_reader(app: &App) -> String {
    app.add_user(READER);
    let group = app.add_group("Readers");
    app.join(&group, READER);
    app.grant(&group, "read", "table", "orders");
    let reader = app.sign_in(READER);
    assert_eq!(reader.tables(), ["orders"]);
    reader.token.expect("a session has a token")
}

/// Answers a second to one client and to eight, and the server's microseconds for one.
fn gate(app: &App, path: &str, seconds: f64) -> (f64, f64, f64) {
    // Of the whole server, threads can share only this.
    let client: &Client = app;
    let token = client.token.as_deref().filter(|_| path == GUARDED);
    let count = || {
        Connection::new(&client.url, path, token)
            .ask_for(seconds)
            .len() as f64
    };
    let one = count();
    let before = processor_seconds(app.pid());
    let eight: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(count)).collect();
        let counts = threads.into_iter().map(|thread| thread.join());
        counts.map(|count| count.expect("the client went on")).sum()
    });
    let worked = processor_seconds(app.pid()) - before;
    (one / seconds, eight / seconds, worked * 1e6 / eight)
}

/// p99 with a token, p99 of the catalogue, and the first answer after a change, in milliseconds.
fn directory(subject: &Subject, seconds: f64) -> (f64, f64, f64) {
    let p99 = |path| subject.connect(path).ask_for(seconds).percentile(0.99) * 1e3;
    let (guarded, granted) = (p99(GUARDED), p99(GRANTED));
    let mut connection = subject.connect(GUARDED);
    connection.ask();
    subject.change();
    let began = Instant::now();
    connection.ask();
    (guarded, granted, began.elapsed().as_secs_f64() * 1e3)
}

/// p99 in milliseconds of what another client asks while all these people sign in at once, and while nobody does;
/// and the seconds until all of them are in.
fn crowd_in(client: &Client, people: Range<u64>, seconds: f64) -> (Pair, f64) {
    let quiet = while_asking(client, || {
        std::thread::sleep(Duration::from_secs_f64(seconds))
    });
    let began = Instant::now();
    let crowded = while_asking(client, || {
        std::thread::scope(|scope| {
            for person in people {
                scope.spawn(move || client.sign_in(&format!("person{person}@example.com")));
            }
        });
    });
    ([crowded, quiet], began.elapsed().as_secs_f64())
}

/// Runs something while a client asks with a token every so often: the p99 of that client, in milliseconds.
fn while_asking(client: &Client, something: impl FnOnce()) -> f64 {
    let over = AtomicBool::new(false);
    let latencies = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut connection = Connection::new(&client.url, GUARDED, client.token.as_deref());
            connection.ask_every(PAUSE, &over)
        });
        something();
        over.store(true, Ordering::Relaxed);
        asking.join().expect("the client went on")
    });
    latencies.percentile(0.99) * 1e3
}

fn report(turns: &[Turn], crowd: u64) -> Report {
    let line = |work: &str, pick: fn(&Turn) -> Pair, unit, aim| {
        let [ours, peer] = [0, 1].map(|side| {
            let values = turns.iter().map(|turn| pick(turn)[side]);
            Samples::from(values.collect::<Vec<_>>())
        });
        Row {
            work: work.to_owned(),
            ours,
            peer: Some(peer),
            unit,
            aim,
        }
    };
    let alone = |work: String, pick: fn(&Turn) -> f64, unit, aim| Row {
        work,
        ours: Samples::from(turns.iter().map(pick).collect::<Vec<_>>()),
        peer: None,
        unit,
        aim,
    };
    let during = format!("p99 with a token while {crowd} people sign in; peer: while nobody does");
    let beyond = |turn: &Turn| turn.crowded[0] - turn.crowded[1];
    let rows = vec![
        line(
            "with a token, 1 client; peer: without",
            |t| t.one,
            "1/s",
            Aim::TimesPeer(0.8),
        ),
        line(
            "with a token, 8 clients; peer: without",
            |t| t.eight,
            "1/s",
            Aim::TimesPeer(0.8),
        ),
        line(
            "the server's processor time for one of these",
            |t| t.processor,
            "µs",
            Aim::Nothing,
        ),
        line(
            "p99 with a token, full directory; peer: empty",
            |t| t.guarded,
            "ms",
            Aim::AtMostTimesPeer(1.2),
        ),
        line(
            "p99 of the catalogue, full directory; peer: empty",
            |t| t.granted,
            "ms",
            Aim::AtMostTimesPeer(1.2),
        ),
        line(
            "the first answer after a change, full directory; peer: empty",
            |t| t.change,
            "ms",
            Aim::Nothing,
        ),
        line(&during, |t| t.crowded, "ms", Aim::Nothing),
        alone(
            "the same, beyond the quiet one".into(),
            beyond,
            "ms",
            Aim::AtMost(50.0),
        ),
        alone(
            format!("{crowd} people sign in at once, until the last is in"),
            |t| t.crowd,
            "s",
            Aim::Nothing,
        ),
    ];
    Report {
        name: "auth",
        title: "Auth: who asks, and what that costs the others",
        method: METHOD,
        rows,
        notes: vec![
            "A change of users, groups or grants is in force from the next request on, which therefore reads all of them anew.".into(),
        ],
    }
}
