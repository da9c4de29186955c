//! What extracts said when they were read or written last. To open a DuckDB file costs about 30 ms, and
//! a run asks its extract four times; a file that is the same one still says the same.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::contents::Contents;
use crate::stamp::Stamp;

/// Cursors may be large, and are needed once a run.
const MOST_CURSOR_BYTES: usize = 64 << 10;

static REMEMBERED: LazyLock<Mutex<HashMap<PathBuf, (Stamp, Contents)>>> =
    LazyLock::new(Mutex::default);

/// What the extract in a folder said, if its file is the same one still.
pub(super) fn recall(folder: &Path, now: Stamp) -> Option<Contents> {
    let remembered = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    let (then, contents) = remembered.get(folder)?;
    (*then == now).then(|| contents.clone())
}

/// Keeps what an extract says. One of another program is not kept: what it says hangs on other files too.
pub(super) fn remember(folder: &Path, stamp: Stamp, contents: &Contents) {
    let cursors: usize = contents.cursors.values().map(Vec::len).sum();
    let mut remembered = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    match contents.ours && cursors <= MOST_CURSOR_BYTES {
        true => drop(remembered.insert(folder.to_owned(), (stamp, contents.clone()))),
        false => drop(remembered.remove(folder)),
    }
}

/// An extract that is gone.
pub(super) fn forget(folder: &Path) {
    let mut remembered = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    remembered.remove(folder);
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::*;
    use crate::extract::tests::{open, publish, source};

    #[test]
    fn what_a_publish_remembers_is_what_its_file_says() {
        let (_data, warehouse) = open();
        publish(
            &warehouse,
            "shop",
            "orders",
            r#"{"id":1,"at":"2026-01-01"}"#,
        );
        let folder = warehouse.paths.extract(&source("shop"));
        let path = folder.join("extract.duckdb");
        let stamp = Stamp::of(&path).unwrap();
        let remembered = recall(&folder, stamp).unwrap();
        forget(&folder);
        let read = Contents::read(&folder).unwrap().unwrap();
        assert_eq!(remembered, read);
        assert_eq!(read.entries.len(), 1);
    }

    #[test]
    fn an_extract_that_somebody_wrote_into_is_read_anew() {
        let (_data, warehouse) = open();
        publish(&warehouse, "shop", "orders", r#"{"id":1}"#);
        let folder = warehouse.paths.extract(&source("shop"));
        let plain = Connection::open(folder.join("extract.duckdb")).unwrap();
        plain
            .execute_batch("UPDATE _meta SET description = 'by hand'; CHECKPOINT")
            .unwrap();
        drop(plain);
        let read = Contents::read(&folder).unwrap().unwrap();
        assert_eq!(read.entries[0].description, "by hand");
    }

    #[test]
    fn an_extract_of_which_a_file_was_removed_is_damaged_although_it_is_known() {
        let (_data, warehouse) = open();
        publish(&warehouse, "shop", "orders", r#"{"id":1}"#);
        let folder = warehouse.paths.extract(&source("shop"));
        let known = Contents::read(&folder).unwrap().unwrap();
        std::fs::remove_file(&known.entries[0].files[0].path).unwrap();
        assert!(Contents::read(&folder).is_err());
    }

    #[test]
    fn neither_large_cursors_nor_extracts_of_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp::of(folder.path()).unwrap();
        let mut contents = Contents {
            ours: true,
            ..Contents::default()
        };
        remember(folder.path(), stamp, &contents);
        assert_eq!(recall(folder.path(), stamp).as_ref(), Some(&contents));
        contents
            .cursors
            .insert("orders".to_owned(), vec![0; MOST_CURSOR_BYTES + 1]);
        remember(folder.path(), stamp, &contents);
        assert_eq!(recall(folder.path(), stamp), None);
        contents = Contents::default();
        remember(folder.path(), stamp, &contents);
        assert_eq!(recall(folder.path(), stamp), None);
    }
}
