//! `da sync --upload-only`: an analyst's sessions and notes go to the server, each once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::digest;
use crate::error::{Error, io};
use crate::http::Api;
use crate::output;
use crate::workspace::{Workspace, replace};

/// What the server takes in one file.
const LARGEST: u64 = 50 << 20;

/// What was sent, by name and the MD5 of its content.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sent {
    server: String,
    sessions: BTreeMap<String, String>,
    #[serde(default)]
    local_md: Option<String>,
}

/// What is to be sent.
struct Outbox {
    /// Path, name, digest.
    sessions: Vec<(PathBuf, String, String)>,
    unchanged: usize,
    local_md: Option<(PathBuf, String)>,
}

/// Sends what the server does not have yet.
pub(super) fn run(
    api: &Api,
    workspace: &Workspace,
    dry_run: bool,
    as_json: bool,
) -> Result<(), Error> {
    let mut sent = Sent::read(workspace, &api.server);
    let outbox = Outbox::of(workspace, &sent)?;
    if dry_run {
        outbox.rehearse(as_json);
        return Ok(());
    }
    let _lock = workspace.lock()?;
    let (mut count, mut errors) = (0, Vec::new());
    for (path, name, digest) in outbox.sessions {
        match send(api, &path, &name) {
            Ok(()) => {
                sent.sessions.insert(name, digest);
                count += 1;
            }
            Err(error) => errors.push(json!({"file": path, "error": error.to_string()})),
        }
    }
    let mut local_md = false;
    if let Some((path, digest)) = outbox.local_md {
        match send_notes(api, &path) {
            Ok(()) => (sent.local_md, local_md) = (Some(digest), true),
            Err(error) => errors.push(json!({"file": path, "error": error.to_string()})),
        }
    }
    sent.write(workspace)?;
    let report = json!({"sessions": count, "unchanged": outbox.unchanged, "local_md": local_md, "errors": errors});
    tell(&report, as_json);
    match errors.len() {
        0 => Ok(()),
        n => Err(Error::Said(format!(
            "{n} files could not be sent; run `da sync --upload-only` again for those"
        ))),
    }
}

fn tell(report: &Value, as_json: bool) {
    for error in report["errors"].as_array().into_iter().flatten() {
        let said = |field: &str| output::plain(&error[field]);
        output::note(&format!("  {}: {}", said("file"), said("error")));
    }
    if as_json {
        return output::json(report);
    }
    output::line(&format!("Uploaded {} sessions", report["sessions"]));
    if report["local_md"] == true {
        output::line("Uploaded CLAUDE.local.md");
    }
}

impl Outbox {
    fn of(workspace: &Workspace, sent: &Sent) -> Result<Self, Error> {
        let (mut sessions, mut unchanged) = (Vec::new(), 0);
        for path in recorded(&workspace.sessions()) {
            let Some(name) = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
            else {
                continue;
            };
            let digest = digest(&path)?;
            if sent.sessions.get(&name) == Some(&digest) {
                unchanged += 1;
            } else {
                sessions.push((path, name, digest));
            }
        }
        let notes = workspace.local_md();
        let local_md = match notes.is_file() {
            true => Some((digest(&notes)?, notes)),
            false => None,
        };
        let is_new = |(digest, _): &(String, PathBuf)| sent.local_md.as_ref() != Some(digest);
        Ok(Self {
            sessions,
            unchanged,
            local_md: local_md.filter(is_new).map(|(digest, path)| (path, digest)),
        })
    }

    fn rehearse(&self, as_json: bool) {
        let paths: Vec<&PathBuf> = self.sessions.iter().map(|(path, ..)| path).collect();
        let has_notes = self.local_md.is_some();
        if as_json {
            let summary = json!({"sessions_count": paths.len(), "sessions_unchanged": self.unchanged, "local_md_present": has_notes});
            let would = json!({"sessions": paths, "local_md": has_notes});
            output::json(&json!({"dry_run": true, "would_upload": would, "summary": summary}));
            return;
        }
        for path in &paths {
            output::line(&path.display().to_string());
        }
        let notes = if has_notes {
            " and CLAUDE.local.md"
        } else {
            ""
        };
        output::line(&format!("Would upload {} sessions{notes}", paths.len()));
    }
}

/// The sessions of a folder; links are not followed to files elsewhere.
fn recorded(folder: &Path) -> Vec<PathBuf> {
    let there = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = there.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut files: Vec<PathBuf> = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let length = fs::metadata(path).map_err(io("cannot read", path))?.len();
    if length > LARGEST {
        return Err(Error::Said(format!(
            "it has {}, and the server takes {} at most",
            output::bytes(length),
            output::bytes(LARGEST)
        )));
    }
    fs::read(path).map_err(io("cannot read", path))
}

fn send(api: &Api, path: &Path, name: &str) -> Result<(), Error> {
    api.send_file("/api/upload/sessions", name, &read(path)?)?;
    Ok(())
}

fn send_notes(api: &Api, path: &Path) -> Result<(), Error> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Error::Said(format!("{} is no text in UTF-8", path.display())))?;
    api.post("/api/upload/local-md", &json!({"content": text}))?;
    Ok(())
}

impl Sent {
    /// What cannot be read, or is of another server, counts for nothing: then all is sent again.
    fn read(workspace: &Workspace, server: &str) -> Self {
        let text = fs::read_to_string(workspace.sent()).ok();
        let sent = text.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        sent.filter(|sent| sent.server == server)
            .unwrap_or_else(|| Self {
                server: server.to_owned(),
                ..Self::default()
            })
    }

    fn write(&self, workspace: &Workspace) -> Result<(), Error> {
        let text = format!("{:#}\n", json!(self));
        replace(&workspace.sent(), text.as_bytes())
    }
}
