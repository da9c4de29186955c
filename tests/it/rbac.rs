//! Who may do what: every route against every kind of asker, and what a grant opens and no more.

use std::collections::BTreeMap;
use std::path::Path;

use integration_tests::{Client, until};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::shop::Shop;

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A server with two tables of two sources, and a finished run of the first.
struct Stage {
    shop: Shop,
    run: String,
}

impl Stage {
    fn set() -> Self {
        let shop = Shop::with_orders();
        assert_eq!(
            shop.publish("salaries", "name,amount\nAda,7\n"),
            "succeeded"
        );
        let runs = shop.get("/api/runs?source=shop").ok();
        let run = runs["runs"][0]["id"].as_str().unwrap().to_owned();
        Self { shop, run }
    }

    /// A path with its parameters filled in: with what is there where the answer depends on grants,
    /// else with what is not, so that asking changes nothing.
    fn filled(&self, method: &str, path: &str) -> String {
        let about_runs = path.starts_with("/api/runs/");
        let about_sources = path.starts_with("/api/sources/{name}")
            && method != "DELETE"
            && !path.contains("credentials");
        path.replace("{name}", if about_sources { "shop" } else { "nothing" })
            .replace("{id}", if about_runs { &self.run } else { NOBODY })
            .replace("{digest}", &"0".repeat(64))
            .replace("{table}", "orders")
            .replace("{review}", "approve")
            .replace("{category}", "nothing")
            .replace("{user_id}", NOBODY)
            .replace("{group_id}", NOBODY)
            .replace("{slot}", "token")
            .replace("{source}", "nothing")
            .replace("{n}", "0")
    }

    fn ask(&self, client: &Client, method: &str, path: &str) -> u16 {
        let body: &[u8] = if method == "GET" { b"" } else { b"{}" };
        let headers = [("content-type", "application/json")];
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let path = self.filled(method.as_str(), path);
        let answer = client.send(method, &path, &headers, body);
        // What was started ends before the next one asks.
        until("the runs end", || {
            let runs = self.shop.get("/api/runs").ok().to_string();
            !runs.contains("\"running\"") && !runs.contains("\"queued\"")
        });
        answer.status
    }
}

/// Method and path of every operation; what ends the asker's session comes last.
fn operations(shop: &Shop) -> Vec<(String, String)> {
    let document = shop.get("/openapi.json").ok();
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            all.push((path.clone(), method.to_uppercase()));
        }
    }
    all.sort();
    all.sort_by_key(|(path, _)| path == "/auth/logout");
    all.into_iter()
        .map(|(path, method)| (method, path))
        .collect()
}

/// `tests/rbac/matrix.csv` was read by people: a change of it is a change of who may do what.
#[test]
fn every_route_lets_in_whom_the_reviewed_table_says() {
    let stage = Stage::set();
    let shop = &stage.shop;
    let admin = {
        shop.add_user("root@example.com");
        let admins = shop.get("/api/admin/groups").ok();
        let admins = admins
            .as_array()
            .unwrap()
            .iter()
            .find(|g| g["name"] == "Admin");
        shop.join(admins.unwrap()["id"].as_str().unwrap(), "root@example.com");
        shop.sign_in("root@example.com")
    };
    let group = shop.add_group("Team");
    let granted = shop.newcomer("granted@example.com");
    shop.join(&group, "granted@example.com");
    for permission in ["read", "run"] {
        shop.grant(&group, permission, "source", "shop");
    }
    let gone = shop.add_user("gone@example.com");
    let deactivated = shop.sign_in("gone@example.com");
    shop.post(&format!("/api/users/{gone}/deactivate"), &json!({}))
        .ok();
    let askers = [
        ("anonymous", shop.anonymous()),
        ("no grant", shop.newcomer("new@example.com")),
        ("grant", granted),
        ("no scope", admin.token_for(&[])),
        ("deactivated", deactivated),
        ("admin", admin),
    ];

    let names: Vec<_> = askers.iter().map(|(name, _)| *name).collect();
    let mut table = format!("method,path,{}\n", names.join(","));
    for (method, path) in operations(shop) {
        let answers = askers
            .iter()
            .map(|(_, client)| stage.ask(client, &method, &path));
        let answers: Vec<_> = answers.map(|status| status.to_string()).collect();
        table.push_str(&format!("{method},{path},{}\n", answers.join(",")));
    }

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rbac/matrix.csv");
    if std::env::var_os("SLUICE_WRITE_MATRIX").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    let reviewed = std::fs::read_to_string(&file).unwrap();
    let lines = table.lines().zip(reviewed.lines());
    let changed: Vec<_> = lines.filter(|(now, then)| now != then).collect();
    assert!(
        table == reviewed,
        "{changed:#?}\nreview, then run again with SLUICE_WRITE_MATRIX=1"
    );
    assert_table_is_sane(&table);
}

/// Whatever people have reviewed, this must hold of the table.
fn assert_table_is_sane(table: &str) {
    for line in table.lines().skip(1) {
        let cells: Vec<_> = line.split(',').collect();
        let [_, path, anonymous, no_grant, _, no_scope, deactivated, _] = cells[..] else {
            panic!("{line}");
        };
        if path == "/api/hooks/{source}" {
            // Whoever sends there signs, and no token says anything: all are answered alike.
            assert!(cells.iter().skip(2).all(|cell| *cell == "401"), "{line}");
            continue;
        }
        if anonymous != "401"
            || path == "/auth/token"
            || path.ends_with("/login")
            || path.ends_with("/verify")
        {
            continue;
        }
        assert_eq!((no_scope, deactivated), ("403", "401"), "{line}");
        let is_admins = path.contains("/admin/") || path.starts_with("/api/users");
        assert!(!is_admins || no_grant == "403", "{line}");
    }
}

#[test]
fn a_user_sees_the_granted_tables_and_not_a_trace_of_others() {
    let stage = Stage::set();
    let shop = &stage.shop;
    let ada = shop.newcomer("ada@example.com");
    assert_eq!(ada.tables(), [""; 0], "nothing is public");
    let group = shop.add_group("Team");
    shop.join(&group, "ada@example.com");
    let grant = shop.grant(&group, "read", "table", "orders");

    assert_eq!(ada.tables(), ["orders"]);
    assert_eq!(ada.rows("SELECT count(*) FROM orders"), json!([[3]]));
    let manifest = ada.get("/api/sync/manifest").ok();
    let names: Vec<_> = manifest["tables"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["orders"]);
    assert_eq!(ada.get("/api/data/orders/download").status, 200);

    let hidden = ada.query("SELECT * FROM salaries").detail();
    let missing = ada.query("SELECT * FROM nothing").detail();
    assert_eq!(hidden.replace("salaries", "nothing"), missing);
    let hidden = ada.get("/api/data/salaries/download").detail();
    let missing = ada.get("/api/data/nothing/download").detail();
    assert_eq!(hidden.replace("salaries", "nothing"), missing);
    for path in ["/api/sources", "/api/runs"] {
        let text = ada.get(path).ok().to_string();
        assert!(
            !text.contains("salaries") && !text.contains("shop"),
            "{text}"
        );
    }
    let hidden = ada.get(&format!("/api/runs/{}/log", stage.run)).status;
    assert_eq!(hidden, 404);

    shop.delete(&format!("/api/admin/grants/{grant}")).ok();
    assert_eq!(
        ada.query("SELECT count(*) FROM orders").status,
        400,
        "at once"
    );
    assert_eq!(ada.tables(), [""; 0]);
}

#[test]
fn a_package_is_granted_as_one_and_changes_for_all_who_have_it() {
    let stage = Stage::set();
    let shop = &stage.shop;
    let ada = shop.newcomer("ada@example.com");
    let put = |tables: Value| {
        let package = json!({"description": "what Ada needs", "tables": tables});
        shop.put("/api/admin/data-packages/basics", &package).ok();
    };
    put(json!(["orders"]));
    let group = shop.add_group("Team");
    shop.join(&group, "ada@example.com");
    shop.grant(&group, "read", "data_package", "basics");
    assert_eq!(ada.tables(), ["orders"]);
    put(json!(["orders", "salaries"]));
    assert_eq!(ada.tables(), ["orders", "salaries"]);
    let access = ada.get("/api/me/effective-access").ok();
    assert_eq!(access["items"][0]["resource_id"], "basics");
    assert_eq!(access["items"][0]["via_groups"][0]["group_name"], "Team");
    shop.delete("/api/admin/data-packages/basics").ok();
    assert_eq!(ada.tables(), [""; 0]);
}

#[test]
fn to_run_a_source_is_one_thing_and_to_read_it_another() {
    let stage = Stage::set();
    let shop = &stage.shop;
    let ada = shop.newcomer("ada@example.com");
    let group = shop.add_group("Team");
    shop.join(&group, "ada@example.com");
    shop.grant(&group, "run", "source", "shop");
    let run = ada.run("shop");
    assert_eq!(run["state"], "succeeded");
    assert_eq!(ada.tables(), [""; 0]);
    assert_eq!(
        ada.post("/api/sources/salaries/runs", &json!({})).status,
        404
    );
    let started = ada.send(Method::POST, "/api/sync/trigger", &[], &[]).ok();
    assert_eq!(started["runs"].as_array().unwrap().len(), 1);
    let started = started["runs"][0].as_str().unwrap();
    ada.wait(started);
    shop.grant(&group, "read", "source", "shop");
    assert_eq!(ada.tables(), ["orders"]);
}

#[test]
fn what_everyone_is_granted_everyone_has() {
    let stage = Stage::set();
    let shop = &stage.shop;
    let groups = shop.get("/api/admin/groups").ok();
    let groups = groups.as_array().unwrap();
    let id = |name: &str| {
        let group = groups.iter().find(|group| group["name"] == name);
        group.unwrap()["id"].as_str().unwrap().to_owned()
    };
    shop.grant(&id("Everyone"), "read", "table", "orders");
    assert_eq!(shop.newcomer("ada@example.com").tables(), ["orders"]);
    for system in ["Everyone", "Admin"] {
        let path = format!("/api/admin/groups/{}", id(system));
        insta::allow_duplicates! {
            insta::assert_snapshot!(shop.delete(&path).detail(), @"409 Cannot delete a system group");
        }
    }
}

#[test]
fn the_last_admin_cannot_be_lost() {
    let stage = Stage::set();
    let shop = &stage.shop;
    let me = shop.get("/api/me").ok();
    let me = me["id"].as_str().unwrap();
    let patch = |id: &str, body: Value| {
        let headers = [("content-type", "application/json")];
        let body = body.to_string();
        shop.send(
            Method::PATCH,
            &format!("/api/users/{id}"),
            &headers,
            body.as_bytes(),
        )
    };
    insta::assert_snapshot!(patch(me, json!({"role": "user"})).detail(), @"409 Cannot demote the last active admin");
    insta::assert_snapshot!(patch(me, json!({"active": false})).detail(), @"409 Cannot deactivate yourself");
    insta::assert_snapshot!(shop.delete(&format!("/api/users/{me}")).detail(), @"409 Cannot delete yourself");

    let second = shop.add_user("second@example.com");
    patch(&second, json!({"role": "admin"})).ok();
    patch(me, json!({"role": "user"})).ok();
    assert_eq!(
        shop.get("/api/users").status,
        403,
        "no admin any more, at once"
    );
    let second = shop.sign_in("second@example.com");
    let again = second.post(&format!("/api/users/{me}/deactivate"), &json!({}));
    again.ok();
    assert_eq!(shop.get("/api/me").detail(), "401 Account deactivated");
}

#[test]
fn what_is_changed_by_whom_is_in_the_audit_and_its_chain_holds() {
    let stage = Stage::set();
    let shop = &stage.shop;
    let group = shop.add_group("Team");
    shop.newcomer("ada@example.com");
    shop.join(&group, "ada@example.com");
    shop.grant(&group, "read", "table", "orders");
    let export = integration_tests::artifacts::sluice_ok([
        "admin".as_ref(),
        "--data-dir".as_ref(),
        shop.data.as_os_str(),
        "audit".as_ref(),
        "export".as_ref(),
    ]);
    let mut actions: BTreeMap<String, usize> = BTreeMap::new();
    for line in export.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        *actions
            .entry(entry["action"].as_str().unwrap().to_owned())
            .or_default() += 1;
        assert!(!line.contains("ada@example.com"), "{line}");
    }
    for action in [
        "server.claim",
        "publisher.create",
        "connector.upload",
        "connector.trust",
        "source.create",
        "run.start",
        "user.create",
        "user.set_password",
        "session.begin",
        "user_group.created",
        "user_group.member_added",
        "resource_grant.created",
    ] {
        assert!(actions.contains_key(action), "{action} of {actions:?}");
    }
    let verified = integration_tests::artifacts::sluice_ok([
        "admin".as_ref(),
        "--data-dir".as_ref(),
        shop.data.as_os_str(),
        "audit".as_ref(),
        "verify".as_ref(),
    ]);
    assert!(verified.contains("head"), "{verified}");
}
