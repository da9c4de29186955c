//! `da sync`: makes the local tables those of the server's manifest.

mod download;
mod rules;
mod state;
mod upload;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::SyncArgs;
use crate::error::{Error, io};
use crate::http::Api;
use crate::workspace::{Workspace, is_safe};
use crate::{local, output};

pub(crate) use download::digest;
use state::Entry;
pub(crate) use state::State;

/// What one run did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) downloaded: Vec<String>,
    skipped: Vec<String>,
    skipped_remote: Vec<String>,
    pruned: Vec<String>,
    pub(crate) errors: Vec<Value>,
}

impl Report {
    fn failed(&mut self, table: &str, error: &Error) {
        self.errors
            .push(json!({"table": table, "error": error.to_string()}));
    }
}

/// Runs `da sync`.
pub(crate) fn run(api: &Api, args: &SyncArgs, as_json: bool) -> Result<(), Error> {
    let workspace = Workspace::open()?;
    if args.upload_only {
        return upload::run(api, &workspace, args.dry_run, as_json);
    }
    if args.dry_run {
        return rehearse(api, &workspace, args, as_json);
    }
    let report = bring(api, &workspace, args)?;
    tell(&report, as_json);
    finish(&report)
}

/// Says what would be downloaded.
fn rehearse(api: &Api, workspace: &Workspace, args: &SyncArgs, as_json: bool) -> Result<(), Error> {
    let tables = manifest(api, args)?;
    let state = State::read(workspace, &api.server)?;
    let mut report = Report::default();
    let wanted = wanted(workspace, args, &tables, &state, &mut report);
    dry_run(&tables, &wanted, &report, as_json);
    finish(&report)
}

/// Makes the folder what the manifest says.
pub(crate) fn bring(api: &Api, workspace: &Workspace, args: &SyncArgs) -> Result<Report, Error> {
    let tables = manifest(api, args)?;
    let mut state = State::read(workspace, &api.server)?;
    let mut report = Report::default();
    let wanted = wanted(workspace, args, &tables, &state, &mut report);
    let _lock = workspace.lock()?;
    fetch_all(
        api,
        workspace,
        args.connections,
        &wanted,
        &mut state,
        &mut report,
    );
    if args.table.is_none() && !args.docs_only {
        prune(workspace, &tables, &mut state, &mut report);
    }
    state.last_sync = jiff::Timestamp::now().to_string();
    state.write(workspace)?;
    show(workspace, &state, &mut report);
    if let Err(error) = rules::write(api, workspace) {
        output::note(&format!(
            "Corporate memory bundle unavailable (skipping): {error}"
        ));
    }
    Ok(report)
}

/// The server's tables; among them the one that was asked for.
fn manifest(api: &Api, args: &SyncArgs) -> Result<BTreeMap<String, Entry>, Error> {
    let manifest = api.get("/api/sync/manifest")?;
    let tables = manifest.get("tables").filter(|tables| tables.is_object());
    let tables = tables.cloned().ok_or_else(|| {
        Error::Said(format!(
            "{} sent a manifest without tables; nothing was changed",
            api.server
        ))
    })?;
    let tables: BTreeMap<String, Entry> = serde_json::from_value(tables).map_err(|error| {
        Error::Said(format!(
            "{} sent a manifest that cannot be read: {error}",
            api.server
        ))
    })?;
    let missing = args.table.as_ref().filter(|t| !tables.contains_key(*t));
    if let Some(table) = missing {
        return Err(Error::Said(format!(
            "the server has no table `{table}` for you. `da catalog` lists what there is."
        )));
    }
    Ok(tables)
}

/// What must be downloaded; all else is sorted into the report.
fn wanted(
    workspace: &Workspace,
    args: &SyncArgs,
    tables: &BTreeMap<String, Entry>,
    state: &State,
    report: &mut Report,
) -> Vec<(String, Entry)> {
    let mut wanted = Vec::new();
    let asked = |name: &String| args.table.as_ref().is_none_or(|table| table == name);
    for (name, entry) in tables
        .iter()
        .filter(|(name, _)| asked(name) && !args.docs_only)
    {
        if entry.query_mode.as_deref() == Some("remote") {
            report.skipped_remote.push(name.clone());
        } else if !is_safe(name) {
            report.failed(
                name,
                &Error::Said(
                    "the server gave this table a name that cannot be a file's; refused".into(),
                ),
            );
        } else if is_current(workspace, name, entry, state) {
            report.skipped.push(name.clone());
        } else {
            wanted.push((name.clone(), entry.clone()));
        }
    }
    wanted
}

fn is_current(workspace: &Workspace, name: &str, entry: &Entry, state: &State) -> bool {
    let known = state
        .tables
        .get(name)
        .is_some_and(|known| known.hash == entry.hash && !known.hash.is_empty());
    known && file(workspace, name).exists()
}

fn file(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.parquet().join(format!("{name}.parquet"))
}

fn dry_run(
    tables: &BTreeMap<String, Entry>,
    wanted: &[(String, Entry)],
    report: &Report,
    as_json: bool,
) {
    let row = |(name, entry): &(String, Entry)| json!({"table": name, "rows": entry.rows, "size_bytes": entry.size_bytes});
    let rows: Vec<Value> = wanted.iter().map(row).collect();
    let bytes: u64 = wanted
        .iter()
        .filter_map(|(_, entry)| entry.size_bytes)
        .fold(0, u64::saturating_add);
    if as_json {
        let summary = json!({"tables_total": tables.len(), "tables_to_download": rows.len(), "tables_skipped_unchanged": report.skipped.len(), "bytes_total": bytes});
        output::json(&json!({"dry_run": true, "would_download": rows, "summary": summary}));
    } else {
        output::objects(
            &rows,
            &[
                ("TABLE", "table"),
                ("ROWS", "rows"),
                ("BYTES", "size_bytes"),
            ],
        );
        output::line(&format!(
            "Would download {} tables, {bytes} bytes",
            rows.len()
        ));
    }
}

/// Several files at once; one that fails costs only itself.
fn fetch_all(
    api: &Api,
    workspace: &Workspace,
    connections: u8,
    wanted: &[(String, Entry)],
    state: &mut State,
    report: &mut Report,
) {
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let queue: Mutex<VecDeque<&(String, Entry)>> = Mutex::new(wanted.iter().collect());
    let done = Mutex::new(Vec::new());
    let worker = || {
        while let Some((name, entry)) = {
            queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front()
        } {
            let bar = bars.add(bar(name, entry));
            let outcome = download::download(api, workspace, name, &entry.hash, &bar);
            bar.finish_and_clear();
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((name, entry, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..connections.max(1) {
            scope.spawn(worker);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(name, ..)| *name);
    for (name, entry, outcome) in done {
        match outcome {
            Ok(()) => {
                state.tables.insert(name.clone(), entry.clone());
                report.downloaded.push(name.clone());
            }
            Err(error) => report.failed(name, &error),
        }
    }
}

fn bar(name: &str, entry: &Entry) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix:24!} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}");
    let bar = ProgressBar::new(entry.size_bytes.unwrap_or_default()).with_prefix(name.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Deletes what the server no longer has for its asker.
fn prune(
    workspace: &Workspace,
    tables: &BTreeMap<String, Entry>,
    state: &mut State,
    report: &mut Report,
) {
    let is_gone = |name: &&String| {
        tables
            .get(*name)
            .is_none_or(|entry| entry.query_mode.as_deref() == Some("remote"))
    };
    let gone: Vec<String> = state
        .tables
        .keys()
        .filter(is_gone)
        .filter(|name| is_safe(name))
        .cloned()
        .collect();
    for name in gone {
        let path = file(workspace, &name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                report.failed(&name, &io("cannot delete", &path)(error));
            }
            _ => {
                download::forget(workspace, &name);
                state.tables.remove(&name);
                report.pruned.push(name);
            }
        }
    }
}

/// Makes the local database show what there is.
fn show(workspace: &Workspace, state: &State, report: &mut Report) {
    let names = state.tables.keys().filter(|name| is_safe(name));
    let files = names.map(|name| (name.clone(), file(workspace, name)));
    let files: Vec<(String, PathBuf)> = files.filter(|(_, file)| file.exists()).collect();
    match local::write(workspace).and_then(|mut database| local::rebuild(&mut database, &files)) {
        Ok(taken) if taken.is_empty() => {}
        Ok(taken) => output::note(&format!(
            "Kept your own tables instead of the server's: {}",
            taken.join(", ")
        )),
        Err(error) => report.failed("(local database)", &error),
    }
}

fn tell(report: &Report, as_json: bool) {
    if as_json {
        output::json(&json!(report));
        return;
    }
    output::line(&format!("Downloaded: {} tables", report.downloaded.len()));
    output::line(&format!("Skipped (unchanged): {}", report.skipped.len()));
    output::line(&format!(
        "Skipped (remote-mode): {}",
        report.skipped_remote.len()
    ));
    output::line(&format!("Removed: {}", report.pruned.len()));
    output::line(&format!("Errors: {}", report.errors.len()));
    for error in &report.errors {
        output::note(&format!(
            "  {}: {}",
            output::plain(&error["table"]),
            output::plain(&error["error"])
        ));
    }
}

fn finish(report: &Report) -> Result<(), Error> {
    match report.errors.len() {
        0 => Ok(()),
        n => Err(Error::Said(format!(
            "{n} tables failed; the rest is in place. Run `da sync` again to go on."
        ))),
    }
}
