//! Runs among themselves and with the server: they wait for a place, and end with it.

use integration_tests::{App, Options, files, outcome, until};
use serde_json::Value;

use crate::shop::{ORDERS, Shop, count};

/// A server whose source `held` reads a page that does not end.
fn with_held_page(options: Options) -> Shop {
    let shop = Shop::of(App::with(options));
    shop.internet.held("/held.csv", "text/csv", "id\n1\n");
    let page = shop.internet.url("/held.csv");
    shop.source("held", [files::csv("held", &page)]);
    shop
}

#[test]
fn a_run_beyond_the_most_at_once_says_that_it_waits_and_comes_to_its_turn() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&config, "runs:\n  max_at_once: 1\n").unwrap();
    let shop = with_held_page(Options {
        arguments: vec!["--config".into(), config.path().display().to_string()],
        ..Options::default()
    });
    shop.source(
        "shop",
        [files::csv("orders", &shop.internet.url("/orders.csv"))],
    );
    let first = shop.start("held");
    shop.internet.wait_for("/held.csv", 1);
    let second = shop.start("shop");
    until("the run says that it waits", || {
        shop.log(&second)
            .contains("waiting for a place: runs.max_at_once is 1")
    });
    assert!(shop.internet.seen_at("/orders.csv").is_empty());
    let waiting = shop.get(&format!("/api/runs/{second}")).ok();
    assert_eq!(waiting["state"], "queued", "{waiting}");
    assert!(waiting["started_at"].is_null(), "{waiting}");

    shop.post(&format!("/api/runs/{first}/cancel"), &Value::Null)
        .ok();
    assert_eq!(outcome(&shop.wait(&second)), "succeeded");
    assert_eq!(shop.orders(), count(3));
}

#[test]
fn a_server_that_is_asked_to_stop_ends_its_runs_and_stops_well() {
    let mut shop = with_held_page(Options::default());
    assert_eq!(shop.publish("orders", ORDERS), "succeeded");
    let run = shop.start("held");
    shop.internet.wait_for("/held.csv", 1);
    let runners = shop.runners();
    assert_eq!(runners.len(), 1);

    assert!(shop.app().stop().success());
    assert!(!std::path::Path::new(&format!("/proc/{}", runners[0])).exists());
    assert!(!shop.data.join("extracts/held/data").exists());
    shop.app().restart();
    assert_eq!(
        outcome(&shop.get(&format!("/api/runs/{run}")).ok()),
        "cancelled"
    );
    assert_eq!(shop.orders(), count(3));
}

#[test]
fn a_reader_who_goes_away_leaves_the_run_alone() {
    let shop = with_held_page(Options::default());
    let run = shop.start("held");
    shop.events(&run, |_, _| false);
    shop.internet.wait_for("/held.csv", 1);
    shop.internet.page("/held.csv", "text/csv", "id\n1\n");
    assert_eq!(shop.runners().len(), 1);
    shop.post(&format!("/api/runs/{run}/cancel"), &Value::Null)
        .ok();
    assert_eq!(outcome(&shop.wait(&run)), "cancelled");
    assert_eq!(shop.outcome("held"), "succeeded");
}

#[test]
fn the_log_can_be_read_by_machines() {
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--log-format".into(), "json".into()],
        ..Options::default()
    }));
    assert_eq!(shop.publish("orders", ORDERS), "succeeded");
    let about_the_run = shop.line(&["succeeded"]);
    let people = ["Set up: ", "Code: ", "Sluice listens on "];
    for line in shop.output().lines() {
        let for_people = people.iter().any(|word| line.starts_with(word));
        assert!(
            for_people || serde_json::from_str::<Value>(line).is_ok(),
            "{line}"
        );
    }
    let about_the_run: Value = serde_json::from_str(&about_the_run).expect("JSON");
    for key in ["timestamp", "level"] {
        assert!(about_the_run[key].is_string(), "{about_the_run}");
    }
}
