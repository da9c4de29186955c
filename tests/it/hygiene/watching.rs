//! What is told about requests beside their answers: metrics, health, and a log that holds no secret.

use integration_tests::{App, Client, Options};
use serde_json::json;

use super::{PATHS, configured, with};
use crate::shop::{ORDERS, Shop};

#[test]
fn metrics_are_for_admins_and_for_the_token_that_is_configured() {
    let (app, _dir) = configured("http: {metrics_token: 'a-token-for-metrics'}");
    assert_eq!(app.anonymous().get("/metrics").status, 401);
    for (token, status) in [
        ("a-token-for-metrics", 200),
        ("a-token-for-metricx", 401),
        ("", 401),
    ] {
        let client = Client::new(&app.url, Some(token.to_owned()));
        assert_eq!(client.get("/metrics").status, status, "{token}");
        assert_eq!(
            client.get("/api/sources").status,
            401,
            "it opens nothing else"
        );
    }
    let answer = app.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
}

#[test]
fn what_happens_is_counted_by_route_and_outcome() {
    let shop = Shop::with_orders();
    assert_eq!(shop.query("SELECT count(*) FROM orders").status, 200);
    assert_eq!(shop.query("DROP TABLE orders").status, 400);
    for id in 0..20 {
        shop.get(&format!("/api/sources/none{id}"));
        shop.get(&format!("/nowhere/{id}"));
    }
    let text = String::from_utf8(shop.get("/metrics").bytes).unwrap();
    for line in [
        "sluice_http_requests_total{method=\"GET\",route=\"/api/sources/{name}\",status=\"404\"} 20",
        "sluice_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 20",
        "sluice_http_request_seconds_count{method=\"GET\",route=\"/api/sources/{name}\"} 20",
        "sluice_runs_total{outcome=\"succeeded\"} 1",
        "sluice_queries_total{outcome=\"refused\"} 1",
        "sluice_tables 1",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let value = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    assert!(value("sluice_generation_builds_total") >= 1);
    assert!(value("process_resident_memory_bytes") > 1 << 20);
}

#[test]
fn the_details_of_health_have_the_shape_that_old_clients_print() {
    let shop = Shop::with_orders();
    assert_eq!(shop.anonymous().get("/api/health/detailed").status, 401);
    let mut details = shop.get("/api/health/detailed").ok();
    for key in [
        "version",
        "deployed_at",
        "timestamp",
        "channel",
        "image_tag",
        "commit_sha",
    ] {
        let text = details.as_object_mut().unwrap().remove(key);
        assert!(text.is_some_and(|text| text.is_string()), "{key}");
    }
    let version = details["schema_version"].clone();
    assert_eq!(
        details,
        json!({"status": "healthy", "schema_version": version, "services": {
            "duckdb_state": {"status": "ok"},
            "db_schema": {"db_schema": "ok", "current": version, "expected": version},
            "data": {"status": "ok", "tables": 1, "total_rows": 3, "stale_tables": []},
            "users": {"status": "ok", "count": 1},
        }})
    );
}

#[test]
fn the_log_holds_no_address_no_token_and_no_secret_whatever_was_done() {
    for format in ["text", "json"] {
        let mut shop = Shop::of(App::with(Options {
            arguments: vec!["--log-format".into(), format.into()],
            ..Options::default()
        }));
        assert_eq!(shop.publish("orders", ORDERS), "succeeded");
        let token = shop.token.clone().unwrap();
        let code = shop.code().to_owned();
        for path in PATHS {
            shop.get(path);
            shop.get(&format!(
                "{path}?email=query@example.com&code={code}&token={token}"
            ));
        }
        let again = json!({"email": "second@example.com", "code": code});
        assert_ne!(shop.post("/auth/bootstrap", &again).status, 200);
        shop.query("SELECT 'secret-of-a-query' FROM nowhere");
        shop.post(
            "/api/query",
            &json!({"sql": 7, "email": "body@example.com"}),
        );
        with(
            &shop,
            "/api/health",
            &[
                ("x-request-id", "by@example.com"),
                ("cookie", "access_token=hunter2"),
            ],
        );
        shop.app().stop();
        let printed = shop.output();
        let logged: Vec<_> = printed
            .lines()
            .filter(|line| !line.contains("Code: ") && !line.contains("Set up: "))
            .collect();
        let logged = logged.join("\n");
        assert!(
            logged.contains("request_id") && logged.contains("/api/query"),
            "{logged}"
        );
        let (signature, code) = (token.rsplit('.').next().unwrap(), code.as_str());
        for secret in [
            "example.com",
            "@",
            signature,
            code,
            "hunter2",
            "secret-of-a-query",
        ] {
            assert!(
                !logged.contains(secret),
                "{format}: {secret} is in\n{logged}"
            );
        }
    }
}
