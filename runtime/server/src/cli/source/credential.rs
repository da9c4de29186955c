//! `sluice source credential` and `sluice source credentials`: values go in by standard input, so that
//! they are in no list of processes and in no shell's history.

use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Remote;
use crate::cli::client::{Client, list as items, segment, text};
use crate::cli::output::{CliError, CliResult, ask, print, say, table};

/// More than any credential; the server's limit is less.
const MAX_STDIN: u64 = 1 << 20;

#[derive(Args)]
pub(in crate::cli) struct Fill {
    /// The source
    name: String,
    /// A slot of the connector's manifest
    slot: String,
    /// Take the value from this variable of the server's environment whenever a run begins
    #[arg(long, value_name = "VARIABLE", conflicts_with = "remove")]
    env: Option<String>,
    /// Remove what fills the slot
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn fill(fill: Fill) -> CliResult<()> {
    let Fill { name, slot, .. } = &fill;
    let path = format!(
        "/api/sources/{}/credentials/{}",
        segment(name),
        segment(slot)
    );
    if fill.remove {
        fill.remote.client()?.delete(&path).await?;
        say(format!(
            "The credential `{slot}` of source `{name}` is removed."
        ));
        return Ok(());
    }
    let (body, done) = match &fill.env {
        Some(variable) => (
            json!({"env": variable}),
            format!("is taken from {variable}"),
        ),
        None => (json!({"value": read()?}), "is stored, encrypted".into()),
    };
    fill.remote.client()?.put(&path, &body).await?;
    say(format!(
        "The credential `{slot}` of source `{name}` {done}."
    ));
    Ok(())
}

pub(super) async fn list(client: &Client, name: &str) -> CliResult<()> {
    let path = format!("/api/sources/{}/credentials", segment(name));
    let answer = client.get(&path).await?;
    let rows: Vec<_> = items(&answer, "credentials").iter().map(row).collect();
    print(&table(
        &["slot", "scheme", "required", "filled", "at", "by"],
        &rows,
    ));
    Ok(())
}

fn row(slot: &Value) -> Vec<String> {
    let required = match slot["required"].as_bool() {
        Some(true) => "yes",
        _ => "no",
    };
    let filled = match (slot["variable"].as_str(), slot["filled"].as_str()) {
        (Some(variable), _) => format!("from {variable}"),
        (None, Some("service")) => "by the service, in each run".to_owned(),
        (None, filled) => filled.unwrap_or("no").to_owned(),
    };
    let by = slot["entered_by_email"].as_str();
    vec![
        text(slot, "slot").to_owned(),
        text(slot, "scheme").to_owned(),
        required.to_owned(),
        filled,
        text(slot, "entered_at").to_owned(),
        by.unwrap_or_else(|| text(slot, "entered_by")).to_owned(),
    ]
}

fn read() -> CliResult<String> {
    if std::io::stdin().is_terminal() {
        ask("Value, then Enter and Ctrl-D (it is visible while you type): ");
    }
    let mut value = String::new();
    std::io::stdin()
        .take(MAX_STDIN)
        .read_to_string(&mut value)
        .map_err(|error| CliError::new(format!("the value cannot be read: {error}")))?;
    // `echo` adds a line end that is no part of the value.
    value.truncate(value.trim_end_matches(['\r', '\n']).len());
    if value.is_empty() {
        return Err(CliError::new("standard input is empty")
            .hint("pipe the value: `sluice source credential NAME SLOT < token.txt`"));
    }
    Ok(value)
}
