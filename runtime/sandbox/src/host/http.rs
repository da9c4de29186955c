//! `http`: requests go to the broker's egress gate; bodies come in parts, if at all.

use domain::protocol::{Call, Reply};
use wasmtime::component::Resource;

use super::Answer;
use crate::bindings::sluice::connector::http::{Header, Host, HostResponse, Method, Request};
use crate::guest::Guest;

/// The most bytes of one `read`.
const MAX_READ: u32 = 1 << 20;

/// A response that the broker holds.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the bindings export it again")]
pub struct Response {
    /// Its name in calls.
    pub(super) id: u32,
    status: u16,
    headers: Vec<(String, String)>,
}

impl Host for Guest {
    fn send(&mut self, request: Request) -> Answer<Resource<Response>> {
        let lines = request.headers.into_iter();
        let call = Call::Send {
            method: word(request.method).to_owned(),
            url: request.url,
            headers: lines.map(|line| (line.name, line.value)).collect(),
            has_body: request.body.is_some(),
            timeout_ms: request.timeout_ms,
        };
        let response = self.ask(
            call,
            &request.body.unwrap_or_default(),
            |reply, _| match reply {
                Reply::Response {
                    response,
                    status,
                    headers,
                } => Some(Response {
                    id: response,
                    status,
                    headers,
                }),
                _ => None,
            },
        )?;
        match response {
            Ok(response) => Ok(Ok(self.resources.push(response)?)),
            Err(failure) => Ok(Err(failure)),
        }
    }
}

impl HostResponse for Guest {
    fn status(&mut self, response: Resource<Response>) -> wasmtime::Result<u16> {
        Ok(self.resources.get(&response)?.status)
    }

    fn headers(&mut self, response: Resource<Response>) -> wasmtime::Result<Vec<Header>> {
        let lines = self.resources.get(&response)?.headers.iter().cloned();
        Ok(lines.map(|(name, value)| Header { name, value }).collect())
    }

    fn read(&mut self, response: Resource<Response>, max_bytes: u32) -> Answer<Option<Vec<u8>>> {
        let call = Call::Read {
            response: self.resources.get(&response)?.id,
            max_bytes: max_bytes.clamp(1, MAX_READ),
        };
        self.ask(call, &[], |reply, body| match reply {
            Reply::Body { end: true } => Some(None),
            Reply::Body { end: false } => Some(Some(body)),
            _ => None,
        })
    }

    fn drop(&mut self, response: Resource<Response>) -> wasmtime::Result<()> {
        let response = self.resources.delete(response)?.id;
        self.tell(Call::Close { response }, &[]).map(drop)
    }
}

fn word(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}
