//! What a service lends during a run: the host uses it, and the component never sees it.

use domain::{FailureKind, Operation};

use super::*;
use crate::tape::{Head, Player, Recorder, Recording, Tape};
use crate::testing::server::{Say, Server, page};

const SIGNATURE: &str = "c4nary-signature-of-an-address";
const TOKEN: &str = "ya29.c4nary-lent-token";
const SECRET_KEY: &str = "c4nary/AWS+secret+key";
const SAS: &str = "sv=2017&sig=c4nary-of-a-storage-account%3D";

/// An answer with everything that can be lent.
fn detail(host: &str) -> Value {
    json!({
        "id": 7,
        "url": format!("{host}/blob/a.csv?x=1&sig={SIGNATURE}"),
        "gcs": {"access_token": TOKEN, "expires_in": 3600},
        "aws": {"id": "AKIAc4naryc4nary", "key": SECRET_KEY, "session": "c4nary-session"},
        "region": "eu-west-1",
        "abs": format!("BlobEndpoint={host};SharedAccessSignature={SAS}"),
    })
}

/// The paths of a service that lends, and of those that take what was lent.
async fn service(expires_in: i64) -> Server {
    Server::start(move |_, request| {
        let host = request
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let takes = ["/blob/", "/gcs/", "/aws/", "/abs/"];
        if !takes.iter().any(|start| path.starts_with(start)) {
            let mut answer = detail(&format!("http://{host}"));
            answer["gcs"]["expires_in"] = expires_in.into();
            return page(
                200,
                "Content-Type: application/json\r\n",
                answer.to_string(),
            );
        }
        page(200, "", format!("{TOKEN} and {SIGNATURE} and {SECRET_KEY}"))
    })
    .await
}

fn slot(name: &str, host: &str, present: &Value) -> SlotBinding {
    let mut scheme =
        json!({"scheme": "derived", "from": "key", "path": "/files", "present": present});
    if name == "gcs" {
        scheme["expires_in"] = "/gcs/expires_in".into();
    }
    SlotBinding {
        slot: SlotName::parse(name).unwrap(),
        scheme: serde_json::from_value(scheme).unwrap(),
        hosts: vec![HostRule::parse(host).unwrap()],
    }
}

/// A run that may be lent credentials for one path each.
fn lent_to(server: &Server) -> Run {
    let rule = format!("http://{}", server.address);
    let mut setup = Setup::to(server.address).canary(&[&rule]);
    for (name, path, present) in [
        ("url", "/blob/", json!({"as": "signed-url", "url": "/url"})),
        (
            "gcs",
            "/gcs/",
            json!({"as": "bearer", "token": "/gcs/access_token"}),
        ),
        (
            "aws",
            "/aws/",
            json!({"as": "aws-sigv4", "access_key_id": "/aws/id", "secret_access_key": "/aws/key",
                "session_token": "/aws/session", "region": "/region"}),
        ),
        (
            "abs",
            "/abs/",
            json!({"as": "query-string", "text": "/abs", "after": "SharedAccessSignature="}),
        ),
    ] {
        let binding = slot(name, &format!("{rule}{path}"), &present);
        setup.capabilities.credentials.push(binding);
    }
    setup.build()
}

async fn text(run: &Run, url: &str) -> Result<String, Failure> {
    let answer = run.get(url).await?;
    Ok(String::from_utf8(whole(answer).await?).unwrap())
}

fn assert_unseen(text: &str) {
    let key = SECRET_KEY.replace('/', "%2F").replace('+', "%2B");
    for secret in [
        SIGNATURE,
        TOKEN,
        SECRET_KEY,
        &key,
        "c4nary-session",
        "c4nary-of-a-storage",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lent_is_used_by_the_host_and_seen_by_nobody() {
    let server = service(3_600).await;
    let run = lent_to(&server);
    let shown = text(&run, &server.url("/files/7")).await.unwrap();
    assert_unseen(&shown);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let handle = shown["url"].as_str().unwrap();
    assert_eq!(handle, server.url("/blob/a.csv?sluice-derived=url-1"));
    assert_eq!(shown["gcs"]["expires_in"], 3600);

    for url in [
        handle.to_owned(),
        server.url("/gcs/a"),
        server.url("/aws/a?b=1"),
        server.url("/abs/a?c"),
    ] {
        let echoed = text(&run, &url).await.unwrap();
        assert!(echoed.contains(" and "), "{echoed}");
        assert_unseen(&echoed);
    }
    let seen = server.seen();
    let line = |at: usize| seen[at].lines().next().unwrap().to_owned();
    assert!(line(1).contains(&format!("/blob/a.csv?x=1&sig={SIGNATURE} ")));
    assert!(!line(1).contains("sluice-derived"));
    assert!(seen[2].contains(&format!("authorization: bearer {TOKEN}")));
    assert!(line(3).contains("/aws/a?x-amz-algorithm=aws4-hmac-sha256"));
    assert!(line(3).contains("x-amz-signature=") && line(3).contains("&b=1&"));
    assert!(line(4).contains(&format!("/abs/a?c&{} ", SAS.to_lowercase())));
    assert_unseen(&run.heard.everything());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_written_otherwise_is_the_same_path() {
    let server = service(3_600).await;
    let run = lent_to(&server);
    for path in [
        "/FILES/7",
        "//files/7",
        "/%66iles/7",
        "/x/../files/7",
        "/%2566iles/7",
        "/files?id=7",
    ] {
        assert_unseen(&text(&run, &server.url(path)).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_told_as_such_and_not_sent() {
    let server = service(5).await;
    let run = lent_to(&server);
    text(&run, &server.url("/files/7")).await.unwrap();
    let failure = text(&run, &server.url("/gcs/a")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(
        failure.message.contains("`gcs`") && failure.message.contains("has ended"),
        "{failure}"
    );
    assert_eq!(server.seen().len(), 1);
    assert_eq!(run.decisions()[1], "refused: the credential has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_goes_to_no_other_host_than_the_one_that_it_was_lent_for() {
    let server = Server::start(|number, _| match number {
        0 => page(200, "", detail("https://account.example.com").to_string()),
        _ => page(200, "", "seen"),
    })
    .await;
    let run = lent_to(&server);
    text(&run, &server.url("/files/7")).await.unwrap();
    text(&run, &server.url("/abs/a")).await.unwrap();
    assert!(server.seen()[1].starts_with("get /abs/a http/1.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_is_good_for_its_own_address_only() {
    let server = service(3_600).await;
    let run = lent_to(&server);
    text(&run, &server.url("/files/7")).await.unwrap();
    for path in [
        "/blob/b.csv?sluice-derived=url-1",
        "/blob/a.csv?sluice-derived=url-2",
        "/blob/a.csv?sluice-derived=url-1&x=2",
    ] {
        let failure = text(&run, &server.url(path)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Auth, "{path}");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_which_nothing_can_be_looked_for_is_given_to_nobody() {
    for (status, body, kind) in [
        (206, format!("\"{TOKEN}\""), FailureKind::Limit),
        (
            200,
            format!("callback({{\"t\": \"{TOKEN}\"}})"),
            FailureKind::Upstream,
        ),
        (200, "x".repeat(3 << 20), FailureKind::Limit),
    ] {
        let server = Server::start(move |_, _| page(status, "", &body)).await;
        let failure = text(&lent_to(&server), &server.url("/files/7"))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert_unseen(&failure.message);
    }
    let server = Server::start(|_, _| page(404, "", "there is none")).await;
    let shown = text(&lent_to(&server), &server.url("/files/7"))
        .await
        .unwrap();
    assert_eq!(shown, "there is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_compressed_is_read_all_the_same() {
    let server = Server::start(|_, _| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder
            .write_all(detail("http://192.0.2.1").to_string().as_bytes())
            .unwrap();
        let Say::Bytes(bytes) = page(200, "Content-Encoding: gzip\r\n", encoder.finish().unwrap())
        else {
            unreachable!()
        };
        Say::Bytes(bytes)
    })
    .await;
    let shown = text(&lent_to(&server), &server.url("/files/7"))
        .await
        .unwrap();
    assert_unseen(&shown);
    // It is signed for a host that was not granted: without a handle there is nothing to ask for.
    assert!(shown.contains("\"id\":7"), "{shown}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["region"], "eu-west-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_holds_nothing_that_was_lent_and_is_played_without_it() {
    let server = service(3_600).await;
    let recorder = Recorder::new();
    recorder.starts(Head::new(Operation::Sync, json!({})));
    let mut run = lent_to(&server);
    run.egress = run.egress.with_tape(Tape::Record(recorder.clone()));
    let handle = server.url("/blob/a.csv?sluice-derived=url-1");
    let urls = [server.url("/files/7"), handle, server.url("/aws/a")];
    let mut shown = Vec::new();
    for url in &urls {
        shown.push(text(&run, url).await.unwrap());
    }
    let recording = recorder.finish().unwrap().to_text();
    assert_unseen(&recording);

    let player = Player::new(&Recording::parse(recording.as_bytes()).unwrap());
    let mut replay = lent_to(&server);
    replay.egress = replay.egress.with_tape(Tape::Replay(player.clone()));
    for (url, before) in urls.iter().zip(shown) {
        assert_eq!(text(&replay, url).await.unwrap(), before, "{url}");
    }
    assert_eq!(player.missing(), [""; 0]);
    assert_eq!(server.seen().len(), 3, "nothing was sent again");
}
