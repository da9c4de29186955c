//! The outside world of the demo: real data behind a small web server, and the day on which it turns hostile.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use integration_tests::Internet;
use serde_json::{Value, json};

use crate::stage::Failed;

/// How many flights a page has.
const PAGE: usize = 5_000;

/// The columns of the flights that are text; all others are whole numbers.
const TEXT: [&str; 5] = ["carrier", "tailnum", "origin", "dest", "time_hour"];

/// What the web server serves, and where.
pub struct World {
    /// The web server.
    pub internet: Internet,
    /// How many flights there are.
    pub flights: usize,
    detour: Arc<Mutex<Option<String>>>,
}

impl World {
    /// Starts the web server over the data sets of a folder.
    pub fn start(folder: &Path) -> Result<Self, Failed> {
        let internet = Internet::start();
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|error| {
                let path = path.display();
                format!("{path} cannot be read: {error}. `./dev demo` fetches the data.")
            })
        };
        internet.page("/weather.csv", "text/csv", read("weather.csv")?);
        internet.page("/airports.csv", "text/csv", read("airports.csv")?);
        let planes = gzip(&read("planes.csv")?)?;
        internet.page("/planes.csv.gz", "application/gzip", planes);
        let airlines = ndjson(&text(read("airlines.csv")?)?);
        internet.page("/airlines.ndjson", "application/x-ndjson", airlines);

        let detour = Arc::new(Mutex::new(None));
        let csv = text(read("flights.csv")?)?;
        let pages = Pages::new(&csv, internet.url("/flights"), detour.clone());
        let flights = pages.rows();
        internet.handle("/flights", move |seen| pages.answer(&seen.target));
        Ok(Self {
            internet,
            flights,
            detour,
        })
    }

    /// The settings of a source that reads it all.
    pub fn settings(&self) -> Value {
        json!({"tables": [
            {"name": "flights", "description": "Flights from New York City in 2013",
             "url": self.internet.url("/flights"),
             "format": "json", "records": "/flights", "next": "/next"},
            {"name": "weather", "description": "Weather there, by the hour",
             "url": self.internet.url("/weather.csv"), "format": "csv"},
            {"name": "airports", "description": "Airports by FAA code",
             "url": self.internet.url("/airports.csv"), "format": "csv"},
            {"name": "planes", "description": "Aircraft by tail number",
             "url": self.internet.url("/planes.csv.gz"), "format": "csv"},
            {"name": "airlines", "description": "Airlines by carrier code",
             "url": self.internet.url("/airlines.ndjson"), "format": "ndjson"},
        ]})
    }

    /// From now on the second page of flights says that the third one is there.
    pub fn detour(&self, url: &str) {
        if let Ok(mut detour) = self.detour.lock() {
            *detour = Some(url.to_owned());
        }
    }
}

/// The folder of the data sets.
pub fn folder() -> PathBuf {
    std::env::var_os("SLUICE_DEMO_DATA").map_or_else(|| ".tools/demo-data".into(), PathBuf::from)
}

/// The flights as pages of JSON.
struct Pages {
    names: Vec<String>,
    /// The lines of CSV of each page.
    pages: Vec<Vec<String>>,
    first: String,
    detour: Arc<Mutex<Option<String>>>,
}

impl Pages {
    fn new(csv: &str, first: String, detour: Arc<Mutex<Option<String>>>) -> Self {
        let mut lines = csv.lines();
        let names = lines
            .next()
            .unwrap_or_default()
            .split(',')
            .map(str::to_owned);
        let names = names.collect();
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        Self {
            names,
            pages: lines.chunks(PAGE).map(<[String]>::to_vec).collect(),
            first,
            detour,
        }
    }

    fn rows(&self) -> usize {
        self.pages.iter().map(Vec::len).sum()
    }

    fn answer(&self, target: &str) -> Response {
        let number = target
            .split_once("?page=")
            .map_or(Ok(1), |(_, n)| n.parse::<usize>());
        let page = number.ok().and_then(|number| {
            let lines = self.pages.get(number.checked_sub(1)?)?;
            Some(self.page(lines, number))
        });
        match page {
            Some(page) => ([("content-type", "application/json")], page).into_response(),
            None => (StatusCode::NOT_FOUND, "there is no such page").into_response(),
        }
    }

    fn page(&self, lines: &[String], number: usize) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let records: Vec<String> = lines
            .iter()
            .map(|line| record(&names, line, &TEXT))
            .collect();
        let records = records.join(",\n");
        let next = json!((number < self.pages.len()).then(|| self.next(number)));
        format!("{{\"flights\":[{records}],\"next\":{next}}}")
    }

    fn next(&self, number: usize) -> String {
        let detour = self.detour.lock().ok().and_then(|detour| detour.clone());
        detour
            .filter(|_| number == 2)
            .unwrap_or_else(|| format!("{}?page={}", self.first, number + 1))
    }
}

/// A line of CSV as a JSON object. The data sets have neither quotes nor backslashes.
fn record(names: &[&str], line: &str, texts: &[&str]) -> String {
    let fields = names.iter().zip(line.split(',')).map(|(name, value)| {
        if value.is_empty() {
            format!("\"{name}\":null")
        } else if texts.contains(name) {
            format!("\"{name}\":\"{value}\"")
        } else {
            format!("\"{name}\":{value}")
        }
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// CSV whose columns are all text as one JSON object a line.
fn ndjson(csv: &str) -> String {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .map(|line| record(&names, line, &names) + "\n")
        .collect()
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    Ok(packed.map_err(|error| format!("the planes cannot be compressed: {error}"))?)
}

fn text(bytes: Vec<u8>) -> Result<String, Failed> {
    Ok(String::from_utf8(bytes).map_err(|error| format!("the data is not text: {error}"))?)
}
