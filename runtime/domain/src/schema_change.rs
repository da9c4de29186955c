//! How the columns of a table change from one publish to the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::run::RunId;

/// A column as people query it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredColumn {
    /// Its name.
    pub name: String,
    /// Its type in SQL.
    pub data_type: String,
}

/// What happened to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is no longer there.
    Removed,
    /// Its type holds all that the one before held.
    Widened,
    /// Its type is another one, which only a table that came anew can have.
    Retyped,
}

/// A change of one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// The table.
    pub table: String,
    /// The run that brought it; nothing where the server died before it could tell.
    pub run: Option<RunId>,
    /// When its rows were published.
    pub at: Timestamp,
    /// What happened.
    pub kind: ChangeKind,
    /// The column.
    pub column: String,
    /// Its type before.
    pub before: Option<String>,
    /// Its type from then on.
    pub after: Option<String>,
}

/// A column that changed, with its type before and after.
pub type Difference = (ChangeKind, String, Option<String>, Option<String>);

/// What differs between the columns of two publishes, in the order of the columns: those that are there,
/// then those that are gone.
pub fn differences(before: &[StoredColumn], after: &[StoredColumn]) -> Vec<Difference> {
    let find = |columns: &'_ [StoredColumn], name: &str| {
        let folded = name.to_lowercase();
        columns
            .iter()
            .find(|column| column.name.to_lowercase() == folded)
            .cloned()
    };
    let mut found = Vec::new();
    for column in after {
        let to = Some(column.data_type.clone());
        match find(before, &column.name) {
            None => found.push((ChangeKind::Added, column.name.clone(), None, to)),
            Some(old) if old.data_type != column.data_type => {
                let kind = match widens(&old.data_type, &column.data_type) {
                    true => ChangeKind::Widened,
                    false => ChangeKind::Retyped,
                };
                found.push((kind, column.name.clone(), Some(old.data_type), to));
            }
            Some(_) => {}
        }
    }
    for column in before
        .iter()
        .filter(|column| find(after, &column.name).is_none())
    {
        let from = Some(column.data_type.clone());
        found.push((ChangeKind::Removed, column.name.clone(), from, None));
    }
    found
}

/// Whether the values of one type are all in the other, by the rules by which columns widen.
fn widens(from: &str, to: &str) -> bool {
    let number = |kind: &str| match kind {
        "BOOLEAN" => Some(0),
        "BIGINT" => Some(1),
        kind if kind.starts_with("DECIMAL(") => Some(2),
        "DOUBLE" => Some(3),
        _ => None,
    };
    match (number(from), number(to)) {
        (Some(from_rank), Some(to_rank)) => from_rank < to_rank || (from_rank == 2 && to_rank == 2),
        // Structures grow fields, and lists the type of their items.
        (None, None) if from.starts_with("STRUCT(") && to.starts_with("STRUCT(") => true,
        (None, None) if from.ends_with("[]") && to.ends_with("[]") => true,
        _ => to == "VARCHAR" || (from == "DATE" && to == "TIMESTAMP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, &str)]) -> Vec<StoredColumn> {
        let column = |(name, kind): &(&str, &str)| StoredColumn {
            name: (*name).to_owned(),
            data_type: (*kind).to_owned(),
        };
        columns.iter().map(column).collect()
    }

    #[test]
    fn a_change_of_columns_is_told_by_what_happened() {
        let before = columns(&[
            ("id", "BIGINT"),
            ("day", "DATE"),
            ("old", "VARCHAR"),
            ("t", "VARCHAR"),
        ]);
        let after = columns(&[
            ("ID", "DOUBLE"),
            ("day", "TIMESTAMP"),
            ("new", "BOOLEAN"),
            ("t", "DATE"),
        ]);
        let found = differences(&before, &after);
        let found: Vec<_> = found
            .iter()
            .map(|(kind, name, ..)| (*kind, name.as_str()))
            .collect();
        let expected = [
            (ChangeKind::Widened, "ID"),
            (ChangeKind::Widened, "day"),
            (ChangeKind::Added, "new"),
            (ChangeKind::Retyped, "t"),
            (ChangeKind::Removed, "old"),
        ];
        assert_eq!(found, expected);
        assert!(differences(&before, &before).is_empty());
    }
}
