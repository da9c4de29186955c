//! Whom notifications reach, what they say, and the scripts that will write them.

use jiff::Timestamp;
use uuid::Uuid;

use crate::digest::Digest;

/// A user's chat in Telegram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelegramLink {
    /// The user.
    pub user: Uuid,
    /// The chat.
    pub chat: i64,
    /// Since when.
    pub linked_at: Timestamp,
}

/// A code that was shown in a chat, as the server knows it: never the code itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelegramCode {
    /// The sha256 of the code.
    pub hash: Digest,
    /// The chat that it was shown in.
    pub chat: i64,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A text for people that was not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Names it.
    pub id: Uuid,
    /// When it was noted.
    pub noted_at: Timestamp,
    /// What it says.
    pub text: String,
}

/// A script that an admin keeps here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Names it.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// Who deployed it.
    pub owner: Option<Uuid>,
    /// When it is meant to run.
    pub schedule: Option<String>,
    /// Its text.
    pub source: String,
    /// When it was deployed.
    pub deployed_at: Timestamp,
}
