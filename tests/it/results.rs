//! Answers of a query in every format: read back, cut, broken off, given up.

use std::io::{Read, Write};
use std::net::TcpStream;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use integration_tests::{App, Client, Options, Response, until};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use ureq::http::Method;

use crate::shop::Shop;

const ENDLESS: &str = "SELECT range AS n FROM range(1000000000000)";
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// A server with a configuration, and three orders.
fn shop_with(config: &str) -> Shop {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, config).unwrap();
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--config".into(), file.path().display().to_string()],
        ..Options::default()
    }));
    assert_eq!(shop.publish("orders", crate::shop::ORDERS), "succeeded");
    shop
}

fn ask(shop: &Client, sql: &str, accept: &str) -> Response {
    let body = json!({ "sql": sql }).to_string();
    let headers = [("content-type", "application/json"), ("accept", accept)];
    shop.send(Method::POST, "/api/query", &headers, body.as_bytes())
}

fn arrow(bytes: &[u8]) -> RecordBatch {
    let reader = StreamReader::try_new(bytes, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// A request by hand, for what a client library hides: trailers, and going away.
pub(crate) fn post(client: &Client, path: &str, more: &str, body: &serde_json::Value) -> TcpStream {
    let address = client.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let (token, body) = (client.token.as_deref().unwrap(), body.to_string());
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// A number of `/metrics`.
fn metric(app: &Client, name: &str) -> u64 {
    let bytes = app.get("/metrics").bytes;
    let text = String::from_utf8(bytes).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}

fn under_way(app: &Client) -> u64 {
    metric(app, "sluice_queries_under_way")
}

#[test]
fn the_same_rows_come_back_in_every_format() {
    let shop = Shop::with_orders();
    let sql = "SELECT id, customer FROM orders ORDER BY id";
    let csv = ask(&shop, sql, "text/csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let expected = "id,customer\n1,Ada\n2,\"Grace, née Murray\"\n3,\"two\nlines\"\n";
    assert_eq!(String::from_utf8(csv.bytes).unwrap(), expected);

    let answer = ask(&shop, sql, ARROW);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(ARROW))
    );
    let rows = arrow(&answer.bytes);
    assert_eq!(
        rows.column(0).as_primitive::<Int64Type>().values(),
        &[1, 2, 3]
    );
    assert_eq!(
        rows.column(1).as_string::<i32>().value(1),
        "Grace, née Murray"
    );

    let parquet = "application/vnd.apache.parquet";
    let answer = ask(&shop, sql, parquet);
    assert_eq!(answer.header("content-type"), Some(parquet));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&answer.bytes).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let read: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(read[0].column(0), rows.column(0));

    let by_body = json!({"sql": sql, "format": "csv"});
    assert_eq!(shop.post("/api/query", &by_body).bytes, expected.as_bytes());
    assert_eq!(ask(&shop, sql, "text/html").ok()["row_count"], 3);
}

#[test]
fn what_is_refused_is_told_alike_in_every_format() {
    let shop = Shop::with_orders();
    for accept in [
        "application/json",
        "text/csv",
        ARROW,
        "application/vnd.apache.parquet",
    ] {
        let told = |sql| ask(&shop, sql, accept).detail();
        assert_eq!(
            told("SELECT * FROM salaries"),
            "400 there is no table `salaries`, or you may not read it"
        );
        let detail = told("SELECT sum(('x' || range)::INT) FROM range(100000)");
        assert!(
            detail.starts_with("400 Query error: Conversion Error"),
            "{accept}: {detail}"
        );
    }
    let unknown = json!({"sql": "SELECT 1", "format": "xml"});
    assert_eq!(shop.post("/api/query", &unknown).status, 422);
}

#[test]
fn a_small_stream_that_is_cut_says_so_in_its_head() {
    let shop = shop_with("queries:\n  stream_max_rows: 2\n");
    let cut = ask(&shop, "SELECT id FROM orders ORDER BY id", "text/csv");
    assert_eq!(
        (cut.status, cut.header("x-sluice-truncated")),
        (200, Some("rows"))
    );
    assert_eq!(cut.bytes, b"id\n1\n2\n");
    let whole = ask(&shop, "SELECT id FROM orders WHERE id < 3", "text/csv");
    assert_eq!(whole.header("x-sluice-truncated"), None);
}

#[test]
fn a_large_stream_that_is_cut_says_so_behind_its_body_or_breaks_off() {
    let shop = shop_with("queries:\n  stream_max_bytes: 2000000\n");
    let question = json!({"sql": ENDLESS, "format": "arrow"});
    let read = |more: &str| {
        let mut text = Vec::new();
        let mut stream = post(
            &shop,
            "/api/query",
            &format!("{more}Connection: close\r\n"),
            &question,
        );
        stream.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    };
    let told = read("TE: trailers\r\n");
    assert!(
        told.contains("trailer: x-sluice-truncated"),
        "no trailer is announced"
    );
    assert!(
        told.ends_with("0\r\nx-sluice-truncated: bytes\r\n\r\n"),
        "no trailer at the end"
    );
    let broken = read("");
    assert!(
        broken.len() > 1_000_000 && !broken.ends_with("0\r\n\r\n"),
        "it ended like a whole one"
    );
    // Whoever asked for so many rows gets them, and knows.
    let own = json!({"sql": ENDLESS, "format": "arrow", "limit": 100_000});
    let rows = arrow(&shop.post("/api/query", &own).bytes);
    assert_eq!(rows.num_rows(), 100_000);
}

#[test]
fn a_stream_that_fails_on_its_way_is_not_taken_for_whole() {
    let shop = Shop::with_orders();
    let sql = "SELECT CASE WHEN range < 3000000 THEN range ELSE ('x' || range)::BIGINT END n FROM range(4000000)";
    let body = json!({"sql": sql, "format": "arrow"}).to_string();
    let headers = [("content-type", "application/json")];
    let answer = shop.try_send(Method::POST, "/api/query", &headers, body.as_bytes());
    assert!(answer.is_err(), "a broken answer was taken for whole");
    assert_eq!(shop.orders(), crate::shop::count(3));
}

#[test]
fn a_query_stops_when_its_client_goes_away() {
    let shop = Shop::with_orders();
    let silent = "SELECT count(*) FROM range(1000000000000) a, range(1000000000000) b";
    for (sql, format) in [
        (ENDLESS, "arrow"),
        (ENDLESS, "csv"),
        (ENDLESS, "parquet"),
        (silent, "arrow"),
        (silent, "json"),
    ] {
        let mut stream = post(
            &shop,
            "/api/query",
            "",
            &json!({"sql": sql, "format": format}),
        );
        if sql == ENDLESS {
            stream.read_exact(&mut [0; 4096]).unwrap();
        }
        until("the query is under way", || under_way(&shop) == 1);
        drop(stream);
        until("the query stops", || under_way(&shop) == 0);
    }
    assert_eq!(shop.orders(), crate::shop::count(3));
}

#[test]
fn a_client_that_stands_still_is_given_up() {
    let shop = shop_with("queries:\n  stream_timeout_seconds: 1\n");
    let mut stream = post(
        &shop,
        "/api/query",
        "",
        &json!({"sql": ENDLESS, "format": "arrow"}),
    );
    stream.read_exact(&mut [0; 4096]).unwrap();
    until("the stream is given up", || under_way(&shop) == 0);
    let mut rest = Vec::new();
    // However the connection ends, it is not with the end of a body.
    drop(stream.read_to_end(&mut rest));
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

#[test]
fn so_many_answers_are_streamed_at_once_and_no_more() {
    let shop = shop_with("queries:\n  streams_at_once: 1\n");
    let mut first = post(
        &shop,
        "/api/query",
        "",
        &json!({"sql": ENDLESS, "format": "arrow"}),
    );
    first.read_exact(&mut [0; 4096]).unwrap();
    let second = ask(&shop, "SELECT 1", "text/csv");
    assert_eq!(
        second.detail(),
        "429 the server streams as many answers as it may at once; try again in a moment"
    );
    assert_eq!(second.header("retry-after"), Some("5"));
    assert_eq!(shop.orders(), crate::shop::count(3));
    drop(first);
    until("there is a place again", || {
        ask(&shop, "SELECT 1", "text/csv").status == 200
    });
}

#[test]
fn ten_million_rows_need_the_memory_of_a_few() {
    let shop = Shop::with_orders();
    let resident = || metric(&shop, "process_resident_memory_bytes");
    let sql = "SELECT range a, range * 2 b, range * 3 c FROM range(10000000)";
    let question = json!({"sql": sql, "format": "arrow"});
    ask(&shop, "SELECT range a FROM range(100000)", ARROW);
    let before = resident();
    let mut stream = post(&shop, "/api/query", "Connection: close\r\n", &question);
    let (mut read, mut most, mut buffer) = (0, 0, vec![0; 1 << 20]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        if read / 40_000_000 != (read + count) / 40_000_000 {
            most = most.max(resident());
        }
        read += count;
    }
    assert!(read > 240_000_000, "{read} bytes came");
    let grown = most.saturating_sub(before);
    assert!(grown < 100_000_000, "it grew by {grown} bytes");
}
