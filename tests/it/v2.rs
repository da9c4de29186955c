//! The routes of discovery and scans: the payloads, refusals, order of checks and quotas that old clients know.

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use integration_tests::{App, Client, Options, Response};
use serde_json::{Value, json};

use crate::results::post;
use crate::shop::{ORDERS, Shop};

fn scan(client: &Client, more: &Value) -> Response {
    let mut body = json!({"table_id": "orders"});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    client.post("/api/v2/scan", &body)
}

fn rows(answer: &Response) -> RecordBatch {
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.bytes)
    );
    let reader = StreamReader::try_new(answer.bytes.as_slice(), None).unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn ids(answer: &Response) -> Vec<i64> {
    let rows = rows(answer);
    rows.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn the_catalogue_the_schema_and_a_sample_are_as_old_clients_read_them() {
    let shop = Shop::with_orders();
    let mut catalogue = shop.get("/api/v2/catalog?refresh=1").ok();
    assert!(catalogue["server_time"].take().is_string());
    insta::assert_json_snapshot!(catalogue, @r#"
    {
      "tables": [
        {
          "id": "orders",
          "name": "orders",
          "description": "",
          "source_type": "files",
          "query_mode": "local",
          "sql_flavor": "duckdb",
          "where_examples": [],
          "fetch_via": "already local — query directly via `da query`",
          "rough_size_hint": null,
          "filtered": false
        }
      ],
      "server_time": null
    }
    "#);
    let note = json!({"columns": [{"column_name": "amount", "basetype": "NUMERIC", "description": "In euro"}]});
    shop.post("/api/admin/metadata/orders", &note).ok();
    let schema = shop.get("/api/v2/schema/Orders").ok();
    let columns = schema["columns"].as_array().unwrap();
    assert_eq!(
        columns[2],
        json!({"name": "amount", "type": "DOUBLE", "nullable": true, "description": "In euro"})
    );
    let names: Vec<_> = columns
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "id",
            "customer",
            "amount",
            "paid",
            "ordered_on",
            "shipped_at"
        ]
    );
    let mut about = schema.clone();
    about["columns"].take();
    assert_eq!(
        about,
        json!({"table_id": "orders", "source_type": "files", "sql_flavor": "duckdb", "columns": null,
            "partition_by": null, "clustered_by": [], "where_dialect_hints": {}})
    );
    let sample = shop.get("/api/v2/sample/orders?n=1").ok();
    insta::assert_json_snapshot!(sample, @r#"
    {
      "table_id": "orders",
      "rows": [
        {
          "id": 1,
          "customer": "Ada",
          "amount": 12.5,
          "paid": true,
          "ordered_on": "2026-01-31T00:00:00",
          "shipped_at": "2026-02-01T08:00:00"
        }
      ],
      "source": "files"
    }
    "#);
    assert_eq!(
        shop.get("/api/v2/sample/orders").ok()["rows"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    for n in ["0", "101", "-1", "x"] {
        assert_eq!(
            shop.get(&format!("/api/v2/sample/orders?n={n}")).status,
            422,
            "{n}"
        );
    }
}

#[test]
fn a_scan_brings_the_rows_that_were_asked_for() {
    let shop = Shop::with_orders();
    assert_eq!(ids(&scan(&shop, &json!({}))).len(), 3);
    let some = json!({"select": ["ID", "customer"], "where": "amount > 10 AND paid", "order_by": ["amount DESC"], "limit": 5});
    let answer = scan(&shop, &some);
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.apache.arrow.stream")
    );
    assert_eq!(ids(&answer), [3, 1]);
    assert_eq!(rows(&answer).num_columns(), 2);
    assert_eq!(
        ids(&scan(&shop, &json!({"order_by": ["id desc"], "limit": 1}))),
        [3]
    );
    assert_eq!(
        ids(&scan(
            &shop,
            &json!({"where": "DATE_DIFF(DATE '2026-02-02', ordered_on, DAY) = 2"})
        )),
        [1]
    );
    assert_eq!(
        rows(&scan(&shop, &json!({"where": "id > 99"}))).num_rows(),
        0
    );
    let estimate = shop
        .post("/api/v2/scan/estimate", &json!({"table_id": "orders"}))
        .ok();
    insta::assert_json_snapshot!(estimate, @r#"
    {
      "table_id": "orders",
      "estimated_scan_bytes": 0,
      "estimated_result_rows": null,
      "estimated_result_bytes": null,
      "bq_cost_estimate_usd": 0.0
    }
    "#);
}

#[test]
fn what_is_wrong_with_a_scan_is_told_in_the_words_of_before() {
    let shop = Shop::with_orders();
    let told = |more: Value| {
        let answer = scan(&shop, &more);
        let estimated = {
            let mut body = json!({"table_id": "orders"});
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            shop.post("/api/v2/scan/estimate", &body)
        };
        assert_eq!(answer.json()["detail"], estimated.json()["detail"]);
        format!("{} {}", answer.status, answer.json()["detail"])
    };
    insta::assert_snapshot!(told(json!({"where": "id IN (SELECT 1)"})), @r#"400 {"error":"validator_rejected","kind":"nested_select","details":{}}"#);
    insta::assert_snapshot!(told(json!({"where": "read_text('x') = 'y'"})), @r#"400 {"error":"validator_rejected","kind":"unknown_function","details":{"function":"read_text"}}"#);
    insta::assert_snapshot!(told(json!({"where": "nothing = 1"})), @r#"400 {"error":"validator_rejected","kind":"unknown_column","details":{"column":"nothing"}}"#);
    insta::assert_snapshot!(told(json!({"where": "1=1) UNION SELECT * FROM orders WHERE (1=1"})), @r#"400 {"error":"validator_rejected","kind":"disallowed_node","details":{}}"#);
    insta::assert_snapshot!(told(json!({"where": ""})), @r#"400 {"error":"validator_rejected","kind":"parse_error","details":{}}"#);
    insta::assert_snapshot!(told(json!({"select": ["id", "x", "y"]})), @r#"400 "unknown columns: ['x', 'y']""#);
    insta::assert_snapshot!(told(json!({"select": ["id; --"]})), @r#"400 "invalid column name: 'id; --'""#);
    insta::assert_snapshot!(told(json!({"order_by": ["id sideways"]})), @r#"400 "invalid order_by entry: 'id sideways'""#);
    insta::assert_snapshot!(told(json!({"order_by": ["x DESC"]})), @r#"400 "unknown order_by column: 'x'""#);
    insta::assert_snapshot!(told(json!({"limit": 10000001})), @r#"400 "limit 10000001 exceeds max 10000000""#);
    insta::assert_snapshot!(told(json!({"limit": 0})), @r#"400 "1 validation error for ScanRequest\nlimit\n  Input should be greater than or equal to 1""#);
    insta::assert_snapshot!(told(json!({"table_id": null})), @r#"400 "1 validation error for ScanRequest\ntable_id\n  Field required""#);
    insta::assert_snapshot!(told(json!({"table_id": "nothing"})), @r#"404 "table not found""#);
    // The first of several mistakes is told: body, table, limit, predicate, columns, order.
    let all = |keys: &[&str]| {
        let mut body =
            json!({"limit": 99999999, "where": "x = 1", "select": ["y"], "order_by": ["z"]});
        keys.iter()
            .for_each(|key| drop(body.as_object_mut().unwrap().remove(*key)));
        told(body)
    };
    assert!(all(&[]).contains("exceeds max"));
    assert!(all(&["limit"]).contains("validator_rejected"));
    assert!(all(&["limit", "where"]).contains("unknown columns"));
    assert!(all(&["limit", "where", "select"]).contains("unknown order_by"));
}

#[test]
fn a_table_that_was_not_granted_is_answered_like_one_that_is_not_there() {
    let shop = Shop::with_orders();
    assert_eq!(
        shop.publish("salaries", "name,amount\nAda,7\n"),
        "succeeded"
    );
    let ada = shop.newcomer("ada@example.com");
    let team = shop.add_group("Team");
    shop.join(&team, "ada@example.com");
    shop.grant(&team, "read", "source", "shop");
    let tables = ada.get("/api/v2/catalog").ok();
    assert_eq!(tables["tables"].as_array().unwrap().len(), 1);
    assert_eq!(ids(&scan(&ada, &json!({}))).len(), 3);
    let told = |method: &str, table: &str| match method {
        "scan" => scan(&ada, &json!({"table_id": table})).detail(),
        method => ada.get(&format!("/api/v2/{method}/{table}")).detail(),
    };
    for method in ["schema", "sample", "scan"] {
        let hidden = told(method, "salaries");
        assert!(hidden.starts_with("404"), "{hidden}");
        assert_eq!(
            hidden,
            told(method, "nothingx").replace("nothingx", "salaries")
        );
    }
}

fn shop_with(config: &str) -> Shop {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, config).unwrap();
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--config".into(), file.path().display().to_string()],
        ..Options::default()
    }));
    assert_eq!(shop.publish("orders", ORDERS), "succeeded");
    shop
}

#[test]
fn the_bytes_of_a_day_run_out_and_nobody_elses_do() {
    let shop = shop_with("scans:\n  max_daily_bytes_per_user: 100\n");
    assert_eq!(scan(&shop, &json!({})).status, 200);
    let refused = scan(&shop, &json!({}));
    assert_eq!(refused.status, 429);
    let detail = &refused.json()["detail"];
    assert_eq!(
        (&detail["error"], &detail["kind"]),
        (&json!("quota_exceeded"), &json!("daily_bytes"))
    );
    assert_eq!(detail["limit"], 100);
    assert!(
        detail["current"].as_u64().unwrap() > 100
            && detail["retry_after_seconds"].as_u64().unwrap() > 0
    );
    assert_eq!(scan(&shop, &json!({"select": ["x"]})).status, 400);
    assert_eq!(
        shop.post("/api/v2/scan/estimate", &json!({"table_id": "orders"}))
            .status,
        200
    );
    let other = shop.newcomer("other@example.com");
    let team = shop.add_group("Team");
    shop.join(&team, "other@example.com");
    shop.grant(&team, "read", "table", "orders");
    assert_eq!(scan(&other, &json!({})).status, 200);
}

/// A table that is many times what the sockets and the pieces in between can hold.
fn with_large_table(shop: &Shop) {
    let mut csv = String::from("id,text\n");
    for id in 0..100_000 {
        csv.push_str(&format!("{id},{}\n", "0123456789".repeat(20)));
    }
    assert_eq!(shop.publish("large", &csv), "succeeded");
}

#[test]
fn so_many_scans_of_a_user_are_under_way_at_once() {
    let shop = shop_with("scans:\n  max_concurrent_per_user: 1\n");
    with_large_table(&shop);
    let mut first = post(&shop, "/api/v2/scan", "", &json!({"table_id": "large"}));
    std::io::Read::read_exact(&mut first, &mut [0; 4096]).unwrap();
    let refused = scan(&shop, &json!({}));
    insta::assert_snapshot!(refused.json()["detail"], @r#"{"error":"quota_exceeded","kind":"concurrent_scans","current":1,"limit":1,"retry_after_seconds":5}"#);
    assert_eq!(refused.header("retry-after"), Some("5"));
    drop(first);
    integration_tests::until("there is a place again", || {
        scan(&shop, &json!({})).status == 200
    });
}

#[test]
fn a_scan_that_is_cut_says_so() {
    let shop = shop_with("scans:\n  max_result_bytes: 1024\n");
    with_large_table(&shop);
    let ids = json!({"table_id": "large", "select": ["id"]});
    let cut = shop.post("/api/v2/scan", &ids);
    // One batch is more than the limit, and is all that there is.
    let told = cut.header("x-sluice-truncated");
    assert_eq!((cut.status, told), (200, Some("bytes")));
    assert!(rows(&cut).num_rows() < 100_000);
    assert_eq!(
        scan(&shop, &json!({"select": ["id"], "limit": 1})).header("x-sluice-truncated"),
        None
    );
}
