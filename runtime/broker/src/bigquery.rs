//! One query on BigQuery over its REST API, through the egress gate: its cost is judged before it runs, its result is
//! handed on page by page, and a job that nobody waits for any more is cancelled.
//!
//! A result is whole or an error. What BigQuery says is hostile input, as every service's answer is.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::ports::Observer;
use domain::{Cancel, Failure, Secret, SourceName};
use serde_json::{Value, json};
use url::Url;

use crate::Broker;

mod line;
#[cfg(test)]
mod tests;
mod wire;

use line::{Line, Verb};
use wire::{Job, Results};

/// The longest text that BigQuery takes.
const MAX_SQL: usize = 1 << 20;
/// How long BigQuery may hold a question whether the job is done.
const HOLD: Duration = Duration::from_secs(10);
/// The pause after an answer that the job is not done; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Rows asked for at once; BigQuery sends fewer where they are long.
const PAGE_ROWS: u32 = 10_000;

/// Where queries run, and on whose account.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What messages and the audit call it.
    pub name: SourceName,
    /// The project that is billed.
    pub project: String,
    /// Where the data lies, such as `EU`; BigQuery finds out where none is named.
    pub location: Option<String>,
    /// `https://bigquery.googleapis.com`, unless something else speaks its language.
    pub base_url: Url,
    /// Exceptions for addresses that are not globally routable.
    pub private_addresses: Vec<SocketAddr>,
    /// The key file of a service account; without one requests carry no credential.
    pub service_account: Option<Secret>,
    /// Where the key is exchanged for a token; the key file must name the same place.
    pub token_url: String,
}

/// A query and its limits.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// One SELECT in BigQuery's own SQL.
    pub sql: &'a str,
    /// The most bytes that may be billed.
    pub max_bytes_billed: u64,
    /// The most rows of the result.
    pub max_rows: u64,
    /// The most bytes of the result as BigQuery sends it.
    pub max_bytes: u64,
    /// From the dry run to the last page.
    pub timeout: Duration,
}

/// A part of a result.
#[derive(Debug)]
pub struct Page<'a> {
    /// The schema, as `{"fields": […]}`.
    pub schema: &'a Value,
    /// The rows, each as `{"f": [{"v": …}, …]}`.
    pub rows: &'a [Value],
}

/// What a query came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Rows of the result.
    pub rows: u64,
    /// Bytes of the answers that held it.
    pub bytes: u64,
    /// Bytes that the dry run named.
    pub bytes_estimated: u64,
    /// Bytes that BigQuery says it bills, where it says so.
    pub bytes_billed: Option<u64>,
}

/// A query under way.
struct Query<'a> {
    connection: &'a Connection,
    ask: Ask<'a>,
    line: Line<'a>,
    deadline: Instant,
    job: String,
    /// Where the job runs, once that is known; everything asked about it must say so.
    location: OnceCell<String>,
}

impl Broker {
    /// Runs a query on BigQuery, and gives `take` every page of its result; the first comes with the schema even where
    /// there are no rows. Must not be called on a thread of the runtime's own.
    ///
    /// # Errors
    /// Where the query is none, costs too much, brings too much or takes too long, where BigQuery refuses it or cannot be
    /// reached, where `cancel` says so, and where `take` fails. What `take` was given before is then not a result.
    pub fn bigquery(
        &self,
        connection: &Connection,
        ask: Ask<'_>,
        observer: Arc<dyn Observer>,
        cancel: &Cancel,
        take: &mut dyn FnMut(Page<'_>) -> Result<(), Failure>,
    ) -> Result<Spent, Failure> {
        check(connection, &ask)?;
        let until = (ask.timeout, overdue(&ask));
        let line = Line::new(self, connection, &ask, observer.clone(), cancel, until)?;
        let query = Query {
            connection,
            ask,
            line,
            deadline: Instant::now() + ask.timeout,
            job: job_id()?,
            location: connection
                .location
                .clone()
                .map(OnceCell::from)
                .unwrap_or_default(),
        };
        let bytes_estimated = query.judge_cost()?;
        let result = query.start().and_then(|()| {
            let (rows, bytes) = query.fetch(take)?;
            Ok((rows, bytes, query.billed()))
        });
        let (rows, bytes, bytes_billed) = result.inspect_err(|_| {
            // By a line of its own: the query's may be the one that was stopped.
            let until = (line::LAST_WORD, Failure::upstream("no answer in time"));
            let last = Line::new(self, connection, &ask, observer, &Cancel::new(), until);
            if let Err(failure) = last.and_then(|line| query.cancel(&line)) {
                // Without its words, which may name an account.
                let kind = failure.kind.as_str();
                tracing::warn!(connection = %connection.name, job = query.job, kind, "a job on BigQuery could not be cancelled");
            }
        })?;
        Ok(Spent {
            rows,
            bytes,
            bytes_estimated,
            bytes_billed,
        })
    }
}

impl Query<'_> {
    /// What the query would read, which must be within the limit. BigQuery parses it, so that what it is need not be
    /// guessed here: a script, and what changes anything, is refused.
    fn judge_cost(&self) -> Result<u64, Failure> {
        let body = self.job_body(
            &json!({"dryRun": true, "query": {"query": self.ask.sql, "useLegacySql": false}}),
            None,
        );
        let job: Job = self.call(&self.line, &Verb::Post(&body), &["jobs"], &[])?.0;
        job.failed()?;
        match job.statement_type() {
            Some("SELECT") => {}
            Some(other) => {
                return Err(Failure::config(format!(
                    "a remote query is one SELECT, and BigQuery takes this one for `{}`",
                    wire::shown(other)
                )));
            }
            None => {
                return Err(Failure::upstream(
                    "BigQuery's dry run does not say what kind of statement this is",
                ));
            }
        }
        let estimate = job.bytes_processed().ok_or_else(|| {
            Failure::upstream("BigQuery's dry run does not say how many bytes the query would read")
        })?;
        let most = self.ask.max_bytes_billed;
        if estimate > most {
            return Err(Failure::limit(format!(
                "the remote query would read {estimate} bytes on BigQuery, and at most {most} may be billed: read fewer columns or partitions, or ask with a higher `max_bytes_billed`"
            )));
        }
        Ok(estimate)
    }

    /// Starts the job, and remembers where it runs.
    fn start(&self) -> Result<(), Failure> {
        let configuration = json!({
            "jobTimeoutMs": self.left()?.as_millis().to_string(),
            "query": {
                "query": self.ask.sql,
                "useLegacySql": false,
                "maximumBytesBilled": self.ask.max_bytes_billed.to_string(),
            },
        });
        let body = self.job_body(&configuration, Some(&self.job));
        let job: Job = self.call(&self.line, &Verb::Post(&body), &["jobs"], &[])?.0;
        job.failed()?;
        if let Some(location) = job.location() {
            self.location.get_or_init(|| location.to_owned());
        }
        Ok(())
    }

    /// Waits for the job, and hands on its result; gives back its rows and bytes.
    fn fetch(
        &self,
        take: &mut dyn FnMut(Page<'_>) -> Result<(), Failure>,
    ) -> Result<(u64, u64), Failure> {
        let (mut schema, mut token) = (None, None::<String>);
        let (mut rows, mut bytes) = (0_u64, 0_u64);
        let mut pause = FIRST_PAUSE;
        loop {
            let (mut page, size) = self.page(token.as_deref())?;
            if !page.job_complete {
                self.line.pause(pause.min(self.left()?))?;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            schema = schema.or_else(|| page.schema.take());
            let schema = schema
                .as_ref()
                .ok_or_else(|| Failure::upstream("BigQuery sent a result without a schema"))?;
            let here = page.rows.take().unwrap_or_default();
            rows += here.len() as u64;
            bytes += size;
            self.judge_size(rows.max(page.total_rows()), bytes)?;
            take(Page {
                schema,
                rows: &here,
            })?;
            match page.next_token() {
                None => return page.whole(rows).map(|()| (rows, bytes)),
                Some(next) if token.as_deref() == Some(next) => {
                    return Err(Failure::upstream(
                        "BigQuery sends the same page again and again",
                    ));
                }
                Some(next) => token = Some(next.to_owned()),
            }
        }
    }

    fn page(&self, token: Option<&str>) -> Result<(Results, u64), Failure> {
        let hold = HOLD.min(self.left()?).as_millis().to_string();
        let rows = PAGE_ROWS.to_string();
        let mut parameters = vec![
            ("timeoutMs", hold.as_str()),
            ("maxResults", &rows),
            ("formatOptions.useInt64Timestamp", "true"),
        ];
        parameters.extend(self.place());
        parameters.extend(token.map(|token| ("pageToken", token)));
        self.call(&self.line, &Verb::Get, &["queries", &self.job], &parameters)
    }

    /// A result that is too large is refused: a part of it, joined as if it were all, would be a wrong answer.
    fn judge_size(&self, rows: u64, bytes: u64) -> Result<(), Failure> {
        let Ask {
            max_rows,
            max_bytes,
            ..
        } = self.ask;
        if rows > max_rows {
            return Err(Failure::limit(format!(
                "the remote query's result has {rows} rows or more, and at most {max_rows} are allowed: filter or aggregate in the remote query, or ask with a higher `max_rows`"
            )));
        }
        if bytes > max_bytes {
            return Err(Failure::limit(format!(
                "the remote query's result has more than {bytes} bytes, and at most {max_bytes} are allowed: select fewer columns, or ask with a higher `max_bytes`"
            )));
        }
        Ok(())
    }

    /// What was billed. That it cannot be had costs nobody the result.
    fn billed(&self) -> Option<u64> {
        let parameters: Vec<_> = self.place().into_iter().collect();
        let job = self.call::<Job>(&self.line, &Verb::Get, &["jobs", &self.job], &parameters);
        job.ok()?.0.bytes_billed()
    }

    fn cancel(&self, line: &Line<'_>) -> Result<(), Failure> {
        let parameters: Vec<_> = self.place().into_iter().collect();
        let body = json!({});
        let path = ["jobs", self.job.as_str(), "cancel"];
        line.call::<Value>(&Verb::Post(&body), &path, &parameters, line::LAST_WORD)
            .map(|_| ())
    }

    fn place(&self) -> Option<(&str, &str)> {
        Some(("location", self.location.get()?))
    }

    fn job_body(&self, configuration: &Value, id: Option<&str>) -> Value {
        let mut reference = json!({"projectId": self.connection.project});
        if let (Some(id), Some(map)) = (id, reference.as_object_mut()) {
            map.insert("jobId".into(), id.into());
        }
        if let (Some(location), Some(map)) = (&self.connection.location, reference.as_object_mut())
        {
            map.insert("location".into(), location.as_str().into());
        }
        json!({"jobReference": reference, "configuration": configuration})
    }

    fn call<T: serde::de::DeserializeOwned>(
        &self,
        line: &Line<'_>,
        verb: &Verb<'_>,
        path: &[&str],
        parameters: &[(&str, &str)],
    ) -> Result<(T, u64), Failure> {
        let answer = line.call(verb, path, parameters, self.left()?);
        // Without its time, whatever went wrong did so because time was up.
        answer.map_err(|failure| self.left().err().unwrap_or(failure))
    }

    /// The time that is left; fails when there is none.
    fn left(&self) -> Result<Duration, Failure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            false => Ok(left),
            true => Err(overdue(&self.ask)),
        }
    }
}

fn overdue(ask: &Ask<'_>) -> Failure {
    Failure::limit(format!(
        "the remote query took more than {} s, which is its limit: make it smaller, or ask with a higher `timeout`",
        ask.timeout.as_secs_f32()
    ))
}

/// What needs nobody's answer to be wrong.
fn check(connection: &Connection, ask: &Ask<'_>) -> Result<(), Failure> {
    let plain = |text: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=64).contains(&text.len()) && text.bytes().all(fits)
    };
    if !plain(&connection.project) {
        return Err(Failure::config(format!(
            "`project` of the connection `{}` is no project id: it has 6 to 30 lower-case letters, digits and `-`",
            connection.name
        )));
    }
    if connection
        .location
        .as_deref()
        .is_some_and(|location| !plain(location))
    {
        return Err(Failure::config(format!(
            "`location` of the connection `{}` is none, such as `EU` or `us-central1`",
            connection.name
        )));
    }
    if ask.sql.trim().is_empty() || ask.sql.len() > MAX_SQL {
        return Err(Failure::config(format!(
            "a remote query has 1 to {MAX_SQL} bytes, this one has {}",
            ask.sql.len()
        )));
    }
    Ok(())
}

/// Chosen here, so that a job can be cancelled whose start was not answered.
fn job_id() -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::bug(format!("the system gives no random bytes: {error}")))?;
    Ok(format!("sluice_{}", hex::encode(random)))
}
