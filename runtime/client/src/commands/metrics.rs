//! How the company computes its numbers: the definitions of its metrics, to read and to write.

mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::args::MetricsCommand;
use crate::error::{Error, io};
use crate::http::{Api, part};
use crate::output;
use crate::workspace::{is_safe, replace};

/// Runs `da metrics …`.
pub(super) fn run(api: &Api, command: &MetricsCommand, as_json: bool) -> Result<(), Error> {
    match command {
        MetricsCommand::List { category } => list(api, category.as_deref(), as_json),
        MetricsCommand::Show { id } => show(api, id, as_json),
        MetricsCommand::Import { path } => import(api, path, as_json),
        MetricsCommand::Export { dir } => export(api, dir, as_json),
        MetricsCommand::Validate => validate(api, as_json),
    }
}

fn all(api: &Api, category: Option<&str>) -> Result<Value, Error> {
    let asked = category.map(|category| format!("?category={}", part(category)));
    api.get(&format!("/api/metrics{}", asked.unwrap_or_default()))
}

fn metrics(found: &Value) -> &[Value] {
    found["metrics"].as_array().map_or(&[], Vec::as_slice)
}

fn list(api: &Api, category: Option<&str>, as_json: bool) -> Result<(), Error> {
    let found = all(api, category)?;
    if as_json {
        output::json(&found);
        return Ok(());
    }
    let fields = [
        ("CATEGORY", "category"),
        ("ID", "id"),
        ("NAME", "display_name"),
        ("UNIT", "unit"),
    ];
    let mut rows = metrics(&found).to_vec();
    rows.sort_by_key(|metric| output::plain(&metric["id"]));
    output::objects(&rows, &fields);
    Ok(())
}

fn show(api: &Api, id: &str, as_json: bool) -> Result<(), Error> {
    let path: Vec<String> = id.split('/').map(part).collect();
    let found = api.get(&format!("/api/metrics/{}", path.join("/")));
    let found = found.map_err(|error| match error {
        Error::Api { status: 404, .. } => Error::Said(format!(
            "Metric not found: {id}. `da metrics list` shows all."
        )),
        other => other,
    })?;
    if as_json {
        output::json(&found);
        return Ok(());
    }
    for (name, value) in found.as_object().into_iter().flatten() {
        if !value.is_null() {
            output::line(&format!("{name}: {}", output::plain(value)));
        }
    }
    Ok(())
}

/// A file, or the YAML files of a folder's folders. The server takes each file whole or not at all.
fn import(api: &Api, path: &Path, as_json: bool) -> Result<(), Error> {
    let files = files(path)?;
    if files.is_empty() {
        return Err(Error::Said(format!(
            "{} has no CATEGORY/NAME.yml",
            path.display()
        )));
    }
    let (mut count, mut errors) = (0, Vec::new());
    for file in &files {
        match send(api, file) {
            Ok(sent) => count += sent,
            Err(error) => errors.push(json!({"file": file, "error": error.to_string()})),
        }
    }
    for error in &errors {
        let said = |field: &str| output::plain(&error[field]);
        output::note(&format!("  {}: {}", said("file"), said("error")));
    }
    let report = json!({"imported": count, "files": files.len(), "errors": errors});
    let text = format!("Imported {count} metric(s) from {}", path.display());
    output::done(&report, &text, as_json);
    match errors.len() {
        0 => Ok(()),
        n => Err(Error::Said(format!(
            "{n} of {} files were refused; the others are imported",
            files.len()
        ))),
    }
}

fn send(api: &Api, file: &Path) -> Result<u64, Error> {
    let bytes = fs::read(file).map_err(io("cannot read", file))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let sent = api.send_file("/api/admin/metrics/import", &name, &bytes)?;
    Ok(sent["count"].as_u64().unwrap_or(0))
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for folder in entries(path)?.into_iter().filter(|path| path.is_dir()) {
        let is_yaml = |path: &PathBuf| {
            let ending = path.extension().unwrap_or_default();
            ending == "yml" || ending == "yaml"
        };
        files.extend(entries(&folder)?.into_iter().filter(is_yaml));
    }
    files.sort();
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let there = fs::read_dir(folder).map_err(io("cannot read", folder))?;
    Ok(there.flatten().map(|entry| entry.path()).collect())
}

/// A file for each metric, as `import` takes them.
fn export(api: &Api, folder: &Path, as_json: bool) -> Result<(), Error> {
    let found = all(api, None)?;
    let (mut written, mut refused) = (Vec::new(), Vec::new());
    for metric in metrics(&found) {
        let [category, name] = ["category", "name"].map(|f| output::plain(&metric[f]));
        // A name comes from the server, and becomes a path here.
        let plain = |part: &str| is_safe(&part.replace(' ', "_"));
        if !plain(&category) || !plain(&name) {
            refused.push(output::plain(&metric["id"]));
            continue;
        }
        let path = folder.join(category).join(format!("{name}.yml"));
        replace(&path, yaml::write(metric).as_bytes())?;
        written.push(path);
    }
    let report = json!({"exported": written.len(), "files": written, "refused": refused});
    let text = format!(
        "Exported {} metric(s) to {}",
        written.len(),
        folder.display()
    );
    output::done(&report, &text, as_json);
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::Said(format!(
        "the names of {} cannot be files' names; the others are exported",
        refused.join(", ")
    )))
}

/// Holds the tables that metrics name against those that the server has.
fn validate(api: &Api, as_json: bool) -> Result<(), Error> {
    let found = all(api, None)?;
    let catalog = api.get("/api/catalog/tables")?;
    let tables = catalog["tables"].as_array().into_iter().flatten();
    let known: BTreeSet<String> = tables
        .flat_map(|table| ["id", "name"].map(|field| output::plain(&table[field]).to_lowercase()))
        .collect();
    let judged = |metric: &Value| {
        let listed = metric["tables"].as_array().into_iter().flatten();
        let named = listed
            .chain([&metric["table_name"]])
            .filter_map(Value::as_str);
        let missing: BTreeSet<&str> = named
            .filter(|name| !known.contains(&name.to_lowercase()))
            .collect();
        let status = if missing.is_empty() { "OK" } else { "WARN" };
        json!({"id": metric["id"], "status": status, "missing_tables": missing})
    };
    let judged: Vec<Value> = metrics(&found).iter().map(judged).collect();
    let wrong = judged.iter().filter(|metric| metric["status"] == "WARN");
    let wrong = wrong.count();
    if as_json {
        output::json(&json!({"metrics": judged, "warnings": wrong}));
    } else {
        let fields = [
            ("", "status"),
            ("METRIC", "id"),
            ("MISSING TABLES", "missing_tables"),
        ];
        output::objects(&judged, &fields);
    }
    match wrong {
        0 => Ok(()),
        n => Err(Error::Said(format!(
            "{n} metrics name tables that are not there, or not for you"
        ))),
    }
}
