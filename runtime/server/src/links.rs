//! Links that let their holder in: made here, whoever asks for one, and the operator too.

use std::io;

use domain::User;
use identity::link::{self, Purpose};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use warehouse::{AuditEntry, Link, State, StateError};

/// Why there is no link.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    /// The system gave no random bytes.
    #[error("no link can be made: {0}")]
    Random(#[from] io::Error),
    /// It could not be remembered.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A link, which is known here by its hash alone from now on.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) url: String,
    pub(crate) expires_at: Timestamp,
}

/// Makes a link for a user, in the place of an earlier one for the same purpose.
pub(crate) fn make(
    state: &State,
    server: &str,
    user: &User,
    (purpose, lifetime): (Purpose, SignedDuration),
    entry: &AuditEntry,
) -> Result<Made, LinkError> {
    let secret = link::new_secret()?;
    let expires_at = Timestamp::now()
        .saturating_add(lifetime)
        .unwrap_or(Timestamp::MAX);
    let link = Link {
        purpose: purpose.as_str().to_owned(),
        user: user.id,
        hash: link::hash(purpose, &secret),
        expires_at,
    };
    state.put_link(&link, entry)?;
    let path = match purpose {
        Purpose::SignIn => "/auth/email/verify",
        Purpose::Reset => "/auth/password/reset",
        Purpose::SetUp => "/auth/password/setup",
    };
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("email", &user.email)
        .append_pair("token", &secret)
        .finish();
    Ok(Made {
        url: format!("{server}{path}?{query}"),
        expires_at,
    })
}
