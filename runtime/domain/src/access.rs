//! Who may do what: the one decision that every route, query and download asks for.
//!
//! A [`Principal`] holds what its groups were granted; a [`Demand`] is what a request needs. Nothing
//! is allowed that is not said here, and nothing is public that is not called so.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::restriction::{Extent, Restriction};

/// What a grant allows on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// To query, download and see rows.
    Read,
    /// To start, watch and cancel runs.
    Run,
    /// To use what is no data, such as a plugin.
    Use,
}

impl Permission {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Use => "use",
        }
    }

    /// The permission that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Run, Self::Use]
            .into_iter()
            .find(|known| known.as_str() == word)
    }

    /// What a token must be good for to exercise it.
    fn scope(self) -> Scope {
        match self {
            Self::Read | Self::Use => Scope::Data,
            Self::Run => Scope::Runs,
        }
    }
}

/// A kind of thing that grants are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceType {
    /// Names it in grants.
    pub key: &'static str,
    /// For lists.
    pub title: &'static str,
    /// What a grant on one does.
    pub description: &'static str,
    /// What its ids look like.
    pub id_format: &'static str,
    /// What can be granted; the first where a grant names none.
    pub permissions: &'static [Permission],
}

/// A published table.
pub const TABLE: &str = "table";
/// A named bundle of tables.
pub const DATA_PACKAGE: &str = "data_package";
/// A source with all the tables that it yields.
pub const SOURCE: &str = "source";
/// A plugin of a marketplace.
pub const MARKETPLACE_PLUGIN: &str = "marketplace_plugin";

/// All kinds of things that grants are on. A new kind is one entry.
pub const RESOURCE_TYPES: &[ResourceType] = &[
    ResourceType {
        key: TABLE,
        title: "Table",
        description: "A published table: query it, download it, see it in the catalogue",
        id_format: "TABLE",
        permissions: &[Permission::Read],
    },
    ResourceType {
        key: DATA_PACKAGE,
        title: "Data package",
        description: "A named bundle of tables that is granted as one",
        id_format: "PACKAGE",
        permissions: &[Permission::Read],
    },
    ResourceType {
        key: SOURCE,
        title: "Source",
        description: "A source: read all tables that it yields, now and later; or run it",
        id_format: "SOURCE",
        permissions: &[Permission::Read, Permission::Run],
    },
    ResourceType {
        key: MARKETPLACE_PLUGIN,
        title: "Marketplace plugin",
        description: "A plugin of a marketplace: see and install it",
        id_format: "MARKETPLACE/PLUGIN",
        permissions: &[Permission::Use],
    },
];

impl ResourceType {
    /// The kind of this name.
    pub fn find(key: &str) -> Option<&'static Self> {
        RESOURCE_TYPES.iter().find(|kind| kind.key == key)
    }

    /// The permission of this name, or the usual one where none is named.
    pub fn permission(&self, word: Option<&str>) -> Option<Permission> {
        let Some(word) = word else {
            return self.permissions.first().copied();
        };
        Permission::parse(word).filter(|wanted| self.permissions.contains(wanted))
    }
}

/// A part of what a user may do, to which a token can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Catalogue, queries, downloads.
    Data,
    /// Sources, runs and what they said.
    Runs,
    /// The user's own profile and tokens.
    Account,
    /// Whatever only admins may do.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Data, Self::Runs, Self::Account, Self::Admin];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Runs => "runs",
            Self::Account => "account",
            Self::Admin => "admin",
        }
    }

    /// The scope that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scopes {
    /// Whatever its user may do.
    #[default]
    All,
    /// These parts of it.
    Only(BTreeSet<Scope>),
}

impl Scopes {
    /// Whether a scope is among them.
    pub fn cover(&self, scope: Scope) -> bool {
        match self {
            Self::All => true,
            Self::Only(scopes) => scopes.contains(&scope),
        }
    }

    /// As it is stored and shown: the words with spaces between them; nothing for all.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Only(scopes) => {
                let words: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
                Some(words.join(" "))
            }
        }
    }

    /// From its text. A word that this server does not know gives nothing.
    pub fn from_text(text: Option<&str>) -> Self {
        text.map_or(Self::All, |text| {
            Self::Only(text.split_whitespace().filter_map(Scope::parse).collect())
        })
    }
}

/// How a principal came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By signing in: a person is there.
    Session,
    /// By a personal access token: a program acts for a person.
    Token,
    /// By a short-lived token of a desktop program.
    Desktop,
}

/// What one group was granted, looked up by permission and kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    whole: HashMap<(Permission, &'static str), HashSet<String>>,
    /// Tables of which a part was granted. Kept apart, so that whoever does not ask for parts takes these for not
    /// granted.
    parts: HashMap<String, Vec<Arc<Restriction>>>,
}

impl Held {
    /// Adds a grant. Ids are compared without regard to case, as names of tables and sources are.
    pub fn add(&mut self, permission: Permission, kind: &'static str, id: &str) {
        let ids = self.whole.entry((permission, kind)).or_default();
        ids.insert(id.to_ascii_lowercase());
    }

    /// Adds a grant to read a part of a table.
    pub fn add_part(&mut self, table: &str, restriction: Arc<Restriction>) {
        let parts = self.parts.entry(table.to_ascii_lowercase()).or_default();
        parts.push(restriction);
    }

    fn holds(&self, permission: Permission, kind: &'static str, id: &str) -> bool {
        self.whole
            .get(&(permission, kind))
            .is_some_and(|ids| ids.contains(id))
    }
}

/// What a user's groups were granted. Users share the parts, so that thousands of them cost little.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach(pub Vec<Arc<Held>>);

impl Reach {
    /// Whether one of the groups was granted exactly this.
    pub fn holds(&self, permission: Permission, kind: &'static str, id: &str) -> bool {
        let id = id.to_ascii_lowercase();
        self.0.iter().any(|held| held.holds(permission, kind, &id))
    }

    /// The parts of a table that were granted.
    fn parts(&self, table: &str) -> Arc<[Arc<Restriction>]> {
        let table = table.to_ascii_lowercase();
        let held = self.0.iter().filter_map(|held| held.parts.get(&table));
        held.flatten().map(Arc::clone).collect()
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The user.
    pub user: Uuid,
    /// The user's address.
    pub email: String,
    /// The session or token that acts for the user.
    pub token: Uuid,
    /// How it came in.
    pub means: Means,
    /// What it is good for.
    pub scopes: Scopes,
    /// Whether the user is in the group of admins.
    pub is_admin: bool,
    /// The user's groups, sorted. Who has the same is granted the same.
    pub groups: Arc<[Uuid]>,
    /// What those were granted.
    pub reach: Arc<Reach>,
}

/// A thing that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A table, and the source that yields it.
    Table {
        /// The table.
        name: &'a str,
        /// The source.
        source: &'a str,
    },
    /// A source.
    Source(&'a str),
    /// Anything else, by the key of its kind and its id.
    Other(&'static str, &'a str),
}

impl Resource<'_> {
    fn is_within(self, reach: &Reach, permission: Permission) -> bool {
        match self {
            Self::Table { name, source } => {
                reach.holds(permission, TABLE, name) || reach.holds(permission, SOURCE, source)
            }
            Self::Source(name) => reach.holds(permission, SOURCE, name),
            Self::Other(kind, id) => reach.holds(permission, kind, id),
        }
    }
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand<'a> {
    /// Nothing: everybody may.
    Public,
    /// A user, with this scope; what the answer holds depends on the user's grants.
    SignedIn(Scope),
    /// A user who has signed in, not a token: for what would make a stolen token worse.
    Session,
    /// An admin.
    Admin,
    /// A permission on a resource.
    On(Permission, Resource<'a>),
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Nobody is signed in.
    #[error("Missing or invalid Authorization header")]
    Anonymous,
    /// The token is not good for this.
    #[error("This token lacks the scope `{}`", .0.as_str())]
    Scope(Scope),
    /// A token came where a person is needed.
    #[error("This endpoint requires an interactive session, not a PAT")]
    NoSession,
    /// The user is no admin.
    #[error("Admin access required")]
    NotAdmin,
    /// No group of the user was granted it.
    #[error("You were not granted this")]
    NotGranted,
}

/// Decides. This is the only place that does.
///
/// # Errors
/// Why not.
pub fn decide(principal: Option<&Principal>, demand: Demand<'_>) -> Result<(), Refusal> {
    if demand == Demand::Public {
        return Ok(());
    }
    let principal = principal.ok_or(Refusal::Anonymous)?;
    let needs = |scope| match principal.scopes.cover(scope) {
        true => Ok(()),
        false => Err(Refusal::Scope(scope)),
    };
    match demand {
        Demand::Public => Ok(()),
        Demand::SignedIn(scope) => needs(scope),
        Demand::Session if principal.means == Means::Session => needs(Scope::Account),
        Demand::Session => Err(Refusal::NoSession),
        Demand::Admin if !principal.is_admin => Err(Refusal::NotAdmin),
        Demand::Admin => needs(Scope::Admin),
        Demand::On(permission, resource) => {
            needs(permission.scope())?;
            match principal.is_admin || resource.is_within(&principal.reach, permission) {
                true => Ok(()),
                false => Err(Refusal::NotGranted),
            }
        }
    }
}

/// The word that old clients show for what a user is.
pub fn role(is_admin: bool) -> &'static str {
    if is_admin { "admin" } else { "user" }
}

impl Principal {
    /// How much of a table the principal sees; nothing where it was not granted. Only what was granted whole is also
    /// [`Self::may`]: files, profiles and the like show all rows.
    pub fn extent(&self, name: &str, source: &str) -> Option<Extent> {
        if self.may(Permission::Read, Resource::Table { name, source }) {
            return Some(Extent::Whole);
        }
        let parts = self.reach.parts(name);
        let is_seen = self.scopes.cover(Permission::Read.scope()) && !parts.is_empty();
        is_seen.then_some(Extent::Part(parts))
    }

    /// Whether a permission on a resource is the principal's.
    pub fn may(&self, permission: Permission, resource: Resource<'_>) -> bool {
        decide(Some(self), Demand::On(permission, resource)).is_ok()
    }
}

#[cfg(test)]
mod tests;
