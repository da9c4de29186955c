//! Queries of which other engines compute parts: a real PostgreSQL, and an emulator of BigQuery.

use integration_tests::BigQuery;

use super::*;

const TABLES: &str = "CREATE TABLE orders AS SELECT n AS id, n * 1.5 AS amount FROM generate_series(1, 100) n;
     CREATE TABLE costs AS SELECT n AS order_id, n * 2 AS cost, 'it''s' AS note FROM generate_series(1, 50) n;
     CREATE SEQUENCE turns";

/// A server beside a database of orders and costs; only the orders are a table here.
fn beside_costs() -> (Postgres, App, tempfile::TempDir) {
    let database = Postgres::start(PASSWORD);
    database.sql("shop", PASSWORD, TABLES);
    let (app, folder) = beside(&database);
    crm(&app, &database, "orders");
    rebuild(&app);
    reason(&app, "orders", "");
    (database, app, folder)
}

fn ask(app: &App, sql: &str, register: &Value) -> integration_tests::Response {
    let body = json!({"sql": sql, "register": register});
    app.post("/api/query/hybrid", &body)
}

fn push(app: &App, sql: &str) -> integration_tests::Response {
    let register = json!([{"alias": "remote", "connection": "crm.db", "sql": sql}]);
    ask(app, "SELECT * FROM remote", &register)
}

#[test]
fn postgresql_computes_a_part_that_is_joined_here() {
    let (_database, app, _folder) = beside_costs();
    let part = "SELECT order_id, cost, note FROM costs WHERE note = 'it''s' AND order_id <= 3 -- the first";
    let register = json!([{"alias": "spent", "connection": "crm.db", "sql": part}]);
    let sql =
        "SELECT o.id, s.cost, s.note FROM orders o JOIN spent s ON s.order_id = o.id ORDER BY 1";
    let answer = ask(&app, sql, &register).ok();
    assert_eq!(answer["columns"], json!(["id", "cost", "note"]));
    assert_eq!(
        answer["rows"],
        json!([[1, 2, "it's"], [2, 4, "it's"], [3, 6, "it's"]])
    );
    assert_eq!(answer["registered"][0]["rows"], 3);
    assert_eq!(answer["bq_stats"]["alias_count"], 0);
    let empty = push(&app, "SELECT * FROM costs WHERE false").ok();
    assert_eq!(empty["columns"], json!(["order_id", "cost", "note"]));
    assert_eq!(empty["row_count"], 0);
    // Its result is nobody else's, and gone.
    assert_eq!(app.query("SELECT * FROM spent").status, 400);
    let mut export = sluice();
    export.args(["admin", "audit", "export", "--data-dir"]);
    let export = export.arg(&app.data).output().unwrap();
    let audit = String::from_utf8(export.stdout).unwrap();
    let entries = audit.lines().filter(|line| line.contains("query.hybrid"));
    let entries: Vec<_> = entries.collect();
    assert_eq!(entries.len(), 2, "{audit}");
    assert!(entries[0].contains("database:crm.db") && entries[0].contains("note = 'it''s'"));
}

#[test]
fn nothing_but_one_query_reaches_postgresql() {
    let (database, app, _folder) = beside_costs();
    for sql in [
        "DELETE FROM costs RETURNING *",
        "SELECT 1) AS a; DROP TABLE costs; SELECT * FROM (SELECT 1",
        "WITH gone AS (DELETE FROM costs RETURNING *) SELECT * FROM gone",
        "INSERT INTO costs VALUES (1, 1, '') RETURNING *",
        "SELECT 1; DROP TABLE costs",
        "SELECT 1) TO STDOUT; COMMIT; DROP TABLE costs; --",
        "SELECT 1) TO STDOUT (FORMAT binary); COMMIT; DROP TABLE costs; SELECT (1",
        "SELECT 1'); DROP TABLE costs; --",
        "SELECT 1 /* ",
        "COMMIT",
        "COMMIT; DROP TABLE costs",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT nextval('turns')",
        "SELECT * INTO copied FROM costs",
        "CREATE TABLE copied AS SELECT 1",
        "TRUNCATE costs",
        "COPY costs TO PROGRAM 'touch /tmp/pwned'",
        "VACUUM costs",
        "",
        "SELECT * FROM nowhere",
    ] {
        let answer = push(&app, sql);
        assert_eq!(answer.status, 400, "{sql}: {}", answer.detail());
        let told = answer.detail();
        assert!(
            told.contains("PostgreSQL 'remote': remote_error: "),
            "{told}"
        );
        assert!(!told.contains(PASSWORD), "{told}");
    }
    let left = "SELECT count(*) || ' ' || (SELECT count(*) FROM pg_tables WHERE schemaname = 'public') || ' ' || (SELECT is_called FROM turns) FROM costs";
    let left = database.sql("shop", PASSWORD, left);
    assert_eq!(left.trim(), "50 2 false");
}

#[test]
fn a_part_has_limits_of_its_own_and_is_never_cut() {
    let (_database, app, _folder) = beside_costs();
    let part = |more: Value| {
        let mut part =
            json!({"alias": "part", "connection": "crm.db", "sql": "SELECT * FROM costs"});
        for (key, value) in more.as_object().unwrap() {
            part[key] = value.clone();
        }
        ask(&app, "SELECT count(*) FROM part", &json!([part])).detail()
    };
    let slow = json!({"timeout_seconds": 1, "sql": "SELECT pg_sleep(60)"});
    for (change, words) in [
        (
            json!({"max_rows": 49}),
            "row_limit: `part` has more than 49 rows",
        ),
        (
            json!({"max_bytes": 100}),
            "memory_limit: `part` has more than 100 bytes",
        ),
        (slow, "took more than 1 s"),
        (json!({"max_rows": 500_001}), "the server allows 500000"),
        (json!({"max_row": 1}), "max_row"),
        (json!({"alias": "orders"}), "is the name of a table"),
        (json!({"alias": "a b"}), "is no name for a result"),
        (json!({"connection": "crm.other"}), "there are: crm.db"),
    ] {
        let told = part(change);
        assert!(told.starts_with('4') && told.contains(words), "{told}");
    }
    let slow = json!([{"alias": "part", "connection": "crm.db", "sql": "no query at all"}]);
    let wrong = ask(&app, "DROP TABLE part", &slow).detail();
    assert!(wrong.contains("Query: query_error: "), "{wrong}");
    let beyond = ask(&app, "SELECT * FROM nothing", &json!([])).detail();
    assert!(beyond.contains("Query: query_error: "), "{beyond}");
    let left = std::fs::read_dir(app.data.join("scratch")).unwrap();
    let landed = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("landed-")
    });
    assert_eq!(landed.count(), 0);
}

#[test]
fn bigquery_computes_parts_that_are_joined_here() {
    let emulator = BigQuery::start();
    emulator.sql("acme-data", "CREATE SCHEMA shop");
    emulator.sql(
        "acme-data",
        "CREATE TABLE shop.costs AS SELECT n AS id, NUMERIC '1.5' AS cost, [STRUCT('x' AS sku)] AS lines, DATE '2026-01-02' AS paid_on FROM UNNEST(GENERATE_ARRAY(1, 5)) AS n",
    );
    let port = emulator.port;
    let configuration = format!(
        "remote:\n  extensions:\n    bigquery:\n      projects: [acme-data]\n      base_url: \"http://127.0.0.1:{port}\"\n      private_addresses: [\"127.0.0.1:{port}\"]\n"
    );
    let (app, _folder) = server(&configuration, &[]);
    extract(
        &app,
        "lake",
        &[("bq", "bigquery", "project=acme-data")],
        &[("costs", "bq", "shop.costs")],
    );
    rebuild(&app);
    let body = |parts: Value| json!({"sql": "SELECT r.range AS n, c.cost, c.lines[1].sku, c.paid_on FROM range(2, 4) r JOIN spent c ON c.id = r.range ORDER BY 1", "register_bq": parts});
    let answer = app
        .post(
            "/api/query/hybrid",
            &body(json!({"spent": "SELECT * FROM shop.costs"})),
        )
        .ok();
    assert_eq!(
        answer["rows"],
        json!([
            [2, "1.500000000", "x", "2026-01-02"],
            [3, "1.500000000", "x", "2026-01-02"]
        ])
    );
    let stats = json!({"registered_aliases": ["spent"], "alias_count": 1});
    assert_eq!(answer["bq_stats"], stats);
    for sql in [
        "DROP TABLE shop.costs",
        "DELETE FROM shop.costs WHERE true",
        "SELECT * FROM shop.nowhere",
    ] {
        let told = app.post("/api/query/hybrid", &body(json!({"spent": sql})));
        let told = told.detail();
        assert!(told.contains("400 BQ 'spent': bq_error: "), "{sql}: {told}");
    }
    let few = json!([{"alias": "spent", "connection": "lake.bq", "sql": "SELECT * FROM shop.costs", "max_rows": 4}]);
    let few = ask(&app, "SELECT * FROM spent", &few).detail();
    assert!(few.contains("at most 4 are allowed"), "{few}");
    // Last, for the emulator runs scripts that are to be judged only; BigQuery does not.
    let script = json!({"spent": "SELECT 1; DROP TABLE shop.costs"});
    let told = app.post("/api/query/hybrid", &body(script)).detail();
    assert!(told.contains("takes this one for `SCRIPT`"), "{told}");
}

#[test]
fn only_admins_ask_databases_with_a_sources_credential() {
    let shop = crate::shop::Shop::with_orders();
    let (analyst, _) = shop.analyst("ann@example.com");
    let body = json!({"sql": "SELECT 1", "register": []});
    assert_eq!(analyst.post("/api/query/hybrid", &body).status, 403);
    let plain = shop.post("/api/query/hybrid", &body).ok();
    assert_eq!(plain["rows"], json!([[1]]));
    let none = json!({"sql": "SELECT 1", "register_bq": {"a": "SELECT 1"}});
    let none = shop.post("/api/query/hybrid", &none).detail();
    assert!(
        none.contains("BQ 'a': bq_error: BigQuery project not configured"),
        "{none}"
    );
}
