//! The file of a recording: a line of JSON for the run, then one for each request with its answer, in order.
//!
//! It is written by hand too, for a connector's acceptance test, so a body may stand in it as text or as JSON.

use std::collections::BTreeMap;

use base64::engine::general_purpose::STANDARD;
use domain::ports::Cursors;
use domain::{Failure, Operation, TableName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// The version of the form that is written, and the only one that is read.
const VERSION: u32 = 1;
/// The most bytes of a recording that are read.
const MAX_BYTES: usize = 256 << 20;

/// Why a recording cannot be used.
#[derive(Debug, Error)]
pub enum TapeError {
    /// It is larger than any that is written.
    #[error("the recording has {0} bytes, more than the {MAX_BYTES} that are allowed")]
    TooLarge(usize),
    /// A line is not what belongs there.
    #[error("line {line} of the recording is wrong: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It has another form.
    #[error("the recording has version {0} of its form; this program reads version {VERSION}")]
    Version(u32),
    /// It has no line at all.
    #[error("the recording is empty: its first line is an object with `sluice_recording`")]
    Empty,
}

/// The run that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The version of the file's form.
    pub sluice_recording: u32,
    /// What the run did.
    #[serde(default = "sync")]
    pub operation: Operation,
    /// The settings, without credentials.
    #[serde(default)]
    pub settings: Value,
    /// The tables that were asked for; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableName>,
    /// The cursors at its start, by table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cursors: BTreeMap<String, Content>,
    /// When it began; a replay's wall clock begins there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<jiff::Timestamp>,
    /// What its random numbers followed from: 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_seed: Option<String>,
}

fn sync() -> Operation {
    Operation::Sync
}

impl Head {
    /// A run's line.
    pub fn new(operation: Operation, settings: Value) -> Self {
        Self {
            sluice_recording: VERSION,
            operation,
            settings,
            tables: Vec::new(),
            cursors: BTreeMap::new(),
            recorded_at: None,
            random_seed: None,
        }
    }

    /// What the random numbers followed from; nothing where it is not there, or cannot be read.
    pub(super) fn seed(&self) -> Option<[u8; 32]> {
        let digits = self.random_seed.as_ref()?;
        hex::decode(digits).ok()?.try_into().ok()
    }

    /// The cursors as a run takes them.
    pub fn cursors(&self) -> Cursors {
        let cursors = self.cursors.iter();
        cursors
            .map(|(table, content)| (table.clone(), content.bytes()))
            .collect()
    }
}

/// Bytes as they stand in a line: text, `{"json": …}`, or `{"base64": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Content {
    /// UTF-8.
    Text(String),
    /// A JSON value, for whoever writes a recording by hand.
    Json {
        /// The value.
        json: Value,
    },
    /// Anything.
    Binary {
        /// The bytes.
        #[serde(with = "encoded")]
        base64: Vec<u8>,
    },
}

mod encoded {
    //! Bytes as base64.

    use base64::Engine as _;

    use super::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Content {
    /// The shortest form of these bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Binary {
                base64: error.into_bytes(),
            },
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Json { json } => json.to_string().into_bytes(),
            Self::Binary { base64 } => base64.clone(),
        }
    }
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Exchange {
    /// The method in upper case.
    pub method: String,
    /// The URL, without what the host added and without credentials.
    pub url: String,
    /// The sha256 of the request's body without credentials, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_sha256: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub answer: Answered,
}

fn get() -> String {
    "GET".into()
}

/// A request's line as it is read: with every field that may be there, so that a misspelt one is noticed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default = "get")]
    method: String,
    url: String,
    body_sha256: Option<String>,
    status: Option<u16>,
    headers: Option<Vec<(String, String)>>,
    body: Option<Content>,
    cut: Option<bool>,
    failure: Option<Failure>,
}

impl TryFrom<Fields> for Exchange {
    type Error = &'static str;

    fn try_from(line: Fields) -> Result<Self, Self::Error> {
        let answer = match (line.status, line.failure) {
            (Some(status), None) => Answered::Response {
                status,
                headers: line.headers.unwrap_or_default(),
                body: line.body.unwrap_or_default(),
                cut: line.cut.unwrap_or_default(),
            },
            (None, Some(failure)) => {
                if line.headers.is_some() || line.body.is_some() || line.cut.is_some() {
                    return Err("a request that failed has no `headers`, `body` or `cut`");
                }
                Answered::Failed { failure }
            }
            (None, None) => return Err("there is neither a `status` nor a `failure`"),
            (Some(_), Some(_)) => return Err("there is both a `status` and a `failure`"),
        };
        Ok(Self {
            method: line.method,
            url: line.url,
            body_sha256: line.body_sha256,
            answer,
        })
    }
}

/// What came of a request, redirects and retries included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answered {
    /// An answer.
    Response {
        /// The status code.
        status: u16,
        /// Header lines, without credentials.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
        /// The body as far as it was read, decompressed and without credentials.
        body: Content,
        /// Whether the body went on beyond what a recording keeps.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
    },
    /// None.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// A run's requests and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The run.
    pub head: Head,
    /// What it asked, in order.
    pub exchanges: Vec<Exchange>,
}

impl Recording {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`TapeError`], which names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, TapeError> {
        if bytes.len() > MAX_BYTES {
            return Err(TapeError::TooLarge(bytes.len()));
        }
        let mut lines = bytes
            .split(|byte| *byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty());
        let (number, first) = lines.next().ok_or(TapeError::Empty)?;
        let head: Head = line(number, first)?;
        if head.sluice_recording != VERSION {
            return Err(TapeError::Version(head.sluice_recording));
        }
        if head.random_seed.is_some() && head.seed().is_none() {
            return Err(TapeError::Line {
                line: number + 1,
                reason: "`random_seed` is 64 hexadecimal digits".into(),
            });
        }
        let exchanges = lines
            .map(|(number, text)| line(number, text))
            .collect::<Result<_, _>>()?;
        Ok(Self { head, exchanges })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let head = serde_json::to_string(&self.head);
        let exchanges = self.exchanges.iter().map(serde_json::to_string);
        // Nothing in it can fail to be JSON: every map has strings as keys.
        std::iter::once(head)
            .chain(exchanges)
            .flatten()
            .map(|line| line + "\n")
            .collect()
    }
}

fn line<T: serde::de::DeserializeOwned>(number: usize, text: &[u8]) -> Result<T, TapeError> {
    serde_json::from_slice(text).map_err(|error| TapeError::Line {
        line: number + 1,
        reason: error.to_string(),
    })
}
