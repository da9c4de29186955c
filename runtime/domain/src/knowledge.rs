//! What the people of a company know about its data: items that they write, vote on, and review.

mod dispute;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use dispute::{Backing, Contradiction, Evidence, Resolution, Settled, short_id};

/// How much more sure an item is with each person beside its author who backs it.
const SURER: f64 = 0.05;

/// Where an item stands in its review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemStatus {
    /// Waits for a review.
    Pending,
    /// Good to know.
    Approved,
    /// Everybody must know it.
    Mandatory,
    /// Was never good.
    Rejected,
    /// Is not good any more.
    Revoked,
}

/// What a reviewer does with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// Makes it good to know.
    Approve,
    /// Says that it was never good.
    Reject,
    /// Makes it something that everybody must know.
    Mandate,
    /// Takes it back.
    Revoke,
}

impl ItemStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Approved,
        Self::Mandatory,
        Self::Rejected,
        Self::Revoked,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Mandatory => "mandatory",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
        }
    }

    /// The status that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Whether people are told it.
    pub fn is_in_force(self) -> bool {
        matches!(self, Self::Approved | Self::Mandatory)
    }

    /// The status after a review; nothing where the review makes no sense. Doing the same again does.
    pub fn after(self, review: Review) -> Option<Self> {
        match review {
            Review::Approve => Some(Self::Approved),
            // What is in force is revoked, so that the log says that it once was.
            Review::Reject if !self.is_in_force() => Some(Self::Rejected),
            // What was turned down must be approved before everybody has to know it.
            Review::Mandate if self == Self::Pending || self.is_in_force() => Some(Self::Mandatory),
            Review::Revoke if self.is_in_force() || self == Self::Revoked => Some(Self::Revoked),
            Review::Reject | Review::Mandate | Review::Revoke => None,
        }
    }
}

impl Review {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Reject, Self::Mandate, Self::Revoke];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Mandate => "mandate",
            Self::Revoke => "revoke",
        }
    }

    /// The review that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// Where an item comes from, and for how long it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Where it was written or said.
    pub source_ref: Option<String>,
    /// From when on it holds; always, if nobody said.
    pub valid_from: Option<Timestamp>,
    /// Until when it holds.
    pub valid_until: Option<Timestamp>,
    /// The item whose place it takes.
    pub supersedes: Option<Uuid>,
    /// How freely it may be told, in a word.
    pub sensitivity: String,
}

/// Something that somebody knows.
#[derive(Debug, Clone, PartialEq)]
pub struct KnowledgeItem {
    /// Its id.
    pub id: Uuid,
    /// In a line.
    pub title: String,
    /// In full.
    pub content: String,
    /// What it belongs to.
    pub category: String,
    /// Words for it.
    pub tags: Vec<String>,
    /// Where it stands.
    pub status: ItemStatus,
    /// The address of whoever wrote it.
    pub source_user: String,
    /// For whom it is: nobody said, `all`, or `group:NAME`.
    pub audience: Option<String>,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// The part of the company.
    pub domain: Option<String>,
    /// What it is about.
    pub entities: Vec<String>,
    /// How it came here.
    pub source_type: String,
    /// Whether it is only for whoever wrote it.
    pub is_personal: bool,
    /// Where it comes from.
    pub provenance: Provenance,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl KnowledgeItem {
    /// Whether people are told it at that moment.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        let Provenance {
            valid_from,
            valid_until,
            ..
        } = &self.provenance;
        self.status.is_in_force()
            && valid_from.is_none_or(|from| from <= now)
            && valid_until.is_none_or(|until| now < until)
    }

    /// What it weighs among others at that moment: how sure it is, less as it grows old; nothing after a
    /// year without a change.
    pub fn weight_at(&self, now: Timestamp) -> f64 {
        let seconds = now.as_second() - self.updated_at.as_second();
        let years = seconds as f64 / (365.0 * 86_400.0);
        self.confidence * (1.0 - years).clamp(0.0, 1.0)
    }

    /// Takes into account that one more person backs it.
    pub fn back(&mut self) {
        self.confidence = (self.confidence + SURER).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_in_force_is_rejected_and_nothing_turned_down_is_mandated_or_revoked() {
        use ItemStatus::{Approved, Mandatory, Pending, Rejected, Revoked};
        for status in [Approved, Mandatory] {
            assert_eq!(status.after(Review::Reject), None);
            assert_eq!(status.after(Review::Revoke), Some(Revoked));
        }
        assert_eq!(Rejected.after(Review::Mandate), None);
        assert_eq!(Revoked.after(Review::Mandate), None);
        assert_eq!(Pending.after(Review::Revoke), None);
        assert_eq!(Pending.after(Review::Mandate), Some(Mandatory));
    }

    proptest! {
        #[test]
        fn any_reviews_keep_to_the_rules(reviews in prop::collection::vec(0..4_usize, 0..20)) {
            let mut status = ItemStatus::Pending;
            let mut was_in_force = false;
            for review in reviews.into_iter().map(|index| Review::ALL[index]) {
                let Some(next) = status.after(review) else { continue };
                prop_assert_eq!(next.after(review), Some(next), "the same again changes nothing");
                was_in_force |= next.is_in_force();
                prop_assert!(next != ItemStatus::Revoked || was_in_force);
                prop_assert!(next != ItemStatus::Pending, "nothing goes back to waiting");
                prop_assert_eq!(next.after(Review::Approve), Some(ItemStatus::Approved));
                status = next;
            }
        }
    }
}
