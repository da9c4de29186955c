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
