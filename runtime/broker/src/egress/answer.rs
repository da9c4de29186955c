//! Keeps what a service hands out in an answer from the component: the host reads the answer first.

use domain::Failure;
use jiff::Timestamp;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use reqwest::{Body, Method, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::attempt::Sent;
use super::derived::Slot;
use super::redirect::Hop;
use super::{Coding, Egress};
use crate::body::whole;

/// The most bytes of an answer with credentials in it.
const MOST: usize = 2 << 20;

impl Egress {
    /// The answer without the credentials that the grant has the host take out of it. One in which they cannot be looked
    /// for is given to nobody. A replay plays what was withheld already.
    pub(super) async fn withhold(
        &self,
        hop: &Hop,
        sent: Sent,
        deadline: Instant,
    ) -> Result<Sent, Failure> {
        let slots = self.credentials.derived.filled_from(&hop.url);
        let played = self.tape.player().is_some();
        if slots.is_empty() || played || hop.method == Method::HEAD {
            return Ok(sent);
        }
        let Sent {
            mut response,
            tokens,
            turns,
        } = sent;
        let host = hop.url.host_str().unwrap_or_default();
        if response.status() == StatusCode::PARTIAL_CONTENT {
            return Err(Failure::limit(format!(
                "`{host}` answered with a part of what may hold credentials: ask for the whole"
            )));
        }
        let coding = Coding::of(response.headers())?;
        let read = whole::read(&mut response, coding, MOST);
        let body = self
            .bounded(deadline, std::time::Duration::ZERO, read)
            .await
            .map_err(|miss| miss.failure)??;
        let body = self.without_secrets(&slots, body, response.status(), host)?;
        Ok(Sent {
            response: with_body(&response, body)?,
            tokens,
            turns,
        })
    }
}

impl Egress {
    /// An answer's body after the host took out what belongs into these slots.
    fn without_secrets(
        &self,
        slots: &[&Slot],
        body: Vec<u8>,
        status: StatusCode,
        host: &str,
    ) -> Result<Vec<u8>, Failure> {
        match serde_json::from_slice::<Value>(&body) {
            Ok(mut answer) => {
                let derived = &self.credentials.derived;
                let secrets = derived.take(slots, &mut answer, Timestamp::now())?;
                self.learn(&secrets)?;
                Ok(answer.to_string().into_bytes())
            }
            // An error's page, or nothing, holds none.
            Err(_) if body.is_empty() || !status.is_success() => Ok(body),
            Err(_) => Err(Failure::upstream(format!(
                "`{host}` answered with something that is not JSON where it hands out credentials"
            ))),
        }
    }
}

/// The same answer with another body.
fn with_body(response: &Response, body: Vec<u8>) -> Result<Response, Failure> {
    let mut answer = http::Response::builder().status(response.status());
    if let Some(headers) = answer.headers_mut() {
        headers.clone_from(response.headers());
        for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
    }
    let answer = answer
        .body(Body::from(body))
        .map_err(|error| Failure::bug(format!("an answer could not be passed on: {error}")))?;
    Ok(answer.into())
}
