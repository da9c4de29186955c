//! Bodies: gzip, limits, silence, breaks.

use std::io::Write;

use domain::FailureKind;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::testing::server::{Say, Server, page};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn body_of(
    say: impl Fn() -> Say + Send + Sync + 'static,
    bytes_in: u64,
) -> (Result<Vec<u8>, Failure>, Run) {
    let server = Server::start(move |_, _| say()).await;
    let mut setup = Setup::to(server.address);
    setup.capabilities.limits.bytes_in = bytes_in;
    let run = setup.build();
    let answer = run.get(&server.url("/")).await.unwrap();
    (whole(answer).await, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_undone_and_counted_after_it_was_undone() {
    let text = b"id,name\n1,a\n".repeat(50_000);
    let packed = gzip(&text);
    let (body, run) = body_of(
        move || page(200, "Content-Encoding: gzip\r\n", &packed),
        1 << 30,
    )
    .await;
    assert!(body.unwrap() == text);
    assert_eq!(run.egress.journal.counts().bytes_in, text.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_is_stopped_at_the_limit() {
    let bomb = gzip(&vec![0; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    let (body, run) = body_of(
        move || page(200, "Content-Encoding: gzip\r\n", &bomb),
        5 << 20,
    )
    .await;
    let failure = body.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.message.contains("`bytes_in`"), "{failure}");
    assert!(
        run.egress.journal.counts().bytes_in < 8 << 20,
        "it was noticed early"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_body_is_stopped_at_the_limit() {
    let endless = || Say::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 100_000]);
    let (body, _) = body_of(endless, 3 << 20).await;
    assert_eq!(body.unwrap_err().kind, FailureKind::Limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_or_falls_silent_is_the_services_failure() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec();
    let broken = head.clone();
    let (body, _) = body_of(move || Say::Close(broken.clone()), 1 << 20).await;
    let failure = body.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert!(
        failure
            .message
            .starts_with("the connection broke after 4 bytes"),
        "{failure}"
    );

    let (body, _) = body_of(move || Say::Hang(head.clone()), 1 << 20).await;
    let failure = body.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream);
    assert_eq!(
        failure.message,
        "the service sent 4 bytes of the body and then nothing for 0.3 s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_that_is_none_and_codings_that_nobody_asked_for_are_refused() {
    let (body, _) = body_of(|| page(200, "Content-Encoding: gzip\r\n", "plain"), 1 << 20).await;
    assert_eq!(body.unwrap_err().kind, FailureKind::Upstream);

    let server = Server::start(|_, _| page(200, "Content-Encoding: br\r\n", "x")).await;
    let run = Setup::to(server.address).build();
    let failure = run.get(&server.url("/")).await.unwrap_err();
    assert!(failure.message.contains("`br`"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_body_that_is_being_read() {
    let server = Server::start(|_, _| Say::Hang(b"HTTP/1.1 200 OK\r\n\r\nsome".to_vec())).await;
    let mut setup = Setup::to(server.address);
    setup.timing.idle = Duration::from_secs(300);
    let run = setup.build();
    let answer = run.get(&server.url("/")).await.unwrap();
    let reading = tokio::spawn(whole(answer));
    run.cancel.cancel();
    assert_eq!(
        reading.await.unwrap().unwrap_err(),
        Failure::limit("the run was cancelled")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_lets_its_connection_go() {
    let (gone, watch) = std::sync::mpsc::channel::<()>();
    let server = Server::start(move |_, _| {
        // Dropped with the connection's task, once its endless writing fails.
        let _ = &gone;
        Say::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 100_000])
    })
    .await;
    let run = Setup::to(server.address).build();
    let answer = run.get(&server.url("/")).await.unwrap();
    drop(answer);
    drop(server);
    let closed = tokio::task::spawn_blocking(move || watch.recv_timeout(Duration::from_secs(10)));
    assert_eq!(
        closed.await.unwrap(),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}
