//! `sluice source inbox`: the webhooks of a source that wait, and those that were set aside.

use clap::Args;
use serde_json::{Value, json};

use super::super::Remote;
use super::super::client::{list, segment, text};
use super::super::output::{CliResult, plain, print, say, table};

#[derive(Args)]
pub(in crate::cli) struct Inbox {
    /// The source
    name: String,
    /// Have a dead letter come again
    #[arg(long, value_name = "ID", conflicts_with = "drop")]
    retry: Option<u64>,
    /// Remove a dead letter for good
    #[arg(long, value_name = "ID")]
    drop: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn inbox(asked: Inbox) -> CliResult<()> {
    let client = asked.remote.client()?;
    let path = format!("/api/sources/{}/inbox", segment(&asked.name));
    if let Some(id) = asked.retry {
        client
            .post(&format!("{path}/{id}/retry"), &json!({}))
            .await?;
        say(format!("Delivery {id} of `{}` comes again.", asked.name));
        return Ok(());
    }
    if let Some(id) = asked.drop {
        client.delete(&format!("{path}/{id}")).await?;
        say(format!("Delivery {id} of `{}` is removed.", asked.name));
        return Ok(());
    }
    let answer = client.get(&path).await?;
    let number = |key: &str| answer[key].as_u64().unwrap_or_default();
    say(format!(
        "{} deliveries wait ({} bytes); the last came at {}.",
        number("waiting"),
        number("bytes"),
        answer["last_at"]
            .as_str()
            .map_or("no time known".into(), plain)
    ));
    let row = |letter: &Value| {
        let mut row = vec![letter["id"].to_string()];
        row.extend(["at", "delivery", "kind", "failure"].map(|key| plain(text(letter, key))));
        row
    };
    let rows: Vec<Vec<String>> = list(&answer, "dead").iter().map(row).collect();
    if !rows.is_empty() {
        print(&table(
            &["dead", "at", "delivery", "kind", "failure"],
            &rows,
        ));
    }
    Ok(())
}
