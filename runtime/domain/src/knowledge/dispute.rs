//! What speaks for an item of knowledge, and what speaks against it.

use jiff::Timestamp;
use uuid::Uuid;

/// How two items that contradict each other were brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The first holds.
    KeptA,
    /// The second holds.
    KeptB,
    /// One was made of both.
    Merged,
    /// They only seemed to contradict each other.
    BothValid,
}

impl Resolution {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::KeptA, Self::KeptB, Self::Merged, Self::BothValid];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeptA => "kept_a",
            Self::KeptB => "kept_b",
            Self::Merged => "merged",
            Self::BothValid => "both_valid",
        }
    }

    /// The resolution that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// Who settled a contradiction, when, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// How.
    pub resolution: Resolution,
    /// The address of the admin.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Two items that cannot both be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// `kc_` and twelve hexadecimal digits.
    pub id: String,
    /// The one item.
    pub item_a: Uuid,
    /// The other.
    pub item_b: Uuid,
    /// Why they contradict each other.
    pub explanation: String,
    /// How bad it is, in a word.
    pub severity: Option<String>,
    /// What could be done.
    pub suggestion: Option<String>,
    /// How it ended.
    pub settled: Option<Settled>,
    /// When it was found.
    pub detected_at: Timestamp,
}

/// How somebody backed an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// By correcting what was said otherwise.
    Correction,
    /// By saying that it is so.
    Confirmation,
    /// By saying the same without having been asked.
    UnpromptedDefinition,
}

impl Backing {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::Correction,
        Self::Confirmation,
        Self::UnpromptedDefinition,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Correction => "correction",
            Self::Confirmation => "confirmation",
            Self::UnpromptedDefinition => "unprompted_definition",
        }
    }

    /// The backing that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// Somebody's words for an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// `ev_` and twelve hexadecimal digits.
    pub id: String,
    /// What it speaks for.
    pub item: Uuid,
    /// The address of whoever said it.
    pub source_user: String,
    /// Where it was said.
    pub source_ref: Option<String>,
    /// How.
    pub backing: Backing,
    /// In which words.
    pub quote: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// A new id: the prefix and twelve hexadecimal digits.
pub fn short_id(prefix: &str) -> String {
    // The end of a version 7 id is random; 48 bits of it are as many as the old ids had.
    let id = Uuid::now_v7().simple().to_string();
    let digits = id.get(20..).unwrap_or(&id);
    format!("{prefix}_{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for resolution in Resolution::ALL {
            assert_eq!(Resolution::parse(resolution.as_str()), Some(resolution));
        }
        for backing in Backing::ALL {
            assert_eq!(Backing::parse(backing.as_str()), Some(backing));
        }
        assert_eq!(Resolution::parse("merge"), None);
    }

    #[test]
    fn short_ids_have_twelve_digits_and_differ() {
        let (one, other) = (short_id("kc"), short_id("kc"));
        assert_eq!(one.len(), 15);
        assert!(one.starts_with("kc_"), "{one}");
        assert_ne!(one, other);
    }
}
