//! Snapshots: a part of a table as it was when it was fetched. They stay until they are dropped.

mod upkeep;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use arrow_ipc::reader::StreamReader;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use ureq::http::Method;

use crate::args::{FetchArgs, SnapshotCommand};
use crate::error::{Error, io};
use crate::http::Api;
use crate::workspace::{Workspace, make_parent, replace};
use crate::{local, output, sync};

pub(crate) use upkeep::disk_info;

/// What a scan may cost before it is asked about: bytes that a remote engine reads, and dollars.
const MOST_BYTES: u64 = 10 << 30;
const MOST_DOLLARS: f64 = 1.0;

fn exit(status: u16) -> u8 {
    match status {
        400 => 2,
        401 => 7,
        403 | 404 => 8,
        429 => 3,
        500.. => 5,
        _ => 9,
    }
}

fn usage(message: String) -> Error {
    Error::Exit { code: 2, message }
}

/// A name that needs no quotes in SQL.
fn checked(name: &str) -> Result<(), Error> {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if first && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(usage(format!(
        "`{name}` cannot be a snapshot's name: letters, digits and _ only. Choose one with --as NAME."
    )))
}

fn files(workspace: &Workspace, name: &str) -> [PathBuf; 2] {
    ["parquet", "meta.json"].map(|kind| workspace.snapshots().join(format!("{name}.{kind}")))
}

/// Runs `da fetch`.
pub(crate) fn fetch(api: &Api, args: &FetchArgs, as_json: bool) -> Result<(), Error> {
    let name = args.name.as_ref().unwrap_or(&args.table);
    checked(name)?;
    let request = json!({"table_id": args.table, "select": args.select, "where": args.filter, "limit": args.limit, "order_by": args.order_by});
    let estimate = if args.no_estimate {
        Value::Null
    } else {
        api.post("/api/v2/scan/estimate", &request)
            .map_err(|e| e.exit(exit))?
    };
    if args.estimate && as_json {
        output::json(&estimate);
        return Ok(());
    }
    for (field, value) in estimate
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, _)| *field != "table_id")
    {
        output::note(&format!("{field}: {}", output::plain(value)));
    }
    if args.estimate {
        return Ok(());
    }
    agree(&estimate, args.yes)?;
    let workspace = Workspace::open()?;
    let _lock = workspace.lock()?;
    let database = local::write(&workspace)?;
    let [file, meta] = files(&workspace, name);
    available(&database, &file, name, args.force)?;
    let rows = receive(api, &request, &file, exit)?;
    replace(
        &meta,
        format!("{:#}\n", describe(name, &request, &estimate, rows, &file)?).as_bytes(),
    )?;
    local::show(&database, name, &file)?;
    if as_json {
        output::json(&json!({"name": name, "rows": rows, "path": file}));
    } else {
        output::line(&format!("Fetched {rows} rows -> {name}"));
    }
    Ok(())
}

/// Asks before a scan that costs much. Where nobody can answer, `--yes` has to say so.
fn agree(estimate: &Value, yes: bool) -> Result<(), Error> {
    let bytes = estimate["estimated_scan_bytes"].as_u64().unwrap_or(0);
    let dollars = estimate["bq_cost_estimate_usd"].as_f64().unwrap_or(0.0);
    if yes || (bytes <= MOST_BYTES && dollars <= MOST_DOLLARS) {
        return Ok(());
    }
    let cost = format!(
        "this reads {} for about {dollars} USD",
        output::bytes(bytes)
    );
    if output::confirm(&format!("{cost}. Go on? [y/N] "))? {
        return Ok(());
    }
    Err(usage(format!(
        "{cost}; nothing was fetched. Narrow it with --select and --where, or say --yes."
    )))
}

/// Nothing of the analyst's or of a sync's is replaced, and a snapshot only when that was said.
fn available(
    database: &duckdb::Connection,
    file: &Path,
    name: &str,
    force: bool,
) -> Result<(), Error> {
    let message = if file.exists() {
        if force {
            return Ok(());
        }
        format!("there is a snapshot `{name}`. --force replaces it, --as NAME keeps both.")
    } else if local::is_free(database, name)? {
        return Ok(());
    } else {
        format!("the local database has a table `{name}`. Choose another name with --as NAME.")
    };
    Err(Error::Exit { code: 6, message })
}

/// The result of a scan as a parquet file, which takes its place when it is whole.
fn receive(api: &Api, request: &Value, file: &Path, exit: fn(u16) -> u8) -> Result<usize, Error> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::Said(format!("the scan's result cannot be read: {error}"))
    };
    let mut answer = api
        .open(Method::POST, "/api/v2/scan", Some(request), &[])
        .map_err(|e| e.exit(exit))?;
    let body = answer.body_mut().with_config().limit(u64::MAX).reader();
    let reader = StreamReader::try_new(BufReader::new(body), None).map_err(|e| unreadable(&e))?;
    make_parent(file)?;
    let fresh = file.with_extension("parquet.new");
    let sink = File::create(&fresh).map_err(io("cannot create", &fresh))?;
    let mut writer =
        ArrowWriter::try_new(sink, reader.schema(), None).map_err(|e| unreadable(&e))?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|e| unreadable(&e))?;
        rows += batch.num_rows();
        writer.write(&batch).map_err(|e| unreadable(&e))?;
    }
    writer.close().map_err(|e| unreadable(&e))?;
    fs::rename(&fresh, file).map_err(io("cannot write", file))?;
    Ok(rows)
}

fn describe(
    name: &str,
    request: &Value,
    estimate: &Value,
    rows: usize,
    file: &Path,
) -> Result<Value, Error> {
    let now = jiff::Timestamp::now().to_string();
    let bytes = fs::metadata(file).map_err(io("cannot read", file))?.len();
    let mut meta = request.clone();
    meta["name"] = name.into();
    meta["fetched_at"] = now.clone().into();
    meta["effective_as_of"] = now.into();
    meta["rows"] = rows.into();
    meta["bytes_local"] = bytes.into();
    meta["estimated_scan_bytes_at_fetch"] = estimate["estimated_scan_bytes"].clone();
    meta["result_hash_md5"] = sync::digest(file)?.into();
    Ok(meta)
}

/// Runs `da snapshot …`.
pub(crate) fn run(api: &Api, command: &SnapshotCommand, as_json: bool) -> Result<(), Error> {
    match command {
        SnapshotCommand::List => {
            let snapshots = list(&Workspace::open()?);
            if as_json {
                output::json(&Value::Array(snapshots));
            } else if snapshots.is_empty() {
                output::line("(no snapshots)");
            } else {
                let fields = [
                    ("NAME", "name"),
                    ("ROWS", "rows"),
                    ("SIZE", "bytes_local"),
                    ("FETCHED", "fetched_at"),
                    ("TABLE", "table_id"),
                    ("WHERE", "where"),
                ];
                output::objects(&snapshots, &fields);
            }
            Ok(())
        }
        SnapshotCommand::Refresh { name, filter } => {
            upkeep::refresh(api, name, filter.as_deref(), as_json)
        }
        SnapshotCommand::Drop { name } => remove(name, as_json),
        SnapshotCommand::Prune {
            older_than,
            larger_than,
            all,
            dry_run,
        } => {
            let asked = upkeep::Prune {
                older_than: older_than.as_deref(),
                larger_than: larger_than.as_deref(),
                all: *all,
                dry_run: *dry_run,
            };
            upkeep::prune(&asked, as_json)
        }
    }
}

fn list(workspace: &Workspace) -> Vec<Value> {
    let there = fs::read_dir(workspace.snapshots())
        .into_iter()
        .flatten()
        .flatten();
    let metas = there
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".meta.json"));
    let mut metas: Vec<PathBuf> = metas.collect();
    metas.sort();
    metas
        .iter()
        .filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok())
        .collect()
}

/// What is remembered of a snapshot.
fn known(workspace: &Workspace, name: &str) -> Result<Value, Error> {
    checked(name)?;
    let [_, meta] = files(workspace, name);
    let text = fs::read(&meta).map_err(|_| {
        usage(format!(
            "there is no snapshot `{name}`. `da snapshot list` shows all."
        ))
    })?;
    serde_json::from_slice(&text).map_err(|error| {
        usage(format!(
            "{} cannot be read: {error}. Fetch the snapshot anew with --force.",
            meta.display()
        ))
    })
}

fn remove(name: &str, as_json: bool) -> Result<(), Error> {
    let workspace = Workspace::open()?;
    let _lock = workspace.lock()?;
    known(&workspace, name)?;
    erase(&workspace, name)?;
    if as_json {
        output::json(&json!({"dropped": name}));
    } else {
        output::note(&format!("Dropped {name}"));
    }
    Ok(())
}

/// Takes a snapshot's view and files away.
fn erase(workspace: &Workspace, name: &str) -> Result<(), Error> {
    checked(name)?;
    local::hide(&local::write(workspace)?, name)?;
    for path in files(workspace, name) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("cannot delete", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
