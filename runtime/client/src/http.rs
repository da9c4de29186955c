//! Requests to the server. Redirects are not followed: a token goes to the server that was named and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::Value;
use ureq::http::request::Builder;
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::config::Config;
use crate::error::Error;

/// The longest answer that is read into memory.
const LARGEST_ANSWER: u64 = 256 * 1024 * 1024;
/// The longest error that is read.
const LARGEST_ERROR: u64 = 1024 * 1024;

/// A server and who asks it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    agent: Agent,
    pub(crate) server: String,
    token: Option<String>,
}

impl Api {
    pub(crate) fn new(config: &Config) -> Self {
        Self::with(config.server(), config.token())
    }

    /// Nobody in particular, who waits no longer than this for an answer.
    pub(crate) fn patient(server: String, patience: Duration) -> Self {
        Self::within(server, None, Some(patience))
    }

    pub(crate) fn with(server: String, token: Option<String>) -> Self {
        Self::within(server, token, None)
    }

    fn within(server: String, token: Option<String>, patience: Option<Duration>) -> Self {
        let builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(patience)
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(600)));
        let builder = if server.starts_with("https:") {
            builder.tls_config(tls())
        } else {
            builder
        };
        Self {
            agent: builder.build().new_agent(),
            server,
            token,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Error> {
        self.ask(Method::GET, path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.ask(Method::POST, path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, Error> {
        self.ask(Method::DELETE, path, None)
    }

    /// An answer in JSON; null when it is empty.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let answer = self.open(method, path, body, &[])?;
        self.json(answer, path)
    }

    /// An answer as JSON; null when it is empty.
    pub(crate) fn json(&self, mut answer: Response<Body>, path: &str) -> Result<Value, Error> {
        let text = answer
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_string();
        let text = text.map_err(|error| self.unreachable(&error))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|_| {
            Error::Said(format!(
                "{} answers {path} with something that is no JSON. Is it a Sluice server?",
                self.server
            ))
        })
    }

    /// Sends a file as the field `file` of a form.
    pub(crate) fn send_file(&self, path: &str, name: &str, bytes: &[u8]) -> Result<Value, Error> {
        let form = form(name, bytes);
        let kind = format!("multipart/form-data; boundary={}", form.boundary);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.server))
            .header("content-type", kind);
        let request = self.signed(request).body(form.body);
        let sent = request
            .map_err(ureq::Error::from)
            .and_then(|request| self.agent.run(request));
        self.json(self.judged(sent, format!("POST {path}"))?, path)
    }

    /// An answer whose body is still to be read. Any status but 2xx is an error.
    pub(crate) fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, Error> {
        let what = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server));
        request = self.signed(request);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
            None => request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request)),
        };
        self.judged(sent, what)
    }

    fn signed(&self, request: Builder) -> Builder {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Any status but 2xx is an error.
    fn judged(
        &self,
        sent: Result<Response<Body>, ureq::Error>,
        what: String,
    ) -> Result<Response<Body>, Error> {
        let mut answer = sent.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let text = answer
            .body_mut()
            .with_config()
            .limit(LARGEST_ERROR)
            .read_to_string();
        Err(Error::Api {
            status,
            what,
            detail: detail(&text.unwrap_or_default()),
        })
    }

    pub(crate) fn unreachable(&self, error: &ureq::Error) -> Error {
        Error::Unreachable {
            server: self.server.clone(),
            reason: error.to_string(),
        }
    }
}

struct Form {
    boundary: String,
    body: Vec<u8>,
}

/// A form of one file. Its boundary is the digest of what it holds, which does not occur therein.
fn form(name: &str, bytes: &[u8]) -> Form {
    let boundary = format!("da-{}", hex::encode(Md5::digest(bytes)));
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_control() || "\"\\".contains(c) {
                '_'
            } else {
                c
            }
        })
        .collect();
    let mut body = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n").into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Form { boundary, body }
}

/// The machine's own roots, so that a company's authority counts too.
fn tls() -> TlsConfig {
    let found = rustls_native_certs::load_native_certs().certs;
    let roots = found
        .iter()
        .map(|c| Certificate::from_der(c.as_ref()).to_owned());
    let roots = RootCerts::Specific(Arc::new(roots.collect()));
    TlsConfig::builder().root_certs(roots).build()
}

/// What an error's body says.
fn detail(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let detail = parsed.map(|mut parsed| parsed["detail"].take());
    match detail {
        Some(Value::String(text)) => text,
        Some(Value::Null) | None => body.chars().take(300).collect(),
        Some(other) => other.to_string(),
    }
}

/// A part of a path that comes from outside.
pub(crate) fn part(text: &str) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let encoded = text.bytes().map(|b| {
        if safe(b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    });
    encoded.collect()
}
