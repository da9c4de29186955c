//! The analyst's client against a real server: what it brings is what the server answers.

use std::process::{Command, Output};

use integration_tests::{shown, sluice};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shop::Shop;

/// An analyst's folder, and how `da` is called there.
struct Desk {
    folder: TempDir,
    server: String,
    token: String,
}

impl Desk {
    fn of(shop: &Shop) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: shop.url.clone(),
            token: shop.token.clone().unwrap(),
        }
    }

    fn da(&self, arguments: &[&str]) -> Output {
        let beside = sluice().get_program().to_owned();
        let path = std::path::Path::new(&beside).with_file_name("da");
        let mut command = Command::new(path);
        command.args(arguments).current_dir(self.folder.path());
        command.env("DA_CONFIG_DIR", self.folder.path().join("config"));
        command.env("DA_LOCAL_DIR", self.folder.path());
        command.env("DA_SERVER", &self.server);
        command.env("DA_NO_UPDATE_CHECK", "1");
        command.env("DA_TOKEN", &self.token);
        command.output().expect("da starts")
    }

    /// What a command prints as JSON, alone.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.da(arguments);
        assert!(output.status.success(), "{}", shown(&output));
        serde_json::from_slice(&output.stdout).expect("stdout is JSON and nothing else")
    }
}

#[test]
fn what_is_synced_is_what_the_server_has_and_only_what_changed_comes_again() {
    let shop = Shop::with_orders();
    assert_eq!(shop.publish("people", "id,name\n1,Ada\n"), "succeeded");
    let desk = Desk::of(&shop);
    let first = desk.json(&["sync", "--json"]);
    assert_eq!(first["errors"], json!([]), "{first}");
    let sql = "SELECT count(*) AS n, sum(amount)::VARCHAR AS total FROM orders";
    let here = desk.json(&["--json", "query", sql]);
    let there = desk.json(&["query", "--remote", sql, "--json"]);
    assert_eq!(here, there);
    assert_eq!(here, json!([{"n": 3, "total": "119.75"}]));

    let again = desk.json(&["sync", "--json"]);
    assert_eq!(again["downloaded"], json!([]), "{again}");
    shop.internet
        .page("/people.csv", "text/csv", "id,name\n1,Ada\n2,Grace\n");
    assert_eq!(shop.outcome("people"), "succeeded");
    shop.delete("/api/sources/shop").ok();
    let third = desk.json(&["sync", "--json"]);
    assert_eq!(third["pruned"], json!(["orders"]), "{third}");
    assert_eq!(third["downloaded"], json!(["people"]), "{third}");
    let people = desk.json(&["query", "SELECT count(*) AS n FROM people", "--json"]);
    assert_eq!(people, json!([{"n": 2}]));
}

#[test]
fn a_part_of_a_table_is_fetched_and_the_catalogue_is_the_servers() {
    let shop = Shop::with_orders();
    let desk = Desk::of(&shop);
    let catalog = desk.json(&["catalog", "--json"]);
    assert!(catalog.to_string().contains("\"orders\""), "{catalog}");
    let schema = desk.json(&["schema", "orders", "--json"]);
    assert!(schema.to_string().contains("customer"), "{schema}");
    let fetched = desk.da(&[
        "fetch",
        "orders",
        "--select",
        "id,amount",
        "--where",
        "amount > 10",
        "--as",
        "big",
    ]);
    assert!(fetched.status.success(), "{}", shown(&fetched));
    let big = desk.json(&["query", "SELECT count(*) AS n FROM big", "--json"]);
    assert_eq!(big, json!([{"n": 2}]));
    let refused = desk.da(&["fetch", "salaries", "--as", "other"]);
    assert_eq!(refused.status.code(), Some(8), "{}", shown(&refused));
    assert!(refused.stdout.is_empty() && !refused.stderr.is_empty());
}

#[test]
fn an_analyst_begins_with_one_command_and_gives_sessions_back() {
    let shop = Shop::with_orders();
    let desk = Desk::of(&shop);
    let made = desk.json(&["analyst", "setup", "--json"]);
    assert_eq!(made["downloaded"], json!(["orders"]));
    let rows = desk.json(&["explore", "orders", "--json"]);
    assert_eq!(rows["row_count"], 3);
    let profile = desk.json(&["explore", "--remote", "orders", "--json"]);
    assert_eq!(profile["row_count"], 3);
    let verified = desk.json(&["setup", "verify", "--json"]);
    assert_eq!(verified["overall"], "pass", "{verified}");
    let diagnosis = desk.json(&["diagnose", "--json"]);
    assert_eq!(diagnosis["overall"], "healthy", "{diagnosis}");

    let session = desk.folder.path().join("user/sessions/s.jsonl");
    std::fs::write(session, "{\"n\": 1}\n").unwrap();
    let sent = desk.json(&["sync", "--upload-only", "--json"]);
    assert_eq!(
        (&sent["sessions"], &sent["local_md"]),
        (&json!(1), &json!(true))
    );
    let again = desk.json(&["sync", "--upload-only", "--json"]);
    assert_eq!(
        (&again["sessions"], &again["local_md"]),
        (&json!(0), &json!(false))
    );
}

#[test]
fn metrics_that_were_exported_are_imported_as_they_were() {
    let shop = Shop::with_orders();
    let desk = Desk::of(&shop);
    let metric = json!({"name": "income", "category": "sales", "table": "orders",
        "sql": "SELECT sum(amount)\n  FROM orders\n", "description": "odd: \"text\" # here",
        "synonyms": ["turn: over"], "validation": {"min": 0}});
    assert_eq!(shop.post("/api/admin/metrics", &metric).status, 201);
    let said = |desk: &Desk| {
        let mut metric = desk.json(&["metrics", "show", "sales/income", "--json"]);
        for changing in ["created_at", "updated_at", "source"] {
            metric[changing] = Value::Null;
        }
        metric
    };
    let before = said(&desk);
    let folder = desk.folder.path().join("export");
    let folder = folder.to_str().unwrap();
    assert_eq!(
        desk.json(&["metrics", "export", "--dir", folder, "--json"])["exported"],
        1
    );
    shop.delete("/api/admin/metrics/sales/income").ok();
    assert_eq!(
        desk.json(&["metrics", "import", folder, "--json"])["imported"],
        1
    );
    assert_eq!(said(&desk), before);
    assert_eq!(desk.json(&["metrics", "validate", "--json"])["warnings"], 0);
}
