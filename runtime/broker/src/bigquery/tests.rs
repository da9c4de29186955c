//! Against a server that answers as Google's reference of the REST API says.

use std::sync::Mutex;

use tokio::runtime::Handle;

use super::*;
use crate::BrokerConfig;
use crate::testing::heard;
use crate::testing::server::{Say, Server, page};

const SQL: &str = "SELECT id FROM `shop.orders`";
const DRY: &str = r#"{"kind":"bigquery#job","jobReference":{"projectId":"demo-project","location":"EU"},
    "statistics":{"totalBytesProcessed":"2048","query":{"totalBytesProcessed":"2048","statementType":"SELECT"}},
    "status":{"state":"DONE"}}"#;
const STARTED: &str = r#"{"kind":"bigquery#job","jobReference":{"projectId":"demo-project","location":"EU"},
    "statistics":{"query":{"statementType":"SELECT","totalBytesBilled":"10485760"}},"status":{"state":"RUNNING"}}"#;
const RUNNING: &str = r#"{"jobComplete":false}"#;
const SCHEMA: &str = r#"{"fields":[{"name":"id","type":"INTEGER","mode":"NULLABLE"}]}"#;

fn json_page(body: &str) -> Say {
    page(200, "Content-Type: application/json\r\n", body)
}

fn results(rows: &[u32], total: u32, token: &str) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| format!(r#"{{"f":[{{"v":"{row}"}}]}}"#))
        .collect();
    format!(
        r#"{{"jobComplete":true,"schema":{SCHEMA},"totalRows":"{total}","pageToken":"{token}","rows":[{}]}}"#,
        rows.join(",")
    )
}

/// A service whose dry run and start go well, and that answers polls as the test says.
async fn service(poll: impl Fn(&str) -> Say + Send + Sync + 'static) -> Server {
    Server::start(move |_, request| match request.lines().next().unwrap() {
        _ if request.contains("\"dryRun\":true") => json_page(DRY),
        line if line.contains("/cancel") => json_page("{}"),
        line if line.starts_with("POST") || line.contains("/jobs/") => json_page(STARTED),
        line => poll(line),
    })
    .await
}

fn connection(server: &Server) -> Connection {
    Connection {
        name: SourceName::parse("sales").unwrap(),
        project: "demo-project".into(),
        location: Some("EU".into()),
        base_url: Url::parse(&server.url("/")).unwrap(),
        private_addresses: vec![server.address],
        service_account: None,
        token_url: server.url("/token"),
    }
}

const ASK: Ask<'_> = Ask {
    sql: SQL,
    max_bytes_billed: 4096,
    max_rows: 3,
    max_bytes: 1 << 20,
    timeout: Duration::from_secs(20),
};

fn broker() -> Broker {
    Broker::new(BrokerConfig {
        runner_exe: "/nowhere".into(),
        handle: Handle::current(),
        max_runs: 1,
        user_agent: "sluice".into(),
        extra_ca: None,
        requests_per_second: 1000,
        requests_at_once: 10,
        required_walls: Vec::new(),
    })
    .unwrap()
}

/// What came of a query, and the rows that were handed on, as text.
async fn run(
    connection: Connection,
    ask: Ask<'static>,
    cancel: Cancel,
) -> (Result<Spent, Failure>, Vec<String>) {
    let broker = broker();
    let work = move || {
        let rows = Mutex::new(Vec::new());
        let mut take = |page: Page<'_>| {
            assert!(page.schema.to_string().contains("\"id\""));
            let texts = page.rows.iter().map(ToString::to_string);
            rows.lock().unwrap().extend(texts);
            Ok(())
        };
        let done = broker.bigquery(&connection, ask, heard(), &cancel, &mut take);
        (done, rows.into_inner().unwrap())
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn refused(server: &Server, ask: Ask<'static>) -> Failure {
    run(connection(server), ask, Cancel::new())
        .await
        .0
        .unwrap_err()
}

#[track_caller]
fn says(failure: &Failure, words: &[&str]) {
    let text = failure.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

fn cancelled(server: &Server) -> bool {
    server
        .seen()
        .iter()
        .any(|request| request.starts_with("post") && request.contains("/cancel?location=eu"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_several_pages_is_waited_for_and_handed_on_whole() {
    let polls = Mutex::new(0);
    let server = service(move |line| {
        *polls.lock().unwrap() += 1;
        match *polls.lock().unwrap() {
            1 => json_page(RUNNING),
            _ if line.contains("pageToken=a%2Bb") => json_page(&results(&[3], 3, "")),
            _ => json_page(&results(&[1, 2], 3, "a+b")),
        }
    })
    .await;
    let (done, rows) = run(connection(&server), ASK, Cancel::new()).await;
    let spent = done.unwrap();
    assert_eq!(
        rows,
        [
            r#"{"f":[{"v":"1"}]}"#,
            r#"{"f":[{"v":"2"}]}"#,
            r#"{"f":[{"v":"3"}]}"#
        ]
    );
    assert_eq!(
        (spent.rows, spent.bytes_estimated, spent.bytes_billed),
        (3, 2048, Some(10_485_760))
    );
    let seen = server.seen();
    let begins = "/bigquery/v2/projects/demo-project/";
    assert!(
        seen[0].starts_with(&format!("post {begins}jobs http"))
            && seen[0].contains("\"dryrun\":true")
    );
    assert!(!seen[1].contains("dryrun") && seen[1].contains("\"maximumbytesbilled\":\"4096\""));
    assert!(seen[1].contains("\"uselegacysql\":false") && seen[1].contains("\"location\":\"eu\""));
    let id = seen[1]
        .split("\"jobid\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(seen[2].starts_with(&format!("get {begins}queries/{id}?timeoutms=")));
    assert!(
        seen[2].contains("formatoptions.useint64timestamp=true") && seen[2].contains("location=eu")
    );
    assert!(!cancelled(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_too_much_is_refused_with_both_figures_and_never_started() {
    let server = service(|_| panic!("it was started")).await;
    let failure = refused(
        &server,
        Ask {
            max_bytes_billed: 2047,
            ..ASK
        },
    )
    .await;
    says(&failure, &["2048", "2047", "max_bytes_billed"]);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_bigquery_takes_for_one_select_is_started() {
    for (kind, word) in [
        ("SCRIPT", "SCRIPT"),
        ("INSERT", "INSERT"),
        ("", "``"),
        ("EXPORT_DATA", "EXPORT_DATA"),
    ] {
        let server = Server::start(move |_, _| json_page(&DRY.replace("SELECT", kind))).await;
        says(&refused(&server, ASK).await, &["one SELECT", word]);
        assert_eq!(server.seen().len(), 1, "{kind}");
    }
    let silent =
        Server::start(|_, _| json_page(r#"{"statistics":{"totalBytesProcessed":"1"}}"#)).await;
    says(&refused(&silent, ASK).await, &["what kind of statement"]);
    let free = Server::start(|_, _| json_page(&DRY.replace("totalBytesProcessed", "x"))).await;
    says(&refused(&free, ASK).await, &["how many bytes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_beyond_a_limit_is_refused_before_a_row_is_handed_on_and_its_job_cancelled() {
    let server = service(|_| json_page(&results(&[1], 4, "x"))).await;
    let (done, rows) = run(connection(&server), ASK, Cancel::new()).await;
    says(&done.unwrap_err(), &["4 rows", "at most 3", "max_rows"]);
    assert!(rows.is_empty() && cancelled(&server));
    let (done, rows) = run(
        connection(&server),
        Ask {
            max_rows: 9,
            max_bytes: 50,
            ..ASK
        },
        Cancel::new(),
    )
    .await;
    says(&done.unwrap_err(), &["at most 50", "max_bytes"]);
    assert!(rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_is_refused_and_its_job_cancelled() {
    let server = service(|_| json_page(RUNNING)).await;
    let failure = refused(
        &server,
        Ask {
            timeout: Duration::from_millis(400),
            ..ASK
        },
    )
    .await;
    says(&failure, &["more than 0.4 s", "timeout"]);
    assert!(cancelled(&server));
    // Where the job runs may be known from the answer to its start alone.
    let elsewhere = Connection {
        location: None,
        ..connection(&server)
    };
    let before = server.seen().len();
    let quick = Ask {
        timeout: Duration::from_millis(400),
        ..ASK
    };
    run(elsewhere, quick, Cancel::new()).await.0.unwrap_err();
    let seen = server.seen();
    assert!(!seen[before + 1].contains("\"location\""));
    assert!(seen.last().unwrap().contains("/cancel?location=eu"));
    let dripping =
        service(|_| Say::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec())).await;
    let failure = refused(
        &dripping,
        Ask {
            timeout: Duration::from_millis(400),
            ..ASK
        },
    )
    .await;
    says(&failure, &["more than 0.4 s"]);
    assert!(cancelled(&dripping));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_of_a_client_that_went_away_is_cancelled() {
    let cancel = Cancel::new();
    let gone = cancel.clone();
    let server = service(move |_| {
        gone.cancel();
        json_page(RUNNING)
    })
    .await;
    let (done, _) = run(connection(&server), ASK, cancel).await;
    says(&done.unwrap_err(), &["cancelled"]);
    assert!(cancelled(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_with_a_hole_in_it_is_none() {
    let without_schema = results(&[1], 1, "").replace("schema", "shape");
    for (answers, words) in [
        (results(&[1], 2, ""), "announced 2 rows and sent 1"),
        (results(&[], 0, "again"), "again and again"),
        (without_schema, "without a schema"),
        ("[]".into(), "not what its reference says"),
        (
            r#"{"jobComplete":true,"totalRows":"-1"}"#.into(),
            "not what its reference says",
        ),
        ("[".repeat(100_000), "not what its reference says"),
    ] {
        let server = service(move |_| json_page(&answers)).await;
        says(&refused(&server, ASK).await, &[words]);
        assert!(cancelled(&server), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bigquery_says_of_a_refusal_is_told_cut_and_without_control_characters() {
    let long = "x".repeat(5_000);
    let body = format!(
        r#"{{"error":{{"code":400,"message":"Syntax error\nat [1:8] {long}","errors":[{{"reason":"invalidQuery"}}]}}}}"#
    );
    let server = Server::start(move |_, _| page(400, "", &body)).await;
    let failure = refused(&server, ASK).await;
    says(&failure, &["invalidQuery", "Syntax error at [1:8] xxx"]);
    assert_eq!(failure.kind, domain::FailureKind::Config);
    assert!(failure.to_string().len() < 800);
    let proxy = Server::start(|_, _| page(403, "", "<html>Bearer canary</html>")).await;
    let failure = refused(&proxy, ASK).await;
    assert_eq!(failure.kind, domain::FailureKind::Auth);
    assert!(!failure.to_string().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_repeats_the_credential_does_not_show_it() {
    let server = Server::start(|_, request| match request.starts_with("POST /token") {
        true => json_page(
            r#"{"access_token":"cAnary-7f3a91b","token_type":"Bearer","expires_in":3600}"#,
        ),
        false => {
            let sent = request
                .lines()
                .find(|line| line.to_ascii_lowercase().starts_with("authorization"))
                .unwrap();
            page(
                400,
                "",
                format!(r#"{{"error":{{"message":"you sent {sent}"}}}}"#),
            )
        }
    })
    .await;
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let pem = rsa::pkcs8::EncodePrivateKey::to_pkcs8_pem(&key, rsa::pkcs8::LineEnding::LF).unwrap();
    let file = json!({"type": "service_account", "client_email": "sluice@demo", "private_key": pem.as_str(),
        "token_uri": server.url("/token")});
    let mut connection = connection(&server);
    connection.service_account = Some(Secret::new(file.to_string()));
    let failure = run(connection, ASK, Cancel::new()).await.0.unwrap_err();
    says(&failure, &["you sent authorization: Bearer"]);
    assert!(!failure.to_string().contains("cAnary"), "{failure}");
    assert!(server.seen()[1].contains("authorization: bearer canary-7f3a91b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_through_the_egress_gate() {
    let server = service(|_| json_page(RUNNING)).await;
    let inner = Connection {
        private_addresses: Vec::new(),
        ..connection(&server)
    };
    let failure = run(inner, ASK, Cancel::new()).await.0.unwrap_err();
    says(&failure, &["not globally routable"]);
    assert!(server.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_or_query_that_is_none_is_not_sent() {
    let server = service(|_| json_page(RUNNING)).await;
    for (project, location, sql, word) in [
        ("a/../b", None, SQL, "project"),
        ("demo-project", Some("EU&x=1"), SQL, "location"),
        ("demo-project", None, "  ", "remote query has"),
    ] {
        let wrong = Connection {
            project: project.into(),
            location: location.map(Into::into),
            ..connection(&server)
        };
        let failure = run(wrong, Ask { sql, ..ASK }, Cancel::new())
            .await
            .0
            .unwrap_err();
        says(&failure, &[word]);
    }
    assert!(server.seen().is_empty());
}
