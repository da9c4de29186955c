//! `sluice source reset-cursor|schema-history`: where a source goes on reading, and how the columns of its
//! tables changed.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::Remote;
use super::super::client::{list, segment, text};
use super::super::output::{CliResult, plain, print, say, table};

#[derive(Subcommand)]
pub(in crate::cli) enum Command {
    /// Forget where reading stands: the next run reads from the start. Rows stay, and a table that is
    /// appended to gets them twice; `sluice run --full-refresh` replaces them
    ResetCursor(Reset),
    /// List how the columns of a source's tables changed, newest first
    SchemaHistory(History),
}

#[derive(Args)]
pub(in crate::cli) struct Reset {
    /// The source
    name: String,
    /// Only this table; may be repeated
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(in crate::cli) struct History {
    /// The source
    name: String,
    /// Only this table
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn reading(command: Command) -> CliResult<()> {
    match command {
        Command::ResetCursor(asked) => reset(asked).await,
        Command::SchemaHistory(asked) => history(asked).await,
    }
}

async fn reset(asked: Reset) -> CliResult<()> {
    let path = format!("/api/sources/{}/reset-cursor", segment(&asked.name));
    let body = json!({"tables": asked.tables});
    let answer = asked.remote.client()?.post(&path, &body).await?;
    let tables: Vec<_> = list(&answer, "tables")
        .iter()
        .filter_map(Value::as_str)
        .map(plain)
        .collect();
    say(match tables.is_empty() {
        true => format!("Source `{}` has no cursor there.", asked.name),
        false => format!(
            "Source `{}` reads from the start: {}.",
            asked.name,
            tables.join(", ")
        ),
    });
    Ok(())
}

async fn history(asked: History) -> CliResult<()> {
    let filter = asked
        .table
        .map(|table| format!("?table={}", segment(&table)));
    let path = format!(
        "/api/sources/{}/schema-history{}",
        segment(&asked.name),
        filter.unwrap_or_default()
    );
    let answer = asked.remote.client()?.get(&path).await?;
    let columns = ["at", "table", "kind", "column", "before", "after", "run"];
    let row = |change: &Value| columns.iter().map(|key| plain(text(change, key))).collect();
    let rows: Vec<Vec<String>> = list(&answer, "changes").iter().map(row).collect();
    print(&table(&columns, &rows));
    Ok(())
}
