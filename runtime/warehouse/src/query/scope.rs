//! What a principal may read, as the key of the instances that are kept.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use domain::restriction::Extent;

/// The tables that a principal may read, and how much of each. Cheap to clone, and to compare with itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of them, whole.
    All,
    /// These. Names that do not exist are passed over.
    Only(Granted),
}

/// Tables by their names in lower case.
#[derive(Debug, Clone)]
pub struct Granted {
    tables: Arc<BTreeMap<String, Extent>>,
    /// Of all of it, since a principal may have thousands of tables and asks often.
    hash: u64,
}

impl Scope {
    /// These tables, by their names in lower case.
    pub fn only(tables: impl IntoIterator<Item = (String, Extent)>) -> Self {
        let tables: BTreeMap<_, _> = tables.into_iter().collect();
        let mut hasher = DefaultHasher::new();
        tables.hash(&mut hasher);
        Self::Only(Granted {
            tables: Arc::new(tables),
            hash: hasher.finish(),
        })
    }

    /// The same with more tables, by their names in lower case.
    pub(crate) fn with(&self, more: impl Iterator<Item = String>) -> Self {
        let Self::Only(granted) = self else {
            return Self::All;
        };
        let tables = granted.tables.iter();
        let tables = tables.map(|(name, extent)| (name.clone(), extent.clone()));
        Self::only(tables.chain(more.map(|name| (name, Extent::Whole))))
    }

    /// How much of a table is in it.
    pub fn extent(&self, table: &str) -> Option<Extent> {
        match self {
            Self::All => Some(Extent::Whole),
            Self::Only(granted) => granted.tables.get(&table.to_ascii_lowercase()).cloned(),
        }
    }
}

impl PartialEq for Granted {
    fn eq(&self, other: &Self) -> bool {
        let is_same = Arc::ptr_eq(&self.tables, &other.tables);
        is_same || (self.hash == other.hash && self.tables == other.tables)
    }
}

impl Eq for Granted {}

impl Hash for Granted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}
