//! Parts of tables that are kept: fetched, renewed, thrown away.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use serde_json::{Value, json};

use crate::server::Server;

/// What a scan answers: one column of numbers.
fn stream(values: &[i64]) -> Vec<u8> {
    let array: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([("n", array)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_snapshot_outlives_a_sync_and_is_replaced_only_when_told() {
    let server = Server::start();
    server.table("orders", 7);
    server.page("/api/v2/scan", stream(&[4, 5]));
    let fetch = [
        "fetch", "orders", "--where", "n > 3", "--as", "big", "--json",
    ];
    let output = server.da(&fetch);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"], 2, "{output:?}");
    server.sync(true);
    assert_eq!(
        server.rows("SELECT sum(n)::INT AS s FROM big"),
        json!([{"s": 9}])
    );
    assert_eq!(server.da(&fetch).status.code(), Some(6));
    assert_eq!(
        server.da(&["fetch", "orders"]).status.code(),
        Some(6),
        "the name of a synced table"
    );
    assert!(server.da(&["snapshot", "drop", "big"]).status.success());
    assert_eq!(server.da(&["snapshot", "list"]).stdout, b"(no snapshots)\n");
}

#[test]
fn a_snapshot_is_renewed_by_what_it_was_fetched_by() {
    let server = Server::start();
    server.page("/api/v2/scan", stream(&[4, 5]));
    let fetch = [
        "fetch", "orders", "--where", "n > 3", "--as", "big", "--limit", "9",
    ];
    assert!(server.da(&fetch).status.success());
    let same = server.json(&["snapshot", "refresh", "big", "--json"], true);
    assert_eq!(same["identical"], true, "{same}");
    server.page("/api/v2/scan", stream(&[4, 5, 6]));
    server.asked();
    let renewed = server.json(&["snapshot", "refresh", "--json", "big"], true);
    assert_eq!(
        (
            &renewed["rows_before"],
            &renewed["rows"],
            &renewed["identical"]
        ),
        (&json!(2), &json!(3), &json!(false))
    );
    let asked = server.asked();
    assert!(
        asked[0].contains(r#""where":"n > 3""#) && asked[0].contains(r#""limit":9"#),
        "{asked:?}"
    );
    server.da(&["snapshot", "refresh", "big", "--where", "n > 4"]);
    assert!(server.asked()[0].contains(r#""where":"n > 4""#));
    let listed = server.json(&["snapshot", "list", "--json"], true);
    assert_eq!(listed[0]["where"], "n > 4");
    assert_eq!(
        server.rows("SELECT count(*) AS n FROM big"),
        json!([{"n": 3}])
    );
    server.fails("/api/v2/scan", 403);
    assert_eq!(server.refused(&["snapshot", "refresh", "big"]).0, 8);
    assert_eq!(
        server.rows("SELECT count(*) AS n FROM big"),
        json!([{"n": 3}])
    );
    assert_eq!(server.refused(&["snapshot", "refresh", "none"]).0, 2);
}

#[test]
fn only_what_fits_a_condition_is_pruned_and_its_view_goes_too() {
    let server = Server::start();
    server.page("/api/v2/scan", stream(&[4, 5]));
    assert!(
        server
            .da(&["fetch", "orders", "--as", "big"])
            .status
            .success()
    );
    assert_eq!(server.refused(&["snapshot", "prune"]).0, 2);
    assert_eq!(
        server
            .refused(&["snapshot", "prune", "--older-than", "7"])
            .0,
        2
    );
    for spared in [["--larger-than", "1g"], ["--older-than", "1d"]] {
        let pruned = server.json(&["snapshot", "prune", spared[0], spared[1], "--json"], true);
        assert_eq!(pruned["dropped"], json!([]));
    }
    let info = server.json(&["disk-info", "--json"], true);
    assert_eq!(info["snapshot_count"], 1);
    assert!(info["used_bytes"].as_u64() > Some(100) && info["free_bytes"].as_u64() > Some(0));
    let would = server.json(&["snapshot", "prune", "--all", "--dry-run", "--json"], true);
    assert_eq!(would["dropped"][0]["name"], "big");
    assert_eq!(
        server.rows("SELECT count(*) AS n FROM big"),
        json!([{"n": 2}])
    );
    server.json(&["snapshot", "prune", "--all", "--json"], true);
    assert_eq!(
        server.json(&["snapshot", "list", "--json"], true),
        json!([])
    );
    let gone = server.refused(&["query", "SELECT * FROM big"]).1;
    assert!(gone.contains("does not exist"), "{gone}");
}

#[test]
fn a_scan_that_costs_much_is_not_begun_without_a_yes() {
    let server = Server::start();
    let estimate = json!({"table_id": "orders", "estimated_scan_bytes": 5_u64 << 40, "bq_cost_estimate_usd": 25.0});
    server.says("/api/v2/scan/estimate", &estimate);
    server.page("/api/v2/scan", stream(&[4, 5]));
    let (code, said) = server.refused(&["fetch", "orders"]);
    assert_eq!(code, 2);
    assert!(said.contains("5.0 TiB") && said.contains("--yes"), "{said}");
    let scans = |asked: Vec<String>| asked.iter().any(|a| a.starts_with("POST /api/v2/scan {"));
    assert!(!scans(server.asked()));
    assert!(server.da(&["fetch", "orders", "--yes"]).status.success());
    assert!(scans(server.asked()));
}
