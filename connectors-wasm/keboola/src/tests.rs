//! The connector against the SDK's fake host.

use connector_sdk::testing::{FakeHost, Reply};
use connector_sdk::{ColumnType, Failure, WriteMode};
use serde_json::{Value, json};

use super::Keboola;

mod exports;
mod slices;
mod tables;

const STACK: &str = "https://connection.keboola.com";

fn url(path: &str) -> String {
    format!("{STACK}/v2/storage/{path}")
}

fn reply(body: &Value) -> Reply {
    Reply::text(body.to_string())
}

/// Settings with these tables.
fn settings(tables: &Value) -> String {
    json!({"url": STACK, "tables": tables}).to_string()
}

fn orders() -> String {
    settings(&json!([{"id": "in.c-crm.orders"}]))
}

/// What Storage says of a table.
fn stored(id: &str) -> Value {
    json!({
        "id": id, "columns": ["id", "amount"], "primaryKey": ["id"], "isAlias": false,
        "lastImportDate": "2026-02-01T10:00:00+0100", "lastChangeDate": "2026-02-01T10:00:00+0100", "rowsCount": 2,
        "metadata": [{"key": "KBC.description", "value": "What was sold", "provider": "user"}],
        "columnMetadata": {"id": [{"key": "KBC.datatype.basetype", "value": "INTEGER", "provider": "user"}]}
    })
}

/// A host whose Storage has one table, whose export is the file 7.
fn host() -> FakeHost {
    exporting(FakeHost::new(), "in.c-crm.orders", 7).reply(
        &url("tables/in.c-crm.orders"),
        reply(&stored("in.c-crm.orders")),
    )
}

/// The answers to the export of a table into a file of two slices.
fn exporting(host: FakeHost, table: &str, file: u64) -> FakeHost {
    let job = json!({"id": 100 + file, "status": "success", "results": {"file": {"id": file}}});
    host.reply(&url(&format!("tables/{table}/export-async")), reply(&job))
        .reply(
            &url(&format!("files/{file}?federationToken=1")),
            reply(&google(file)),
        )
        .reply(
            &handle(file),
            reply(&json!({"entries": [
            {"url": format!("gs://kbc/exp/{file}.csv/part 1.csv.gz"), "mandatory": true},
            {"url": format!("gs://kbc/exp/{file}.csv/2.csv.gz"), "mandatory": true}]})),
        )
        .reply(&slice(file, "part%201.csv.gz"), Reply::text("1,10\n"))
        .reply(&slice(file, "2.csv.gz"), Reply::text("2,20\n"))
}

fn google(file: u64) -> Value {
    json!({"id": file, "isSliced": true, "provider": "gcp", "region": "europe-west3", "url": handle(file),
        "gcsPath": {"bucket": "kbc", "key": format!("exp/{file}.csv")},
        "gcsCredentials": {"access_token": "[redacted]", "expires_in": 3599}})
}

fn handle(file: u64) -> String {
    format!(
        "https://storage.googleapis.com/kbc/exp/{file}.csvmanifest?sluice-derived=file-address-1"
    )
}

fn slice(file: u64, name: &str) -> String {
    format!("https://storage.googleapis.com/kbc/exp/{file}.csv/{name}")
}

/// The form of the last export, undone.
fn form(host: &FakeHost) -> Vec<String> {
    let sent = host.sent();
    let export = sent.iter().rfind(|sent| sent.method == "POST").unwrap();
    let body = String::from_utf8(export.body.clone().unwrap()).unwrap();
    let undone = body
        .replace("%5B", "[")
        .replace("%5D", "]")
        .replace("%3A", ":")
        .replace("%2B", "+");
    undone.split('&').map(str::to_owned).collect()
}

fn count(host: &FakeHost, url: &str) -> usize {
    host.sent().iter().filter(|sent| sent.url == url).count()
}
