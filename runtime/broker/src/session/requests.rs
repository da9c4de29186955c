//! `http` as the runner calls it: requests, and the responses that it holds by number.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use domain::Failure;
use domain::protocol::Reply;
use reqwest::Method;
use tokio::runtime::Handle;

use super::{Answered, done};
use crate::body::BodyReader;
use crate::egress::{Egress, Request};

/// The most responses that are open at once.
pub(super) const MOST_OPEN: usize = 16;
/// The most bytes of one read.
const MOST_READ: u32 = 1 << 20;

/// The requests of a run.
pub(crate) struct Requests {
    egress: Egress,
    runtime: Handle,
    next: u32,
    open: BTreeMap<u32, BodyReader>,
}

impl Requests {
    pub(crate) fn new(egress: Egress, runtime: Handle) -> Self {
        Self {
            egress,
            runtime,
            next: 1,
            open: BTreeMap::new(),
        }
    }

    pub(super) fn send(
        &mut self,
        method: &str,
        url: String,
        headers: Vec<(String, String)>,
        body: Option<Vec<u8>>,
        timeout_ms: Option<u32>,
    ) -> Answered {
        if self.open.len() >= MOST_OPEN {
            return Err(Failure::bug(format!(
                "{MOST_OPEN} responses are open: drop one before the next request"
            )));
        }
        let request = Request {
            method: method_named(method)?,
            url,
            headers,
            body: body.map(Bytes::from),
            timeout: timeout_ms.map(|millis| Duration::from_millis(millis.into())),
        };
        let answer = self.runtime.block_on(self.egress.send(request))?;
        let response = self.next;
        self.next = self
            .next
            .checked_add(1)
            .ok_or_else(|| Failure::limit("the run used up its response numbers"))?;
        self.open.insert(response, answer.body);
        Ok((
            Reply::Response {
                response,
                status: answer.status,
                headers: answer.headers,
            },
            Vec::new(),
        ))
    }

    pub(super) fn read(&mut self, response: u32, max_bytes: u32) -> Answered {
        let body = self
            .open
            .get_mut(&response)
            .ok_or_else(|| unknown(response))?;
        let most = max_bytes.clamp(1, MOST_READ) as usize;
        let bytes = body.next(most)?;
        let end = bytes.is_none();
        Ok((Reply::Body { end }, bytes.unwrap_or_default()))
    }

    pub(super) fn close(&mut self, response: u32) -> Answered {
        self.take(response)?;
        done()
    }

    /// Hands a response over; its number is free of meaning afterwards.
    pub(super) fn take(&mut self, response: u32) -> Result<BodyReader, Failure> {
        self.open.remove(&response).ok_or_else(|| unknown(response))
    }
}

fn unknown(response: u32) -> Failure {
    Failure::bug(format!(
        "there is no open response {response}: it was consumed or never there"
    ))
}

fn method_named(name: &str) -> Result<Method, Failure> {
    match name {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        other => {
            let shown: String = other.chars().take(32).collect();
            Err(Failure::bug(format!(
                "`{}` is not a method that can be sent",
                shown.escape_debug()
            )))
        }
    }
}
