//! Requests to the outside, made by the host: it checks them against the source's grant, adds credentials, and retries.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, host};

/// The most bytes that [`Response::text`] and [`Response::json`] read. A body that may be larger belongs into
/// [`Table::append_body`](crate::Table::append_body).
pub const TEXT_LIMIT: usize = 16 << 20;

const CHUNK: u32 = 256 << 10;

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read; retried by the host.
    Get,
    /// Read the headers only; retried by the host.
    Head,
    /// Send a body; not retried.
    Post,
    /// Replace; retried by the host.
    Put,
    /// Change; not retried.
    Patch,
    /// Remove; retried by the host.
    Delete,
}

impl Method {
    /// The word of the protocol, such as `GET`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A request that was not sent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout_ms: Option<u32>,
}

/// A request of any method for an absolute URL.
pub fn request(method: Method, url: impl Into<String>) -> Request {
    Request {
        method,
        url: url.into(),
        headers: Vec::new(),
        body: None,
        timeout_ms: None,
    }
}

/// A GET request for an absolute URL.
pub fn get(url: impl Into<String>) -> Request {
    request(Method::Get, url)
}

/// A HEAD request for an absolute URL.
pub fn head(url: impl Into<String>) -> Request {
    request(Method::Head, url)
}

/// A POST request for an absolute URL.
pub fn post(url: impl Into<String>) -> Request {
    request(Method::Post, url)
}

impl Request {
    /// Adds a header line. `Host`, `Authorization`, `Cookie`, `Accept-Encoding` and what carries credentials are the
    /// host's: setting them has no effect.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long to wait for the response's headers, at most the run's own limit, which is also the default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sets the body, at most 4 MiB.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to a value's JSON. Fails with [`Failure::Bug`] for a value that has none.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_vec(value)
            .map_err(|error| Failure::bug(format!("a request's body cannot be JSON: {error}")))?;
        Ok(self.header("content-type", "application/json").body(json))
    }

    /// Sends it, and gives the response for a 2xx only: [`Request::send`] with [`Response::error_for_status`].
    pub fn fetch(self) -> Result<Response, Failure> {
        self.send()?.error_for_status()
    }

    /// Sends it and waits for the response's headers. A 4xx or 5xx is a response, not a failure. Fails with
    /// [`Failure::Limit`] where the grant does not allow it, with [`Failure::Config`] for a malformed URL, with
    /// [`Failure::Upstream`] when the service cannot be reached.
    pub fn send(self) -> Result<Response, Failure> {
        let place = without_query(&self.url);
        host::send(self).map(|inner| Response { inner, place })
    }
}

/// A response whose body was not read yet. Dropping it closes the connection.
#[derive(Debug)]
pub struct Response {
    inner: host::Response,
    place: String,
}

impl Response {
    /// The status code, such as 200.
    pub fn status(&self) -> u16 {
        self.inner.status()
    }

    /// The first header of this name, compared without regard to case.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut headers = self.inner.headers().into_iter();
        headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The response itself for a 2xx, else a failure that names the URL without its query: 401 and 403 are
    /// [`Failure::Auth`], 429 is [`Failure::RateLimited`], other 4xx are [`Failure::Config`], the rest
    /// [`Failure::Upstream`].
    pub fn error_for_status(self) -> Result<Self, Failure> {
        let status = self.status();
        let message = format!("{} answered with status {status}", self.place);
        Err(match status {
            200..=299 => return Ok(self),
            401 | 403 => Failure::Auth(message),
            429 => Failure::RateLimited {
                message,
                retry_after_seconds: self
                    .header("retry-after")
                    .and_then(|text| text.trim().parse().ok()),
            },
            408 | 425 => Failure::Upstream(message),
            400..=499 => Failure::Config(message),
            _ => Failure::Upstream(message),
        })
    }

    /// The next bytes of the body, at most 1 MiB; `None` at its end.
    pub fn read(&mut self, max_bytes: u32) -> Result<Option<Vec<u8>>, Failure> {
        self.inner.read(max_bytes)
    }

    /// The whole body. Fails with [`Failure::Limit`] when it is larger than `limit` bytes.
    pub fn bytes(mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.read(CHUNK)? {
            if body.len() + chunk.len() > limit {
                let place = self.place;
                return Err(Failure::Limit(format!(
                    "{place} sent more than {limit} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The whole body as text, at most [`TEXT_LIMIT`] bytes. Fails with [`Failure::Upstream`] when it is not UTF-8.
    pub fn text(self) -> Result<String, Failure> {
        let place = self.place.clone();
        String::from_utf8(self.bytes(TEXT_LIMIT)?)
            .map_err(|_| Failure::Upstream(format!("{place} sent text that is not UTF-8")))
    }

    /// The whole body as JSON, at most [`TEXT_LIMIT`] bytes. Fails with [`Failure::Upstream`] when it does not fit `T`.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let place = self.place.clone();
        // The parser's position is told, its words are not: they may quote the body.
        serde_json::from_slice(&self.bytes(TEXT_LIMIT)?).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Failure::Upstream(format!(
                "{place} sent JSON that is not as expected, at line {line}, column {column}"
            ))
        })
    }

    pub(crate) fn into_host(self) -> host::Response {
        self.inner
    }
}

/// A URL as it may be shown: without query, fragment, user name and password, all of which can hold secrets.
pub fn without_query(url: &str) -> String {
    let shown = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = shown.split_once("://") else {
        return shown.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeHost, Reply};

    fn status(reply: Reply) -> Failure {
        let host = FakeHost::new().reply("https://a.org/x?key=1", reply);
        host.run(|| get("https://a.org/x?key=1").send()?.error_for_status())
            .unwrap_err()
    }

    #[test]
    fn a_status_decides_on_the_kind_of_failure() {
        assert!(matches!(status(Reply::status(401)), Failure::Auth(_)));
        assert!(matches!(status(Reply::status(403)), Failure::Auth(_)));
        assert!(matches!(status(Reply::status(404)), Failure::Config(_)));
        assert!(matches!(status(Reply::status(408)), Failure::Upstream(_)));
        assert!(matches!(status(Reply::status(302)), Failure::Upstream(_)));
        assert_eq!(
            status(Reply::status(429).header("Retry-After", "7")),
            Failure::RateLimited {
                message: "https://a.org/x answered with status 429".into(),
                retry_after_seconds: Some(7)
            }
        );
    }

    #[test]
    fn a_body_over_the_limit_is_a_failure_and_garbage_is_not_quoted() {
        let host = FakeHost::new().reply("https://a.org/x", Reply::text("{secret}"));
        let failure = host
            .run(|| get("https://a.org/x").send()?.bytes(3))
            .unwrap_err();
        assert_eq!(
            failure,
            Failure::Limit("https://a.org/x sent more than 3 bytes".into())
        );
        let failure = host
            .run(|| get("https://a.org/x").send()?.json::<u8>())
            .unwrap_err();
        assert!(!failure.message().contains("secret"), "{failure}");
    }

    #[test]
    fn a_shown_url_has_no_place_for_secrets() {
        assert_eq!(
            without_query("https://u:p@a.org/x?k=1#f"),
            "https://a.org/x"
        );
        assert_eq!(without_query("https://a.org?k=a/b"), "https://a.org");
        assert_eq!(without_query("nonsense?k=1"), "nonsense");
    }
}
