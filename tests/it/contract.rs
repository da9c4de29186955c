//! What is published can be read by whoever knows the contract: here by Python's own DuckDB.

use std::path::Path;
use std::process::Command;

use integration_tests::{files, until};
use serde_json::{Value, json};

use crate::shop::Shop;

/// Runs a query read-only in a process that knows nothing of Sluice.
#[track_caller]
fn python(database: &Path, sql: &str) -> Value {
    let python = std::env::var_os("SLUICE_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/py/bin/python"),
        Into::into,
    );
    let script = "import sys, json, duckdb\n\
        rows = duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall()\n\
        print(json.dumps(rows, default=str))";
    let output = Command::new(&python)
        .args(["-c", script])
        .arg(database)
        .arg(sql)
        .output();
    let output = output
        .unwrap_or_else(|error| panic!("{}: {error}; `./dev test` installs it", python.display()));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn an_extract_describes_itself_in_the_columns_of_the_contract() {
    let shop = Shop::with_orders();
    let extract = shop.data.join("extracts/shop/extract.duckdb");

    let columns = "SELECT column_name, data_type FROM information_schema.columns \
        WHERE table_name = '_meta' ORDER BY ordinal_position LIMIT 6";
    // The two numbers are INTEGER in the contract's words, and wider here: 2 GiB is no large table.
    assert_eq!(
        python(&extract, columns),
        json!([
            ["table_name", "VARCHAR"],
            ["description", "VARCHAR"],
            ["rows", "BIGINT"],
            ["size_bytes", "BIGINT"],
            ["extracted_at", "TIMESTAMP"],
            ["query_mode", "VARCHAR"],
        ])
    );
    let file = shop.get("/api/data/orders/download").bytes.len();
    assert_eq!(
        python(
            &extract,
            "SELECT table_name, rows, size_bytes, query_mode FROM _meta"
        ),
        json!([["orders", 3, file, "local"]])
    );
    let fresh = "SELECT extracted_at BETWEEN now()::timestamp - INTERVAL 1 HOUR AND now()::timestamp FROM _meta";
    assert_eq!(
        python(&extract, &format!("SET TimeZone='UTC'; {fresh}")),
        json!([[true]])
    );
}

#[test]
fn rows_are_read_through_the_extract_and_through_the_master_views() {
    let mut shop = Shop::with_orders();
    shop.source(
        "more",
        [files::csv("copies", &shop.internet.url("/orders.csv"))],
    );
    assert_eq!(shop.outcome("more"), "succeeded");

    let extract = shop.data.join("extracts/shop/extract.duckdb");
    let master = shop.data.join("analytics/server.duckdb");
    let rows = "SELECT id, customer, amount, ordered_on FROM orders ORDER BY id";
    let expected = json!([
        [1, "Ada", 12.5, "2026-01-31"],
        [2, "Grace, née Murray", 7.0, "2026-02-01"],
        [3, "two\nlines", 100.25, "2026-02-02"],
    ]);
    // They follow a run by a moment.
    until("the master views follow", || {
        python(
            &master,
            "SELECT count(*) FROM duckdb_views() WHERE view_name = 'copies'",
        ) == json!([[1]])
    });
    let read = || {
        assert_eq!(python(&extract, rows), expected);
        assert_eq!(python(&master, rows), expected);
        assert_eq!(python(&master, "SELECT count(*) FROM copies"), json!([[3]]));
    };
    read();
    assert!(shop.app().stop().success());
    read();
}

#[test]
fn the_parquet_files_lie_where_the_contract_says() {
    let mut shop = Shop::with_orders();
    let glob = format!("{}/extracts/shop/data/**/*.parquet", shop.data.display());
    let count = format!("SELECT count(*) FROM read_parquet('{glob}')");
    let extract = shop.data.join("extracts/shop/extract.duckdb");
    assert_eq!(python(&extract, &count), json!([[3]]));

    // A run's earlier files go once nobody can hold them; a restart is such a moment.
    assert_eq!(shop.outcome("shop"), "succeeded");
    shop.app().stop();
    shop.app().restart();
    assert_eq!(python(&extract, &count), json!([[3]]));
}
