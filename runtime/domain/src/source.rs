//! Sources: configured instances of connectors.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::capability::Capabilities;
use crate::digest::Digest;
use crate::names::{ConnectorName, SourceName};
use crate::ports::Cursors;

/// A configured instance of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, and its extract's folder.
    pub name: SourceName,
    /// The kind of integration.
    pub connector: ConnectorName,
    /// The version that it is pinned to.
    pub version: Digest,
    /// Its configuration without credentials.
    pub settings: Value,
    /// What an admin allowed.
    pub granted: Capabilities,
    /// Whether runs may start.
    pub enabled: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Where a source's tables stand at one moment: what a return to an earlier version brings back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark(pub BTreeMap<String, TableMark>);

/// Where one table stands, by its folded name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMark {
    /// Its cursor in hexadecimal digits.
    pub cursor: Option<String>,
    /// How many files it has.
    pub files: usize,
    /// The last of them, so that it can be told whether those files are still the first ones.
    pub last: Option<String>,
}

impl Mark {
    /// The cursors; what is not hexadecimal counts as none.
    #[must_use]
    pub fn cursors(&self) -> Cursors {
        let tables = self.0.iter();
        tables
            .filter_map(|(table, mark)| {
                let cursor = hex::decode(mark.cursor.as_ref()?).ok()?;
                Some((table.clone(), cursor))
            })
            .collect()
    }
}

/// A version that a source was pinned to, and left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Counts for each source.
    pub number: u64,
    /// The version.
    pub version: Digest,
    /// Where the tables stood when the source left it.
    #[serde(skip)]
    pub mark: Mark,
    /// When the source left it.
    pub left_at: Timestamp,
    /// Who moved it.
    pub left_by: Option<Uuid>,
}

/// What a move of a source to another version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// To a version that asks for more than was granted; it waits for an admin.
    Upgrade,
    /// Back to the version before, with its cursors; once begun, it is brought to its end.
    Rollback,
}

/// A move of a source that has not happened yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The source.
    pub source: SourceName,
    /// Where it goes.
    pub version: Digest,
    /// What it is.
    pub kind: MoveKind,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Who asked.
    pub asked_by: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_gives_its_cursors_back_after_it_was_stored() {
        let table = |cursor: Option<&str>| TableMark {
            cursor: cursor.map(str::to_owned),
            ..Default::default()
        };
        let tables = [
            ("orders", table(Some("00ff"))),
            ("plain", table(None)),
            ("broken", table(Some("no"))),
        ];
        let mark = Mark(tables.map(|(name, mark)| (name.to_owned(), mark)).into());
        let stored = serde_json::to_string(&mark).unwrap();
        let back: Mark = serde_json::from_str(&stored).unwrap();
        assert_eq!(back, mark);
        assert_eq!(
            back.cursors(),
            Cursors::from([("orders".to_owned(), vec![0, 255])])
        );
    }
}
