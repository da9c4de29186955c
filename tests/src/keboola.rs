//! Keboola Storage as a connector meets it: the Storage API, and the storage of a cloud in which its exports lie.
//!
//! Written after the reference of the Keboola Storage API ("Token Verification", "List Buckets", "List Tables in Bucket",
//! "Table Detail", "Export Table Asynchronously", "Job Detail", "File Detail" with `federationToken`), and for the files
//! after Google's "Authenticate to Cloud Storage", Microsoft's "Create a service SAS", and Amazon's "Authenticating
//! Requests: Using Query Parameters (AWS Signature Version 4)". What was lent is checked as these services check it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::internet::{Internet, Seen};

mod api;
mod export;
mod lend;
mod sigv4;

pub use export::Column;
use export::Stored;
use lend::Lent;

/// The master token of the project.
pub const TOKEN: &str = "1234-c4nary-MasterTokenOfTheProject";

/// Whose storage the files lie in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cloud {
    /// Google's.
    #[default]
    Google,
    /// Amazon's.
    Aws,
    /// Microsoft's.
    Azure,
}

/// What can be told to go wrong.
#[derive(Debug, Clone, Default)]
pub struct Mood {
    /// How often a job says that it is not done.
    pub polls: u32,
    /// What jobs fail with.
    pub job_error: Option<String>,
    /// How many exports, and how many looks at jobs, are turned away with 429 first.
    pub busy: u32,
    /// How many seconds what is lent first lasts; an hour where this is empty.
    pub first_lasts: Option<i64>,
    /// How many slices are given out for what is lent first, before it is refused.
    pub first_slices: Option<u32>,
    /// The table whose jobs never end.
    pub stuck: Option<String>,
}

#[derive(Default)]
pub(crate) struct State {
    cloud: Cloud,
    mood: Mood,
    tables: BTreeMap<String, Stored>,
    jobs: Vec<Job>,
    files: Vec<Vec<Vec<u8>>>,
    lent: Vec<Lent>,
    imports: u32,
}

struct Job {
    table: String,
    file: usize,
    polls: u32,
}

/// The service, at two addresses.
pub struct Keboola {
    /// The Storage API.
    pub api: Internet,
    /// The storage of the files.
    pub files: Internet,
    state: Arc<Mutex<State>>,
}

impl Keboola {
    /// A project without tables.
    pub fn start(cloud: Cloud) -> Self {
        let (api, files) = (Internet::start(), Internet::start());
        let state = Arc::new(Mutex::new(State {
            cloud,
            ..State::default()
        }));
        let (for_api, for_files) = (state.clone(), state.clone());
        let endpoint = files.url("");
        api.handle_others(move |seen| api::answer(&mut lock(&for_api), seen, &endpoint));
        files.handle_others(move |seen| lend::give(&mut lock(&for_files), seen));
        Self { api, files, state }
    }

    /// The settings of a source of these tables.
    pub fn settings(&self, tables: Value) -> Value {
        json!({"url": self.api.url(""), "file_endpoint": self.files.url(""), "tables": tables})
    }

    /// The inner addresses that the egress gate must let through.
    pub fn exceptions(&self) -> [String; 2] {
        [self.api.exception(), self.files.exception()]
    }

    /// Says what goes wrong from now on.
    pub fn mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Makes a table, with its first column as its primary key.
    pub fn create(&self, id: &str, columns: &[Column]) {
        self.state().tables.insert(id.into(), Stored::new(columns));
    }

    /// Imports rows: those of a key that is there take its place.
    pub fn import(&self, id: &str, rows: &[&[&str]]) {
        let mut state = self.state();
        state.imports += 1;
        let at = stamp(state.imports);
        state.table(id).import(rows, &at);
    }

    /// Deletes a row by its key, which is no import.
    pub fn delete(&self, id: &str, key: &str) {
        let mut state = self.state();
        state.imports += 1;
        let at = stamp(state.imports);
        state.table(id).delete(key, &at);
    }

    /// Everything that was lent so far, which nobody but the host may have seen.
    pub fn lent(&self) -> Vec<String> {
        let state = self.state();
        state.lent.iter().flat_map(Lent::secrets).collect()
    }

    /// The forms of the exports of a table so far, undone.
    pub fn exports(&self, id: &str) -> Vec<String> {
        let path = format!("/v2/storage/tables/{id}/export-async");
        let seen = self.api.seen_at(&path).into_iter();
        seen.map(|seen| undo(seen.body())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn table(&mut self, id: &str) -> &mut Stored {
        self.tables.get_mut(id).expect("the table was created")
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of an import, as Storage writes it.
fn stamp(number: u32) -> String {
    format!("2026-02-01T{:02}:{:02}:00+0100", number / 60, number % 60)
}

fn page(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

/// An error as the Storage API says it.
fn refusal(status: u16, code: &str, error: &str) -> Response {
    let body = json!({"error": error, "code": code, "status": "error", "exceptionId": "keboola-1"});
    let status = StatusCode::from_u16(status).expect("a status");
    (status, page(&body)).into_response()
}

/// A text of a query or a form with its escapes undone.
pub(crate) fn undo(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut undone, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|digits| hex::decode(digits).ok());
        at += if escaped.is_some() { 3 } else { 1 };
        undone.push(escaped.map_or(*byte, |byte| byte[0]));
    }
    String::from_utf8(undone).expect("UTF-8")
}

/// The parameters of a query, escapes undone.
pub(crate) fn parameters(seen: &Seen) -> BTreeMap<String, String> {
    let query = seen.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (undo(name), undo(value))
        })
        .collect()
}
