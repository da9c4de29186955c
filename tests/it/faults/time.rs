//! A clock that was set back: what was published by it comes from the future, and everything goes on in its order.

use integration_tests::app::rewrite;
use integration_tests::{App, Internet, outcome};
use serde_json::json;

use super::sources::{KINDS, Kind, PAGES, add_all, summed};

/// The head of a run's id in the far future, of which names of files begin.
const LATE: &str = "f0000000-0000-7000";

/// Makes what a source has published look as if it had been published in fifty years.
fn lives_in_the_future(app: &App, kind: &Kind) {
    let extract = app.data.join("extracts").join(kind.name);
    let folder = extract.join("data").join(kind.name);
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let late = format!("{LATE}{}", &name[LATE.len()..]);
        std::fs::rename(entry.path(), folder.join(late)).unwrap();
    }
    let renamed = |column: &str| {
        let folder = format!("data/{}/", kind.name);
        let from = folder.len() + LATE.len() + 1;
        format!("{column} = '{folder}{LATE}' || substr({column}, {from})")
    };
    let sql = format!(
        "UPDATE _meta SET extracted_at = extracted_at + INTERVAL 50 YEAR; \
         UPDATE _sluice_file SET {}; \
         UPDATE _sluice_file SET {} WHERE origin IS NOT NULL; CHECKPOINT",
        renamed("path"),
        renamed("origin")
    );
    rewrite(&extract.join("extract.duckdb"), &sql);
}

#[test]
fn what_a_clock_in_the_future_published_is_followed_by_what_comes_after_it() {
    let (mut app, internet) = (App::start(), Internet::start());
    add_all(&app, &internet);
    for kind in &KINDS {
        assert_eq!(outcome(&app.run(kind.name)), "succeeded");
    }
    assert!(app.stop().success());
    KINDS
        .iter()
        .for_each(|kind| lives_in_the_future(&app, kind));
    app.restart();
    app.rewrite_state(
        "UPDATE runs SET queued_at = queued_at + INTERVAL 50 YEAR, \
         started_at = started_at + INTERVAL 50 YEAR, finished_at = finished_at + INTERVAL 50 YEAR",
    );

    // The cursor goes on, the newest row of a key wins, and no file is mistaken for a later one.
    for round in 2..=3 {
        for kind in &KINDS {
            let run = app.run(kind.name);
            assert_eq!(outcome(&run), "succeeded");
            assert!(run["finished_at"].as_str() < Some("2070"), "{run}");
        }
        let found = app.rows(&summed(KINDS.iter().map(|kind| kind.name)));
        let expected: Vec<_> = KINDS.iter().map(|kind| kind.sums(round * PAGES)).collect();
        assert_eq!(found, json!(expected));
    }
    let pages = app.rows("SELECT page FROM appended");
    let pages: Vec<_> = pages
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_u64())
        .collect();
    assert!(
        pages.is_sorted(),
        "rows stay in the order in which they came: {pages:?}"
    );
    let catalog = app.get("/api/catalog/tables").ok().to_string();
    assert!(
        !catalog.contains("\"207"),
        "each table says when it was extracted: {catalog}"
    );
}
