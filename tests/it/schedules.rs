//! Sources that run by themselves: at their moments, once for those that were missed, again after what may pass.

use std::collections::BTreeSet;
use std::time::SystemTime;

use integration_tests::{App, Options, files, outcome, until};
use serde_json::{Value, json};

use crate::shop::{ORDERS, Shop};

/// A server whose scheduled runs are not late, with a source `shop`.
fn punctual(more: &str) -> (Shop, tempfile::NamedTempFile) {
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = format!("runs: {{jitter_seconds: 0, retry_seconds: 1}}\n{more}");
    std::fs::write(&config, text).unwrap();
    let shop = Shop::of(App::with(Options {
        arguments: vec!["--config".into(), config.path().display().to_string()],
        ..Options::default()
    }));
    shop.source(
        "shop",
        [files::csv("orders", &shop.internet.url("/orders.csv"))],
    );
    (shop, config)
}

fn follow(shop: &Shop, schedule: &str) -> Value {
    shop.put("/api/sources/shop/schedule", &json!({"schedule": schedule}))
        .ok()
}

/// Makes it look as if the server had been down since three hours ago.
fn sleep_three_hours(shop: &mut Shop, schedule: &str) {
    shop.app().rewrite_state(&format!(
        "DELETE FROM standings; \
         INSERT INTO standings SELECT 'shop', '{schedule} UTC', (now() - INTERVAL 3 HOUR)::TIMESTAMP, \
             (now() - INTERVAL 4 HOUR)::TIMESTAMP, NULL, 0"
    ));
}

/// The runs of `shop`, oldest first, each with who wanted it.
fn runs(shop: &Shop) -> Vec<Value> {
    let runs = shop.get("/api/runs?source=shop").ok();
    let ids = runs["runs"].as_array().unwrap().iter().rev();
    ids.map(|run| {
        let id = run["id"].as_str().unwrap();
        shop.get(&format!("/api/runs/{id}")).ok()
    })
    .collect()
}

#[track_caller]
fn until_ended(shop: &Shop, count: usize) -> Vec<Value> {
    let ended = |run: &Value| run["finished_at"].is_string();
    until(&format!("{count} runs have ended"), || {
        let runs = runs(shop);
        runs.len() >= count && runs.iter().all(ended)
    });
    runs(shop)
}

#[test]
fn a_source_runs_at_the_moments_of_its_schedule() {
    let (shop, _config) = punctual("");
    let schedule = follow(&shop, "* * * * *");
    let next = schedule["next"][0].as_str().unwrap();
    // Only the minutes and seconds matter; the moment is less than a minute away.
    let second = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap().as_secs() % 60
    };
    assert!(next.ends_with(":00Z"), "{next}");
    let asked_at = second();
    until("the minute is nearly over", || {
        second() > 45 || second() < asked_at
    });
    shop.internet.wait_for("/orders.csv", 1);
    let run = until_ended(&shop, 1).remove(0);
    assert_eq!(
        (outcome(&run).as_str(), &run["trigger"]),
        ("succeeded", &json!("schedule"))
    );
    let queued_at = run["queued_at"].as_str().unwrap();
    assert!(
        queued_at >= next.trim_end_matches('Z'),
        "{queued_at} is before {next}"
    );
}

#[test]
fn moments_that_were_missed_are_made_up_for_by_one_run() {
    let (mut shop, _config) = punctual("");
    follow(&shop, "every 6h");
    sleep_three_hours(&mut shop, "every 6h");
    let caught_up = until_ended(&shop, 1);
    assert_eq!(caught_up[0]["trigger"], "schedule");
    shop.app().kill();
    shop.app().restart();
    assert_eq!(shop.outcome("shop"), "succeeded");
    let triggers: Vec<_> = runs(&shop)
        .iter()
        .map(|run| run["trigger"].clone())
        .collect();
    assert_eq!(triggers, ["schedule", "person"]);
}

#[test]
fn a_scheduled_run_in_which_the_server_died_is_tried_again() {
    let (mut shop, _config) = punctual("");
    shop.internet.held("/orders.csv", "text/csv", "id\n1\n");
    follow(&shop, "every 6h");
    sleep_three_hours(&mut shop, "every 6h");
    shop.internet.wait_for("/orders.csv", 1);
    shop.app().kill();
    shop.internet.page("/orders.csv", "text/csv", ORDERS);
    shop.app().restart();
    let runs = until_ended(&shop, 2);
    let told: Vec<_> = runs
        .iter()
        .map(|run| (&run["state"], &run["attempt"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("interrupted"), &json!(1)),
            (&json!("succeeded"), &json!(2))
        ]
    );
}

#[test]
fn what_is_down_is_tried_again_and_what_is_wrong_is_not() {
    let (mut shop, _config) = punctual("");
    shop.internet.status("/orders.csv", 404);
    follow(&shop, "every 6h");
    sleep_three_hours(&mut shop, "every 6h");
    let failed = until_ended(&shop, 1).remove(0);
    let kind = failed["failure"]["kind"].as_str().unwrap().to_owned();
    let id = failed["id"].as_str().unwrap().to_owned();
    let log = shop.log(&id);
    assert!(
        log.contains(&format!("a failure of kind {kind} is not tried again")),
        "{log}"
    );
    assert_eq!(shop.get("/api/sources/shop/schedule").ok()["failing"], true);

    // The host itself asks a few times before it gives a run up.
    shop.internet.status("/orders.csv", 503);
    sleep_three_hours(&mut shop, "every 6h");
    until("it is to be tried again", || {
        shop.get("/api/sources/shop/schedule").ok()["failures"] == 1
    });
    shop.internet.page("/orders.csv", "text/csv", ORDERS);
    let runs = until_ended(&shop, 3);
    assert_eq!(
        (outcome(&runs[2]).as_str(), &runs[2]["attempt"]),
        ("succeeded", &json!(2))
    );
    let id = runs[1]["id"].as_str().unwrap();
    assert!(
        shop.log(id)
            .contains("attempt 1 of 4; it is tried again in 1 s"),
        "{}",
        shop.log(id)
    );
}

#[test]
fn a_source_that_is_paused_stands_still_and_what_makes_no_sense_is_refused() {
    let (mut shop, _config) = punctual("");
    follow(&shop, "every 6h");
    let paused = shop.post("/api/sources/shop/pause", &json!({})).ok();
    assert_eq!(
        (&paused["paused"], &paused["next"]),
        (&json!(true), &json!([]))
    );
    sleep_three_hours(&mut shop, "every 6h");
    let resumed = shop.post("/api/sources/shop/resume", &json!({})).ok();
    assert_eq!(resumed["next"].as_array().unwrap().len(), 5);
    assert_eq!(shop.outcome("shop"), "succeeded");
    assert_eq!(runs(&shop).len(), 1, "nothing was made up for");

    let put = |body: Value| shop.put("/api/sources/shop/schedule", &body).detail();
    insta::assert_snapshot!(put(json!({"schedule": "daily 25:00"})), @"422 `daily 25:00` is no schedule: `25:00` is no time of a day; write it like `03:00`");
    insta::assert_snapshot!(put(json!({"schedule": "default", "zone": "Mars/Base"})), @"422 there is no time zone `Mars/Base`; write a name such as `Europe/Prague` or `UTC`");
    insta::assert_snapshot!(put(json!({"schedule": "default", "jitter_seconds": 86401})), @"422 `jitter_seconds` is at most 86400");
    insta::assert_snapshot!(put(json!({"schedule": "default", "stale_after_hours": 0})), @"422 `stale_after_hours` is from 1 to 8784");
}

#[test]
fn a_schedule_is_decided_on_the_command_line_and_is_in_the_audit() {
    let (shop, _config) = punctual("");
    let say = |arguments: &[&str]| {
        let mut command = shop.cli();
        command.args(["source", "schedule", "shop"]).args(arguments);
        let output = command.output().unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    insta::assert_snapshot!(say(&[]), @r"
    schedule  none: it runs when somebody asks
    zone      UTC
    ");
    let set = say(&["--set", "daily 03:00", "--zone", "Europe/Prague"]);
    assert!(
        set.starts_with("schedule  daily 03:00\nzone      Europe/Prague\nnext      "),
        "{set}"
    );
    assert_eq!(set.lines().count(), 7, "{set}");
    insta::assert_snapshot!(say(&["--pause"]), @r"
    schedule  daily 03:00
    zone      Europe/Prague
    it stands still; --resume lets it go on
    ");
    insta::assert_snapshot!(say(&["--set", "soon"]), @r"
    error: `soon` is no schedule: write `every 15m`, `daily 03:00`, `weekly mon 03:00`, `monthly 1 03:00`, or the five fields of cron, such as `0 3 * * mon-fri`
    ");
    insta::assert_snapshot!(say(&["--none", "--resume", "--zone", "default"]), @r"
    schedule  none: it runs when somebody asks
    zone      UTC
    ");
    let export = integration_tests::artifacts::sluice_ok([
        "admin".as_ref(),
        "--data-dir".as_ref(),
        shop.data.as_os_str(),
        "audit".as_ref(),
        "export".as_ref(),
    ]);
    for action in ["source.schedule", "source.pause", "source.resume"] {
        assert!(export.contains(&format!("\"{action}\"")), "{action}");
    }
    assert!(export.contains("daily 03:00"), "{export}");
}

/// A server that tells a webhook on the internet, which answers as the function says.
fn with_webhook() -> (Shop, tempfile::NamedTempFile) {
    let (mut shop, config) = punctual("");
    shop.internet
        .page("/hook/hunter2-hunter2", "text/plain", "ok");
    let url = shop.internet.url("/hook/hunter2-hunter2");
    let text = format!("runs: {{jitter_seconds: 0}}\nalerts: {{webhook_url: '{url}'}}\n");
    std::fs::write(&config, text).unwrap();
    shop.app().restart();
    (shop, config)
}

/// What the webhook was told so far.
fn told(shop: &Shop) -> Vec<String> {
    let seen = shop.internet.seen_at("/hook/hunter2-hunter2").into_iter();
    seen.map(|request| {
        let body: Value = serde_json::from_str(request.body()).expect("JSON");
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        body["text"].as_str().unwrap().to_owned()
    })
    .collect()
}

/// What was told, without what came twice since a server died before it had noted that it was told. No server tells
/// anything twice itself: each signs with its own address.
fn distinct(shop: &Shop) -> Vec<String> {
    let mut told = told(shop);
    let different: BTreeSet<_> = told.iter().collect();
    assert_eq!(different.len(), told.len(), "{told:?}");
    told.dedup_by_key(|text| text.lines().next().map(str::to_owned));
    told
}

#[test]
fn a_webhook_is_told_of_a_failure_and_of_recovery_each_once() {
    let (mut shop, _config) = with_webhook();
    shop.internet.status("/orders.csv", 404);
    assert!(shop.outcome("shop").starts_with("failed"));
    shop.internet.wait_for("/hook/hunter2-hunter2", 1);
    shop.app().restart();
    assert!(shop.outcome("shop").starts_with("failed"));
    shop.internet.page("/orders.csv", "text/csv", ORDERS);
    for _ in 0..2 {
        assert_eq!(shop.outcome("shop"), "succeeded");
    }
    until("the recovery is told", || distinct(&shop).len() == 2);
    shop.internet.status("/orders.csv", 404);
    assert!(shop.outcome("shop").starts_with("failed"));
    until("the new failure is told", || distinct(&shop).len() >= 3);
    let told = distinct(&shop);
    let begins = [
        "Source `shop` failed: ",
        "Source `shop` works again: 3 rows (run ",
        "Source `shop` failed: ",
    ];
    assert_eq!(told.len(), 3, "{told:?}");
    for (text, beginning) in told.iter().zip(begins) {
        assert!(text.starts_with(beginning), "{text}");
        assert!(text.contains("\nhttp://127.0.0.1:"), "{text}");
    }
    assert!(
        !shop.output().contains("hunter2"),
        "the address is a secret"
    );
}

#[test]
fn an_alert_outlives_a_webhook_that_is_down_and_a_server_that_is_killed() {
    let (mut shop, _config) = with_webhook();
    shop.internet.status("/hook/hunter2-hunter2", 503);
    shop.internet.status("/orders.csv", 404);
    assert!(shop.outcome("shop").starts_with("failed"));
    shop.internet.wait_for("/hook/hunter2-hunter2", 1);
    shop.line(&["an alert was not delivered and is tried again", "503"]);
    shop.app().kill();
    shop.internet
        .page("/hook/hunter2-hunter2", "text/plain", "ok");
    let before = told(&shop).len();
    shop.app().restart();
    shop.internet.wait_for("/hook/hunter2-hunter2", before + 1);
    let told = told(&shop);
    assert!(
        told.iter()
            .all(|text| text.starts_with("Source `shop` failed: ")),
        "{told:?}"
    );
}

#[test]
fn a_webhook_is_told_of_rows_that_are_too_old() {
    let (mut shop, _config) = with_webhook();
    assert_eq!(shop.outcome("shop"), "succeeded");
    let body = json!({"schedule": "monthly 1 03:00", "stale_after_hours": 26});
    shop.put("/api/sources/shop/schedule", &body).ok();
    let aged = "UPDATE healths SET fresh_at = fresh_at - INTERVAL 27 HOUR; \
        UPDATE standings SET due_at = (now() + INTERVAL 1 HOUR)::TIMESTAMP, served_to = now()::TIMESTAMP";
    shop.app().rewrite_state(aged);
    shop.internet.wait_for("/hook/hunter2-hunter2", 1);
    assert!(told(&shop)[0].starts_with("Source `shop` is stale: no sync has worked since "));
    assert_eq!(shop.get("/api/sources/shop/schedule").ok()["stale"], true);
    assert_eq!(shop.outcome("shop"), "succeeded");
    shop.internet.wait_for("/hook/hunter2-hunter2", 2);
    assert!(told(&shop)[1].starts_with("Source `shop` works again"));
    assert_eq!(shop.get("/api/sources/shop/schedule").ok()["stale"], false);
}
