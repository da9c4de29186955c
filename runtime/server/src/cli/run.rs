//! `sluice run`, `runs` and `log`: starts a source and follows it, and shows what happened.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::Remote;
use super::client::{Client, list as items, segment, text};
use super::events::{Event, EventParser};
use super::output::{
    CliError, CliResult, bytes, counted, number, plain, print, remark, say, shorten, table,
};

mod progress;

use progress::Watcher;

/// Letters of a failure in a list; `sluice log` shows the whole.
const MAX_FAILURE: usize = 72;
/// Streams that may break before the run is given up.
const MAX_STREAMS: usize = 5;

#[derive(Args)]
pub(super) struct Run {
    /// The source
    name: String,
    /// Only try settings and credentials
    #[arg(long, conflicts_with = "discover")]
    check: bool,
    /// Only list the tables that the source can bring
    #[arg(long)]
    discover: bool,
    /// Bring only this table; may be repeated
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Bring the tables anew: read them from the start and replace all rows, whatever their write mode
    #[arg(long, conflicts_with_all = ["check", "discover"])]
    full_refresh: bool,
    /// Print the run as JSON at its end, and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct Runs {
    /// Only runs of this source
    name: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(super) struct Log {
    /// The run's id
    run: String,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(run: Run) -> CliResult<ExitCode> {
    let client = run.remote.client()?;
    let operation = match (run.check, run.discover) {
        (true, _) => "check",
        (_, true) => "discover",
        _ => "sync",
    };
    if run.full_refresh {
        let path = format!("/api/sources/{}/refresh", segment(&run.name));
        client.post(&path, &json!({"tables": run.tables})).await?;
    }
    let path = format!("/api/sources/{}/runs", segment(&run.name));
    let body = json!({"operation": operation, "tables": run.tables});
    let started = client.post(&path, &body).await?;
    let id = text(&started, "id").to_owned();
    let ended = follow(&client, &id, run.json).await?;
    if run.json {
        return Ok(told_in_json(&ended));
    }
    report(&ended)
}

/// Shows a run's events until it has ended; Ctrl-C cancels it.
async fn follow(client: &Client, id: &str, quiet: bool) -> CliResult<Value> {
    let watcher = Watcher::new(quiet);
    let mut cancelled = false;
    for _ in 0..MAX_STREAMS {
        let stream = read_events(client, id, &watcher);
        tokio::pin!(stream);
        loop {
            tokio::select! {
                result = &mut stream => break result?,
                _ = tokio::signal::ctrl_c() => {
                    if cancelled {
                        return Err(CliError::new(format!("stopped watching; run {id} may still be going on")));
                    }
                    cancelled = true;
                    watcher.say("Cancelling the run; Ctrl-C again to stop watching.");
                    // It may have ended in this moment, which the next event tells.
                    let _ = client.post(&format!("/api/runs/{id}/cancel"), &Value::Null).await;
                }
            }
        }
        let now = client.get(&format!("/api/runs/{}", segment(id))).await;
        // A server that stops tells the end of its runs and is gone.
        let run = match (now, watcher.ended()) {
            (Err(_), Some(run)) => run,
            (now, _) => now?,
        };
        if !matches!(text(&run, "state"), "queued" | "running") {
            watcher.finish();
            return Ok(run);
        }
    }
    Err(
        CliError::new(format!("the server stopped telling about run {id}"))
            .hint("`sluice runs` shows how it stands"),
    )
}

async fn read_events(client: &Client, id: &str, watcher: &Watcher) -> CliResult<()> {
    let mut response = client
        .stream(&format!("/api/runs/{}/events", segment(id)))
        .await?;
    let mut parser = EventParser::default();
    // A stream that breaks is opened anew by the caller.
    while let Ok(Some(piece)) = response.chunk().await {
        for Event { name, data } in parser.feed(&piece)? {
            let data: Value = serde_json::from_str(&data).unwrap_or_default();
            watcher.event(&name, &data);
        }
    }
    Ok(())
}

fn told_in_json(run: &Value) -> ExitCode {
    say(run.to_string());
    match text(run, "state") {
        "succeeded" => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn report(run: &Value) -> CliResult<ExitCode> {
    let counts = &run["counts"];
    let count = |key: &str| counts[key].as_u64().unwrap_or_default();
    for found in items(run, "tables") {
        let line = format!("{}  {}", text(found, "name"), text(found, "description"));
        say(plain(line.trim_end()));
    }
    let state = text(run, "state");
    let summary = format!(
        "{}, {} received, {} of parquet, {}",
        counted(count("rows"), "row"),
        bytes(count("bytes_in")),
        bytes(count("bytes_out")),
        counted(count("requests"), "request")
    );
    if state == "succeeded" {
        let took = seconds(run)
            .map(|s| format!(" in {s:.1} s"))
            .unwrap_or_default();
        say(format!(
            "Run {} succeeded{took}: {summary}.",
            text(run, "id")
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let failure = &run["failure"];
    let why = match text(failure, "message") {
        "" => String::new(),
        message => format!(" ({}): {message}", text(failure, "kind")),
    };
    Err(
        CliError::new(format!("run {} {state}{why}", text(run, "id")))
            .hint(format!("sluice log {}", text(run, "id"))),
    )
}

fn seconds(run: &Value) -> Option<f64> {
    let time = |key| text(run, key).parse::<jiff::Timestamp>().ok();
    Some(
        time("finished_at")?
            .duration_since(time("started_at")?)
            .as_secs_f64(),
    )
}

pub(super) async fn list(runs: Runs) -> CliResult<()> {
    let source = runs
        .name
        .as_deref()
        .map(|name| format!("&source={}", segment(name)));
    let path = format!(
        "/api/runs?limit={}{}",
        runs.limit,
        source.unwrap_or_default()
    );
    let answer = runs.remote.client()?.get(&path).await?;
    let rows: Vec<_> = items(&answer, "runs")
        .iter()
        .map(|run| {
            vec![
                text(run, "id").to_owned(),
                text(run, "source").to_owned(),
                text(run, "operation").to_owned(),
                text(run, "state").to_owned(),
                number(run["counts"]["rows"].as_u64().unwrap_or_default()),
                text(run, "queued_at")
                    .get(..19)
                    .unwrap_or_default()
                    .to_owned(),
                shorten(text(&run["failure"], "message"), MAX_FAILURE),
            ]
        })
        .collect();
    let headings = [
        "id",
        "source",
        "operation",
        "state",
        "rows",
        "at",
        "failure",
    ];
    print(&table(&headings, &rows));
    Ok(())
}

pub(super) async fn log(log: Log) -> CliResult<()> {
    let path = format!("/api/runs/{}/log", segment(&log.run));
    let answer = log.remote.client()?.get(&path).await?;
    let lines = items(&answer, "lines");
    for line in lines {
        say(format!(
            "{} {:5} {}",
            text(line, "at").get(..19).unwrap_or_default(),
            text(line, "level"),
            plain(text(line, "message"))
        ));
    }
    if lines.is_empty() {
        remark("The run said nothing.");
    }
    Ok(())
}
