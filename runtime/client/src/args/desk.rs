//! What can be said about one's own folder and first steps.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List snapshots
    List,
    /// Fetch a snapshot again, as it was fetched before
    Refresh {
        name: String,
        /// Another predicate than before
        #[arg(long = "where", value_name = "PREDICATE")]
        filter: Option<String>,
    },
    /// Delete a snapshot
    Drop { name: String },
    /// Delete the snapshots that fit every condition
    Prune {
        /// Such as 7d, 24h or 30m
        #[arg(long, value_name = "AGE")]
        older_than: Option<String>,
        /// Such as 500m or 1g
        #[arg(long, value_name = "SIZE")]
        larger_than: Option<String>,
        /// All of them, without a condition
        #[arg(long, conflicts_with_all = ["older_than", "larger_than"])]
        all: bool,
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetricsCommand {
    /// List metrics
    List {
        #[arg(long)]
        category: Option<String>,
    },
    /// Show a metric and its SQL
    Show { id: String },
    /// Send definitions to the server: a YAML file, or a folder with CATEGORY/NAME.yml
    Import { path: PathBuf },
    /// Write the definitions as CATEGORY/NAME.yml
    Export {
        #[arg(long, default_value = "./export/")]
        dir: PathBuf,
    },
    /// Whether the tables that metrics name are there
    Validate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// Save the server's address (--server)
    Init,
    /// Claim a new server as its first admin
    Bootstrap(Bootstrap),
    /// Whether the server answers
    TestConnection,
    /// Start a sync of all sources on the server
    FirstSync,
    /// Whether everything is there that an analyst needs
    Verify,
}

/// The first admin.
#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    pub(crate) email: String,
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    #[arg(long, default_value = "")]
    pub(crate) password: String,
    /// The code that the server printed at its start
    #[arg(long, default_value = "")]
    pub(crate) code: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AnalystCommand {
    /// Make a folder ready: log in, sync, and instructions for agents
    Setup(AnalystSetup),
    /// What the folder holds, and how fresh that is
    Status {
        /// The folder; else DA_LOCAL_DIR or the current one
        #[arg(long)]
        workspace: Option<PathBuf>,
    },
}

/// How a folder is made ready.
#[derive(Debug, Args)]
pub(crate) struct AnalystSetup {
    /// The same as --server
    #[arg(long, value_name = "URL")]
    pub(crate) server_url: Option<String>,
    /// Also where the folder was made ready before
    #[arg(long)]
    pub(crate) force: bool,
    /// How often agents shall sync, in words
    #[arg(long, default_value = "1 hour")]
    pub(crate) sync_interval: String,
    /// The folder; else DA_LOCAL_DIR or the current one
    #[arg(long)]
    pub(crate) workspace: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SkillsCommand {
    /// List the guides
    List,
    /// Print a guide
    Show { name: String },
}

/// The predecessor's client called docker from the analyst's machine; all that is left is to say what does it now.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Whether the service runs
    Status,
    /// Its log
    Logs {
        service: Option<String>,
        #[arg(long)]
        tail: Option<u32>,
        #[arg(long)]
        follow: bool,
    },
    /// Start it anew
    Restart { service: Option<String> },
    /// Bring a new version
    Deploy {
        #[arg(long)]
        staging: bool,
    },
    /// Go back to the version before
    Rollback,
    /// Back up its state
    Backup {
        #[arg(long)]
        since: Option<String>,
    },
}
