//! Where a table's reading stands, and what follows from it for the next export.
//!
//! The position is Storage's own word for the last import, read before the export begins. What is imported meanwhile has
//! a later one, so the next export brings it, whatever anybody's clock says. Rows of that very import come twice, which a
//! merge does not mind.

use serde::{Deserialize, Serialize};

use crate::api::StorageTable;
use crate::settings::Filter;

/// What a table's cursor holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The last import that is in the table.
    pub(crate) imported: String,
    /// The last change of any kind.
    changed: Option<String>,
    /// How many rows Storage had.
    rows: Option<u64>,
    /// What was asked for.
    shape: Shape,
}

/// What an export is about. Rows of another shape do not fit those that are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) changed_since: Option<String>,
    pub(crate) types: Vec<String>,
}

/// What to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// All of it, in the place of what is there.
    Whole(&'static str),
    /// What was imported since.
    Since(String),
    /// Nothing: all of it is there.
    Nothing,
}

impl Position {
    /// Where a table stands that is read now; nothing where Storage says nothing of imports.
    pub(crate) fn of(table: &StorageTable, shape: Shape) -> Option<Self> {
        Some(Self {
            imported: table.last_import_date.clone()?,
            changed: table.last_change_date.clone(),
            rows: table.rows_count,
            shape,
        })
    }

    /// From a cursor; nothing where there is none that can be read.
    pub(crate) fn read(cursor: Option<&[u8]>) -> Option<Self> {
        serde_json::from_slice(cursor?).ok()
    }

    pub(crate) fn to_cursor(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What to export, after where the last run stood and where Storage stands now. An export of what changed tells nothing
/// of rows that were deleted; so a table that changed without an import, or that has fewer rows, is brought whole.
pub(crate) fn next(last: Option<&Position>, now: Option<&Position>) -> Next {
    let Some(last) = last else {
        return Next::Whole("it has no cursor");
    };
    let Some(now) = now else {
        return Next::Whole("Storage does not say when it was imported");
    };
    if last.shape != now.shape {
        return Next::Whole("its columns, keys or filters are others than before");
    }
    if now.rows < last.rows {
        return Next::Whole("rows were deleted");
    }
    if last.imported != now.imported {
        return Next::Since(last.imported.clone());
    }
    match last.changed == now.changed {
        true => Next::Nothing,
        false => Next::Whole("it changed without an import"),
    }
}
