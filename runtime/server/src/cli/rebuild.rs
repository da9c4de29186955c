//! `sluice rebuild`: has a server look at all extracts now, and tells what came of it.

use clap::Args;
use serde_json::Value;

use super::Remote;
use super::client::{list, text};
use super::output::{CliResult, number, print, say, table};

#[derive(Args)]
pub(super) struct Rebuild {
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn rebuild(rebuild: Rebuild) -> CliResult<()> {
    let client = rebuild.remote.client()?;
    let answer = client.post("/api/admin/rebuild", &Value::Null).await?;
    let sources = answer["tables"].as_object();
    let count = |tables: &Value| tables.as_array().map_or(0, Vec::len) as u64;
    let tables = sources.map_or(0, |sources| sources.values().map(count).sum());
    say(format!(
        "{} tables can be queried; {} extracts had changed and were read.",
        number(tables),
        number(list(&answer, "read").len() as u64)
    ));
    let problems = list(&answer, "problems").iter();
    let rows: Vec<_> = problems
        .map(|problem| {
            let cells = ["source", "table", "reason"].map(|key| text(problem, key).to_owned());
            cells.to_vec()
        })
        .collect();
    if !rows.is_empty() {
        print(&table(&["source", "table", "passed over because"], &rows));
    }
    Ok(())
}
