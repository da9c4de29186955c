//! The way back in for an operator who is locked out: makes a user an admin, and a link with which
//! that user sets a password. Whoever may write to the data folder could do as much by hand.

use domain::people::{ADMINS, is_email};
use domain::{Membership, Origin, User};
use identity::link::Purpose;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;
use warehouse::{AuditEntry, State, StateError, UserChange};

use super::operations;
use super::socket::Operator;
use crate::links::{self, LinkError};

/// Who is to be let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BreakGlass {
    pub(crate) email: String,
}

/// The link with which that user comes in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Admitted {
    /// Whole where a server serves, else from its path on.
    pub(crate) link: String,
    pub(crate) expires_at: Timestamp,
}

/// Why nobody was let in.
#[derive(Debug, Error)]
pub(crate) enum BreakGlassError {
    #[error("`{0}` is not an e-mail address such as `ada@example.com`")]
    Address(String),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    State(#[from] StateError),
}

/// Makes the user of this address an active admin, adding the user where there is none, and a link.
pub(crate) fn break_glass(
    state: &State,
    url: &str,
    request: &BreakGlass,
    operator: Operator,
) -> Result<Admitted, BreakGlassError> {
    let email = request.email.trim();
    if !is_email(email) {
        return Err(BreakGlassError::Address(email.to_owned()));
    }
    let known = state.user_by_email(email)?;
    let user = known.clone().unwrap_or_else(|| User::new(email, ""));
    let entry = |action| AuditEntry {
        resource: Some(format!("user:{}", user.id)),
        ..operations::entry(action, operator, json!({}))
    };
    match known {
        None => state.insert_user(&user, &entry("user.create"))?,
        Some(_) => {
            let active = UserChange {
                active: Some(true),
                ..UserChange::default()
            };
            state.change_user(user.id, &active, &entry("user.update"))?;
        }
    }
    let membership = Membership {
        user: user.id,
        group: ADMINS,
        origin: Origin::BreakGlass,
        added_at: Timestamp::now(),
        added_by: None,
    };
    match state.insert_member(&membership, &entry("user_group.member_added")) {
        Ok(()) | Err(StateError::AlreadyExists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let reset = (Purpose::Reset, Purpose::Reset.lifetime());
    let made = links::make(state, url, &user, reset, &entry("break_glass"))?;
    Ok(Admitted {
        link: made.url,
        expires_at: made.expires_at,
    })
}
