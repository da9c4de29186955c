//! The egress gate: the only way from a component to the outside.
//!
//! Every request, every redirect and every retry goes through the same steps: the URL is read, a rule
//! in effect must allow it, the host's name is resolved once, every address is judged, and the
//! connection goes to exactly those addresses. Then the credential is added, and an audit row written.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Failure;
use domain::run::Level;
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use crate::body::{BodyReader, Coding, Flow};
use crate::journal::Journal;
use crate::stop::Stop;
use crate::tape::{BodyCopy, Tape};

mod answer;
mod attempt;
pub(crate) mod client;
pub(crate) mod credentials;
mod derived;
mod exchange;
pub(crate) mod gate;
mod headers;
pub(crate) mod pace;
mod redirect;
pub(crate) mod resolve;
mod retry;
mod sign;
#[cfg(test)]
mod tests;
mod token;
pub(crate) mod tokens;

use attempt::{Miss, Sent};
use client::Clients;
use credentials::Credentials;
use domain::ports::Credentials as Keeper;
use gate::Gate;
use pace::Paces;
use redirect::Hop;
use resolve::Resolver;
use tokens::Tokens;

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// For a connection, TLS included.
    pub(crate) connect: Duration,
    /// For the headers of the final answer, retries and redirects included, where the component
    /// names no time of its own.
    pub(crate) headers: Duration,
    /// For the next byte of a body.
    pub(crate) idle: Duration,
    /// Before the first retry; doubles with each.
    pub(crate) backoff: Duration,
    /// The longest wait that a service may ask for.
    pub(crate) longest_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            headers: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(120),
        }
    }
}

/// What a component asks for, unchecked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) timeout: Option<Duration>,
}

/// What a component gets: a head that it may see, and a body that flows already.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: BodyReader,
}

/// The gate of one run.
pub(crate) struct Egress {
    line: Arc<Line>,
    credentials: Credentials,
    tokens: Arc<Tokens>,
    paces: Arc<Paces>,
    tape: Tape,
}

/// The way from a run to the outside. An exchange of tokens has it too, and may outlive the run.
pub(crate) struct Line {
    gate: Gate,
    resolver: Resolver,
    clients: Clients,
    keeper: Arc<dyn Keeper>,
    timing: Timing,
    journal: Journal,
    stop: Stop,
}

impl Deref for Egress {
    type Target = Line;
    fn deref(&self) -> &Line {
        &self.line
    }
}

/// What a run's gate is made of.
pub(crate) struct Parts {
    pub(crate) gate: Gate,
    pub(crate) credentials: Credentials,
    pub(crate) lookup: Arc<dyn resolve::Lookup>,
    pub(crate) clients: Clients,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) paces: Arc<Paces>,
    pub(crate) keeper: Arc<dyn Keeper>,
    pub(crate) timing: Timing,
    pub(crate) journal: Journal,
    pub(crate) stop: Stop,
}

impl Egress {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            line: Arc::new(Line {
                gate: parts.gate,
                resolver: Resolver::new(parts.lookup),
                clients: parts.clients,
                keeper: parts.keeper,
                timing: parts.timing,
                journal: parts.journal,
                stop: parts.stop,
            }),
            credentials: parts.credentials,
            tokens: parts.tokens,
            paces: parts.paces,
            tape: Tape::Off,
        }
    }

    /// Has a recorder listen, or a recording answer.
    pub(crate) fn with_tape(self, tape: Tape) -> Self {
        Self { tape, ..self }
    }

    /// Sends a request as `follow` does, before the tape's eyes.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, Failure> {
        if let Some(player) = self.tape.player() {
            player.asked_for(&request);
        }
        let redactor = self.journal.redactor();
        let recorder = self.tape.recorder();
        let entry = recorder.map(|recorder| recorder.asked(&request, redactor));
        let sent = self.follow(request).await;
        match (sent, entry) {
            (Ok(sent), entry) => self.answer(sent, |status, headers| {
                Some(entry?.answered(status, headers))
            }),
            (Err(failure), entry) => {
                if let Some(entry) = entry {
                    entry.failed(redactor, &failure);
                }
                Err(failure)
            }
        }
    }

    /// Sends a request, follows redirects, retries, and returns the answer.
    async fn follow(&self, request: Request) -> Result<Sent, Failure> {
        let most = Duration::from_secs(self.gate.limits().wall_seconds);
        let wait = request.timeout.unwrap_or(self.timing.headers).min(most);
        let deadline = Instant::now() + wait;
        let mut hop = Hop {
            url: self
                .gate
                .parse(&request.url, &request.method, &self.journal)?,
            headers: headers::from_component(&request.headers, &self.credentials)?,
            method: request.method,
            body: request.body,
        };
        for _ in 0..=redirect::MOST {
            self.count_request()?;
            let sent = self.settle(&hop, deadline).await?;
            match redirect::next(&hop, &sent.response)? {
                Some(next) => hop = next,
                None => return self.withhold(&hop, sent, deadline).await,
            }
        }
        Err(Failure::upstream(format!(
            "`{}` redirects more than {} times",
            hop.url.host_str().unwrap_or_default(),
            redirect::MOST
        )))
    }

    fn count_request(&self) -> Result<(), Failure> {
        let limit = self.gate.limits().requests;
        if self.journal.add_request() > limit {
            return Err(Failure::limit(format!(
                "the run sent {limit} requests, which is its limit `requests`"
            )));
        }
        Ok(())
    }

    /// Tries until there is an answer, or none to hope for. An answer that asks to come back later is
    /// an answer too when all tries are used up.
    async fn settle(&self, hop: &Hop, deadline: Instant) -> Result<Sent, Failure> {
        let mut tries = retry::Tries::new(&hop.method, &self.timing);
        let mut renewed = false;
        loop {
            let outcome = self.attempt(hop, deadline).await;
            // A token may end before its time. What was refused was not done, whatever its method.
            if let Ok(sent) = &outcome
                && sent.response.status() == StatusCode::UNAUTHORIZED
                && !sent.tokens.is_empty()
                && !renewed
            {
                renewed = true;
                for token in &sent.tokens {
                    token.spoil().await;
                }
                continue;
            }
            let Some(wait) = tries.wait_after(outcome.as_ref().map(|sent| &sent.response)) else {
                return outcome.map_err(|miss| miss.failure);
            };
            // Nobody is spared by the waiting of a replay.
            let wait = match self.tape.player() {
                Some(_) => Duration::ZERO,
                None => wait,
            };
            if Instant::now() + wait >= deadline {
                return outcome.map_err(|miss| miss.failure);
            }
            self.log_retry(hop, &outcome, wait);
            if outcome.is_err() {
                self.resolver.forget(&hop.url);
            }
            drop(outcome);
            tokio::select! {
                failure = self.stop.stopped() => return Err(failure),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn log_retry(&self, hop: &Hop, outcome: &Result<Sent, Miss>, wait: Duration) {
        let what = match outcome {
            Ok(sent) => format!("answered {}", sent.response.status().as_u16()),
            Err(miss) => miss.decision.clone(),
        };
        let host = hop.url.host_str().unwrap_or_default();
        let seconds = wait.as_secs_f32();
        self.journal.log(
            Level::Info,
            &format!(
                "{} {host}: {what}; trying again in {seconds:.1} s",
                hop.method
            ),
        );
    }

    /// What a component gets of an answer, whose body begins to flow.
    fn answer(
        &self,
        sent: Sent,
        copy: impl FnOnce(u16, &[(String, String)]) -> Option<BodyCopy>,
    ) -> Result<Answer, Failure> {
        let Sent {
            response, turns, ..
        } = sent;
        let coding = Coding::of(response.headers())?;
        let status = response.status().as_u16();
        let headers = headers::for_component(response.headers(), coding, self.journal.redactor());
        let flow = Flow {
            idle: self.timing.idle,
            bytes_in: self.gate.limits().bytes_in,
            journal: self.journal.clone(),
            stop: self.stop.clone(),
            _turns: turns,
            copy: copy(status, &headers),
        };
        Ok(Answer {
            status,
            headers,
            body: flow.start(response, coding),
        })
    }
}
