//! SQL over the API: what comes back, and what cannot be done with it.

use integration_tests::{App, Options};
use serde_json::json;

use crate::shop::{ORDERS, Shop, count};

#[test]
fn values_come_back_as_json() {
    let shop = Shop::with_orders();
    let answer = shop
        .query(
            "SELECT 1 AS int, 1.5::DOUBLE AS float, true AS bool, 'é' AS text, NULL AS nothing, \
             DATE '2026-01-31' AS day, TIMESTAMP '2026-01-31 10:20:30.5' AS moment, \
             1.50::DECIMAL(9,2) AS exact, [1, 2] AS list, {'a': 'x'} AS struct, \
             170141183460469231731687303715884105727::HUGEINT AS huge, \
             'infinity'::DOUBLE AS endless, INTERVAL 1 DAY AS span, TIME '10:20:30' AS clock, \
             '\\x00\\xFF'::BLOB AS bytes, \
             '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID AS id",
        )
        .ok();
    insta::assert_json_snapshot!(answer, @r#"
    {
      "columns": [
        "int",
        "float",
        "bool",
        "text",
        "nothing",
        "day",
        "moment",
        "exact",
        "list",
        "struct",
        "huge",
        "endless",
        "span",
        "clock",
        "bytes",
        "id"
      ],
      "rows": [
        [
          1,
          1.5,
          true,
          "é",
          null,
          "2026-01-31",
          "2026-01-31 10:20:30.500000",
          "1.50",
          "[1,2]",
          "{\"a\":\"x\"}",
          "170141183460469231731687303715884105727",
          "inf",
          "1 days",
          "10:20:30",
          "00ff",
          "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
        ]
      ],
      "row_count": 1,
      "truncated": false
    }
    "#);
}

#[test]
fn a_limit_cuts_the_rows_and_says_so() {
    let shop = Shop::with_orders();
    let ask = |limit| {
        let body = json!({"sql": "SELECT id FROM orders ORDER BY id", "limit": limit});
        shop.post("/api/query", &body)
    };
    let two = ask(2).ok();
    assert_eq!(two["rows"], json!([[1], [2]]));
    assert_eq!(
        (two["row_count"].as_u64(), two["truncated"].as_bool()),
        (Some(2), Some(true))
    );
    let three = ask(3).ok();
    assert_eq!(
        (three["row_count"].as_u64(), three["truncated"].as_bool()),
        (Some(3), Some(false))
    );

    let thousand = shop.query("SELECT * FROM range(1001)").ok();
    assert_eq!(thousand["row_count"], 1000);
    assert_eq!(thousand["truncated"], true);
    assert_eq!(ask(-1).status / 100, 4);
}

#[test]
fn what_is_wrong_with_a_query_is_said() {
    let shop = Shop::with_orders();
    let detail = |sql| shop.query(sql).detail();
    insta::assert_snapshot!(detail(""), @"400 the query is refused: it is empty, or holds a zero byte");
    insta::assert_snapshot!(detail("SELEC 1"), @r#"400 Query error: Parser Error: syntax error at or near "SELEC""#);
    insta::assert_snapshot!(detail("SELECT nothing FROM orders"), @r#"
    400 Query error: Binder Error: Referenced column "nothing" not found in FROM clause!
    Candidate bindings: "amount"

    LINE 1: SELECT nothing FROM orders
                   ^
    "#);
    insta::assert_snapshot!(detail("SELECT * FROM order"), @r#"400 Query error: Parser Error: syntax error at or near "order""#);
    insta::assert_snapshot!(detail("SELECT * FROM customers"), @"400 there is no table `customers`, or you may not read it");
    insta::assert_snapshot!(detail("SELECT 1; SELECT 2"), @"400 the query is refused: only a single SELECT statement is allowed");
    insta::assert_snapshot!(detail("DROP VIEW orders"), @"400 the query is refused: only a single SELECT statement is allowed");
    insta::assert_snapshot!(detail("SELECT 'x'::INT FROM orders"), @r"
    400 Query error: Conversion Error: Could not convert string 'x' to INT32

    LINE 1: SELECT 'x'::INT FROM orders
                      ^
    ");
}

#[test]
fn what_people_write_works() {
    let shop = Shop::with_orders();
    for sql in [
        "SELECT count(*) FROM orders",
        "select COUNT(*) from Orders;",
        "FROM orders SELECT count(*)",
        "WITH o AS (SELECT * FROM orders) SELECT count(*) FROM o",
        "SELECT count(*) FROM main.orders -- all of them",
        "SELECT count(*) FROM orders a JOIN orders b USING (id)",
        "SELECT count(*) FROM (SELECT id, row_number() OVER (ORDER BY id) FROM orders)",
        "SELECT sum(n) FROM (SELECT count(*) n FROM orders GROUP BY ordered_on)",
        "SELECT 3 FROM orders WHERE customer = 'Ada' AND 'drop table x; ' <> ''",
        "SELECT len(list(id)) FROM orders",
        "SELECT count(*) FROM range(3)",
        "SELECT max(id) FROM orders UNION SELECT 3",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT max(i) FROM n",
    ] {
        assert_eq!(shop.rows(sql), count(3), "{sql}");
    }
}

/// Each tries to reach what was not granted: a file, the engine, another catalogue, the network.
const ESCAPES: &[&str] = &[
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'data.csv'",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM parquet_scan('DATA/extracts/shop/data/*.parquet')",
    "SELECT * FROM parquet_metadata('DATA/extracts/shop/data/orders.parquet')",
    "SELECT * FROM 'DATA/state/system.duckdb'",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('orders')",
    "SELECT getenv('HOME')",
    "SELECT current_setting('allowed_directories')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM system.main.duckdb_tables()",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'x')",
    "SELECT * FROM sqlite_scan('DATA/x', 'y')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
    "SELECT * FROM orders WHERE EXISTS (FROM read_text('/etc/passwd'))",
    "SELECT * FROM orders, LATERAL (SELECT * FROM read_text('/etc/passwd'))",
    "COPY orders TO '/tmp/stolen.csv'",
    "COPY (SELECT 1) TO 'DATA/extracts/shop/data/x.parquet'",
    "EXPORT DATABASE '/tmp/stolen'",
    "ATTACH 'DATA/state/system.duckdb' AS state",
    "ATTACH ':memory:' AS m",
    "DETACH memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "CALL enable_logging(storage_path := '/tmp')",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SECRET s (TYPE http)",
    "INSERT INTO orders VALUES (4)",
    "UPDATE orders SET id = 1",
    "DELETE FROM orders",
    "EXPLAIN SELECT * FROM read_text('/etc/passwd')",
    "DESCRIBE SELECT * FROM read_text('/etc/passwd')",
    "SUMMARIZE '/etc/passwd'",
    "PREPARE p AS SELECT 1",
    "SELECT 1; DROP VIEW orders",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
];

#[test]
fn no_query_reaches_what_was_not_granted() {
    let shop = Shop::with_orders();
    let data = shop.data.display().to_string();
    for sql in ESCAPES {
        let answer = shop.query(&sql.replace("DATA", &data));
        assert_eq!(answer.status / 100, 4, "{sql}: {}", answer.json());
        let detail = answer.detail();
        assert!(!detail.contains("root:"), "{sql}: {detail}");
        assert!(
            !detail.contains(&data) || sql.contains("DATA"),
            "{sql}: {detail}"
        );
    }
    assert_eq!(shop.orders(), count(3));
}

#[test]
fn a_query_that_would_not_end_is_stopped_and_others_go_on() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&config, "queries:\n  timeout_seconds: 1\n").unwrap();
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--config".into(), config.path().display().to_string()],
        ..Options::default()
    }));
    assert_eq!(shop.publish("orders", ORDERS), "succeeded");
    let endless = "SELECT count(*) FROM range(1000000000000) a, range(1000000000000) b";
    insta::assert_snapshot!(shop.query(endless).detail(), @"400 the query was stopped after 1 seconds; narrow it, or aggregate more");
    assert_eq!(shop.orders(), count(3));
}

#[test]
fn a_query_that_wants_all_memory_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sluice.yaml");
    let text = "config_version: 1\nqueries:\n  server_memory_mb: 3000\n";
    std::fs::write(&config, text).unwrap();
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--config".into(), config.display().to_string()],
        ..Options::default()
    }));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", shop.app.pid())).unwrap();
    let bound = limits
        .lines()
        .find(|line| line.starts_with("Max data size"));
    let soft = bound.unwrap().split_whitespace().nth(3);
    assert_eq!(soft, Some("3145728000"));
    assert_eq!(shop.publish("sizes", "n\n1000000000\n"), "succeeded");
    // 8 GB at once, from a number that does not stand in the query.
    let failed = shop.query("SELECT len(range(n)) FROM sizes");
    assert_eq!(failed.status, 400, "{failed:?}");
    assert_eq!(
        shop.rows("SELECT n / 2 FROM sizes")[0][0],
        json!(500_000_000.0)
    );
}
