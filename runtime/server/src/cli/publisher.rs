//! `sluice publisher`: whose signatures a server believes.

use clap::Subcommand;
use serde_json::json;

use super::Remote;
use super::client::{list, segment, text};
use super::connector::read_public_key;
use super::output::{CliResult, print, say, table};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Trust a publisher
    Add {
        /// For lists; unique
        name: String,
        /// The KEY.pub that `sluice connector keygen` or `ssh-keygen -t ed25519` wrote, a public key in PEM,
        /// or 64 hexadecimal digits
        #[arg(long, visible_alias = "public-key", value_name = "FILE|KEY")]
        key: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Trust a publisher no more: what it signed does not run any longer
    Remove {
        /// The publisher
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the publishers
    List {
        #[command(flatten)]
        remote: Remote,
    },
}

pub(super) async fn publisher(command: Command) -> CliResult<()> {
    match command {
        Command::Add { name, key, remote } => {
            let key = read_public_key(&key)?;
            let body = json!({"name": name, "public_key": key});
            remote.client()?.post("/api/publishers", &body).await?;
            say(format!(
                "Publisher `{name}` is trusted. Its connectors may be uploaded now."
            ));
        }
        Command::Remove { name, remote } => {
            let path = format!("/api/publishers/{}", segment(&name));
            remote.client()?.delete(&path).await?;
            say(format!(
                "Publisher `{name}` is trusted no more. What it signed does not run any longer."
            ));
        }
        Command::List { remote } => {
            let answer = remote.client()?.get("/api/publishers").await?;
            let rows: Vec<_> = list(&answer, "publishers")
                .iter()
                .map(|p| {
                    ["name", "public_key", "added_at"]
                        .map(|key| text(p, key).to_owned())
                        .to_vec()
                })
                .collect();
            print(&table(&["name", "public key", "added"], &rows));
        }
    }
    Ok(())
}
