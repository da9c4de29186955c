//! One attempt to get an answer: admitted, resolved, vetted, dialled, and written to the audit
//! whatever came of it.

use std::net::SocketAddr;
use std::time::Duration;

use domain::run::EgressRow;
use domain::{Digest, Failure};
use reqwest::{Method, Request, Response};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::pace::Turns;
use super::redirect::Hop;
use super::tokens::Used;
use super::{Egress, Line, client};

/// The most bytes of a host or path in the audit.
const MAX_AUDIT_TEXT: usize = 1 << 10;

/// When an attempt began, and how far it came.
pub(super) struct Note {
    at: jiff::Timestamp,
    started: Instant,
    dialled: Option<SocketAddr>,
}

impl Note {
    pub(super) fn new() -> Self {
        Self {
            at: jiff::Timestamp::now(),
            started: Instant::now(),
            dialled: None,
        }
    }
}

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
    pub(super) fn host(decision: String, failure: Failure) -> Self {
        Self {
            decision,
            failure,
            again: false,
            address: None,
        }
    }
}

/// An answer whose body has not flowed yet.
pub(super) struct Sent {
    pub(super) response: Response,
    /// The tokens that went along.
    pub(super) tokens: Vec<Used>,
    pub(super) turns: Turns,
}

impl Sent {
    /// Out of a recording: nothing was sent, and nobody was kept waiting.
    fn replayed(response: Response) -> Self {
        Self {
            response,
            tokens: Vec::new(),
            turns: Turns::default(),
        }
    }
}

impl Egress {
    pub(super) async fn attempt(&self, hop: &Hop, deadline: Instant) -> Result<Sent, Miss> {
        let mut note = Note::new();
        let outcome = self.dial(hop, deadline, &mut note).await;
        let answered = outcome.as_ref().map(|sent| &sent.response);
        self.write_down(&hop.method, &hop.url, &note, answered);
        outcome
    }

    async fn dial(&self, hop: &Hop, deadline: Instant, note: &mut Note) -> Result<Sent, Miss> {
        self.gate.admit(&hop.url)?;
        // Nothing leaves the machine, so there is nothing to pace and no credential to add.
        if let Some(player) = self.tape.player() {
            let shown = format!("{} {}", hop.method, hop.url);
            let played = self
                .bounded(deadline, Duration::ZERO, player.answer(&shown))
                .await?;
            let replayed = |failure| Miss::host("failed: replayed".into(), failure);
            return played.map(Sent::replayed).map_err(replayed);
        }
        let marks = self.credentials.bound_to(&hop.url).map(|slot| slot.mark);
        let marks = marks.chain([Digest::of(self.gate.source().as_str().as_bytes())]);
        let turns = self.paces.turn(marks.collect(), self.gate.limits());
        let turns = self.bounded(deadline, Duration::ZERO, turns).await?;
        let (dress, tokens) = self.dress(&hop.url, deadline).await?;
        let mut request = Request::new(hop.method.clone(), hop.url.clone());
        *request.headers_mut() = hop.headers.clone();
        dress
            .put_on(&mut request)
            .map_err(|failure| Miss::host("failed: no signature".into(), failure))?;
        *request.body_mut() = hop.body.clone().map(Into::into);
        let response = self.carry(request, deadline, Duration::ZERO, note).await?;
        Ok(Sent {
            response,
            tokens,
            turns,
        })
    }
}

impl Line {
    /// A row of the audit about an attempt that has ended.
    pub(super) fn write_down(
        &self,
        method: &Method,
        url: &Url,
        note: &Note,
        outcome: Result<&Response, &Miss>,
    ) {
        let (decision, status) = match outcome {
            Ok(response) => ("sent", Some(response.status().as_u16())),
            Err(miss) => (miss.decision.as_str(), None),
        };
        let refused = outcome.err().and_then(|miss| miss.address);
        let milliseconds = note.started.elapsed().as_millis();
        self.journal.egress(&EgressRow {
            at: note.at,
            decision: decision.to_owned(),
            host: self.audit_text(url.host_str().unwrap_or_default()),
            address: refused.or(note.dialled),
            method: method.to_string(),
            path: self.audit_text(url.path()),
            status,
            milliseconds: u64::try_from(milliseconds).unwrap_or(u64::MAX),
        });
    }

    /// Takes a request that may be sent to where it goes, if the address may be dialled.
    pub(super) async fn carry(
        &self,
        request: Request,
        deadline: Instant,
        grace: Duration,
        note: &mut Note,
    ) -> Result<Response, Miss> {
        let url = request.url().clone();
        let addresses = self
            .bounded(deadline, grace, self.resolver.resolve(&url))
            .await??;
        self.gate.vet(&url, &addresses)?;
        note.dialled = addresses.first().copied();
        let client = self
            .clients
            .get(&url, &addresses)
            .map_err(|failure| Miss::host("failed: no client could be made".into(), failure))?;
        let response = self
            .bounded(deadline, grace, client.execute(request))
            .await?
            .map_err(|error| client::miss(&url, error))?;
        // The pinned resolver and this check are two locks for the same door.
        note.dialled = response.remote_addr();
        match response.remote_addr() {
            Some(peer) if addresses.contains(&peer) => Ok(response),
            _ => Err(Miss::refused(
                "another address answered",
                "the request was refused: the connection went to an address that was not checked",
            )),
        }
    }

    /// Ends with the run, some grace later, and at the deadline.
    pub(super) async fn bounded<T>(
        &self,
        deadline: Instant,
        grace: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Miss> {
        let stopped = async {
            let failure = self.stop.stopped().await;
            if !grace.is_zero() {
                tokio::time::sleep(grace).await;
            }
            failure
        };
        tokio::select! {
            biased;
            failure = stopped => Err(Miss::host("failed: the run was stopped".into(), failure)),
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
