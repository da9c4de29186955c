//! Users, the groups that they are in, and what was granted to those.

use jiff::Timestamp;
use uuid::Uuid;

use crate::access::{Permission, Scopes};
use crate::digest::Digest;
use crate::restriction::Restriction;

/// The group whose members may do everything.
pub const ADMINS: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
/// The group that every user is in.
pub const EVERYONE: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002);

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names the user for ever.
    pub id: Uuid,
    /// Unique without regard to case.
    pub email: String,
    /// As people call the user; may be empty.
    pub name: String,
    /// Whether the user may come in.
    pub active: bool,
    /// The password as a PHC string, if there is one.
    pub password_hash: Option<String>,
    /// When the user was added.
    pub created_at: Timestamp,
    /// When the user was deactivated.
    pub deactivated_at: Option<Timestamp>,
}

impl User {
    /// A new one, who may come in and has no password.
    pub fn new(email: &str, name: &str) -> Self {
        Self {
            id: Uuid::now_v7(),
            email: email.to_owned(),
            name: name.to_owned(),
            active: true,
            password_hash: None,
            created_at: Timestamp::now(),
            deactivated_at: None,
        }
    }
}

/// Whether text can be an e-mail address: one `@` with something around it, no spaces or control
/// characters, and no longer than any address that mail is delivered to.
pub fn is_email(text: &str) -> bool {
    let (name, host) = text.split_once('@').unwrap_or_default();
    let plain = !text
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || "<>,;\"()".contains(c));
    !name.is_empty() && !host.is_empty() && !host.contains('@') && text.len() <= 254 && plain
}

/// Where a membership comes from. Each origin's are changed by that origin alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An admin added it.
    Manual,
    /// The identity provider says so, at each sign-in.
    Oidc,
    /// The configuration or the first claim of the server.
    Seed,
    /// The operator, from the command line.
    BreakGlass,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Manual, Self::Oidc, Self::Seed, Self::BreakGlass];

    /// The word that is stored and that clients know.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "admin",
            Self::Oidc => "google_sync",
            Self::Seed => "system_seed",
            Self::BreakGlass => "cli_break_glass",
        }
    }

    /// The origin that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// A named set of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Names it for ever.
    pub id: Uuid,
    /// Unique without regard to case.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Where it comes from: `Seed` for those that are always there.
    pub origin: Origin,
    /// When it was added.
    pub created_at: Timestamp,
    /// Who added it.
    pub created_by: Option<Uuid>,
}

impl Group {
    /// Whether it is always there, under this name.
    pub fn is_system(&self) -> bool {
        self.id == ADMINS || self.id == EVERYONE
    }
}

/// A user in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The user.
    pub user: Uuid,
    /// The group.
    pub group: Uuid,
    /// Where it comes from.
    pub origin: Origin,
    /// Since when.
    pub added_at: Timestamp,
    /// Who added it.
    pub added_by: Option<Uuid>,
}

/// A permission on a resource, for the members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Names it.
    pub id: Uuid,
    /// Whose it is.
    pub group: Uuid,
    /// What it allows.
    pub permission: Permission,
    /// The key of the resource's kind.
    pub resource_type: String,
    /// The resource.
    pub resource_id: String,
    /// What it leaves out; only on tables.
    pub restriction: Option<Restriction>,
    /// Since when.
    pub granted_at: Timestamp,
    /// Who granted it.
    pub granted_by: Option<Uuid>,
}

/// A named bundle of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPackage {
    /// Its name, unique without regard to case.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// The tables, by name.
    pub tables: Vec<String>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What a secret that lets its holder in is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A person who signed in.
    Session,
    /// A program that acts for a person.
    Personal,
    /// A desktop program, for minutes.
    Desktop,
}

impl TokenKind {
    /// The word for it, which is also in the token's claims.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Personal => "pat",
            Self::Desktop => "desktop",
        }
    }

    /// The kind that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Session, Self::Personal, Self::Desktop]
            .into_iter()
            .find(|known| known.as_str() == word)
    }
}

/// A token as the server knows it: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Names it.
    pub id: Uuid,
    /// Whose it is.
    pub user: Uuid,
    /// What it is for.
    pub kind: TokenKind,
    /// As its owner calls it.
    pub name: String,
    /// The sha256 of its text.
    pub hash: Digest,
    /// What it is good for.
    pub scopes: Scopes,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where it was last used.
    pub last_used_from: Option<String>,
    /// Since when it is no longer valid.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// The beginning of its id, by which people tell tokens apart.
    pub fn prefix(&self) -> String {
        // The beginning of a time-ordered id is the same for all tokens of a day; its end is random.
        let id = self.id.simple().to_string();
        id.get(id.len().saturating_sub(8)..)
            .unwrap_or_default()
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_address_is_told_apart() {
        assert!(is_email("ada@example.com"));
        let long = format!("a@{}", "b".repeat(300));
        for text in [
            "", "ada", "@b", "a@", "a b@c", "a@b\n", "a@b@c", "<a@b>", "a@b,c", &long,
        ] {
            assert!(!is_email(text), "{text:?}");
        }
    }

    #[test]
    fn words_come_back_as_what_they_were() {
        for origin in Origin::ALL {
            assert_eq!(Origin::parse(origin.as_str()), Some(origin));
        }
        for kind in [TokenKind::Session, TokenKind::Personal, TokenKind::Desktop] {
            assert_eq!(TokenKind::parse(kind.as_str()), Some(kind));
        }
    }
}
