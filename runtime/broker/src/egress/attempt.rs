//! One attempt to get an answer: admitted, resolved, vetted, dialled, and written to the audit
//! whatever came of it.

use std::net::SocketAddr;

use domain::Failure;
use domain::run::EgressRow;
use reqwest::{Request, Response};
use tokio::time::{Instant, timeout_at};

use super::redirect::Hop;
use super::{Egress, client};

/// The most bytes of a host or path in the audit.
const MAX_AUDIT_TEXT: usize = 1 << 10;

/// Why an attempt brought no answer.
#[derive(Debug)]
pub(super) struct Miss {
    /// For the audit.
    pub(super) decision: String,
    /// For the component.
    pub(super) failure: Failure,
    /// Whether the same request may reach the service a moment later.
    pub(super) again: bool,
    /// The address that was refused.
    address: Option<SocketAddr>,
}

impl Miss {
    /// The gate said no.
    pub(super) fn refused(reason: &str, message: impl Into<String>) -> Self {
        Self::host(format!("refused: {reason}"), Failure::limit(message))
    }

    /// The gate said no because of this address.
    pub(super) fn at(self, address: SocketAddr) -> Self {
        Self {
            address: Some(address),
            ..self
        }
    }

    /// The service could not be reached.
    pub(super) fn unreached(reason: &str, message: impl Into<String>) -> Self {
        Self {
            again: true,
            ..Self::host(format!("failed: {reason}"), Failure::upstream(message))
        }
    }

    /// Something on this side, which another attempt does not change.
    fn host(decision: String, failure: Failure) -> Self {
        Self {
            decision,
            failure,
            again: false,
            address: None,
        }
    }
}

impl Egress {
    pub(super) async fn attempt(&self, hop: &Hop, deadline: Instant) -> Result<Response, Miss> {
        let started = Instant::now();
        let at = jiff::Timestamp::now();
        let mut dialled = None;
        let outcome = self.dial(hop, deadline, &mut dialled).await;
        let (decision, status) = match &outcome {
            Ok(response) => ("sent", Some(response.status().as_u16())),
            Err(miss) => (miss.decision.as_str(), None),
        };
        let refused = outcome.as_ref().err().and_then(|miss| miss.address);
        self.journal.egress(&EgressRow {
            at,
            decision: decision.to_owned(),
            host: self.audit_text(hop.url.host_str().unwrap_or_default()),
            address: refused.or(dialled),
            method: hop.method.to_string(),
            path: self.audit_text(hop.url.path()),
            status,
            milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        outcome
    }

    async fn dial(
        &self,
        hop: &Hop,
        deadline: Instant,
        dialled: &mut Option<SocketAddr>,
    ) -> Result<Response, Miss> {
        self.gate.admit(&hop.url)?;
        if let Some(player) = self.tape.player() {
            let shown = format!("{} {}", hop.method, hop.url);
            let played = self.bounded(deadline, player.answer(&shown)).await?;
            return played.map_err(|failure| Miss::host("failed: replayed".into(), failure));
        }
        let addresses = self
            .bounded(deadline, self.resolver.resolve(&hop.url))
            .await??;
        self.gate.vet(&hop.url, &addresses)?;
        *dialled = addresses.first().copied();
        let client = self
            .clients
            .get(&hop.url, &addresses)
            .map_err(|failure| Miss::host("failed: no client could be made".into(), failure))?;
        let mut request = Request::new(hop.method.clone(), hop.url.clone());
        *request.headers_mut() = hop.headers.clone();
        self.credentials.add_to(&mut request);
        *request.body_mut() = hop.body.clone().map(Into::into);
        let response = self
            .bounded(deadline, client.execute(request))
            .await?
            .map_err(|error| client::miss(&hop.url, error))?;
        // The pinned resolver and this check are two locks for the same door.
        *dialled = response.remote_addr();
        match response.remote_addr() {
            Some(peer) if addresses.contains(&peer) => Ok(response),
            _ => Err(Miss::refused(
                "another address answered",
                "the request was refused: the connection went to an address that was not checked",
            )),
        }
    }

    /// Ends with the run and at the deadline.
    async fn bounded<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, Miss> {
        tokio::select! {
            biased;
            failure = self.stop.stopped() => Err(Miss::host("failed: the run was stopped".into(), failure)),
            done = timeout_at(deadline, work) => done.map_err(|_| {
                Miss::host("failed: no answer in time".into(), Failure::upstream("the service did not answer in time"))
            }),
        }
    }

    fn audit_text(&self, text: &str) -> String {
        let cut = text
            .get(..text.floor_char_boundary(MAX_AUDIT_TEXT))
            .unwrap_or_default();
        self.journal.redactor().text(cut).into_owned()
    }
}
