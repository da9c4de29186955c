//! What was accepted is not lost: runs wait for their source and for a place, outlive the server, and are taken back.

use std::collections::BTreeSet;

use integration_tests::{App, Client, Options, files, outcome, until};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::shop::Shop;

/// A server with room for one run at once, whose sources `shop` and `other` read a page that does not end.
fn with_one_place() -> (Shop, tempfile::NamedTempFile) {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        &config,
        "runs: {max_at_once: 1, max_waiting_of_source: 3}\n",
    )
    .unwrap();
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--config".into(), config.path().display().to_string()],
        ..Options::default()
    }));
    shop.internet.held("/page.csv", "text/csv", "id\n1\n");
    for name in ["shop", "other"] {
        shop.source(name, [files::csv(name, &shop.internet.url("/page.csv"))]);
    }
    (shop, config)
}

fn run(shop: &Shop, id: &str) -> Value {
    shop.get(&format!("/api/runs/{id}")).ok()
}

fn operation(shop: &Shop, source: &str, operation: &str) -> String {
    shop.start_as(source, &json!({"operation": operation}))
}

#[test]
fn what_was_accepted_goes_on_after_the_server_was_killed() {
    let (mut shop, _config) = with_one_place();
    let first = shop.start("shop");
    shop.internet.wait_for("/page.csv", 1);
    let waiting = [
        operation(&shop, "shop", "discover"),
        shop.start("shop"),
        shop.start("other"),
    ];
    for id in &waiting {
        assert_eq!(run(&shop, id)["state"], "queued");
    }
    shop.app().kill();
    shop.internet.page("/page.csv", "text/csv", "id\n1\n");
    shop.app().restart();
    assert_eq!(run(&shop, &first)["state"], "interrupted");
    for id in &waiting {
        assert_eq!(outcome(&shop.wait(id)), "succeeded");
    }
    let begun = |id: &str| run(&shop, id)["started_at"].as_str().unwrap().to_owned();
    assert!(
        begun(&waiting[0]) < begun(&waiting[1]),
        "in the order of asking"
    );
    assert_eq!(shop.rows("SELECT id FROM other"), json!([[1]]));
}

#[test]
fn what_waits_goes_on_after_the_server_was_stopped() {
    let (mut shop, _config) = with_one_place();
    let first = shop.start("shop");
    shop.internet.wait_for("/page.csv", 1);
    let (second, other) = (operation(&shop, "shop", "check"), shop.start("other"));
    until("it waits for a place", || {
        shop.log(&other).contains("waiting for a place")
    });
    assert!(shop.app().stop().success());
    shop.internet.page("/page.csv", "text/csv", "id\n1\n");
    shop.app().restart();
    assert_eq!(outcome(&run(&shop, &first)), "cancelled");
    for id in [second, other] {
        assert_eq!(outcome(&shop.wait(&id)), "succeeded");
    }
}

#[test]
fn a_run_that_waits_is_cancelled_and_never_begins() {
    let (shop, _config) = with_one_place();
    let first = shop.start("shop");
    shop.internet.wait_for("/page.csv", 1);
    let second = operation(&shop, "shop", "check");
    assert!(
        shop.log(&second)
            .contains(&format!("waiting for the end of run {first}"))
    );
    let cancel = |id: &str| shop.post(&format!("/api/runs/{id}/cancel"), &Value::Null);
    let cancelled = cancel(&second).ok();
    assert_eq!(
        (&cancelled["state"], &cancelled["started_at"]),
        (&json!("cancelled"), &Value::Null)
    );
    assert_eq!(cancel(&second).status, 409);
    cancel(&first).ok();
    assert_eq!(outcome(&shop.wait(&first)), "cancelled");
    assert_eq!(run(&shop, &second)["started_at"], Value::Null);
}

#[test]
fn more_than_may_wait_is_refused_with_the_reason_and_old_clients_pass_over_what_is_busy() {
    let (shop, _config) = with_one_place();
    shop.start("shop");
    shop.internet.wait_for("/page.csv", 1);
    for wanted in ["sync", "check", "discover"] {
        operation(&shop, "shop", wanted);
    }
    let again = operation(&shop, "shop", "check");
    assert_eq!(
        again,
        operation(&shop, "shop", "check"),
        "it is the one that waits"
    );
    let triggered = shop.send(Method::POST, "/api/sync/trigger", &[], &[]).ok();
    assert_eq!(
        triggered["runs"].as_array().unwrap().len(),
        1,
        "only `other` was idle"
    );
    for id in shop.get("/api/runs?source=shop").ok()["runs"]
        .as_array()
        .unwrap()
    {
        let id = id["id"].as_str().unwrap();
        shop.post(&format!("/api/runs/{id}/cancel"), &Value::Null)
            .ok();
    }
    until("they have ended", || {
        let runs = shop.get("/api/runs?source=shop").ok().to_string();
        !runs.contains("\"running\"") && !runs.contains("\"queued\"")
    });
    // Now `other` has the place, and `shop` waits behind it.
    let tables = |name: &str| {
        let wish = json!({"tables": [name]});
        shop.post("/api/sources/shop/runs", &wish)
    };
    for name in ["a", "b", "c", "d"] {
        tables(name).ok();
    }
    let refused = tables("e");
    insta::assert_snapshot!(refused.detail(), @"429 3 runs of source `shop` and 3 in all wait already; ask again once some are done, cancel some, or raise `runs.max_waiting` and `runs.max_waiting_of_source`");
}

#[test]
fn runs_of_a_source_never_meet_and_no_source_keeps_the_others_waiting() {
    let (shop, _config) = with_one_place();
    let mut runs = vec![shop.start("shop")];
    shop.internet.wait_for("/page.csv", 1);
    runs.extend(["check", "discover", "sync"].map(|wanted| operation(&shop, "shop", wanted)));
    runs.push(shop.start("other"));
    until("it waits for a place", || {
        shop.log(&runs[4]).contains("waiting for a place")
    });
    shop.internet.page("/page.csv", "text/csv", "id\n1\n");
    shop.post(&format!("/api/runs/{}/cancel", runs[0]), &Value::Null)
        .ok();
    let ended: Vec<_> = runs.iter().map(|id| shop.wait(id)).collect();
    let moment = |run: &Value, key: &str| run[key].as_str().unwrap().to_owned();
    for pair in ended[..4].windows(2) {
        assert!(
            moment(&pair[0], "finished_at") <= moment(&pair[1], "started_at"),
            "{pair:?}"
        );
    }
    let mut ended = ended;
    ended.sort_by_key(|run| moment(run, "started_at"));
    let order: Vec<_> = ended.iter().map(|run| &run["source"]).collect();
    assert_eq!(order, ["shop", "other", "shop", "shop", "shop"]);
}

#[test]
fn of_many_who_ask_at_once_each_gets_a_run_that_begins_after_the_question() {
    let shop = Shop::with_orders();
    let asked = std::thread::scope(|scope| {
        let client: &Client = &shop;
        let ask = |_| scope.spawn(|| client.start("shop"));
        let threads: Vec<_> = (0..8).map(ask).collect();
        let ids = threads.into_iter().map(|thread| thread.join().unwrap());
        ids.collect::<BTreeSet<_>>()
    });
    let mut ended: Vec<_> = asked.iter().map(|id| shop.wait(id)).collect();
    ended.sort_by_key(|run| run["started_at"].as_str().unwrap().to_owned());
    assert!(
        ended.iter().all(|run| outcome(run) == "succeeded"),
        "{ended:?}"
    );
    for pair in ended.windows(2) {
        assert!(
            pair[0]["finished_at"].as_str() <= pair[1]["started_at"].as_str(),
            "{pair:?}"
        );
    }
}

#[test]
fn a_source_is_removed_with_the_runs_that_wait_and_not_while_one_works() {
    let (shop, _config) = with_one_place();
    let first = shop.start("shop");
    shop.internet.wait_for("/page.csv", 1);
    assert_eq!(shop.delete("/api/sources/shop").status, 409);
    shop.post(&format!("/api/runs/{first}/cancel"), &Value::Null)
        .ok();
    shop.wait(&first);
    assert_eq!(shop.delete("/api/sources/shop").status, 204);
}
