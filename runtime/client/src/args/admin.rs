//! What can be said after `da admin`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
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
    /// List the registry of tables
    ListTables,
    /// Groups of people
    #[command(subcommand)]
    Group(GroupCommand),
    /// What groups may see
    #[command(subcommand)]
    Grant(GrantCommand),
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
    List,
    /// Take a grant back
    Delete { grant: String },
    /// What can be granted
    ResourceTypes,
}
