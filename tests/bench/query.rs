//! Many tables, small questions: what an analyst's agent asks all day.

mod flow;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use integration_tests::{App, Client, Internet};
use serde_json::json;

use crate::Scale;
use crate::load;
use crate::peer::{figure, latencies, measure};
use crate::process::Watch;
use crate::report::{Aim, Report, Row};
use crate::samples::Samples;
use flow::Flow;

const ROWS: u64 = 1_000;

const METHOD: &str = "\
500 tables in 50 sources, each table with 1,000 rows of fourteen columns, published by 50 runs. A simple query counts and
filters the rows of one random table: `SELECT count(*), max(amount) FROM … WHERE quantity < 50`. Ours: over HTTP with a
token, syntax-tree gate and locked instance, from clients that share the cores with the server. Peers: *attach anew*
is plain DuckDB in Python on the very same extracts, a fresh connection for each query that attaches all of them, without HTTP,
as a simple orchestrator does it; *in process* is one DuckDB connection in Python over the same parquet, without HTTP,
gate or grants, which nothing that stands on DuckDB can pass with one client; with 8 threads, each has a cursor of that connection. A grant
set of the rows with 20 of them is ten sources of ten tables; each of the 8 clients asks in turn as each of the 20 users. A stream is 10 million rows of two
numbers and a text as Arrow, read away by a client on loopback; its memory is what the server's process grew by meanwhile. A
download is a parquet file of 1 GB in the page cache, by one connection on loopback, in turns from the server and from nginx
with `sendfile on; tcp_nopush on` and one worker. The last rows are measured within one process, over
tables of one row: a full rebuild knows nothing of an earlier one, and a grant set has 100 tables.";

const MISSED: &str = "\
The rate of 20 grant sets falls short of the aim: DuckDB's C interface plans a prepared statement over files twice, when it is
prepared and when it runs (breakpoints on its optimizer say so), about 0.3 ms of processor time in each query; the rest of the
difference is HTTP, with the clients on the same processors, and malloc.";

/// The measurements of all turns.
#[derive(Default)]
struct Figures {
    rebuild: Samples,
    peer_rebuild: Samples,
    first: Samples,
    after_kill: Samples,
    rates: [Samples; 2],
    latencies: [Vec<f64>; 2],
    attach: Samples,
    direct: Samples,
    /// Of 8 clients with 20 grant sets, and of 8 threads in process.
    granted: Samples,
    direct_threads: Samples,
    attach_latencies: Vec<f64>,
    direct_latencies: Vec<f64>,
}

/// Measures.
pub fn bench(scale: Scale) -> Report {
    let (sources, tables) = scale.of((50, 10), (5, 4));
    let seconds = scale.of(4.0, 1.0);
    let turns = scale.of(7, 2);
    let mut app = App::start();
    app.install("files");
    let internet = Internet::start();
    let began = Instant::now();
    fill(&app, &internet, sources, tables);
    let filled = began.elapsed().as_secs_f64();
    println!("{sources} sources with {tables} tables each are there after {filled:.1} s");
    let names: Vec<String> = (0..sources * tables)
        .map(|n| format!("orders_{n:03}"))
        .collect();
    let people = people(&app, sources, tables);
    let mut figures = Figures::default();
    for turn in 1..=turns {
        start_anew(&mut app, &names, &mut figures);
        for (index, clients) in [1, 8].into_iter().enumerate() {
            let samples = ask_all(&app, &names, clients, seconds);
            figures.rates[index].push(samples.len() as f64 / seconds);
            figures.latencies[index].extend(samples);
        }
        let answers = ask_granted(&app, &people, seconds);
        figures.granted.push(answers as f64 / seconds);
        ask_peers(&app, seconds, &mut figures);
        println!("turn {turn} of {turns}");
    }
    let memory = Watch::start(app.pid());
    ask_all(&app, &names, 8, seconds);
    let memory = memory.megabytes();
    let flow = flow::measure(&mut app, scale);
    drop(app);
    let mut report = report(figures, names.len(), filled, memory);
    report.notes.push(MISSED.to_owned());
    if flow.nginx.is_none() {
        let note = "nginx could not be had, so the download has no peer.";
        report.notes.push(note.to_owned());
    }
    report.rows.extend(rows_of(flow));
    report.rows.extend(crate::rebuild::rows(scale));
    report
}

/// Publishes the tables: a run for each source.
fn fill(app: &App, internet: &Internet, sources: u64, tables: u64) {
    let exception = internet.exception();
    for source in 0..sources {
        let list: Vec<_> = (source * tables..(source + 1) * tables)
            .map(|number| {
                let path = format!("/orders-{number}.csv");
                let rows = load::csv(number * ROWS, (number + 1) * ROWS);
                load::serve_body(internet, &path, "text/csv", rows);
                json!({"name": format!("orders_{number:03}"), "url": internet.url(&path), "format": "csv"})
            })
            .collect();
        let name = format!("shop_{source:02}");
        app.add_source(&name, "files", &json!({ "tables": list }), &[&exception]);
        let run = app.run(&name);
        assert_eq!(run["state"], "succeeded", "{run}");
    }
}

/// A user's token, and the tables of the sources that the user was granted.
type Person = (Option<String>, Vec<String>);

/// Twenty users, each in a group of its own with another set of sources.
fn people(app: &App, sources: u64, tables: u64) -> Vec<Person> {
    let person = |number: u64| {
        let (client, group) = app.analyst(&format!("analyst{number}@example.com"));
        let granted = (0..sources / 5).map(|n| (number * 2 + n) % sources);
        let names = granted.flat_map(|source| {
            app.grant(&group, "read", "source", &format!("shop_{source:02}"));
            (source * tables..(source + 1) * tables).map(|n| format!("orders_{n:03}"))
        });
        let names = names.collect();
        (client.token, names)
    };
    (0..20).map(person).collect()
}

/// Asks as 8 clients, each in turn as another of these people; how many answers there were.
fn ask_granted(app: &App, people: &[Person], seconds: f64) -> u64 {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let turn = AtomicU64::new(0);
    let answers = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let clients = people.iter().map(|(token, names)| {
                let client = Client::new(&app.url, token.clone());
                (client, names)
            });
            let clients: Vec<_> = clients.collect();
            let (turn, answers) = (&turn, &answers);
            scope.spawn(move || {
                while Instant::now() < end {
                    let number = turn.fetch_add(1, Ordering::Relaxed) as usize;
                    let (client, names) = &clients[number % clients.len()];
                    ask(client, &names[number * 197 % names.len()]);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    answers.into_inner()
}

/// From the start of a server over these extracts to its first answers: after one that was killed, whose log it has to
/// replay, and after one that was told to end.
fn start_anew(app: &mut App, names: &[String], figures: &mut Figures) {
    app.kill();
    let began = Instant::now();
    app.restart();
    ask(app, &names[0]);
    figures.after_kill.push(began.elapsed().as_secs_f64());
    assert!(app.stop().success());
    let began = Instant::now();
    app.restart();
    let listens = began.elapsed().as_secs_f64();
    ask(app, &names[0]);
    figures.rebuild.push(began.elapsed().as_secs_f64());
    figures.first.push(began.elapsed().as_secs_f64() - listens);
}

fn ask(client: &Client, table: &str) {
    let sql = format!("SELECT count(*), max(amount) FROM {table} WHERE quantity < 50");
    let answer = client.query(&sql).ok();
    assert_eq!(answer["row_count"], 1, "{answer}");
}

/// Asks with so many clients at once for so long; the latency of each answer in seconds.
fn ask_all(app: &App, names: &[String], clients: u64, seconds: f64) -> Vec<f64> {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let turn = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|_| {
                // A client of its own has a connection of its own, which it keeps.
                let client = Client::new(&app.url, app.token.clone());
                scope.spawn(|| ask_until(client, names, &turn, end))
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("the client went on"))
            .collect()
    })
}

fn ask_until(client: Client, names: &[String], turn: &AtomicU64, end: Instant) -> Vec<f64> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        // 197 is prime to the number of tables: all of them come, far from their neighbours.
        let number = turn.fetch_add(197, Ordering::Relaxed) as usize % names.len();
        let began = Instant::now();
        ask(&client, &names[number]);
        latencies.push(began.elapsed().as_secs_f64());
    }
    latencies
}

fn ask_peers(app: &App, seconds: f64, figures: &mut Figures) {
    let extracts = app.data.join("extracts").display().to_string();
    let file = app.data.join("peer.duckdb");
    let rebuilt = measure(&["rebuild", &extracts, &file.display().to_string()]);
    std::fs::remove_file(&file).expect("the peer made it");
    figures.peer_rebuild.push(figure(&rebuilt, "seconds"));
    for (name, rates, all) in [
        ("attach", &mut figures.attach, &mut figures.attach_latencies),
        ("direct", &mut figures.direct, &mut figures.direct_latencies),
    ] {
        let samples = latencies(&measure(&[name, &extracts, &seconds.to_string()]));
        rates.push(samples.len() as f64 / samples.sum());
        all.extend(samples.values());
    }
    let threads = measure(&["direct_threads", &extracts, &seconds.to_string()]);
    figures.direct_threads.push(figure(&threads, "rate"));
}

/// What was measured of streams and downloads.
fn rows_of(flow: Flow) -> [Row; 3] {
    let row = |work: &str, ours, peer, unit, aim| Row {
        work: work.to_owned(),
        ours,
        peer,
        unit,
        aim,
    };
    let download = match flow.nginx {
        Some(_) => Aim::TimesPeer(0.7),
        None => Aim::Nothing,
    };
    [
        row(
            "10 million rows streamed as Arrow: resident memory growth",
            flow.grown,
            None,
            "MB",
            Aim::AtMost(67.1),
        ),
        row(
            "10 million rows streamed as Arrow: million rows a second",
            flow.rows,
            None,
            "M/s",
            Aim::Nothing,
        ),
        row(
            "download of a 1 GB parquet on loopback; peer: nginx with sendfile",
            flow.ours,
            flow.nginx,
            "MB/s",
            download,
        ),
    ]
}

fn report(figures: Figures, tables: usize, filled: f64, memory: f64) -> Report {
    let mut rows = Vec::new();
    let mut line = |work: &str, ours: Samples, peer: Option<Samples>, unit, aim| {
        rows.push(Row {
            work: work.to_owned(),
            ours,
            peer,
            unit,
            aim,
        });
    };
    let rebuild = format!(
        "start of the server to the first answer over {tables} tables; peer: rebuild by attaching"
    );
    line(
        &rebuild,
        figures.rebuild,
        Some(figures.peer_rebuild),
        "s",
        Aim::AtMost(1.0),
    );
    line(
        "the same after a server that was killed, with its log to replay",
        figures.after_kill,
        None,
        "s",
        Aim::Nothing,
    );
    line(
        "the first query in that",
        figures.first,
        None,
        "s",
        Aim::Nothing,
    );
    let [one, eight] = figures.rates;
    let attach = Some(figures.attach);
    line(
        "simple queries, 1 client; peer: attach anew",
        one.clone(),
        attach.clone(),
        "1/s",
        Aim::Nothing,
    );
    line(
        "simple queries, 1 client; peer: in process",
        one,
        Some(figures.direct),
        "1/s",
        Aim::Nothing,
    );
    line(
        "simple queries, 8 clients; peer: attach anew",
        eight,
        attach,
        "1/s",
        Aim::AtLeast(1000.0),
    );
    line(
        "simple queries, 8 clients with 20 grant sets; peer: in process, 8 threads",
        figures.granted.clone(),
        Some(figures.direct_threads),
        "1/s",
        Aim::TimesPeer(0.7),
    );
    line(
        "simple queries, 8 clients with 20 grant sets",
        figures.granted,
        None,
        "1/s",
        Aim::AtLeast(500.0),
    );
    let attach = Samples::from(figures.attach_latencies);
    let direct = Samples::from(figures.direct_latencies);
    let [one, eight] = figures.latencies.map(Samples::from);
    for (part, name) in [(0.5, "p50"), (0.99, "p99")] {
        let at = |samples: &Samples| Samples::from(vec![samples.percentile(part) * 1e3]);
        line(
            &format!("{name} of 1 client; peer: attach anew"),
            at(&one),
            Some(at(&attach)),
            "ms",
            Aim::Nothing,
        );
        line(
            &format!("{name} of 1 client; peer: in process"),
            at(&one),
            Some(at(&direct)),
            "ms",
            Aim::Nothing,
        );
        line(
            &format!("{name} of 8 clients"),
            at(&eight),
            None,
            "ms",
            Aim::Nothing,
        );
    }
    line(
        "memory of the server under 8 clients",
        vec![memory].into(),
        None,
        "MB",
        Aim::Nothing,
    );
    Report {
        name: "query",
        title: "Query: 500 tables, small questions",
        method: METHOD,
        rows,
        notes: vec![format!(
            "The runs that published the tables took {filled:.1} s, one after the other."
        )],
    }
}
