//! `sluice publisher`: whose signatures a server believes.

use clap::Subcommand;
use serde_json::json;

use super::Remote;
use super::client::{list, text};
use super::connector::read_public_key;
use super::output::{CliResult, print, say, table};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Trust a publisher
    Add {
        /// For lists; unique
        name: String,
        /// The KEY.pub that `sluice connector keygen` wrote, or its 64 hexadecimal digits
        #[arg(long, value_name = "FILE|HEX")]
        public_key: String,
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
        Command::Add {
            name,
            public_key,
            remote,
        } => {
            let key = read_public_key(&public_key)?;
            let body = json!({"name": name, "public_key": key});
            remote.client()?.post("/api/publishers", &body).await?;
            say(format!(
                "Publisher `{name}` is trusted. Its connectors may be uploaded now."
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
