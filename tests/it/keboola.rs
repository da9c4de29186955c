//! The connector `keboola` through the whole server, against Storage as it is played here.

use integration_tests::keboola::{Cloud, Column, Keboola, Mood, TOKEN};
use integration_tests::{App, outcome};
use serde_json::{Value, json};

mod lent;

const ORDERS: &str = "in.c-crm.orders";
const COLUMNS: [Column; 4] = [
    ("id", "INTEGER"),
    ("name", "STRING"),
    ("amount", "NUMERIC"),
    ("sold", "DATE"),
];

/// A server with a source `crm`, and the project that it reads.
struct Crm {
    app: App,
    project: Keboola,
}

impl Crm {
    /// The source has the table `orders`, and those of these settings.
    fn open(cloud: Cloud, more: &[Value]) -> Self {
        Self::of(
            cloud,
            &[&[json!({"id": ORDERS, "name": "orders"})], more].concat(),
        )
    }

    fn of(cloud: Cloud, tables: &[Value]) -> Self {
        let project = Keboola::start(cloud);
        project.create(ORDERS, &COLUMNS);
        let first: [&[&str]; 3] = [
            &["1", "Ada", "10.5", "2026-01-01"],
            &["2", "a \"quoted\", name", "", "2026-01-02"],
            &["3", "", "-1", ""],
        ];
        project.import(ORDERS, &first);
        let app = App::start();
        app.install("keboola");
        let private = project.exceptions();
        let private = private.each_ref().map(String::as_str);
        app.add_source("crm", "keboola", &project.settings(json!(tables)), &private);
        let crm = Self { app, project };
        crm.enter(TOKEN);
        crm
    }

    #[track_caller]
    fn enter(&self, token: &str) {
        let put = self.app.put(
            "/api/sources/crm/credentials/storage-token",
            &json!({"value": token}),
        );
        assert_eq!(put.status, 204, "{}", put.detail());
    }

    /// Runs the source; what it was lent is a canary from then on, like the token.
    fn run(&self) -> Value {
        let run = self.app.run("crm");
        self.guard();
        run
    }

    fn guard(&self) {
        for lent in self.project.lent() {
            self.app.leaks.guard(&lent);
        }
    }

    #[track_caller]
    fn works(&self) -> String {
        let run = self.run();
        let id = run["id"].as_str().unwrap();
        assert_eq!(outcome(&run), "succeeded", "{}", self.app.log(id));
        self.app.log(id)
    }

    fn orders(&self) -> Value {
        self.app
            .rows("SELECT id, name, amount, CAST(sold AS VARCHAR) FROM orders ORDER BY id")
    }
}

#[test]
fn a_table_is_brought_whole_and_then_merged_by_what_was_imported_since() {
    let crm = Crm::open(Cloud::Google, &[]);
    crm.project.mood(Mood {
        polls: 1,
        ..Mood::default()
    });
    crm.works();
    assert_eq!(
        crm.orders(),
        json!([
            [1, "Ada", 10.5, "2026-01-01"],
            [2, "a \"quoted\", name", null, "2026-01-02"],
            [3, "", -1.0, null]
        ])
    );
    let exports = || crm.project.exports(ORDERS);
    assert!(!exports()[0].contains("changedSince"));

    crm.project.import(
        ORDERS,
        &[
            &["2", "Bob", "20", "2026-01-03"],
            &["4", "Eve", "4", "2026-01-04"],
        ],
    );
    crm.works();
    assert_eq!(
        crm.orders(),
        json!([
            [1, "Ada", 10.5, "2026-01-01"],
            [2, "Bob", 20.0, "2026-01-03"],
            [3, "", -1.0, null],
            [4, "Eve", 4.0, "2026-01-04"]
        ])
    );
    assert!(
        exports()[1].contains("changedSince=2026-02-01T00:01:00+0100"),
        "{:?}",
        exports()
    );

    let log = crm.works();
    assert!(log.contains("nothing was imported since"), "{log}");
    assert_eq!(exports().len(), 2);

    crm.project.delete(ORDERS, "1");
    let log = crm.works();
    assert!(
        log.contains("brought whole, since rows were deleted"),
        "{log}"
    );
    assert_eq!(crm.orders()[0][0], 2);
}

#[test]
fn filters_and_columns_are_storages_work() {
    let table = json!({"id": ORDERS, "name": "orders", "columns": ["name", "id"],
        "where": [{"column": "name", "operator": "ne", "values": ["Ada"]}], "types": "text"});
    let crm = Crm::of(Cloud::Google, &[table]);
    crm.works();
    assert_eq!(
        crm.app.rows("SELECT * FROM orders ORDER BY id"),
        json!([["a \"quoted\", name", "2"], ["", "3"]])
    );
}

#[test]
fn a_token_that_storage_refuses_ends_run_and_check_as_such() {
    let crm = Crm::open(Cloud::Google, &[]);
    crm.enter("1234-c4nary-another-token");
    let failed = outcome(&crm.run());
    assert!(
        failed.starts_with(
            "failed (auth): table `orders` (in.c-crm.orders): Storage answered with status 401"
        ),
        "{failed}"
    );
    let check = crm.app.start_as("crm", &json!({"operation": "check"}));
    let failed = outcome(&crm.app.wait(&check));
    assert!(
        failed.contains("storage.tokenInvalid Invalid access token"),
        "{failed}"
    );
    crm.enter(TOKEN);
    let check = crm.app.start_as("crm", &json!({"operation": "check"}));
    assert_eq!(outcome(&crm.app.wait(&check)), "succeeded");
}

#[test]
fn a_service_that_is_busy_is_waited_for() {
    let crm = Crm::open(Cloud::Google, &[]);
    crm.project.mood(Mood {
        busy: 1,
        polls: 1,
        ..Mood::default()
    });
    crm.works();
    assert_eq!(crm.project.exports(ORDERS).len(), 2, "one was turned away");
    crm.project
        .import(ORDERS, &[&["9", "Zoe", "9", "2026-01-09"]]);
    crm.works();
    assert_eq!(crm.orders()[3][1], "Zoe");
}

#[test]
fn a_job_that_fails_is_told_and_does_not_hold_up_other_tables() {
    let crm = Crm::open(Cloud::Google, &[json!({"id": "in.c-crm.gone"})]);
    let failed = outcome(&crm.run());
    assert!(
        failed.starts_with(
            "failed (config): table `crm_gone` (in.c-crm.gone): Storage answered with status 404"
        ),
        "{failed}"
    );
    assert_eq!(crm.orders().as_array().unwrap().len(), 3, "what came stays");

    crm.project.create("in.c-crm.gone", &COLUMNS);
    crm.project.import(ORDERS, &[&["1", "Ada", "11", ""]]);
    crm.project.mood(Mood {
        job_error: Some("the backend is on fire".into()),
        ..Mood::default()
    });
    let failed = outcome(&crm.run());
    assert!(
        failed.starts_with("failed (upstream): 2 tables were not brought: table `orders`"),
        "{failed}"
    );
    assert!(
        failed.contains("ended with `error`: storage.backend the backend is on fire"),
        "{failed}"
    );
    assert_eq!(crm.orders()[0][2], 10.5, "the last good rows stay");

    crm.project.mood(Mood::default());
    crm.works();
    assert_eq!(
        crm.orders()[0][2],
        11.0,
        "what failed was not taken for done"
    );
    assert_eq!(crm.app.rows("SELECT count(*) FROM crm_gone"), json!([[0]]));
}

#[test]
fn a_server_that_is_killed_between_two_tables_goes_on_with_the_second() {
    const STUCK: &str = "in.c-crm.visits";
    let mut crm = Crm::open(Cloud::Google, &[json!({"id": STUCK, "name": "visits"})]);
    crm.project.create(STUCK, &COLUMNS[..1]);
    crm.project.import(STUCK, &[&["7"]]);
    crm.project.mood(Mood {
        stuck: Some(STUCK.into()),
        ..Mood::default()
    });
    crm.app.start("crm");
    crm.project.api.wait_for("/v2/storage/jobs/2", 1);
    crm.app.kill();
    crm.guard();
    crm.project.mood(Mood::default());
    crm.app.restart();
    crm.works();
    assert_eq!(crm.orders().as_array().unwrap().len(), 3);
    assert_eq!(crm.app.rows("SELECT id FROM visits"), json!([[7]]));
    assert_eq!(
        crm.project.exports(ORDERS).len(),
        1,
        "it was published before"
    );
}
