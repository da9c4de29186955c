//! What can be said after `da admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    #[command(flatten)]
    Person(PersonCommand),
    /// List the registry of tables
    ListTables,
    /// Register a table before a source publishes it
    RegisterTable(NewTable),
    /// Register all tables of a Keboola project, which this machine asks for them
    DiscoverAndRegister(Discovery),
    /// Show what is said about a table's columns
    MetadataShow { table: String },
    /// Say what columns mean, from a proposal in JSON
    MetadataApply {
        file: PathBuf,
        /// Also write it to where the table comes from
        #[arg(long)]
        push_to_source: bool,
        /// Only say what would be written
        #[arg(long)]
        dry_run: bool,
    },
    /// Groups of people
    #[command(subcommand)]
    Group(GroupCommand),
    /// What groups may see
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Back in where no admin is left
    #[command(subcommand)]
    BreakGlass(BreakGlassCommand),
}

/// A person is named by id or e-mail address.
#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Add a person
    AddUser {
        email: String,
        #[arg(long, default_value = "")]
        name: String,
        #[arg(long, default_value = "analyst")]
        role: String,
    },
    /// List people
    ListUsers,
    /// Remove a person, by id or e-mail address
    RemoveUser { user: String },
    /// Make a person an admin, or no longer one
    SetRole { user: String, role: String },
    /// Let a person in no more
    Deactivate { user: String },
    /// Let a person in again
    Activate { user: String },
    /// Make a link with which a person sets a password
    ResetPassword { user: String },
    /// Give a person a password
    SetPassword {
        user: String,
        /// Asked for twice where it is missing
        #[arg(long)]
        password: Option<String>,
    },
}

/// A table that is to be known by the server.
#[derive(Debug, Args)]
pub(crate) struct NewTable {
    pub(crate) name: String,
    #[arg(long, default_value = "keboola")]
    pub(crate) source_type: String,
    #[arg(long, default_value = "")]
    pub(crate) bucket: String,
    /// Its name at the source; else the same
    #[arg(long)]
    pub(crate) source_table: Option<String>,
    /// local or remote
    #[arg(long, default_value = "local")]
    pub(crate) query_mode: String,
    #[arg(long, default_value = "")]
    pub(crate) description: String,
}

/// Where tables are looked for.
#[derive(Debug, Args)]
pub(crate) struct Discovery {
    #[arg(long, default_value = "keboola")]
    pub(crate) source_type: String,
    /// The project's token; else KEBOOLA_STORAGE_TOKEN
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// The project's address; else KEBOOLA_STACK_URL
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Only say what would be registered
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakGlassCommand {
    /// Make somebody an admin: done at the server itself
    GrantAdmin {
        email: String,
        /// Accepted for old scripts
        #[arg(long, short)]
        yes: bool,
    },
}

/// A group is named by its id or name.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List groups
    List,
    /// Make a group
    Create {
        name: String,
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete a group
    Delete { group: String },
    /// List a group's members
    Members { group: String },
    /// Put a person into a group
    AddMember { group: String, email: String },
    /// Take a person out of a group
    RemoveMember { group: String, email: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// List grants
    List {
        /// Only of this type of resource
        #[arg(long = "type")]
        kind: Option<String>,
        /// Only of this group
        #[arg(long)]
        group: Option<String>,
    },
    /// Let a group see a resource
    Create {
        group: String,
        /// One of `da admin grant resource-types`
        kind: String,
        resource: String,
    },
    /// Take a grant back
    Delete { grant: String },
    /// What can be granted
    ResourceTypes,
}
