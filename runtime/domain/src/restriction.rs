//! What a grant leaves out of a table: rows that do not meet a condition, and columns whose values are hidden. A
//! principal with several grants on one table sees what any of them shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A longer condition is made by a program that should make a table.
const MAX_FILTER: usize = 4 << 10;
const MAX_MASKS: usize = 500;
const MAX_CONSTANT: usize = 256;

/// What stands in place of a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mask {
    /// Nothing: each value is null.
    Null,
    /// A keyed SHA-256 as text: equal values stay equal, so that they can be counted and joined. Null stays null.
    Hash,
    /// The same value in each row.
    Constant(Constant),
}

impl Mask {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Hash => "hash",
            Self::Constant(_) => "constant",
        }
    }

    /// Whether it makes text of a column of any type.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Hash | Self::Constant(Constant::Text(_)))
    }
}

/// A value that stands for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Constant {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
}

/// What a grant on a table leaves out of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restriction {
    /// Only rows that meet this condition over the table's own columns, such as `country = 'CZ'`; all where there is
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_filter: Option<String>,
    /// What stands in place of columns' values, by the columns' names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub column_masks: BTreeMap<String, Mask>,
}

/// Why something is no restriction.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestrictionError {
    /// The condition is too long.
    #[error("row_filter has more than {MAX_FILTER} bytes; make a table of these rows instead")]
    FilterLength,
    /// Too many columns are masked.
    #[error("column_masks names more than {MAX_MASKS} columns; make a table of the others instead")]
    Masks,
    /// A constant is too long, or holds what cannot be shown.
    #[error(
        "the constant for column `{0}` has more than {MAX_CONSTANT} bytes, or a control character"
    )]
    Constant(String),
}

impl Restriction {
    /// From what an admin wrote; nothing where it leaves nothing out.
    ///
    /// # Errors
    /// [`RestrictionError`].
    pub fn new(
        row_filter: Option<String>,
        column_masks: BTreeMap<String, Mask>,
    ) -> Result<Option<Self>, RestrictionError> {
        let row_filter = row_filter.map(|filter| filter.trim().to_owned());
        let row_filter = row_filter.filter(|filter| !filter.is_empty());
        if row_filter
            .as_ref()
            .is_some_and(|filter| filter.len() > MAX_FILTER)
        {
            return Err(RestrictionError::FilterLength);
        }
        if column_masks.len() > MAX_MASKS {
            return Err(RestrictionError::Masks);
        }
        for (column, mask) in &column_masks {
            if let Mask::Constant(Constant::Text(text)) = mask
                && (text.len() > MAX_CONSTANT || text.chars().any(char::is_control))
            {
                return Err(RestrictionError::Constant(
                    column.chars().take(64).collect(),
                ));
            }
        }
        let masks = column_masks.into_iter();
        let column_masks: BTreeMap<_, _> = masks
            .map(|(column, mask)| (column.to_ascii_lowercase(), mask))
            .collect();
        let is_some = row_filter.is_some() || !column_masks.is_empty();
        Ok(is_some.then_some(Self {
            row_filter,
            column_masks,
        }))
    }

    /// The mask of a column.
    pub fn mask(&self, column: &str) -> Option<&Mask> {
        self.column_masks.get(&column.to_ascii_lowercase())
    }
}

/// How much of a table a principal sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What at least one of these restrictions leaves.
    Part(Arc<[Arc<Restriction>]>),
}

impl Extent {
    /// Whether something is left out.
    pub fn is_part(&self) -> bool {
        matches!(self, Self::Part(_))
    }

    /// The restrictions that it is made of.
    pub fn restrictions(&self) -> &[Arc<Restriction>] {
        match self {
            Self::Whole => &[],
            Self::Part(restrictions) => restrictions,
        }
    }

    /// The mask under which a column is at best seen in some rows; none where some rows show it.
    pub fn mask(&self, column: &str) -> Option<&Mask> {
        let restrictions = self.restrictions();
        let masks = restrictions.iter().map(|one| one.mask(column));
        masks.collect::<Option<Vec<_>>>()?.first().copied()
    }

    /// Whether a column of any type comes as text.
    pub fn is_text(&self, column: &str) -> bool {
        let masks = self
            .restrictions()
            .iter()
            .filter_map(|one| one.mask(column));
        masks.into_iter().any(Mask::is_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(pairs: &[(&str, Mask)]) -> BTreeMap<String, Mask> {
        let pairs = pairs.iter().cloned();
        pairs.map(|(name, mask)| (name.to_owned(), mask)).collect()
    }

    #[test]
    fn what_leaves_nothing_out_is_no_restriction() {
        let blank = Restriction::new(Some(" \n".into()), BTreeMap::new());
        assert_eq!(blank, Ok(None));
        let some = Restriction::new(Some(" a > 1 ".into()), masks(&[("Mail", Mask::Hash)]));
        let some = some.unwrap().unwrap();
        assert_eq!(some.row_filter.as_deref(), Some("a > 1"));
        assert_eq!(some.mask("MAIL"), Some(&Mask::Hash));
    }

    #[test]
    fn sizes_are_limited() {
        let long = "x".repeat(MAX_FILTER + 1);
        let filter = Restriction::new(Some(long.clone()), BTreeMap::new());
        assert_eq!(filter, Err(RestrictionError::FilterLength));
        for text in [long, "a\nb".to_owned()] {
            let mask = masks(&[("c", Mask::Constant(Constant::Text(text)))]);
            let made = Restriction::new(None, mask);
            assert_eq!(made, Err(RestrictionError::Constant("c".into())));
        }
        let many = (0..=MAX_MASKS).map(|n| (n.to_string(), Mask::Null));
        let made = Restriction::new(None, many.collect());
        assert_eq!(made, Err(RestrictionError::Masks));
    }

    #[test]
    fn masks_are_written_as_people_write_them() {
        let text = r#"{"a":"null","b":"hash","c":{"constant":"***"},"d":{"constant":0},"e":{"constant":true}}"#;
        let read: BTreeMap<String, Mask> = serde_json::from_str(text).unwrap();
        assert_eq!(read["d"], Mask::Constant(Constant::Integer(0)));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        for wrong in [r#""md5""#, r#"{"constant":[1]}"#, r#"{"constant":null}"#] {
            assert!(serde_json::from_str::<Mask>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_column_is_masked_where_every_grant_masks_it() {
        let one = Restriction::new(None, masks(&[("a", Mask::Null), ("b", Mask::Hash)]));
        let other = Restriction::new(Some("x = 1".into()), masks(&[("a", Mask::Hash)]));
        let both = [one, other].map(|made| Arc::new(made.unwrap().unwrap()));
        let extent = Extent::Part(both.into());
        assert_eq!(extent.mask("A"), Some(&Mask::Null));
        assert_eq!(extent.mask("b"), None);
        assert!(extent.is_text("a") && extent.is_text("b") && !extent.is_text("c"));
        assert_eq!(Extent::Whole.mask("a"), None);
    }
}
