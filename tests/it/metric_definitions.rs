//! Definitions of business metrics: written by admins, seen by whoever may read their tables.

use integration_tests::Client;
use serde_json::json;
use ureq::http::Method;

use crate::shop::Shop;

const YAML: &str = "\
- name: income
  category: revenue
  table: orders
  synonyms: [Umsatz]
  sql: SELECT sum(amount) FROM orders
  sql_by_day: SELECT ordered_on, sum(amount) FROM orders GROUP BY ALL
- name: payroll
  category: people
  table: salaries
  sql: SELECT sum(amount) FROM salaries
";

fn import(client: &Client, yaml: &str) -> integration_tests::Response {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"m.yml\"\r\n\r\n{yaml}\r\n--b--\r\n"
    );
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let path = "/api/admin/metrics/import";
    client.send(Method::POST, path, &headers, body.as_bytes())
}

#[track_caller]
fn ids(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("/api/metrics{query}")).ok();
    let metrics = list["metrics"].as_array().unwrap();
    assert_eq!(list["count"], metrics.len());
    let ids = metrics.iter().map(|metric| metric["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

#[test]
fn definitions_are_imported_searched_changed_and_kept_over_a_restart() {
    let mut shop = Shop::open();
    let imported = import(&shop, YAML).ok();
    assert_eq!(imported, json!({"status": "imported", "count": 2}));
    assert_eq!(ids(&shop, ""), ["people/payroll", "revenue/income"]);
    assert_eq!(ids(&shop, "?category=people"), ["people/payroll"]);
    assert_eq!(ids(&shop, "?search=umsatz"), ["revenue/income"]);
    assert_eq!(ids(&shop, "?table=Salaries"), ["people/payroll"]);
    let half = "- {name: new, category: x}\n- {name: broken}\n";
    assert_eq!(
        import(&shop, half).detail(),
        "400 Each metric must have 'name' and 'category' fields"
    );
    assert_eq!(import(&shop, "a: &x 1").status, 400);

    let new = json!({"id": "revenue/income", "name": "income", "category": "revenue",
        "display_name": "Income", "sql": "SELECT 1"});
    let changed = shop.post("/api/admin/metrics", &new);
    assert_eq!(changed.status, 201);
    assert_eq!(changed.json()["source"], "manual");
    shop.app().restart();
    let income = shop.get("/api/metrics/revenue/income").ok();
    assert_eq!(income["display_name"], "Income");
    assert_eq!(income["type"], "sum");
    let deleted = shop.delete("/api/admin/metrics/people/payroll").ok();
    assert_eq!(
        deleted,
        json!({"status": "deleted", "id": "people/payroll"})
    );
    assert_eq!(ids(&shop, ""), ["revenue/income"]);
    let gone = shop.get("/api/metrics/people/payroll");
    assert_eq!(gone.detail(), "404 Metric 'people/payroll' not found");
}

#[test]
fn a_definition_is_for_those_who_may_read_its_tables() {
    let shop = Shop::with_orders();
    import(&shop, YAML).ok();
    let ada = shop.newcomer("ada@example.com");
    assert_eq!(ids(&ada, ""), [""; 0], "nothing is public");
    let group = shop.add_group("Team");
    shop.join(&group, "ada@example.com");
    shop.grant(&group, "read", "table", "orders");
    assert_eq!(ids(&ada, ""), ["revenue/income"]);
    let hidden = ada.get("/api/metrics/people/payroll");
    let missing = ada.get("/api/metrics/people/nothing");
    assert_eq!((hidden.status, missing.status), (404, 404));
    assert_eq!(
        hidden.detail().replace("payroll", "nothing"),
        missing.detail()
    );
    assert_eq!(import(&ada, YAML).status, 403);
}
