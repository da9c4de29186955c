//! Rows to measure with, the same in every run, and the web server that hands them out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::IntoResponse;
use integration_tests::Internet;

/// Fourteen columns of all kinds, as people's services have them.
const COLUMNS: &str = "id,reference,ordered_at,due,customer,country,amount,quantity,paid,note,email,street,page,remark";

const WORDS: [&str; 16] = [
    "deliver",
    "before",
    "noon",
    "ring",
    "twice",
    "and",
    "leave",
    "the",
    "parcel",
    "with",
    "a",
    "neighbour",
    "if",
    "nobody",
    "opens",
    "door",
];

const CUSTOMERS: [&str; 8] = [
    "Aster & Sons",
    "Blue Harbour Ltd",
    "Čapek Robotics",
    "Dünen GmbH",
    "Élan Sàrl",
    "Fjord AS",
    "Grove \"Market\"",
    "Hill, Dale and Partners",
];
const COUNTRIES: [&str; 8] = ["AT", "CZ", "DE", "DK", "FR", "GB", "NO", "US"];

/// A small generator (splitmix64), so that the rows need no crate and never change.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }
}

/// One order.
struct Order {
    id: u64,
    reference: u64,
    second: u64,
    day: u64,
    customer: &'static str,
    country: &'static str,
    cents: u64,
    quantity: u64,
    paid: bool,
    note: Option<u64>,
    house: u64,
    remark: String,
}

impl Order {
    fn number(id: u64) -> Self {
        let mut random = Random(id);
        Self {
            id,
            reference: random.next(),
            second: random.below(86_400),
            day: id / 600,
            customer: random.one_of(&CUSTOMERS),
            country: random.one_of(&COUNTRIES),
            cents: random.below(1_000_000),
            quantity: random.below(100),
            paid: random.below(4) > 0,
            note: (random.below(3) == 0).then(|| random.below(90_000)),
            house: random.below(400),
            remark: remark(&mut random),
        }
    }

    fn ordered_at(&self) -> String {
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(self.day))
    }

    fn note(&self) -> Option<String> {
        self.note
            .map(|n| format!("Deliver to gate {n} before noon, ring twice"))
    }

    fn json(&self, out: &mut String) {
        let note = self
            .note()
            .map_or_else(|| "null".into(), |note| format!("\"{note}\""));
        let _ = write!(
            out,
            "{{\"id\":{},\"reference\":\"{:016x}\",\"ordered_at\":\"{}\",\"due\":\"{}\",\"customer\":{},\
             \"country\":\"{}\",\"amount\":{}.{:02},\"quantity\":{},\"paid\":{},\"note\":{note},\
             \"email\":\"buyer.{}@example.com\",\"street\":\"{} Long Harbour Street, 3rd floor\",\
             \"page\":\"https://shop.example.com/orders/{:016x}\",\"remark\":\"{}\"}}",
            self.id,
            self.reference,
            self.ordered_at(),
            date(self.day + 30),
            serde_json::Value::from(self.customer),
            self.country,
            self.cents / 100,
            self.cents % 100,
            self.quantity,
            self.paid,
            self.house * 7,
            self.house,
            self.reference,
            self.remark,
        );
    }

    fn csv(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "{},{:016x},{},{},\"{}\",{},{}.{:02},{},{},{},buyer.{}@example.com,\"{} Long Harbour Street, 3rd floor\",\
             https://shop.example.com/orders/{:016x},{}",
            self.id,
            self.reference,
            self.ordered_at(),
            date(self.day + 30),
            self.customer.replace('"', "\"\""),
            self.country,
            self.cents / 100,
            self.cents % 100,
            self.quantity,
            self.paid,
            self.note()
                .map(|note| format!("\"{note}\""))
                .unwrap_or_default(),
            self.house * 7,
            self.house,
            self.reference,
            self.remark,
        );
    }
}

/// Some words of free text: 20 to 50.
fn remark(random: &mut Random) -> String {
    let count = 20 + random.below(31);
    let words = (0..count).map(|_| random.one_of(&WORDS));
    words.collect::<Vec<_>>().join(" ")
}

/// A day of the years after 2024, each month with 28 of them.
fn date(day: u64) -> String {
    format!(
        "{}-{:02}-{:02}",
        2024 + day / 336,
        day / 28 % 12 + 1,
        day % 28 + 1
    )
}

/// CSV of the orders from one number to before another.
pub fn csv(from: u64, to: u64) -> String {
    let mut text = format!("{COLUMNS}\n");
    (from..to).for_each(|id| Order::number(id).csv(&mut text));
    text
}

/// A JSON array of such orders.
pub fn json_array(from: u64, to: u64) -> String {
    let mut text = String::from("[");
    for id in from..to {
        text.push_str(if id == from { "\n" } else { ",\n" });
        Order::number(id).json(&mut text);
    }
    text + "\n]"
}

/// Serves the orders as pages of JSON at /orders; returns how many bytes they have.
pub fn serve_pages(internet: &Internet, rows: u64, page: u64) -> u64 {
    let count = rows.div_ceil(page);
    let address = internet.url("/orders");
    let bodies: Vec<Bytes> = (0..count)
        .map(|number| {
            let orders = json_array(number * page, rows.min((number + 1) * page));
            let next = (number + 1 < count).then(|| format!("\"{address}?page={}\"", number + 1));
            let next = next.unwrap_or_else(|| "null".into());
            Bytes::from(format!("{{\"orders\":{orders},\"next\":{next}}}"))
        })
        .collect();
    let bytes = bodies.iter().map(|body| body.len() as u64).sum();
    let bodies = Arc::new(bodies);
    internet.handle("/orders", move |seen| {
        let page = seen
            .target
            .split_once("?page=")
            .map_or("0", |(_, page)| page);
        let body = bodies[page.parse::<usize>().expect("a page number")].clone();
        ([("content-type", "application/json")], body).into_response()
    });
    bytes
}

/// Serves a body without copying it for each request; returns how many bytes it has.
pub fn serve_body(
    internet: &Internet,
    path: &str,
    content_type: &'static str,
    body: String,
) -> u64 {
    let body = Bytes::from(body);
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
