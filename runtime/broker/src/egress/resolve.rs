//! From a URL to addresses, by the host and nobody else.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::{Host, Url};

use super::attempt::Miss;

/// How long an answer serves further requests, so that connections are used again.
const FRESH: Duration = Duration::from_secs(30);
/// Names that are remembered; a run that uses more forgets them all and goes on.
const MOST_NAMES: usize = 256;

/// The addresses of a name, some time later.
pub(crate) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Who knows the addresses of names.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a host name, with this port.
    fn lookup(&self, host: &str, port: u16) -> Looking;
}

/// The operating system's resolver.
#[derive(Debug)]
pub(crate) struct System;

impl Lookup for System {
    fn lookup(&self, host: &str, port: u16) -> Looking {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

type Known = HashMap<(String, u16), (Instant, Vec<SocketAddr>)>;

/// Resolves for one run. What it returns is not judged yet.
pub(crate) struct Resolver {
    lookup: Arc<dyn Lookup>,
    known: Mutex<Known>,
}

impl Resolver {
    pub(crate) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self {
            lookup,
            known: Mutex::default(),
        }
    }

    /// The addresses of a URL's host, sorted; at least one.
    pub(super) async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, Miss> {
        let port = url.port_or_known_default().unwrap_or_default();
        let name = match url.host() {
            Some(Host::Ipv4(ip)) => return Ok(vec![SocketAddr::from((ip, port))]),
            Some(Host::Ipv6(ip)) => return Ok(vec![SocketAddr::from((ip, port))]),
            Some(Host::Domain(name)) => name.to_owned(),
            None => String::new(),
        };
        let key = (name, port);
        if let Some(addresses) = self.fresh(&key) {
            return Ok(addresses);
        }
        let name = &key.0;
        let mut addresses = self.lookup.lookup(name, port).await.map_err(|error| {
            Miss::unreached(
                "the name was not resolved",
                format!("`{name}` could not be resolved: {error}"),
            )
        })?;
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(Miss::unreached(
                "the name has no address",
                format!("`{name}` has no address"),
            ));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_NAMES {
            known.clear();
        }
        known.insert(key, (Instant::now(), addresses.clone()));
        Ok(addresses)
    }

    /// Asks again for this host the next time, since its addresses did not answer.
    pub(super) fn forget(&self, url: &Url) {
        let name = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(name, port));
    }

    fn fresh(&self, key: &(String, u16)) -> Option<Vec<SocketAddr>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, addresses) = known.get(key)?;
        (at.elapsed() < FRESH).then(|| addresses.clone())
    }
}
