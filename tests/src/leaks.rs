//! Canaries: every credential that a test enters is one, and where a server ends, everything that it
//! could have leaked to is searched for them in every form in which values usually travel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

/// Shorter values stand in ordinary data by chance.
const SHORTEST: usize = 8;
/// Of the answers of one server that are kept to be searched.
const MOST_KEPT: usize = 64 << 20;
/// More than any data file of a test that holds credentials.
const MAX_FILE: u64 = 256 << 20;

/// What must not be seen, and what the server said.
#[derive(Debug, Clone, Default)]
pub struct Leaks(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The forms of each canary, with the name of the form.
    forms: BTreeMap<Vec<u8>, &'static str>,
    answers: Vec<(String, Vec<u8>)>,
    kept: usize,
}

impl Leaks {
    /// Takes a value that must be seen nowhere, and what is secret in it where it is JSON.
    pub fn guard(&self, value: &str) {
        let mut known = self.known();
        known.add(forms(value.as_bytes()));
        if let Ok(Value::Object(fields)) = serde_json::from_str(value) {
            let secret = |name: &str| {
                ["secret", "token", "password"]
                    .iter()
                    .any(|word| name.contains(word))
                    && name != "token_uri"
            };
            for (_, field) in fields.iter().filter(|(name, _)| secret(name)) {
                known
                    .forms
                    .extend(forms(field.as_str().unwrap_or_default().as_bytes()));
            }
            let key = fields
                .get("private_key")
                .and_then(Value::as_str)
                .unwrap_or_default();
            for line in key.lines().filter(|line| !line.contains("-----")) {
                known.add(forms(line.as_bytes()));
            }
        } else if let Some((_, secret)) = value.split_once(':') {
            known.add(forms(secret.as_bytes()));
        }
    }

    /// Takes the value of a request that fills a slot.
    pub(crate) fn entering(&self, path: &str, body: &[u8]) {
        if path.starts_with("/api/sources/") && path.contains("/credentials/") {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            self.guard(body["value"].as_str().unwrap_or_default());
        }
    }

    /// Keeps an answer of the server; nothing before the first canary.
    pub(crate) fn answered(&self, path: &str, bytes: &[u8]) {
        let mut known = self.known();
        if !known.forms.is_empty() && known.kept + bytes.len() <= MOST_KEPT {
            known.kept += bytes.len();
            known.answers.push((path.to_owned(), bytes.to_vec()));
        }
    }

    /// Where a canary is found, and in which form; nothing where all is well.
    pub fn search(&self, data: &Path, printed: &str) -> Vec<String> {
        let known = self.known();
        if known.forms.is_empty() {
            return Vec::new();
        }
        let mut search = Search {
            matcher: AhoCorasick::new(known.forms.keys()).expect("a few forms"),
            names: known.forms.values().copied().collect(),
            found: BTreeSet::new(),
        };
        search.look("what the server printed", printed.as_bytes());
        for (path, bytes) in &known.answers {
            search.look(&format!("the answer to {path}"), bytes);
        }
        search.look_into(data);
        search.found.into_iter().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// A form that is like another keeps its first name.
    fn add(&mut self, forms: Vec<(Vec<u8>, &'static str)>) {
        for (form, name) in forms {
            self.forms.entry(form).or_insert(name);
        }
    }
}

/// What is looked for, and where it was found.
struct Search {
    matcher: AhoCorasick,
    names: Vec<&'static str>,
    found: BTreeSet<String>,
}

impl Search {
    fn look(&mut self, place: &str, bytes: &[u8]) {
        for hit in self.matcher.find_iter(bytes) {
            let name = self.names[hit.pattern().as_usize()];
            self.found
                .insert(format!("{place} holds a credential, {name}"));
        }
    }

    fn look_into(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            if metadata.is_dir() {
                self.look_into(&path);
            } else if metadata.is_file() && metadata.len() <= MAX_FILE {
                let place = path.display().to_string();
                self.look(&place, &std::fs::read(&path).unwrap_or_default());
                if place.ends_with(".parquet") {
                    self.look(&format!("{place}, decoded,"), rows(&path).as_bytes());
                } else if place.ends_with(".duckdb") {
                    self.look_into_tables(&place, &path);
                }
            }
        }
    }
}

impl Search {
    /// What DuckDB compresses is not to be seen in its file.
    fn look_into_tables(&mut self, place: &str, database: &Path) {
        match values(database) {
            Ok(values) => self.look(&format!("{place}, decoded,"), &values),
            // Cut where the server was killed, and never opened by another: its bytes were looked through.
            Err(_) if is_on_its_way(database) => {}
            Err(why) => {
                self.found
                    .insert(format!("{place} could not be searched: {why}"));
            }
        }
    }
}

/// Whether a file has not got its place yet: whoever writes one hides it until it is whole.
fn is_on_its_way(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Every value of every table of a database file.
fn values(database: &Path) -> Result<Vec<u8>, String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/py/bin/python");
    let mut command = Command::new(python);
    command.args(["-c", include_str!("leaks/database.py")]);
    let output = command
        .arg(database)
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The rows of a parquet file as text; what is no such file has none.
fn rows(path: &Path) -> String {
    let reader = File::open(path)
        .ok()
        .and_then(|file| SerializedFileReader::new(file).ok());
    let rows = reader
        .as_ref()
        .and_then(|reader| reader.get_row_iter(None).ok());
    rows.into_iter()
        .flatten()
        .flatten()
        .map(|row| format!("{row}\n"))
        .collect()
}

/// The forms of a value. Of base64 only the digits that the value alone decides.
fn forms(value: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    if value.len() < SHORTEST {
        return Vec::new();
    }
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let every: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = value.iter().map(|byte| match plain(*byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    let escaped: String = escaped.collect();
    let mut forms = vec![
        (value.to_vec(), "as it is"),
        (hex.to_uppercase().into(), "in hexadecimal digits"),
        (hex.into(), "in hexadecimal digits"),
        (every.to_lowercase().into(), "percent-encoded"),
        (every.into(), "percent-encoded"),
        (escaped.into(), "percent-encoded"),
    ];
    for engine in [STANDARD, URL_SAFE] {
        for (before, name) in [
            "in base64",
            "in base64 behind one byte",
            "in base64 behind two",
        ]
        .into_iter()
        .enumerate()
        {
            let text = engine.encode([&[0; 2][..before], value].concat());
            let first = (before * 8).div_ceil(6);
            let last = (before + value.len()) * 8 / 6;
            forms.push((text.as_bytes()[first..last].to_vec(), name));
        }
    }
    forms
}
