//! The calls of Keboola's Storage API that the connector makes, and what it reads of the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use connector_sdk::http::{self, Request, Response};
use connector_sdk::{Failure, log, wait};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How often a request that the host does not send twice by itself is sent again.
const MOST_TRIES: u32 = 4;
/// The longest pause that the service may ask for here; a longer one is the scheduler's.
const LONGEST_PAUSE: u64 = 60;
/// The most characters of the service's own words in a failure.
const MOST_WORDS: usize = 300;

/// The Storage API of one stack.
#[derive(Debug)]
pub(crate) struct Api {
    stack: String,
}

/// A bucket, as far as it is used.
#[derive(Debug, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) id: String,
}

/// A table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StorageTable {
    pub(crate) id: String,
    pub(crate) columns: Vec<String>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) metadata: Vec<Metadata>,
    // PHP writes an empty map as a list.
    #[serde(deserialize_with = "map_or_list")]
    pub(crate) column_metadata: BTreeMap<String, Vec<Metadata>>,
    pub(crate) last_import_date: Option<String>,
    pub(crate) last_change_date: Option<String>,
    pub(crate) rows_count: Option<u64>,
    pub(crate) is_alias: bool,
    pub(crate) source_table: Option<SourceTable>,
}

/// What an alias stands for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SourceTable {
    pub(crate) id: String,
}

/// A note on a table or column.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) provider: String,
}

/// A job.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) results: Option<Results>,
    #[serde(default)]
    pub(crate) error: Option<JobError>,
}

/// What a job made.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Results {
    /// A file.
    Made {
        /// The file.
        file: Made,
    },
    /// Something else, or nothing yet.
    Other(serde::de::IgnoredAny),
}

/// The file that a job made.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: u64,
}

/// Why a job failed.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct JobError {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

/// A file. What the host took out of it is not there: see the manifest's derived slots.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    pub(crate) id: u64,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) is_sliced: bool,
    #[serde(default)]
    pub(crate) region: Option<String>,
}

/// What the service says went wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    code: String,
}

fn map_or_list<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, Vec<Metadata>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Map(BTreeMap<String, Vec<Metadata>>),
        List([(); 0]),
    }
    Ok(match Either::deserialize(from)? {
        Either::Map(map) => map,
        Either::List([]) => BTreeMap::new(),
    })
}

impl Api {
    pub(crate) fn new(stack: &str) -> Self {
        Self {
            stack: stack.to_owned(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v2/storage/{path}", self.stack)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = http::get(self.url(path)).send()?;
        accepted(answer)?.json()
    }

    /// Proves that the token is good.
    pub(crate) fn verify(&self) -> Result<(), Failure> {
        self.get::<serde::de::IgnoredAny>("tokens/verify").map(drop)
    }

    pub(crate) fn buckets(&self) -> Result<Vec<Bucket>, Failure> {
        self.get("buckets")
    }

    pub(crate) fn bucket(&self, id: &str) -> Result<Bucket, Failure> {
        self.get(&format!("buckets/{}", encoded(id)))
    }

    /// The tables of a bucket with all that is said of them. Storage gives them in one answer, not in pages.
    pub(crate) fn tables_of(&self, bucket: &str) -> Result<Vec<StorageTable>, Failure> {
        let include = "include=columns,metadata,columnMetadata";
        self.get(&format!("buckets/{}/tables?{include}", encoded(bucket)))
    }

    pub(crate) fn table(&self, id: &str) -> Result<StorageTable, Failure> {
        self.get(&format!("tables/{}", encoded(id)))
    }

    /// Starts a job that exports a table, as these fields of a form say.
    pub(crate) fn export(&self, id: &str, form: &[(String, String)]) -> Result<Job, Failure> {
        let url = self.url(&format!("tables/{}/export-async", encoded(id)));
        let pairs = form
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = http::post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        accepted(patiently(&request)?)?.json()
    }

    pub(crate) fn job(&self, id: u64) -> Result<Job, Failure> {
        self.get(&format!("jobs/{id}"))
    }

    /// A file, with what it takes to fetch it: the host keeps that.
    pub(crate) fn file(&self, id: u64) -> Result<File, Failure> {
        self.get(&format!("files/{id}?federationToken=1"))
    }
}

/// Sends a request again that was turned away, which the host does for those only that may be sent twice. A second
/// export would do no harm either.
fn patiently(request: &Request) -> Result<Response, Failure> {
    let mut tried = 0;
    loop {
        let answer = request.clone().send()?;
        tried += 1;
        if !matches!(answer.status(), 429 | 502..=504) || tried >= MOST_TRIES {
            return Ok(answer);
        }
        let asked = answer.header("retry-after");
        let asked = asked.and_then(|text| text.trim().parse::<u64>().ok());
        let pause = asked.unwrap_or(1 << tried);
        if pause > LONGEST_PAUSE {
            return Ok(answer);
        }
        log::info(&format!(
            "Storage answered {}; asking again in {pause} s",
            answer.status()
        ));
        wait(Duration::from_secs(pause));
    }
}

/// The answer to a request that worked, else a failure with the service's own words.
fn accepted(answer: Response) -> Result<Response, Failure> {
    if (200..300).contains(&answer.status()) {
        return Ok(answer);
    }
    let (status, pause) = (answer.status(), answer.header("retry-after"));
    let said: Refusal = answer.json().unwrap_or_default();
    let mut words = format!("{} {}", said.code, said.error).trim().to_owned();
    if let Some((end, _)) = words.char_indices().nth(MOST_WORDS) {
        words.truncate(end);
    }
    let message = match words.is_empty() {
        true => format!("Storage answered with status {status}"),
        false => format!("Storage answered with status {status}: {words}"),
    };
    Err(match status {
        401 | 403 => Failure::auth(format!(
            "{message}; the credential `storage-token` must be a token of this project that may read it"
        )),
        429 => Failure::RateLimited {
            message,
            retry_after_seconds: pause.and_then(|text| text.trim().parse().ok()),
        },
        400..=499 => Failure::config(message),
        _ => Failure::upstream(message),
    })
}

/// A text as a part of a path, a query or a form: RFC 3986's unreserved characters stay.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
