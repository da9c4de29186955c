//! What BigQuery's REST API answers, as far as it is read, after Google's reference of `jobs`.

use domain::{Failure, FailureKind};
use serde::Deserialize;

/// Of what the service says about its refusal.
const MAX_WORDS: usize = 600;

/// A number that JSON holds as a text, as 64-bit numbers are in Google's APIs.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Either")]
struct Count(u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u64),
    Text(String),
}

impl TryFrom<Either> for Count {
    type Error = std::num::ParseIntError;
    fn try_from(either: Either) -> Result<Self, Self::Error> {
        match either {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => text.parse().map(Self),
        }
    }
}

/// `jobs.insert` and `jobs.get`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    job_reference: Option<Reference>,
    statistics: Option<Statistics>,
    status: Option<Status>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    location: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    total_bytes_processed: Option<Count>,
    query: Option<QueryStatistics>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryStatistics {
    total_bytes_processed: Option<Count>,
    total_bytes_billed: Option<Count>,
    statement_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    error_result: Option<Reason>,
}

impl Job {
    /// Where it ran, if that is a location's name.
    pub(super) fn location(&self) -> Option<&str> {
        let location = self.job_reference.as_ref()?.location.as_deref()?;
        (location.len() <= 64).then_some(location)
    }

    pub(super) fn statement_type(&self) -> Option<&str> {
        self.query()?.statement_type.as_deref()
    }

    /// The larger of the two figures, where they differ.
    pub(super) fn bytes_processed(&self) -> Option<u64> {
        let whole = self.statistics.as_ref()?.total_bytes_processed;
        let query = self.query().and_then(|query| query.total_bytes_processed);
        whole.max_by_value(query)
    }

    pub(super) fn bytes_billed(&self) -> Option<u64> {
        Some(self.query()?.total_bytes_billed?.0)
    }

    /// An error that a job has although the request was answered well.
    pub(super) fn failed(&self) -> Result<(), Failure> {
        let status = self.status.as_ref();
        match status.and_then(|status| status.error_result.as_ref()) {
            Some(reason) => Err(reason.failure(None)),
            None => Ok(()),
        }
    }

    fn query(&self) -> Option<&QueryStatistics> {
        self.statistics.as_ref()?.query.as_ref()
    }
}

/// The larger of two counts.
trait Larger {
    fn max_by_value(self, other: Self) -> Option<u64>;
}

impl Larger for Option<Count> {
    fn max_by_value(self, other: Self) -> Option<u64> {
        self.map(|count| count.0).max(other.map(|count| count.0))
    }
}

/// `jobs.getQueryResults`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Results {
    #[serde(default)]
    pub(super) job_complete: bool,
    pub(super) schema: Option<serde_json::Value>,
    pub(super) rows: Option<Vec<serde_json::Value>>,
    page_token: Option<String>,
    total_rows: Option<Count>,
}

impl Results {
    pub(super) fn next_token(&self) -> Option<&str> {
        self.page_token.as_deref().filter(|token| !token.is_empty())
    }

    pub(super) fn total_rows(&self) -> u64 {
        self.total_rows.map_or(0, |count| count.0)
    }

    /// Whether as many rows came as were announced.
    pub(super) fn whole(&self, rows: u64) -> Result<(), Failure> {
        match self.total_rows {
            Some(Count(total)) if total != rows => Err(Failure::upstream(format!(
                "BigQuery announced {total} rows and sent {rows}"
            ))),
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: Refused,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    reason: String,
    message: String,
}

impl Reason {
    fn failure(&self, status: Option<u16>) -> Failure {
        let kind = match (self.reason.as_str(), status) {
            ("rateLimitExceeded" | "quotaExceeded" | "jobRateLimitExceeded", _)
            | (_, Some(429)) => FailureKind::RateLimited,
            ("bytesBilledLimitExceeded" | "responseTooLarge", _) => FailureKind::Limit,
            ("accessDenied", _) | (_, Some(401 | 403)) => FailureKind::Auth,
            ("invalidQuery" | "invalid" | "notFound", _) | (_, Some(400 | 404)) => {
                FailureKind::Config
            }
            _ => FailureKind::Upstream,
        };
        let reason = match (self.reason.as_str(), status) {
            ("", Some(status)) => status.to_string(),
            (reason, _) => shown(reason),
        };
        Failure::new(
            kind,
            format!(
                "BigQuery refused the query ({reason}): {}",
                shown(&self.message)
            ),
        )
    }
}

/// Why a request was refused.
pub(super) fn refused(status: u16, body: &[u8]) -> Failure {
    let reason = match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error }) => Reason {
            reason: error.errors.into_iter().next().unwrap_or_default().reason,
            message: error.message,
        },
        // A page of a proxy helps nobody, and may hold anything.
        Err(_) => Reason {
            reason: String::new(),
            message: "it gave no reason that can be read".into(),
        },
    };
    reason.failure(Some(status))
}

/// The service's words, cut and without control characters.
pub(super) fn shown(text: &str) -> String {
    let cut = text
        .get(..text.floor_char_boundary(MAX_WORDS))
        .unwrap_or_default();
    cut.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
