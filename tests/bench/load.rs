//! Rows to measure with, the same in every run, and the web server that hands them out.

use std::fs;
use std::path::Path;

use axum::body::Bytes;
use axum::response::IntoResponse;
use integration_tests::Internet;
use workload::order::{COLUMNS, Order, orders};

/// CSV of the orders from one number to before another.
pub fn csv(from: u64, to: u64) -> String {
    let lines = (from..to).map(|id| Order::number(id).csv());
    format!("{COLUMNS}\n") + &lines.collect::<String>()
}

/// A JSON array of such orders.
fn json_array(from: u64, to: u64) -> String {
    serde_json::to_string(&orders(from, to)).expect("orders are JSON")
}

/// Serves the orders as pages of JSON at /orders, and at /orders?of=PAGES the same ones again and again until there were so
/// many; returns how many bytes one round has.
pub fn serve_pages(internet: &Internet, rows: u64, page: u64) -> u64 {
    let count = rows.div_ceil(page);
    let address = internet.url("/orders");
    let bodies: Vec<String> = (0..count)
        .map(|number| {
            let orders = json_array(number * page, rows.min((number + 1) * page));
            format!("{{\"orders\":{orders},\"next\":")
        })
        .collect();
    let bytes = bodies.iter().map(|body| body.len() as u64).sum();
    internet.handle("/orders", move |seen| {
        let wanted = |name| asked(&seen.target, name);
        let (page, of) = (wanted("page").unwrap_or(0), wanted("of").unwrap_or(count));
        let next = (page + 1 < of).then(|| format!("\"{address}?page={}&of={of}\"}}", page + 1));
        let next = next.as_deref().unwrap_or("null}");
        let body = [&bodies[(page % count) as usize], next].concat();
        ([("content-type", "application/json")], body).into_response()
    });
    bytes
}

/// A number in the query of a request.
fn asked(target: &str, name: &str) -> Option<u64> {
    let query = target.split_once('?')?.1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name)?.1.parse().ok()
}

/// Serves a body without copying it for each request; returns how many bytes it has.
pub fn serve_body(
    internet: &Internet,
    path: &str,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> u64 {
    let body = body.into();
    let bytes = body.len() as u64;
    internet.handle(path, move |_| {
        ([("content-type", content_type)], body.clone()).into_response()
    });
    bytes
}

/// Writes the orders as files of JSON arrays, which DuckDB reads faster than arrays inside of pages.
pub fn write_arrays(folder: &Path, rows: u64, page: u64) {
    for from in (0..rows).step_by(page as usize) {
        let path = folder.join(format!("orders-{from:08}.json"));
        fs::write(path, json_array(from, rows.min(from + page))).expect("the folder takes files");
    }
}
