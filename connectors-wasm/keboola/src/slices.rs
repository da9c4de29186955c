//! Brings an exported file, slice by slice, each unread to the table.
//!
//! What it takes to fetch a slice ends after a while. Then Storage is asked for the file again, which has the host hold
//! new credentials, and the reading goes on with the slice that was refused.

use connector_sdk::http::{self, Response};
use connector_sdk::{Compression, Csv, Failure, Format, Table, log, progress};
use serde::Deserialize;

use crate::api::{Api, File, encoded};

/// The list of a file's slices.
#[derive(Deserialize)]
struct Manifest {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    url: String,
}

/// A file that is being fetched.
pub(crate) struct Fetch<'a> {
    api: &'a Api,
    endpoint: Option<&'a str>,
    file: File,
}

/// Where a part of a file is.
enum Place<'a> {
    /// At the address that the file has.
    Whole,
    /// At this address of a cloud's storage.
    Slice(&'a str),
}

impl<'a> Fetch<'a> {
    pub(crate) fn new(api: &'a Api, endpoint: Option<&'a str>, file: u64) -> Result<Self, Failure> {
        let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/'));
        let file = api.file(file)?;
        Ok(Self {
            api,
            endpoint,
            file,
        })
    }

    /// The slices, in order; nothing for a file that has none.
    pub(crate) fn slices(&mut self) -> Result<Option<Vec<String>>, Failure> {
        if !self.file.is_sliced {
            return Ok(None);
        }
        let manifest: Manifest = self.get(&Place::Whole)?.json()?;
        let urls = manifest.entries.into_iter().map(|entry| entry.url);
        Ok(Some(urls.collect()))
    }

    /// Appends all of it to a table whose columns have these names.
    pub(crate) fn append(
        &mut self,
        slices: Option<&[String]>,
        table: &Table,
        name: &str,
        columns: &[String],
    ) -> Result<u64, Failure> {
        let format = format(slices.map(|_| columns));
        let Some(slices) = slices else {
            let body = self.get(&Place::Whole)?;
            return Ok(table.append_body(body, &format)?.rows);
        };
        let (mut rows, total) = (0, slices.len());
        for (at, slice) in slices.iter().enumerate() {
            let body = self.get(&Place::Slice(slice))?;
            rows += table.append_body(body, &format)?.rows;
            let done = at as u64 + 1;
            progress(
                &format!("{name}, slice {done} of {total}"),
                done,
                Some(total as u64),
            );
        }
        Ok(rows)
    }

    /// A part of the file; asks Storage once for new credentials where those in use are refused.
    fn get(&mut self, place: &Place<'_>) -> Result<Response, Failure> {
        let mut renewed = false;
        loop {
            let url = match place {
                Place::Whole => self.file.url.clone(),
                Place::Slice(slice) => self.address(slice)?,
            };
            let refused = match fetch(&url)? {
                Fetched::Body(body) => return Ok(body),
                Fetched::Refused(why) => why,
            };
            if renewed {
                // An admin cannot help it: the credential was Storage's.
                return Err(Failure::upstream(format!(
                    "the file {} cannot be fetched with what Storage lends for it: {refused}",
                    self.file.id
                )));
            }
            renewed = true;
            log::info(&format!(
                "asking Storage for the file {} again: {refused}",
                self.file.id
            ));
            self.file = self.api.file(self.file.id)?;
        }
    }

    /// The address of a slice on the web.
    fn address(&self, slice: &str) -> Result<String, Failure> {
        let odd = || {
            Failure::upstream(format!(
                "the file {} has a slice at an address of an unknown kind",
                self.file.id
            ))
        };
        let (scheme, rest) = slice.split_once("://").ok_or_else(odd)?;
        let (head, key) = rest.split_once('/').ok_or_else(odd)?;
        let key: Vec<_> = key.split('/').map(encoded).collect();
        let key = key.join("/");
        let bucket = encoded(head);
        Ok(match (scheme, self.endpoint) {
            ("gs" | "s3", Some(endpoint)) => format!("{endpoint}/{bucket}/{key}"),
            // The head is the account's host, and the container is in the key.
            ("azure", Some(endpoint)) => format!("{endpoint}/{key}"),
            ("gs", None) => format!("https://storage.googleapis.com/{bucket}/{key}"),
            ("s3", None) => {
                let region = self.file.region.as_deref().unwrap_or("us-east-1");
                format!("https://{bucket}.s3.{region}.amazonaws.com/{key}")
            }
            ("azure", None) => format!("https://{head}/{key}"),
            _ => return Err(odd()),
        })
    }
}

/// What came of asking for a part of a file.
enum Fetched {
    Body(Response),
    /// The credentials in use are no good, for this reason.
    Refused(String),
}

fn fetch(url: &str) -> Result<Fetched, Failure> {
    let answer = match http::get(url).send() {
        Err(Failure::Auth(message)) => return Ok(Fetched::Refused(message)),
        answer => answer?,
    };
    let status = answer.status();
    // What has ended is 400 on S3, 401 on Google's, 403 on all of them.
    if matches!(status, 400 | 401 | 403) {
        let place = http::without_query(url);
        let message = format!("{place} answered with status {status}");
        return Ok(Fetched::Refused(message));
    }
    // A file that is not there any more is nothing that settings could mend.
    let passing = |failure: Failure| Failure::upstream(failure.message());
    answer
        .error_for_status()
        .map(Fetched::Body)
        .map_err(passing)
}

/// CSV of these columns, or for a file of one piece with a line that names them.
fn format(columns: Option<&[String]>) -> Format {
    Format::Csv(Csv {
        delimiter: None,
        quote: None,
        header: columns.is_none(),
        names: columns.map(<[String]>::to_vec).unwrap_or_default(),
        compression: Compression::Auto,
    })
}
