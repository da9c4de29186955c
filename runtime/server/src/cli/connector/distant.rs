//! `sluice connector compare --source`: the server replays what it recorded.

use std::path::Path;
use std::time::Duration;

use domain::{ComparedRun, Digest};
use serde_json::{Value, json};

use super::super::client::{Client, list, segment, text};
use super::super::output::{CliError, CliResult, plain, remark};
use super::{kept, read};

/// How often the server is asked whether it is done.
const PERIOD: Duration = Duration::from_millis(300);

/// What is to be compared.
pub(super) struct Asked<'a> {
    pub(super) source: &'a str,
    pub(super) old: &'a Path,
    pub(super) new: &'a Path,
    pub(super) runs: usize,
}

/// Asks for a comparison and waits for its end.
pub(super) async fn compare(client: &Client, asked: &Asked<'_>) -> CliResult<Vec<ComparedRun>> {
    let path = format!("/api/sources/{}/comparisons", segment(asked.source));
    let wish = json!({
        "old": version(client, asked.old).await?,
        "new": version(client, asked.new).await?,
        "runs": asked.runs,
    });
    let mut comparison = client.post(&path, &wish).await?;
    let path = format!("{path}/{}", segment(text(&comparison, "id")));
    while text(&comparison, "state") == "running" {
        tokio::time::sleep(PERIOD).await;
        comparison = client.get(&path).await?;
    }
    for line in list(&comparison, "missing")
        .iter()
        .filter_map(Value::as_str)
    {
        remark(format!("beyond the source's grant: {}", plain(line)));
    }
    if let Some(failure) = comparison["failure"].as_str() {
        return Err(CliError::new(plain(failure)));
    }
    serde_json::from_value(comparison["runs"].take())
        .map_err(|error| CliError::new(format!("the server's answer cannot be read: {error}")))
}

/// The version of a file, or the one whose digest begins so.
async fn version(client: &Client, named: &Path) -> CliResult<String> {
    if named.is_file() {
        return Ok(Digest::of(&read(named)?).to_string());
    }
    kept::find(client, &named.to_string_lossy()).await
}
