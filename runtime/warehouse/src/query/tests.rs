//! Queries, seen from outside: answers, limits, and attempts to get out.

use std::time::Duration;

use domain::Cancel;
use serde_json::json;

use super::*;
use crate::Warehouse;
use crate::extract::tests::{open, publish};

mod escapes;
mod parts;

fn warehouse() -> (tempfile::TempDir, Warehouse) {
    let (folder, warehouse) = open();
    publish(
        &warehouse,
        "shop",
        "orders",
        "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":\"b\"}",
    );
    publish(
        &warehouse,
        "hr",
        "salaries",
        r#"{"who":"7f3a-nobody","amount":1}"#,
    );
    warehouse.orchestrator.rebuild().unwrap();
    (folder, warehouse)
}

fn only(name: &str) -> Scope {
    Scope::only([(name.to_owned(), Extent::Whole)])
}

fn ask(warehouse: &Warehouse, sql: &str) -> Result<QueryResult, QueryError> {
    warehouse
        .queries
        .query(&only("orders"), sql, &QueryOptions::default())
}

#[test]
fn behind_the_gate_stands_a_second_wall() {
    let (_folder, warehouse) = warehouse();
    let generation = warehouse
        .queries
        .generations
        .current(&only("orders"), Needs::of(std::iter::empty(), false))
        .unwrap();
    let named = std::collections::BTreeSet::from(["orders".to_owned(), "salaries".to_owned()]);
    let maker = warehouse.queries.maker();
    let connection = generation.connect(&named, &maker).unwrap();
    for sql in [
        "SELECT * FROM salaries",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/sluice-escape.csv'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "ATTACH '/tmp/sluice-escape.duckdb'",
    ] {
        assert!(connection.execute_batch(sql).is_err(), "{sql}");
    }
}

#[test]
fn ordinary_sql_passes() {
    let (_folder, warehouse) = warehouse();
    for sql in [
        "SELECT 1;",
        "SELECT * FROM orders -- all of them",
        "FROM orders SELECT name",
        "SELECT * FROM main.orders o WHERE o.id > 0 ORDER BY ALL LIMIT 1",
        "WITH x AS (SELECT * FROM Orders), y AS (FROM x) SELECT count(*) FROM y GROUP BY ALL HAVING count(*) > 0",
        "SELECT name, row_number() OVER (PARTITION BY name ORDER BY id) FROM orders QUALIFY 1 = 1",
        "SELECT * FROM range(3) t(n), generate_series(1, 2), unnest([1, 2])",
        "SELECT * FROM (VALUES (1, 'x')) v(a, b)",
        "SELECT list_transform([1, 2], x -> x + 1), {'a': 1}.a, extract(year FROM DATE '2026-01-01')",
        "SELECT * FROM orders PIVOT (count(*) FOR name IN ('a', 'b'))",
        "SELECT o.id FROM orders o LEFT JOIN orders p USING (id) WHERE EXISTS (SELECT 1 FROM orders) UNION SELECT 9",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT max(n) FROM r",
        "SELECT CASE WHEN id > 1 THEN 'x' ELSE 'update ; drop' END, name LIKE 'a%', regexp_matches(name, 'a'), date_trunc('day', now()), strftime(current_date, '%Y'), json_extract('{\"a\":1}', '$.a'), coalesce(NULL, 1), id::VARCHAR COLLATE nocase FROM orders",
    ] {
        if let Err(error) = ask(&warehouse, sql) {
            panic!("{sql}: {error}");
        }
    }
}

#[test]
fn values_are_sent_as_json_has_them_and_else_as_text() {
    let (_folder, warehouse) = warehouse();
    let row = |sql: &str| ask(&warehouse, sql).unwrap().rows.remove(0);
    assert_eq!(
        row(
            "SELECT 1::TINYINT, 18446744073709551615::UBIGINT, sum(id), 0.1::FLOAT, 1.5::DOUBLE, true, NULL, 'x' FROM orders"
        ),
        [
            json!(1),
            json!(18_446_744_073_709_551_615_u64),
            json!(3),
            json!(0.1),
            json!(1.5),
            json!(true),
            json!(null),
            json!("x")
        ]
    );
    assert_eq!(
        row(
            "SELECT DATE '2026-01-01', TIMESTAMP '2026-01-01 10:00:00', TIMESTAMP '2026-01-01 10:00:00.5', TIME '10:00:01', 1.50::DECIMAL(5,2), 7::DECIMAL(38,0), TIMESTAMPTZ '2026-01-01 10:00:00+00'"
        ),
        [
            "2026-01-01",
            "2026-01-01 10:00:00",
            "2026-01-01 10:00:00.500000",
            "10:00:01",
            "1.50",
            "7",
            "2026-01-01 10:00:00+00:00"
        ]
        .map(|v| json!(v))
    );
    assert_eq!(
        row(
            "SELECT [1, NULL], {'a': 1, 'b': [2]}, 'nan'::DOUBLE, '-inf'::DOUBLE, '\\xAB'::BLOB, 'a'::ENUM('a', 'b'), 170141183460469231731687303715884105727::HUGEINT"
        ),
        [
            "[1,null]",
            "{\"a\":1,\"b\":[2]}",
            "nan",
            "-inf",
            "ab",
            "a",
            "170141183460469231731687303715884105727"
        ]
        .map(|v| json!(v))
    );
}

#[test]
fn limits_cut_and_say_so() {
    let (_folder, warehouse) = warehouse();
    let options = QueryOptions {
        limit: 2,
        ..QueryOptions::default()
    };
    let ask = |sql: &str, options: &QueryOptions| {
        warehouse.queries.query(&Scope::All, sql, options).unwrap()
    };
    let cut = ask("SELECT range AS n FROM range(1000000000000)", &options);
    assert_eq!(
        (cut.rows, cut.row_count, cut.truncated),
        (vec![vec![json!(0)], vec![json!(1)]], 2, true)
    );
    let whole = ask("SELECT * FROM range(2)", &options);
    assert_eq!(
        (whole.columns, whole.row_count, whole.truncated),
        (vec!["range".to_owned()], 2, false)
    );
    let none = ask("SELECT 1 AS a, 2 AS a WHERE false", &options);
    assert_eq!(
        (none.columns.len(), none.row_count, none.truncated),
        (2, 0, false)
    );
    let narrow = QueryOptions {
        max_bytes: 100,
        ..QueryOptions::default()
    };
    let cut = ask("SELECT repeat('x', 60) FROM range(1000)", &narrow);
    assert_eq!((cut.row_count, cut.truncated), (2, true));
}

const ENDLESS: &str =
    "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 8";

#[test]
fn a_query_that_takes_too_long_is_stopped() {
    let (_folder, warehouse) = warehouse();
    let options = QueryOptions {
        timeout: Duration::from_millis(50),
        ..QueryOptions::default()
    };
    let error = warehouse
        .queries
        .query(&Scope::All, ENDLESS, &options)
        .unwrap_err();
    assert_eq!(error, QueryError::Timeout { seconds: 0 });
}

#[test]
fn each_of_several_queries_has_its_own_time_and_none_is_stopped_for_another() {
    let (_folder, warehouse) = warehouse();
    let within = |timeout| QueryOptions {
        timeout,
        ..QueryOptions::default()
    };
    let (long, in_time) = (
        within(Duration::from_secs(600)),
        within(Duration::from_secs(600)),
    );
    let short = within(Duration::from_millis(30));
    let ask = |sql, options| warehouse.queries.query(&Scope::All, sql, options);
    std::thread::scope(|scope| {
        // The watchman sleeps for long when the short one comes.
        let under_way = scope.spawn(|| ask(ENDLESS, &long));
        let timeout = QueryError::Timeout { seconds: 0 };
        assert_eq!(ask(ENDLESS, &short), Err(timeout));
        // Over connections that others have used.
        for _ in 0..50 {
            let answer = ask("SELECT id FROM orders", &in_time);
            assert_eq!(answer.unwrap().row_count, 2);
        }
        assert!(!under_way.is_finished());
        long.cancel.cancel();
        assert_eq!(under_way.join().unwrap(), Err(QueryError::Cancelled));
    });
}

#[test]
fn little_to_read_gets_one_thread_and_much_or_unknown_gets_all() {
    let (_folder, warehouse) = warehouse();
    let catalog = warehouse.orchestrator.catalog();
    let few = Arc::clone(catalog.table("orders").unwrap());
    let many = Arc::new(CatalogTable {
        rows: 1_000_000,
        ..few.as_ref().clone()
    });
    let needs = |tables: &[&Arc<CatalogTable>], landed| Needs::of(tables.iter().copied(), landed);
    let little = needs(&[&few], false);
    assert_eq!(little, needs(&[&few, &few], false));
    let all = needs(&[&many], false);
    assert_ne!(little, all);
    assert_eq!(all, needs(&[&few, &many], false));
    assert_eq!(all, needs(&[&few], true));
    assert_eq!(all, needs(&[], false));

    let generations = &warehouse.queries.generations;
    let generation = generations.current(&only("orders"), little).unwrap();
    let maker = warehouse.queries.maker();
    let connection = generation.connect(&Default::default(), &maker).unwrap();
    let threads = connection.query_row("SELECT current_setting('threads')", [], |row| row.get(0));
    assert_eq!(threads, Ok(1_i64));
}

#[test]
fn a_query_whose_asker_went_away_is_stopped_even_if_that_was_before() {
    let (_folder, warehouse) = warehouse();
    let cancel = Cancel::new();
    let options = QueryOptions {
        cancel: cancel.clone(),
        ..QueryOptions::default()
    };
    let error = std::thread::scope(|scope| {
        let query = scope.spawn(|| warehouse.queries.query(&Scope::All, ENDLESS, &options));
        cancel.cancel();
        query.join().unwrap().unwrap_err()
    });
    assert_eq!(error, QueryError::Cancelled);
}

#[test]
fn mistakes_are_explained_without_paths() {
    let (folder, warehouse) = warehouse();
    let error = ask(&warehouse, "SELECT nam FROM orders")
        .unwrap_err()
        .to_string();
    assert!(error.contains("nam") && error.contains("name"), "{error}");
    assert!(
        ask(&warehouse, "SELEC 1")
            .unwrap_err()
            .to_string()
            .contains("syntax error")
    );
    let files: Vec<_> = warehouse
        .orchestrator
        .catalog()
        .table("orders")
        .unwrap()
        .files
        .clone();
    std::fs::write(&files[0].path, "garbage").unwrap();
    let error = ask(&warehouse, "SELECT sum(id) FROM orders")
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains(&*folder.path().to_string_lossy()),
        "{error}"
    );
}
