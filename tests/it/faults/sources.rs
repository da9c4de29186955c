//! A source of each write mode, whose rows follow from the numbers of the pages that it has read: so whoever looks at a
//! table knows every row that it must have.

use std::collections::BTreeMap;

use axum::response::IntoResponse;
use integration_tests::{App, Internet};
use serde_json::{Value, json};

use crate::lifecycle::install;

/// Pages that a run reads; in modes other than `replace` each is a publish of its own.
pub(super) const PAGES: u64 = 3;
/// Ids of a merge table.
const MERGED: u64 = 60;

/// A source with one table of the same name.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    mode: &'static str,
}

pub(super) static KINDS: [Kind; 7] = [
    kind("replaced", "replace"),
    kind("replaced_parts", "replace"),
    kind("appended", "append"),
    kind("appended_parts", "append"),
    kind("merged", "merge"),
    kind("merged_months", "merge"),
    kind("merged_gone", "merge"),
];

const fn kind(name: &'static str, mode: &'static str) -> Kind {
    Kind { name, mode }
}

/// What the manifest says about their tables.
fn rules() -> Value {
    json!({
        "replaced_parts": {"partition_by": "part"},
        "appended_parts": {"partition_by": "part"},
        "merged_months": {"partition_by": {"column": "at", "by": "month"}},
        "merged_gone": {"tombstone": "gone"},
    })
}

/// Adds all of them; what they read is served from here on.
pub(super) fn add_all(app: &App, internet: &Internet) {
    install(app, "1.0.0", |manifest| manifest["tables"] = rules());
    for kind in &KINDS {
        kind.add(app, internet, PAGES);
    }
}

/// A row as it is known: part and page by id.
type Rows = BTreeMap<u64, (u64, u64)>;

impl Kind {
    /// Adds this source alone, whose runs read so many pages.
    pub(super) fn add(&'static self, app: &App, internet: &Internet, pages: u64) {
        let path = format!("/{}", self.name);
        internet.handle(&path, |seen| {
            let (_, page) = seen.target.split_once("?page=").expect("a page");
            let body = self.body(page.parse().expect("a number"));
            ([("content-type", "application/json")], body).into_response()
        });
        let settings = json!({"behaviour": "pages", "url": internet.url(&path), "kind": self.mode,
            "text": self.name, "rows": pages});
        app.add_source(self.name, "fixtures", &settings, &[&internet.exception()]);
    }

    /// The ids of a page.
    fn ids(&self, page: u64) -> Vec<u64> {
        match self.mode {
            "merge" => (0..MERGED).filter(|id| id % 5 == page % 5).collect(),
            _ => (page * 5..page * 5 + 5).collect(),
        }
    }

    fn is_gone(&self, id: u64, page: u64) -> bool {
        self.name == "merged_gone" && (id + page).is_multiple_of(3)
    }

    fn body(&self, page: u64) -> String {
        let rows = self.ids(page).into_iter().map(|id| {
            // A merged row moves to another partition each time that it comes.
            let part = (id + page) % 4;
            let at = format!("2026-0{}-15T12:00:00Z", part + 1);
            json!({"id": id, "part": part, "page": page, "at": at, "gone": self.is_gone(id, page)})
        });
        Value::Array(rows.collect()).to_string()
    }

    /// The rows once pages up to this one were published.
    fn rows(&self, page: u64) -> Rows {
        let first = match self.mode {
            "replace" => page.saturating_sub(PAGES) + 1,
            _ => 1,
        };
        let mut rows = Rows::new();
        for page in first..=page {
            for id in self.ids(page) {
                match self.is_gone(id, page) {
                    true => rows.remove(&id),
                    false => rows.insert(id, ((id + page) % 4, page)),
                };
            }
        }
        rows
    }

    /// Whether a publish may end with this page.
    pub(super) fn may_end_at(&self, page: u64) -> bool {
        self.mode != "replace" || page.is_multiple_of(PAGES)
    }

    /// The last page, the number of rows and of ids, and a sum over all values, as [`summed`] asks for them.
    pub(super) fn sums(&self, page: u64) -> Value {
        let rows = self.rows(page);
        let values = rows
            .iter()
            .map(|(id, (part, page))| mixed(*id, *part, *page));
        json!([self.name, page, rows.len(), rows.len(), values.sum::<u64>()])
    }
}

/// Tells rows apart that differ in any value.
fn mixed(id: u64, part: u64, page: u64) -> u64 {
    (id * 7_919 + part * 104_729 + page * 1_299_709) % 1_000_003
}

/// One query for the sums of these tables.
pub(super) fn summed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let selects = names.into_iter().map(|name| {
        format!(
            "SELECT '{name}' AS name, max(page), count(*), count(DISTINCT id), \
             sum((id * 7919 + part * 104729 + page * 1299709) % 1000003)::BIGINT FROM {name}"
        )
    });
    selects.collect::<Vec<_>>().join(" UNION ALL ")
}
