//! HTTP clients that can reach only the addresses that were vetted for them.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Failure;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use thiserror::Error;
use url::Url;

use super::attempt::Miss;

/// Clients that are kept; a run that needs more forgets them all and goes on.
const MOST_CLIENTS: usize = 64;
/// How long an unused connection is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The extra certificates are not PEM.
    #[error("the extra CA file is not PEM")]
    Pem(#[source] pem::Error),
    /// The extra certificates are PEM of something else.
    #[error("the extra CA file holds no certificate that can be used")]
    Certificate(#[source] Option<rustls::Error>),
    /// The library refuses its own defaults.
    #[error("TLS could not be set up")]
    Library(#[source] rustls::Error),
}

/// The TLS of all requests: the system's roots, and extra ones in PEM.
pub(crate) fn tls_config(extra_ca: Option<&[u8]>) -> Result<rustls::ClientConfig, TlsError> {
    let mut roots = rustls::RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "a system CA certificate was left out");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(pem) = extra_ca {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(TlsError::Pem)?;
            roots
                .add(certificate)
                .map_err(|error| TlsError::Certificate(Some(error)))?;
        }
        if roots.len() == before {
            return Err(TlsError::Certificate(None));
        }
    }
    if roots.is_empty() {
        tracing::warn!(
            "this system has no CA certificates: every https request will fail; install `ca-certificates` or configure an extra CA"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Clients of one run by what they may reach.
pub(crate) struct Clients {
    tls: Arc<rustls::ClientConfig>,
    user_agent: String,
    connect: Duration,
    made: Mutex<HashMap<Target, Client>>,
}

/// What a client may reach: an origin at vetted addresses.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Target {
    origin: String,
    addresses: Vec<SocketAddr>,
}

impl Clients {
    pub(crate) fn new(
        tls: Arc<rustls::ClientConfig>,
        user_agent: String,
        connect: Duration,
    ) -> Self {
        Self {
            tls,
            user_agent,
            connect,
            made: Mutex::default(),
        }
    }

    /// A client for the URL's origin that dials these addresses only; the same one for the same
    /// target, so that its connections are used again.
    pub(crate) fn get(&self, url: &Url, addresses: &[SocketAddr]) -> Result<Client, Failure> {
        let target = Target {
            origin: url.origin().ascii_serialization(),
            addresses: addresses.to_vec(),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&target) {
            return Ok(client.clone());
        }
        let client = self.build(addresses).map_err(|error| {
            Failure::bug(format!(
                "the HTTP client could not be made: {}",
                words(&error)
            ))
        })?;
        if made.len() >= MOST_CLIENTS {
            made.clear();
        }
        made.insert(target, client.clone());
        Ok(client)
    }

    fn build(&self, addresses: &[SocketAddr]) -> reqwest::Result<Client> {
        // HTTP/1.1 alone: responses that a component leaves unread hold up only their own connection,
        // and there is less of a parser for hostile services to talk to.
        Client::builder()
            .http1_only()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(&self.tls))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(Arc::new(Pinned(addresses.to_vec())))
            .connect_timeout(self.connect)
            .pool_idle_timeout(IDLE_CONNECTION)
            .user_agent(&self.user_agent)
            .build()
    }
}

/// Knows the vetted addresses and nothing else, whatever it is asked.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// Why a request got no answer.
pub(super) fn miss(url: &Url, error: reqwest::Error) -> Miss {
    let host = url.host_str().unwrap_or_default();
    let reason = if error.is_timeout() {
        "no connection in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    // The library's text would repeat the URL with its query.
    let error = error.without_url();
    let mut miss = Miss::unreached(
        reason,
        format!("`{host}` could not be reached: {}", words(&error)),
    );
    miss.again = !is_certificate(&error);
    miss
}

/// The last cause, which says most; what stands before it are names of layers.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// A certificate is not better a moment later.
fn is_certificate(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref::<rustls::Error>(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    })
}

/// The chain of causes, through I/O errors that hide theirs.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let hidden = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match hidden {
            Some(hidden) => Some(hidden as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_ca_that_is_none_is_refused() {
        for junk in [
            "",
            "junk",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(tls_config(Some(junk.as_bytes())).is_err(), "{junk}");
        }
        assert!(tls_config(None).is_ok());
    }

    #[test]
    fn a_client_is_used_again_for_the_same_target_only() {
        let tls = Arc::new(tls_config(None).unwrap());
        let clients = Clients::new(tls, "sluice".into(), Duration::from_secs(1));
        let address: SocketAddr = "192.0.2.1:443".parse().unwrap();
        for url in ["https://a.org/1", "https://a.org/2", "https://b.org/"] {
            clients.get(&Url::parse(url).unwrap(), &[address]).unwrap();
        }
        assert_eq!(clients.made.lock().unwrap().len(), 2);
        let other: SocketAddr = "192.0.2.2:443".parse().unwrap();
        clients
            .get(&Url::parse("https://a.org/").unwrap(), &[other])
            .unwrap();
        assert_eq!(clients.made.lock().unwrap().len(), 3);
    }
}
