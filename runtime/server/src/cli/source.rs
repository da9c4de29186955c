//! `sluice source`: shows what a source asks for before it is granted.

mod credential;
mod inbox;
mod moving;
mod policy;
mod reading;
mod schedule;

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Remote;
use super::client::{Client, list, segment, text};
use super::output::{CliError, CliResult, ask, plain, print, remark, say, table};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Add a source: shows what its connector asks for, and asks before granting it
    Add(Add),
    /// List the sources
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Enter a credential; its value is read from standard input
    Credential(credential::Fill),
    /// List the credential slots of a source, and what fills them
    Credentials {
        /// The source
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove a source with its credentials and its published data
    Remove {
        /// The source
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show the webhooks that wait and those that were set aside; try one again or drop it
    Inbox(inbox::Inbox),
    /// Show or decide when a source moves to newer versions, and what is recorded of it
    Policy(policy::Policy),
    /// Show or decide when a source runs by itself
    Schedule(schedule::Schedule),
    /// What a source is granted, and how it moves between versions
    #[command(flatten)]
    Moving(moving::Command),
    /// Where it goes on reading, and how the columns of its tables changed
    #[command(flatten)]
    Reading(reading::Command),
}

#[derive(Args)]
pub(super) struct Add {
    /// The source's name: letters, digits and underscores
    name: String,
    /// The connector
    #[arg(long)]
    connector: String,
    /// The digest of a version; the newest trusted one by default
    #[arg(long, value_name = "DIGEST")]
    version: Option<String>,
    /// Its settings
    #[arg(long, value_name = "JSON|@FILE")]
    settings: String,
    /// What to grant; what is asked for by default
    #[arg(long, value_name = "JSON|@FILE")]
    grant: Option<String>,
    /// Also allow this inner address; may be repeated
    #[arg(long, value_name = "ADDR:PORT")]
    allow_private: Vec<SocketAddr>,
    /// Grant without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn source(command: Command) -> CliResult<()> {
    match command {
        Command::Add(add) => self::add(add).await,
        Command::List { remote } => show(&remote.client()?).await,
        Command::Credential(fill) => credential::fill(fill).await,
        Command::Credentials { name, remote } => credential::list(&remote.client()?, &name).await,
        Command::Remove { name, remote } => {
            let path = format!("/api/sources/{}", segment(&name));
            remote.client()?.delete(&path).await?;
            say(format!("Source `{name}` is removed, with its data."));
            Ok(())
        }
        Command::Inbox(asked) => inbox::inbox(asked).await,
        Command::Policy(asked) => policy::policy(asked).await,
        Command::Schedule(asked) => schedule::schedule(asked).await,
        Command::Moving(command) => moving::moving(command).await,
        Command::Reading(command) => reading::reading(command).await,
    }
}

async fn add(add: Add) -> CliResult<()> {
    let client = add.remote.client()?;
    let mut wish = json!({
        "connector": add.connector,
        "settings": read_json("--settings", &add.settings)?,
    });
    if let Some(version) = &add.version {
        wish["version"] = json!(version);
    }
    let plan = client.post("/api/sources/plan", &wish).await?;
    let mut grant = match &add.grant {
        Some(grant) => read_json("--grant", grant)?,
        None => plan["requested"].clone(),
    };
    if !add.allow_private.is_empty() {
        grant["private_addresses"] = json!(add.allow_private);
    }
    describe(&add, &plan);
    if !add.yes && !confirmed()? {
        return Err(CliError::new("nothing was granted and no source was added"));
    }
    wish["name"] = json!(add.name);
    wish["version"] = plan["version"].clone();
    wish["grant"] = grant;
    client.post("/api/sources", &wish).await?;
    say(format!("Source `{}` is added.", add.name));
    for slot in list(&plan, "missing_credentials")
        .iter()
        .filter_map(Value::as_str)
    {
        say(format!(
            "Enter its credential: sluice source credential {} {slot}",
            add.name
        ));
    }
    say(format!("Run it: sluice run {}", add.name));
    Ok(())
}

fn describe(add: &Add, plan: &Value) {
    remark(format!(
        "Connector `{}`, version {}, asks for:",
        add.connector,
        text(plan, "version").get(..12).unwrap_or_default()
    ));
    let lines = list(plan, "requested_lines")
        .iter()
        .filter_map(Value::as_str);
    let mut lines: Vec<_> = lines.map(plain).collect();
    lines.extend(
        add.allow_private
            .iter()
            .map(|address| format!("the inner address {address} (by --allow-private)")),
    );
    for line in lines {
        remark(format!("  • {line}"));
    }
}

fn confirmed() -> CliResult<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::new("nobody is there to grant this")
            .hint("pass --yes to grant what is asked for"));
    }
    ask("Grant this? [y/N] ");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| CliError::new(format!("the answer cannot be read: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// JSON as it stands, or from a file.
fn read_json(flag: &str, value: &str) -> CliResult<Value> {
    let text = match value.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| CliError::new(format!("{flag}: `{file}` cannot be read: {error}")))?,
        None => value.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| {
        CliError::new(format!("{flag} is not JSON: {error}"))
            .hint(format!("write {flag} '{{…}}' or {flag} @file.json"))
    })
}

async fn show(client: &Client) -> CliResult<()> {
    let answer = client.get("/api/sources").await?;
    let rows: Vec<_> = list(&answer, "sources")
        .iter()
        .map(|source| {
            let last = &source["last_run"];
            vec![
                text(source, "name").to_owned(),
                text(source, "connector").to_owned(),
                text(source, "version")
                    .get(..12)
                    .unwrap_or_default()
                    .to_owned(),
                match source["enabled"].as_bool() {
                    Some(false) => "disabled".into(),
                    _ => last["state"].as_str().unwrap_or("never").to_owned(),
                },
                text(last, "queued_at").to_owned(),
            ]
        })
        .collect();
    print(&table(
        &["name", "connector", "version", "last run", "at"],
        &rows,
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_from_the_line_or_a_file() {
        assert_eq!(
            read_json("--settings", r#"{"a":1}"#).unwrap(),
            json!({"a": 1})
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.json");
        std::fs::write(&file, "[2]").unwrap();
        let at_file = format!("@{}", file.display());
        assert_eq!(read_json("--settings", &at_file).unwrap(), json!([2]));
        let error = read_json("--settings", "{a").unwrap_err();
        assert!(error.message.starts_with("--settings"), "{}", error.message);
        assert!(read_json("--settings", "@/nowhere").is_err());
    }
}
