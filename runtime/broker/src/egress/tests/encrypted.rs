//! TLS: the name in the URL is what the certificate must be for, at whatever address it is dialled.

use domain::FailureKind;

use super::*;
use crate::testing::tls;

fn gate(name: &str, address: SocketAddr, extra_ca: Option<&[u8]>) -> Run {
    let mut setup = Setup::new(&[&format!("{name}:{}", address.port())])
        .private(address)
        .name(name, &[&["127.0.0.1"]]);
    setup.extra_ca = extra_ca.map(<[u8]>::to_vec);
    setup.build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_behind_an_extra_ca_is_reached() {
    let address = tls::serve("sealed");
    let run = gate("secure.example.com", address, Some(tls::CA));
    let url = format!("https://secure.example.com:{}/", address.port());
    assert_eq!(
        whole(run.get(&url).await.unwrap()).await.unwrap(),
        b"sealed"
    );
    assert_eq!(run.heard.egress()[0].address, Some(address));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_ca_or_another_name_is_refused_at_once() {
    let address = tls::serve("sealed");
    for (name, extra_ca) in [
        ("secure.example.com", None),
        ("other.example.com", Some(tls::CA)),
    ] {
        let run = gate(name, address, extra_ca);
        let failure = run
            .get(&format!("https://{name}:{}/", address.port()))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Upstream);
        assert!(failure.message.contains("certificate"), "{failure}");
        assert_eq!(
            run.decisions(),
            ["failed: no connection"],
            "a retry would change nothing"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_not_spoken_where_tls_was_allowed() {
    let address = tls::serve("sealed");
    let run = gate("secure.example.com", address, Some(tls::CA));
    let url = format!("http://secure.example.com:{}/", address.port());
    assert_eq!(run.get(&url).await.unwrap_err().kind, FailureKind::Limit);
}
