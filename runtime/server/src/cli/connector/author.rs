//! `sluice connector new`, `test` and `compare`: what an author does before anybody trusts a component.

use std::path::{Path, PathBuf};

use clap::Args;
use domain::{Cancel, ComparedRun, ConnectorName, SourceName};
use serde_json::{Value, json};

use super::distant;
use crate::author::acceptance::{self, Check, Verdict};
use crate::author::skeleton::{self, Language};
use crate::author::{Workshop, compare, read_recording};
use crate::cli::Remote;
use crate::cli::output::{CliError, CliResult, bytes, counted, plain, print, say, table};
use crate::recordings;

#[derive(Args)]
pub(in crate::cli) struct New {
    /// The connector's name
    name: String,
    /// What it is written in
    #[arg(long, value_enum)]
    lang: Language,
    /// The folder to make; NAME by default
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// For Rust: the folder of the SDK, where it shall not come from the network
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Args)]
pub(in crate::cli) struct Test {
    /// The component, signed or not
    file: PathBuf,
    /// What the service answers: without it there is nothing to try
    #[arg(long, value_name = "FILE")]
    recording: PathBuf,
    /// The settings as JSON, in place of the recording's
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(in crate::cli) struct Compare {
    /// The version that is in use: a file, or with --source the digest of a version on the server, or its first digits
    old: PathBuf,
    /// The version that may take its place
    new: PathBuf,
    /// A recorded run; may be given more than once
    #[arg(long, value_name = "FILE", required_unless_present = "source")]
    recording: Vec<PathBuf>,
    /// Have the server replay the recorded runs of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// How many of them, the newest first
    #[arg(long, default_value_t = 10, value_name = "N", requires = "source")]
    runs: usize,
    /// Replay here, from a server's data folder on this machine, instead of on the server
    #[arg(long, value_name = "DIR", requires = "source")]
    data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn new(new: &New) -> CliResult<()> {
    let name = ConnectorName::parse(&new.name).map_err(|error| CliError::new(error.to_string()))?;
    let folder = new.dir.clone().unwrap_or_else(|| PathBuf::from(&new.name));
    let files = skeleton::write(&name, new.lang, &folder, new.sdk.as_deref());
    let files = files.map_err(|error| {
        CliError::new(format!("`{}` cannot be made: {error}", folder.display()))
            .hint("choose another folder with --dir; nothing is ever overwritten")
    })?;
    for file in files {
        say(folder.join(file).display().to_string());
    }
    say(format!("Read {} next.", folder.join("README.md").display()));
    Ok(())
}

pub(super) fn test(test: &Test) -> CliResult<()> {
    let recording = read_recording(&test.recording)?;
    let settings = match &test.settings {
        Some(file) => read_json(file)?,
        None => recording.head.settings.clone(),
    };
    let checks = acceptance::run(&test.file, &recording, settings)?;
    if test.json {
        say(pretty(&json!({ "checks": checks }))?);
    } else {
        print(&table(&["check", "result", "why"], &lines(&checks)));
    }
    let failed = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Failed)
        .count();
    match failed {
        0 => Ok(()),
        _ => Err(CliError::new(format!(
            "{failed} of {} checks failed",
            checks.len()
        ))),
    }
}

fn lines(checks: &[Check]) -> Vec<Vec<String>> {
    let line = |check: &Check| {
        vec![
            check.name.to_owned(),
            check.verdict.as_str().to_owned(),
            check.reason.clone(),
        ]
    };
    checks.iter().map(line).collect()
}

pub(super) fn compare(compare: &Compare) -> CliResult<()> {
    let compared = match (&compare.source, &compare.data_dir) {
        (Some(source), None) if compare.recording.is_empty() => {
            let asked = distant::Asked {
                source,
                old: &compare.old,
                new: &compare.new,
                runs: compare.runs,
            };
            crate::cli::wait(distant::compare(&compare.remote.client()?, &asked))?
        }
        _ => here(compare)?,
    };
    if compare.json {
        say(pretty(&json!({ "runs": compared }))?);
    } else {
        compared.iter().for_each(show);
    }
    let differing = compared
        .iter()
        .filter(|run| !run.differences.is_empty())
        .count();
    match differing {
        0 => Ok(()),
        _ => Err(CliError::new(format!(
            "the versions differ in {differing} of {} runs",
            compared.len()
        ))),
    }
}

/// Replays on this machine.
fn here(compare: &Compare) -> CliResult<Vec<ComparedRun>> {
    let files = files(compare)?;
    let read = |path: &PathBuf| Ok((path.display().to_string(), read_recording(path)?));
    let (old, new) = (Workshop::open(&compare.old)?, Workshop::open(&compare.new)?);
    compare::run(&old, &new, files.iter().map(read), &Cancel::new())
}

/// The recordings that were named, and those of a source.
fn files(compare: &Compare) -> CliResult<Vec<PathBuf>> {
    let mut files = compare.recording.clone();
    let Some(source) = &compare.source else {
        return Ok(files);
    };
    let source = SourceName::parse(source).map_err(|error| CliError::new(error.to_string()))?;
    let Some(data_dir) = &compare.data_dir else {
        return Err(CliError::new("the server replays its own recordings only")
            .hint("leave out --recording or --source, or name the server's folder by --data-dir"));
    };
    let kept = recordings::of_source(data_dir, &source).unwrap_or_default();
    if kept.is_empty() {
        let folder = data_dir.display();
        let message = format!("`{folder}` holds no recorded run of `{source}`");
        return Err(CliError::new(message)
            .hint("set `runs.keep_recordings` in the server's configuration, and run the source"));
    }
    files.extend(kept.into_iter().take(compare.runs));
    Ok(files)
}

fn show(run: &ComparedRun) {
    if run.differences.is_empty() {
        let counts = run.new.counts;
        say(format!(
            "{}: the same, {} by {}, {}",
            run.recording,
            counted(counts.rows, "row"),
            counted(counts.requests, "request"),
            bytes(counts.bytes_in)
        ));
        return;
    }
    say(format!("{}:", run.recording));
    for difference in &run.differences {
        say(format!("  {}", plain(difference)));
    }
}

fn read_json(path: &Path) -> CliResult<Value> {
    let shown = path.display();
    let text = std::fs::read(path)
        .map_err(|error| CliError::new(format!("`{shown}` cannot be read: {error}")))?;
    serde_json::from_slice(&text)
        .map_err(|error| CliError::new(format!("`{shown}` is not JSON: {error}")))
}

fn pretty(value: &Value) -> CliResult<String> {
    serde_json::to_string_pretty(value)
        .map_err(|error| CliError::new(format!("the result cannot be shown: {error}")))
}
