//! `sluice source schedule`: when a source runs by itself.

use clap::Args;
use serde_json::{Value, json};

use super::super::Remote;
use super::super::client::{Client, list, segment, text};
use super::super::output::{CliResult, plain, say};

#[derive(Args)]
pub(in crate::cli) struct Schedule {
    /// The source
    name: String,
    /// `every 15m`, `daily 07:00,13:00`, `weekly mon 03:00`, `monthly 1 03:00`, or the five fields of cron
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["default", "none"])]
    set: Option<String>,
    /// Follow what the connector proposes
    #[arg(long, conflicts_with = "none")]
    default: bool,
    /// Run only when somebody asks
    #[arg(long)]
    none: bool,
    /// The time zone in which that is meant, such as Europe/Prague; `default` for the server's
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// By how many seconds at most a run is late; `default` for what the server is configured with
    #[arg(long, value_name = "N|default", value_parser = number)]
    jitter_seconds: Option<Value>,
    /// After how many hours without a sync that worked people are told; `default` as above
    #[arg(long, value_name = "N|default", value_parser = number)]
    stale_after_hours: Option<Value>,
    /// Let it stand still
    #[arg(long, conflicts_with = "resume")]
    pause: bool,
    /// Let it go on
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    remote: Remote,
}

/// A number, or null for the default.
fn number(text: &str) -> Result<Value, String> {
    match text {
        "default" => Ok(Value::Null),
        number => match number.parse::<u32>() {
            Ok(number) => Ok(json!(number)),
            Err(_) => Err("give a number, or `default`".into()),
        },
    }
}

impl Schedule {
    /// What is to be changed, by the name that it has in the API.
    fn changes(&self) -> Vec<(&'static str, Value)> {
        let schedule = match (&self.set, self.default, self.none) {
            (Some(text), _, _) => Some(json!(text)),
            (_, true, _) => Some(json!("default")),
            (_, _, true) => Some(json!("none")),
            _ => None,
        };
        let zone = self.zone.as_deref().map(|zone| match zone {
            "default" => Value::Null,
            zone => json!(zone),
        });
        let changes = [
            ("schedule", schedule),
            ("zone", zone),
            ("jitter_seconds", self.jitter_seconds.clone()),
            ("stale_after_hours", self.stale_after_hours.clone()),
        ];
        let changes = changes.into_iter();
        changes
            .filter_map(|(key, change)| Some((key, change?)))
            .collect()
    }
}

pub(super) async fn schedule(asked: Schedule) -> CliResult<()> {
    let client = asked.remote.client()?;
    let source = format!("/api/sources/{}", segment(&asked.name));
    let path = format!("{source}/schedule");
    let mut shown = client.get(&path).await?;
    let changes = asked.changes();
    if !changes.is_empty() {
        shown = client.put(&path, &changed(&shown, changes)).await?;
    }
    shown = switched(&client, &asked, &source, shown).await?;
    show(&shown);
    Ok(())
}

/// What was decided, with these changes.
fn changed(shown: &Value, changes: Vec<(&'static str, Value)>) -> Value {
    let decided = [
        "schedule",
        "zone",
        "jitter_seconds",
        "stale_after_hours",
        "paused",
    ];
    let mut new = json!({});
    for key in decided {
        new[key] = shown[key].clone();
    }
    for (key, change) in changes {
        new[key] = change;
    }
    new
}

async fn switched(
    client: &Client,
    asked: &Schedule,
    source: &str,
    shown: Value,
) -> CliResult<Value> {
    let action = match (asked.pause, asked.resume) {
        (true, _) => "pause",
        (_, true) => "resume",
        _ => return Ok(shown),
    };
    client.post(&format!("{source}/{action}"), &json!({})).await
}

fn show(schedule: &Value) {
    lines(schedule).iter().for_each(say);
}

fn lines(schedule: &Value) -> Vec<String> {
    let word = |key| plain(text(schedule, key));
    let follows = match (word("follows"), text(schedule, "schedule")) {
        (none, _) if none.is_empty() => "none: it runs when somebody asks".to_owned(),
        (follows, "default") => format!("{follows} (as its connector proposes)"),
        (follows, _) => follows,
    };
    let mut lines = vec![
        format!("schedule  {follows}"),
        format!("zone      {}", word("follows_zone")),
    ];
    if schedule["paused"] == true {
        lines.push("it stands still; --resume lets it go on".into());
    }
    let next = list(schedule, "next").iter().filter_map(Value::as_str);
    lines.extend(next.map(|moment| format!("next      {}", plain(moment))));
    if !word("retry_at").is_empty() {
        let failures = &schedule["failures"];
        lines.push(format!(
            "failed {failures} times, again at {}",
            word("retry_at")
        ));
    }
    if schedule["failing"] == true {
        lines.push("its last sync failed; `sluice runs` shows why".into());
    }
    if schedule["stale"] == true {
        lines.push(format!(
            "stale: no sync has worked since {}",
            word("fresh_at")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_stays_as_it_was_decided() {
        let shown = json!({"schedule": "daily 03:00", "zone": "Europe/Prague", "jitter_seconds": 5,
            "stale_after_hours": null, "paused": true, "next": [], "failing": false});
        let new = changed(&shown, vec![("zone", Value::Null)]);
        let expected = json!({"schedule": "daily 03:00", "zone": null, "jitter_seconds": 5,
            "stale_after_hours": null, "paused": true});
        assert_eq!(new, expected);
    }

    #[test]
    fn a_schedule_is_shown_with_where_it_comes_from_and_what_is_wrong() {
        let view = json!({"schedule": "default", "follows": "every 6h", "follows_zone": "UTC", "paused": false,
            "next": ["2026-01-01T06:00:00Z"], "retry_at": null, "failing": true, "stale": false});
        let expected = [
            "schedule  every 6h (as its connector proposes)",
            "zone      UTC",
            "next      2026-01-01T06:00:00Z",
            "its last sync failed; `sluice runs` shows why",
        ];
        assert_eq!(lines(&view), expected);
        let none = json!({"schedule": "none", "follows_zone": "UTC"});
        assert_eq!(
            lines(&none)[0],
            "schedule  none: it runs when somebody asks"
        );
    }
}
