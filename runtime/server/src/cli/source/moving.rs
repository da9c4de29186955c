//! `sluice source grant|upgrade|rollback|enable|disable|pins`: what a source is granted, and how it moves between
//! versions.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::Remote;
use super::super::client::{Client, list, segment, text};
use super::super::output::{CliError, CliResult, counted, plain, print, remark, say, table};
use super::{confirmed, read_json};

#[derive(Subcommand)]
pub(in crate::cli) enum Command {
    /// Show what a source is granted and what its version asks for beyond it, and ask before granting that
    Grant(Grant),
    /// Move a source to another version of its connector
    Upgrade {
        /// The source
        name: String,
        /// The digest of a version; the newest trusted one by default
        #[arg(long, value_name = "DIGEST")]
        version: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Bring a source back to the version that it left last, with the cursors that it had then
    Rollback(Named),
    /// List the versions to which a source can go back
    Pins(Named),
    /// Let a source run again
    Enable(Named),
    /// Let a source run no more; what it published stays
    Disable(Named),
}

#[derive(Args)]
pub(in crate::cli) struct Named {
    /// The source
    name: String,
    #[command(flatten)]
    remote: Remote,
}

impl Named {
    fn path(&self, what: &str) -> String {
        path(&self.name, what)
    }
}

#[derive(Args)]
pub(in crate::cli) struct Grant {
    /// The source
    name: String,
    /// All that it may do from now on; what it may do now and what is asked for by default
    #[arg(long, value_name = "JSON|@FILE")]
    grant: Option<String>,
    /// Grant without asking
    #[arg(long, short)]
    yes: bool,
    /// Refuse what an upgrade waits for: the source stays at its version
    #[arg(long, conflicts_with_all = ["yes", "grant"])]
    refuse: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn moving(command: Command) -> CliResult<()> {
    match command {
        Command::Grant(asked) => grant(asked).await,
        Command::Upgrade {
            name,
            version,
            remote,
        } => upgrade(&remote.client()?, &name, version).await,
        Command::Rollback(source) => rollback(&source).await,
        Command::Pins(source) => pins(&source).await,
        Command::Enable(source) => {
            let client = source.remote.client()?;
            client.post(&source.path("enable"), &Value::Null).await?;
            say(format!("Source `{}` may run.", source.name));
            Ok(())
        }
        Command::Disable(source) => {
            let client = source.remote.client()?;
            client.post(&source.path("disable"), &Value::Null).await?;
            say(format!(
                "Source `{}` does not run until it is enabled. What it published stays.",
                source.name
            ));
            Ok(())
        }
    }
}

fn path(name: &str, what: &str) -> String {
    format!("/api/sources/{}/{what}", segment(name))
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or_default()
}

fn lines(answer: &Value, key: &str) -> Vec<String> {
    let lines = list(answer, key).iter().filter_map(Value::as_str);
    lines.map(plain).collect()
}

async fn grant(asked: Grant) -> CliResult<()> {
    let client = asked.remote.client()?;
    let name = &asked.name;
    if asked.refuse {
        client.delete(&path(name, "upgrade")).await?;
        say(format!("Refused. Source `{name}` stays at its version."));
        return Ok(());
    }
    let standing = client.get(&path(name, "grant")).await?;
    remark(format!("Source `{name}` is granted:"));
    for line in lines(&standing, "granted_lines") {
        remark(format!("  • {line}"));
    }
    let missing = lines(&standing, "missing");
    if missing.is_empty() && asked.grant.is_none() && standing["waiting"] != json!(true) {
        say("Its version asks for nothing more.");
        return Ok(());
    }
    remark(format!(
        "Version {} asks for more:",
        short(text(&standing, "version"))
    ));
    for line in missing {
        remark(format!("  + {line}"));
    }
    if !asked.yes && !confirmed()? {
        return Err(CliError::new("nothing was granted"));
    }
    let grant = asked.grant.as_ref();
    let grant = grant.map(|grant| read_json("--grant", grant)).transpose()?;
    let body = json!({ "grant": grant });
    let moved = client.post(&path(name, "grant"), &body).await?;
    say(format!(
        "Granted. Source `{name}` is at version {}.",
        short(text(&moved, "version"))
    ));
    Ok(())
}

async fn upgrade(client: &Client, name: &str, version: Option<String>) -> CliResult<()> {
    let body = json!({ "digest": version });
    let moved = client.post(&path(name, "upgrade"), &body).await?;
    let version = short(text(&moved, "version"));
    if text(&moved, "state") == "done" {
        say(format!("Source `{name}` is at version {version}."));
        return Ok(());
    }
    say(format!(
        "Source `{name}` stays where it is: version {version} waits for a grant of"
    ));
    for line in lines(&moved, "missing") {
        say(format!("  + {line}"));
    }
    say(format!(
        "Grant it: sluice source grant {name}; or refuse it: sluice source grant {name} --refuse"
    ));
    Ok(())
}

async fn rollback(source: &Named) -> CliResult<()> {
    let client = source.remote.client()?;
    let moved = client.post(&source.path("rollback"), &Value::Null).await?;
    say(format!(
        "Source `{}` is back at version {}, with the cursors that it had.",
        source.name,
        short(text(&moved, "version"))
    ));
    for (table, rows) in moved["rows_removed"].as_object().into_iter().flatten() {
        let rows = counted(rows.as_u64().unwrap_or_default(), "row");
        say(format!(
            "  {}: {rows} read since then are removed; the next run reads them again",
            plain(table)
        ));
    }
    Ok(())
}

async fn pins(source: &Named) -> CliResult<()> {
    let client = source.remote.client()?;
    let answer = client.get(&source.path("pins")).await?;
    let rows: Vec<_> = list(&answer, "pins")
        .iter()
        .map(|pin| {
            vec![
                short(text(pin, "version")).to_owned(),
                text(pin, "left_at").to_owned(),
            ]
        })
        .collect();
    print(&table(&["version", "left"], &rows));
    Ok(())
}
