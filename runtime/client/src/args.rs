//! The command line: what can be said to `da`, and where.

mod admin;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use admin::{AdminCommand, GrantCommand, GroupCommand};

/// Query a company's tables on your own machine.
#[derive(Debug, Parser)]
#[command(name = "da", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// JSON on stdout, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The server's address, instead of DA_SERVER and the saved one
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in with a token from the server's page, which is opened, or with --email and a password
    Login(LoginArgs),
    /// Log in and out, and manage tokens
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Download the tables you may see, and only what changed
    Sync(SyncArgs),
    /// Run SQL on the local tables, or with --remote on the server
    Query(QueryArgs),
    /// List the server's tables
    Catalog {
        /// Accepted for old scripts; the list is always fresh
        #[arg(long)]
        refresh: bool,
    },
    /// Show a table's columns
    Schema { table: String },
    /// Show a table's columns and some rows
    Describe {
        table: String,
        /// How many rows
        #[arg(short, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=100))]
        n: u8,
    },
    /// Keep a part of a table as a local snapshot
    Fetch(FetchArgs),
    /// List and drop snapshots
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Whether the server is well
    Status,
    /// How the company computes its numbers
    #[command(subcommand)]
    Metrics(MetricsCommand),
    /// People, groups, grants and tables of the server
    #[command(subcommand)]
    Admin(AdminCommand),
    /// First steps
    #[command(subcommand)]
    Setup(SetupCommand),
    /// Print the completions of a shell
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Ask for this account's password
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Asked for where it is missing
    #[arg(long, requires = "email")]
    pub(crate) password: Option<String>,
    /// A personal access token
    #[arg(long, conflicts_with = "email")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Log in
    Login(LoginArgs),
    /// Forget the saved token
    Logout,
    /// Who the token says you are
    Whoami,
    /// Save a token that was made elsewhere
    ImportToken {
        #[arg(long)]
        token: String,
        /// Instead of the token's own claim
        #[arg(long)]
        email: Option<String>,
        /// Instead of the token's own claim
        #[arg(long)]
        role: Option<String>,
        /// Do not ask the server whether it takes the token
        #[arg(long)]
        skip_verify: bool,
    },
    /// Personal access tokens
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown once
    Create {
        #[arg(long)]
        name: String,
        /// Such as 90d, or never
        #[arg(long, default_value = "90d")]
        ttl: String,
        /// Print the token alone
        #[arg(long)]
        raw: bool,
    },
    /// List your tokens
    List,
    /// Revoke by id, prefix or name
    Revoke { token: String },
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// Only this table
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// Only the rules
    #[arg(long)]
    pub(crate) docs_only: bool,
    /// Only say what would be downloaded
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How many files at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) connections: u8,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The query
    #[arg(value_name = "SQL")]
    pub(crate) positional: Option<String>,
    /// The query, as an option
    #[arg(long)]
    pub(crate) sql: Option<String>,
    /// Read {"sql": …} from stdin
    #[arg(long)]
    pub(crate) stdin: bool,
    /// On the server
    #[arg(long)]
    pub(crate) remote: bool,
    /// table, json or csv
    #[arg(long, default_value = "table")]
    pub(crate) format: String,
    /// At most so many rows
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    pub(crate) table: String,
    /// Columns
    #[arg(long, value_delimiter = ',')]
    pub(crate) select: Option<Vec<String>>,
    /// A predicate over the table's columns
    #[arg(long = "where", value_name = "PREDICATE")]
    pub(crate) filter: Option<String>,
    /// At most so many rows
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// Columns, each with ASC or DESC where wanted
    #[arg(long, value_delimiter = ',')]
    pub(crate) order_by: Option<Vec<String>>,
    /// The snapshot's name; else the table's
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only estimate
    #[arg(long, conflicts_with = "no_estimate")]
    pub(crate) estimate: bool,
    /// Do not estimate first
    #[arg(long)]
    pub(crate) no_estimate: bool,
    /// Replace a snapshot of this name
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List snapshots
    List,
    /// Delete a snapshot
    Drop { name: String },
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
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// Save the server's address (--server)
    Init,
    /// Whether the server answers
    TestConnection,
    /// Start a sync of all sources on the server
    FirstSync,
}
