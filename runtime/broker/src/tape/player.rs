//! Answers a run's requests from a recording, with the failures that a test wants of the service.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Cancel, Failure};
use futures_util::stream;
use reqwest::{Body, Response};

use super::chance::Chance;
use super::format::{Answered, Exchange, Recording};
use super::matching::{Answers, digest};
use crate::egress::Request;
use crate::redact::Redactor;

/// What a service does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The status that it answers with.
    pub status: u16,
    /// The attempts that meet it, counted from the first; `u32::MAX` for all.
    pub attempts: u32,
}

/// A recording as the outside. Shared by its clones.
///
/// A request is found by its method, its URL and the digest of its body, where what the redactor left blank in the
/// recording may be any text now. Equal requests get their answers in the order
/// of the recording, and the last one again where there are more of them. A request that is not there fails.
#[derive(Debug, Clone)]
pub struct Player(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    answers: Vec<Answers>,
    chance: Chance,
    /// The answer to the request that is under way. One is at a time.
    current: Option<Exchange>,
    asked: Vec<String>,
    missing: Vec<String>,
    attempts: u32,
    fault: Option<Fault>,
    interrupt: Option<(u32, Cancel)>,
}

impl Player {
    /// Plays a recording from its beginning.
    pub fn new(recording: &Recording) -> Self {
        let head = &recording.head;
        let recorded_at = head.recorded_at.map(jiff::Timestamp::as_millisecond);
        let chance = Chance {
            random_seed: head.seed().unwrap_or_default(),
            clock_from: recorded_at.and_then(|at| u64::try_from(at).ok()),
        };
        Self(Arc::new(Mutex::new(State {
            answers: Answers::sorted(&recording.exchanges),
            chance,
            current: None,
            asked: Vec::new(),
            missing: Vec::new(),
            attempts: 0,
            fault: None,
            interrupt: None,
        })))
    }

    /// Has the service misbehave.
    #[must_use]
    pub fn with_fault(self, fault: Fault) -> Self {
        self.state().fault = Some(fault);
        self
    }

    /// Cancels the run at its nth attempt of a request, counted from 1, which is never answered.
    #[must_use]
    pub fn cancelling(self, attempt: u32, cancel: Cancel) -> Self {
        self.state().interrupt = Some((attempt, cancel));
        self
    }

    /// The requests that were asked so far, as method and URL.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// Those of them that are not in the recording.
    pub fn missing(&self) -> Vec<String> {
        self.state().missing.clone()
    }

    /// How many times the network would have been used.
    pub fn attempts(&self) -> u32 {
        self.state().attempts
    }

    /// What the recorded run did not get from its requests.
    pub(crate) fn chance(&self) -> Chance {
        self.state().chance
    }

    /// Looks a component's request up.
    pub(crate) fn asked_for(&self, request: &Request) {
        let (method, url) = (request.method.as_str(), &request.url);
        let body = digest(request.body.as_deref(), &Redactor::default());
        let mut state = self.state();
        state.asked.push(format!("{method} {url}"));
        state.current = Answers::next(&mut state.answers, method, url, body.as_deref());
    }

    /// The answer to an attempt that the gate admitted.
    pub(crate) async fn answer(&self, shown: &str) -> Result<Response, Failure> {
        let cancel = {
            let mut state = self.state();
            state.attempts += 1;
            let attempts = state.attempts;
            let due = state.interrupt.take_if(|(at, _)| *at == attempts);
            due.map(|(_, cancel)| cancel)
        };
        if let Some(cancel) = cancel {
            cancel.cancel();
            std::future::pending::<()>().await;
        }
        self.state().serve(shown)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn serve(&mut self, shown: &str) -> Result<Response, Failure> {
        if let Some(fault) = self.fault.filter(|fault| self.attempts <= fault.attempts) {
            return response(fault.status, &[], Body::default());
        }
        let Some(exchange) = &self.current else {
            self.missing.push(shown.to_owned());
            return Err(Failure::bug(format!(
                "the recording has no answer to `{shown}`: add one, or do not ask for it"
            )));
        };
        match &exchange.answer {
            Answered::Failed { failure } => Err(failure.clone()),
            Answered::Response {
                status,
                headers,
                body,
                cut,
            } => {
                let body = match cut {
                    true => beginning(body.bytes()),
                    false => Body::from(body.bytes()),
                };
                response(*status, headers, body)
            }
        }
    }
}

/// A body of which only the beginning was kept: whoever reads on is told so, and not that it ends there.
fn beginning(bytes: Vec<u8>) -> Body {
    let error = std::io::Error::other("the recording keeps no more of it");
    Body::wrap_stream(stream::iter([Ok(bytes), Err(error)]))
}

fn response(status: u16, headers: &[(String, String)], body: Body) -> Result<Response, Failure> {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let response = response.body(body).map_err(|error| {
        Failure::bug(format!("an answer of the recording is no answer: {error}"))
    })?;
    Ok(response.into())
}
