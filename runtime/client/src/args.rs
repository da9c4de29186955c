//! The command line: what can be said to `da`, and where.

mod admin;
mod desk;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use admin::{
    AdminCommand, BreakGlassCommand, Discovery, GrantCommand, GroupCommand, NewTable, PersonCommand,
};
pub(crate) use desk::{
    AnalystCommand, AnalystSetup, Bootstrap, MetricsCommand, ServerCommand, SetupCommand,
    SkillsCommand, SnapshotCommand,
};

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
    /// Log in through the browser, with a token, or with --email and a password
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
    /// Look at a table: of the local database, or with --remote at the server's profile of it
    Explore {
        table: String,
        /// The server's profile
        #[arg(long)]
        remote: bool,
    },
    /// Keep a part of a table as a local snapshot
    Fetch(FetchArgs),
    /// List, renew and drop snapshots
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// How much of the disk the snapshots take
    DiskInfo,
    /// Whether the server is well
    Status {
        /// What was synced here, without asking the server
        #[arg(long)]
        local: bool,
    },
    /// Find out why something does not work
    Diagnose {
        /// What you see, in words: known remedies are looked up
        #[arg(long)]
        symptom: Option<String>,
        /// Only this check, such as api or token
        #[arg(long)]
        component: Option<String>,
    },
    /// How the company computes its numbers
    #[command(subcommand)]
    Metrics(MetricsCommand),
    /// People, groups, grants and tables of the server
    #[command(subcommand)]
    Admin(AdminCommand),
    /// First steps
    #[command(subcommand)]
    Setup(SetupCommand),
    /// A folder to work in, for an analyst and their agents
    #[command(subcommand)]
    Analyst(AnalystCommand),
    /// Short guides, for people and their agents
    #[command(subcommand)]
    Skills(SkillsCommand),
    /// What is done at the server's own machine
    #[command(subcommand)]
    Server(ServerCommand),
    /// Print the completions of a shell
    Completions { shell: Shell },
    /// Ask the server for its newest client
    #[command(hide = true)]
    UpdateCheck,
}

impl Command {
    /// One command has an option of its own for it.
    pub(crate) fn server_url(&self) -> Option<String> {
        match self {
            Self::Analyst(AnalystCommand::Setup(asked)) => asked.server_url.clone(),
            _ => None,
        }
    }
}

#[derive(Debug, Default, Args)]
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
    /// Paste a token, where no browser of this machine is at hand
    #[arg(long, conflicts_with_all = ["email", "token"])]
    pub(crate) paste: bool,
    /// Through the browser, also where nobody sits at the terminal
    #[arg(long, conflicts_with_all = ["email", "token", "paste"])]
    pub(crate) browser: bool,
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
    /// Only send your sessions and CLAUDE.local.md to the server
    #[arg(long, conflicts_with_all = ["table", "docs_only"])]
    pub(crate) upload_only: bool,
    /// Only the rules
    #[arg(long)]
    pub(crate) docs_only: bool,
    /// Only say what would be downloaded, or sent
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How many files at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) connections: u8,
}

impl SyncArgs {
    /// All tables.
    pub(crate) fn everything() -> Self {
        Self {
            table: None,
            upload_only: false,
            docs_only: false,
            dry_run: false,
            connections: 4,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The query
    #[arg(value_name = "SQL")]
    pub(crate) positional: Option<String>,
    /// The query, as an option
    #[arg(long)]
    pub(crate) sql: Option<String>,
    /// Read {"sql": …, "register_bq": {…}, "register": […]} from stdin
    #[arg(long)]
    pub(crate) stdin: bool,
    /// On the server
    #[arg(long)]
    pub(crate) remote: bool,
    /// A query for BigQuery, whose result the query on the server names as a table; for admins
    #[arg(long, value_name = "ALIAS=SQL")]
    pub(crate) register_bq: Vec<String>,
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
    /// Do not ask before an expensive scan
    #[arg(long, short)]
    pub(crate) yes: bool,
}
