//! Write modes and cursors through the whole server: merged, begun anew, pinned and told about.

use integration_tests::{App, Internet, outcome, shown};
use serde_json::{Value, json};

use crate::lifecycle::install;

/// A server with source `shop`, whose connector merges what the internet answers.
struct Shop {
    app: App,
    internet: Internet,
}

impl Shop {
    #[track_caller]
    fn open(kind: &str, tables: Value) -> Self {
        let (app, internet) = (App::start(), Internet::start());
        install(&app, "1.0.0", |manifest| manifest["tables"] = tables);
        let settings = json!({"behaviour": "merges", "url": internet.url("/rows"), "kind": kind});
        app.add_source("shop", "fixtures", &settings, &[&internet.exception()]);
        Self { app, internet }
    }

    #[track_caller]
    fn run(&self, rows: &Value) -> Value {
        self.internet
            .page("/rows", "application/json", rows.to_string());
        self.app.run("shop")
    }

    #[track_caller]
    fn rows(&self) -> Value {
        self.app.rows("SELECT id, name FROM rows ORDER BY id")
    }
}

#[test]
fn what_a_failed_run_published_is_neither_lost_nor_doubled_by_the_next() {
    let shop = Shop::open("fails", json!({"*": {"tombstone": "gone"}}));
    let first = json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]);
    assert_eq!(
        outcome(&shop.run(&first)),
        "failed (upstream): failed after the checkpoint"
    );
    assert_eq!(shop.rows(), json!([[1, "a"], [2, "b"]]));
    shop.run(&json!([{"id": 2, "name": "B"}, {"id": 3, "name": "c"}, {"id": 1, "gone": true}]));
    assert_eq!(shop.rows(), json!([[2, "B"], [3, "c"]]));
}

#[test]
fn an_admin_has_a_table_brought_anew_and_its_cursor_forgotten() {
    let shop = Shop::open("", json!({}));
    shop.run(&json!([{"id": 1, "name": "a"}]));
    let run = shop.run(&json!([{"id": 2, "name": "b"}]));
    let log = |run: &Value| {
        shop.app
            .get(&format!("/api/runs/{}/log", run["id"].as_str().unwrap()))
            .ok()
            .to_string()
    };
    assert!(log(&run).contains("there is a cursor: true"));
    assert_eq!(shop.rows(), json!([[1, "a"], [2, "b"]]));

    let asked = shop
        .app
        .post("/api/sources/shop/refresh", &json!({"tables": ["rows"]}))
        .ok();
    assert_eq!(asked, json!({"tables": ["rows"]}));
    assert_eq!(shop.rows(), json!([[1, "a"], [2, "b"]]));
    let run = shop.run(&json!([{"id": 3, "name": "c"}]));
    assert!(log(&run).contains("there is a cursor: false"));
    assert_eq!(shop.rows(), json!([[3, "c"]]));

    let asked = shop
        .app
        .post("/api/sources/shop/reset-cursor", &json!({}))
        .ok();
    assert_eq!(asked, json!({"tables": ["rows"]}));
    let run = shop.run(&json!([{"id": 4, "name": "d"}]));
    assert!(log(&run).contains("there is a cursor: false"));
    assert_eq!(shop.rows(), json!([[3, "c"], [4, "d"]]));
}

#[test]
fn a_change_of_columns_is_told_with_its_run_and_a_strict_table_refuses_it() {
    let shop = Shop::open("", json!({}));
    shop.run(&json!([{"id": 1, "name": 7}]));
    let run = shop.run(&json!([{"id": 2, "name": "b", "more": true}]));
    let history = shop
        .app
        .get("/api/sources/shop/schema-history?table=rows")
        .ok();
    let changes = history["changes"].as_array().unwrap();
    let told = changes
        .iter()
        .map(|change| [&change["kind"], &change["column"], &change["after"]]);
    assert_eq!(
        json!(told.collect::<Vec<_>>()),
        json!([["widened", "name", "VARCHAR"], ["added", "more", "BOOLEAN"]])
    );
    assert_eq!(changes[0]["run"], run["id"]);

    let strict = Shop::open("", json!({"rows": {"strict": true}}));
    strict.run(&json!([{"id": 1, "name": "a"}]));
    let failed = outcome(&strict.run(&json!([{"id": 2, "name": "b", "more": true}])));
    assert!(failed.contains("`more` (boolean) is new"), "{failed}");
    assert_eq!(strict.rows(), json!([[1, "a"]]));
}

#[test]
fn many_small_files_are_put_together_while_the_rows_stay() {
    let mut app = App::start();
    app.install("fixtures");
    let settings = json!({"behaviour": "resumes", "rows": 3});
    app.add_source("shop", "fixtures", &settings, &[]);
    for _ in 0..8 {
        assert_eq!(outcome(&app.run("shop")), "succeeded");
    }
    let all = "SELECT count(*), count(DISTINCT id), max(id) FROM rows";
    assert_eq!(app.rows(all), json!([[24, 24, 23]]));
    // Housekeeping looks once at a start, and then every hour.
    app.restart();
    let line = app.line(&["has fewer files", "shop"]);
    assert!(line.contains("fewer=7"), "{line}");
    assert_eq!(app.rows(all), json!([[24, 24, 23]]));
    assert_eq!(outcome(&app.run("shop")), "succeeded");
    assert_eq!(app.rows(all), json!([[27, 27, 26]]));
}

#[test]
fn an_admin_does_the_same_at_the_command_line() {
    let shop = Shop::open("", json!({"rows": {"strict": false}}));
    let cli = |arguments: &[&str]| {
        let output = shop.app.cli().args(arguments).output().unwrap();
        (output.status.success(), shown(&output))
    };
    shop.run(&json!([{"id": 1, "name": 7}]));
    shop.run(&json!([{"id": 2, "name": "b"}]));
    let (_, history) = cli(&["source", "schema-history", "shop", "--table", "rows"]);
    for word in ["widened", "name", "BIGINT", "VARCHAR"] {
        assert!(history.contains(word), "{word}: {history}");
    }

    let reset = ["source", "reset-cursor", "shop", "--table", "rows"];
    let (done, told) = cli(&reset);
    assert!(
        done && told.contains("reads from the start: rows"),
        "{told}"
    );
    assert!(cli(&reset).1.contains("has no cursor there"));
    assert_eq!(shop.rows(), json!([[1, "7"], [2, "b"]]));

    let page = json!([{"id": 3, "name": "c"}]).to_string();
    shop.internet.page("/rows", "application/json", page);
    let (done, told) = cli(&["run", "shop", "--full-refresh", "--table", "rows"]);
    assert!(done, "{told}");
    assert_eq!(shop.rows(), json!([[3, "c"]]));

    let (done, told) = cli(&["run", "shop", "--full-refresh", "--table", "other"]);
    assert!(!done && told.contains("has no table `other`"), "{told}");
}

#[test]
fn what_differs_from_a_strict_table_is_told_at_the_command_line() {
    let shop = Shop::open("", json!({"rows": {"strict": true}}));
    shop.run(&json!([{"id": 1, "name": "a"}]));
    let page = json!([{"id": 2, "name": "b", "more": true}]).to_string();
    shop.internet.page("/rows", "application/json", page);
    let output = shop.app.cli().args(["run", "shop"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("`more` (boolean) is new"), "{told}");
}
