//! `sluice connector push` and what follows it: versions as a server keeps them.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::Remote;
use super::super::client::{Client, list, segment, text};
use super::super::output::{CliError, CliResult, bytes, counted, plain, print, say, table};
use super::read;

#[derive(Subcommand)]
pub(in crate::cli) enum Command {
    /// Upload a signed component to a server
    Push {
        /// The component
        file: PathBuf,
        /// Also trust it, so that it may run
        #[arg(long)]
        trust: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the versions of a connector, newest first, each with what it changed
    Versions {
        /// The connector
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Trust a version, so that it may run
    Trust {
        /// The version's digest, or its first digits
        digest: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Trust a version no more: no further run of it starts
    Revoke {
        /// The version's digest, or its first digits
        digest: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove the versions that no source is at, can go back to or waits for
    Gc {
        /// Only show what would go
        #[arg(long)]
        dry_run: bool,
        /// Only what was uploaded at least so many hours ago
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        older_than: u32,
        #[command(flatten)]
        remote: Remote,
    },
}

pub(super) async fn kept(command: Command) -> CliResult<()> {
    match command {
        Command::Push {
            file,
            trust,
            remote,
        } => push(&file, trust, &remote).await,
        Command::Versions { name, remote } => versions(&name, &remote.client()?).await,
        Command::Trust { digest, remote } => {
            let client = remote.client()?;
            let digest = find(&client, &digest).await?;
            let path = format!("/api/connectors/{digest}/trust");
            let version = client.post(&path, &Value::Null).await?;
            say(format!("{} is trusted: it may run.", named(&version)));
            Ok(())
        }
        Command::Revoke { digest, remote } => {
            let client = remote.client()?;
            let digest = find(&client, &digest).await?;
            let path = format!("/api/connectors/{digest}/trust");
            let version = client.delete(&path).await?;
            say(format!(
                "{} is trusted no more: no further run of it starts.",
                named(&version)
            ));
            Ok(())
        }
        Command::Gc {
            dry_run,
            older_than,
            remote,
        } => gc(&remote.client()?, dry_run, older_than).await,
    }
}

fn named(version: &Value) -> String {
    format!(
        "Connector `{}` {} ({})",
        text(version, "name"),
        text(version, "version"),
        short(version, "digest")
    )
}

fn short<'a>(version: &'a Value, key: &str) -> &'a str {
    text(version, key).get(..12).unwrap_or_default()
}

async fn push(file: &Path, trust: bool, remote: &Remote) -> CliResult<()> {
    let component = read(file)?;
    let client = remote.client()?;
    let version = client.upload("/api/connectors", component).await?;
    let digest = text(&version, "digest").to_owned();
    let what = format!(
        "Connector `{}` {}",
        text(&version, "name"),
        text(&version, "version")
    );
    let signer = text(&version, "publisher");
    if trust {
        let path = format!("/api/connectors/{digest}/trust");
        client.post(&path, &Value::Null).await?;
        say(format!(
            "{what}, signed by `{signer}`, is uploaded and trusted: {digest}"
        ));
    } else {
        say(format!(
            "{what}, signed by `{signer}`, is uploaded: {digest}"
        ));
        say("It runs once an admin trusts it: push it again with --trust.");
    }
    Ok(())
}

async fn versions(name: &str, client: &Client) -> CliResult<()> {
    let answer = client
        .get(&format!("/api/connectors?name={}", segment(name)))
        .await?;
    let versions = list(&answer, "connectors");
    if versions.is_empty() {
        return Err(CliError::new(format!("there is no connector `{name}`"))
            .hint("upload one with `sluice connector push`"));
    }
    let rows: Vec<_> = versions
        .iter()
        .map(|version| {
            let trusted = version["trusted"].as_bool().unwrap_or_default();
            vec![
                text(version, "version").to_owned(),
                short(version, "digest").to_owned(),
                text(version, "publisher").to_owned(),
                if trusted { "yes" } else { "no" }.to_owned(),
                text(version, "uploaded_at").to_owned(),
            ]
        })
        .collect();
    let headings = ["version", "digest", "publisher", "trusted", "uploaded"];
    print(&table(&headings, &rows));
    for version in versions {
        let changes = list(version, "changes").iter().filter_map(Value::as_str);
        let changes: Vec<_> = changes.map(plain).collect();
        if !changes.is_empty() {
            let previous = short(version, "previous");
            say(format!("\n{} since {previous}:", named(version)));
            changes.iter().for_each(|line| say(format!("  {line}")));
        }
    }
    Ok(())
}

/// The one version whose digest begins so.
pub(super) async fn find(client: &Client, digest: &str) -> CliResult<String> {
    let answer = client.get("/api/connectors").await?;
    let digests = list(&answer, "connectors")
        .iter()
        .map(|version| text(version, "digest"));
    let found: Vec<_> = digests
        .filter(|known| digest.len() >= 6 && known.starts_with(&digest.to_ascii_lowercase()))
        .collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(CliError::new(format!("there is no version `{digest}`"))
            .hint("give at least six digits of a digest that `sluice connector versions` lists")),
        _ => Err(CliError::new(format!(
            "several versions begin with `{digest}`: give more digits"
        ))),
    }
}

async fn gc(client: &Client, dry_run: bool, older_than: u32) -> CliResult<()> {
    let wish = json!({"dry_run": dry_run, "older_than_hours": older_than});
    let answer = client.post("/api/connectors/gc", &wish).await?;
    let versions = list(&answer, "versions");
    for version in versions {
        say(named(version));
    }
    let count = counted(versions.len() as u64, "version");
    let freed = bytes(answer["freed_bytes"].as_u64().unwrap_or_default());
    say(match dry_run {
        true => format!("{count}, {freed}: would be removed"),
        false => format!("{count}, {freed}: removed"),
    });
    Ok(())
}
