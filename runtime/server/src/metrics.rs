//! What the server counts about itself, as text for Prometheus.
//!
//! Labels come from closed sets only, such as route templates, statuses and outcomes: whoever sends
//! requests cannot make the server keep more.

mod process;
mod runs;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub(crate) use runs::CountedStore;

/// From the work of a moment to the longest that a request may take, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// What is counted. Cheap to count in: no lock is held beyond the look-up of a label set.
pub(crate) struct Metrics {
    registry: Registry,
    started_at: Timestamp,
    requests: Family<Answered, Counter>,
    request_seconds: Family<Route, Histogram>,
    runs: Family<Outcome, Counter>,
    queries: Family<Outcome, Counter>,
    query_seconds: Histogram,
    busy: Gauge,
    tables: Gauge,
    generations: Counter<u64, AtomicU64>,
    memory: Gauge,
    files: Gauge,
}

impl Metrics {
    /// Everything at zero, from now on.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            started_at: Timestamp::now(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            runs: Family::default(),
            queries: Family::default(),
            query_seconds: Histogram::new(BUCKETS),
            busy: Gauge::default(),
            tables: Gauge::default(),
            generations: Counter::default(),
            memory: Gauge::default(),
            files: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let start = Gauge::<i64>::default();
        start.set(self.started_at.as_second());
        registry.register(
            "sluice_http_requests",
            "Requests answered",
            self.requests.clone(),
        );
        registry.register(
            "sluice_http_request_seconds",
            "Seconds until an answer began",
            self.request_seconds.clone(),
        );
        registry.register("sluice_runs", "Runs ended", self.runs.clone());
        registry.register(
            "sluice_queries",
            "Queries answered or refused",
            self.queries.clone(),
        );
        registry.register(
            "sluice_query_seconds",
            "Seconds that queries took",
            self.query_seconds.clone(),
        );
        registry.register(
            "sluice_queries_under_way",
            "Queries that are being answered",
            self.busy.clone(),
        );
        registry.register(
            "sluice_tables",
            "Tables of the catalogue",
            self.tables.clone(),
        );
        registry.register(
            "sluice_generation_builds",
            "Query instances built",
            self.generations.clone(),
        );
        registry.register(
            "process_resident_memory_bytes",
            "Memory of the server's process",
            self.memory.clone(),
        );
        registry.register(
            "process_open_fds",
            "Open file descriptors",
            self.files.clone(),
        );
        registry.register(
            "process_start_time_seconds",
            "When the server started",
            start,
        );
    }

    /// When the server started.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// A request was answered. `route` is the template that it matched.
    pub(crate) fn request(
        &self,
        method: &Method,
        route: Option<&str>,
        status: StatusCode,
        took: Duration,
    ) {
        let method = known(method);
        let route = route.unwrap_or("unmatched").to_owned();
        let seconds = Route {
            method,
            route: route.clone(),
        };
        self.request_seconds
            .get_or_create(&seconds)
            .observe(took.as_secs_f64());
        let answered = Answered {
            method,
            route,
            status: status.as_u16(),
        };
        self.requests.get_or_create(&answered).inc();
    }

    /// A run ended.
    pub(crate) fn run(&self, outcome: &'static str) {
        self.runs.get_or_create(&Outcome { outcome }).inc();
    }

    /// A query was answered, or was not.
    pub(crate) fn query(&self, outcome: &'static str, took: Duration) {
        self.queries.get_or_create(&Outcome { outcome }).inc();
        self.query_seconds.observe(took.as_secs_f64());
    }

    /// A query is under way until what this returns is dropped.
    pub(crate) fn query_begins(&self) -> Busy {
        self.busy.inc();
        Busy(self.busy.clone())
    }

    /// Everything as text, with what is only known at the moment.
    pub(crate) fn text(&self, tables: usize, generations: u64) -> Result<String, fmt::Error> {
        self.tables.set(i64::try_from(tables).unwrap_or(i64::MAX));
        self.generations
            .inner()
            .store(generations, Ordering::Relaxed);
        self.memory.set(process::resident_bytes().unwrap_or(0));
        self.files.set(process::open_files().unwrap_or(0));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// A query that is under way.
pub(crate) struct Busy(Gauge);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A method by its name; those that nobody serves share one, since a client may invent them.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_stands_in_the_text() {
        let metrics = Metrics::new();
        let moment = Duration::from_millis(3);
        metrics.request(&Method::GET, Some("/api/runs/{id}"), StatusCode::OK, moment);
        metrics.run("failed");
        metrics.query("ok", moment);
        let text = metrics.text(7, 2).unwrap();
        for line in [
            "sluice_http_requests_total{method=\"GET\",route=\"/api/runs/{id}\",status=\"200\"} 1",
            "sluice_http_request_seconds_bucket{le=\"0.005\",method=\"GET\",route=\"/api/runs/{id}\"} 1",
            "sluice_runs_total{outcome=\"failed\"} 1",
            "sluice_queries_total{outcome=\"ok\"} 1",
            "sluice_tables 7",
            "sluice_generation_builds_total 2",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn invented_methods_and_paths_make_no_series_of_their_own() {
        let metrics = Metrics::new();
        for n in 0..100 {
            let method = Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
            metrics.request(&method, None, StatusCode::NOT_FOUND, Duration::ZERO);
        }
        let text = metrics.text(0, 0).unwrap();
        let series = text
            .lines()
            .filter(|line| line.starts_with("sluice_http_requests_total"));
        assert_eq!(series.count(), 1, "{text}");
    }
}
