//! `sluice source policy`: when a source moves to newer versions, and what is recorded of it.

use clap::Args;
use serde_json::{Value, json};

use super::super::Remote;
use super::super::client::{list, segment, text};
use super::super::output::{CliResult, plain, say};

#[derive(Args)]
pub(in crate::cli) struct Policy {
    /// The source
    name: String,
    /// `manual`: an admin moves it; `when-agreed`: the host, once a newer version is trusted and did the same over the
    /// recorded runs
    #[arg(long, value_name = "manual|when-agreed")]
    upgrade: Option<String>,
    /// Over how many of its last recordings versions are compared
    #[arg(long, value_name = "N")]
    compare_runs: Option<u32>,
    /// How many recordings of it are kept; `default` for as many as the server's configuration says
    #[arg(long, value_name = "N|default", value_parser = recordings)]
    recordings: Option<Value>,
    #[command(flatten)]
    remote: Remote,
}

/// A number, or null for the default.
fn recordings(text: &str) -> Result<Value, String> {
    match text {
        "default" => Ok(Value::Null),
        number => match number.parse::<u32>() {
            Ok(number) => Ok(json!(number)),
            Err(_) => Err("give a number, or `default`".into()),
        },
    }
}

pub(super) async fn policy(asked: Policy) -> CliResult<()> {
    let client = asked.remote.client()?;
    let path = format!("/api/sources/{}/policy", segment(&asked.name));
    let mut shown = client.get(&path).await?;
    let changes = [
        ("upgrade", asked.upgrade.map(Value::from)),
        ("compare_runs", asked.compare_runs.map(Value::from)),
        ("recordings", asked.recordings),
    ];
    if changes.iter().any(|(_, change)| change.is_some()) {
        let mut policy = json!({});
        for (key, change) in changes {
            policy[key] = change.unwrap_or_else(|| shown[key].take());
        }
        shown = client.put(&path, &policy).await?;
    }
    show(&shown);
    Ok(())
}

fn show(policy: &Value) {
    say(format!("upgrade       {}", plain(text(policy, "upgrade"))));
    say(format!("compare runs  {}", policy["compare_runs"]));
    match &policy["recordings"] {
        Value::Null => say("recordings    as many as the server's configuration says"),
        kept => say(format!("recordings    {kept}")),
    }
    let last = &policy["last_comparison"];
    if last.is_null() {
        return;
    }
    let version = |key| text(last, key).get(..12).unwrap_or_default();
    let (old, new, state) = (version("old"), version("new"), text(last, "state"));
    say(format!(
        "last comparison: {old} and {new}: {}",
        plain(state)
    ));
    let lines = |value: &Value, key| -> Vec<String> {
        let lines = list(value, key).iter().filter_map(Value::as_str);
        lines.map(plain).collect()
    };
    let missing = lines(last, "missing").into_iter();
    missing.for_each(|line| say(format!("  beyond the grant: {line}")));
    if let Some(failure) = last["failure"].as_str() {
        say(format!("  {}", plain(failure)));
    }
    for run in list(last, "runs") {
        let differences = lines(run, "differences").into_iter();
        differences.for_each(|line| say(format!("  {line}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_recordings_is_a_number_or_the_default() {
        assert_eq!(recordings("7"), Ok(json!(7)));
        assert_eq!(recordings("default"), Ok(Value::Null));
        assert!(recordings("-1").is_err() && recordings("all").is_err());
    }
}
