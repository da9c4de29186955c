//! Requests to identity providers: only where nobody can listen, never led elsewhere, and never
//! longer or larger than an honest answer is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::http::{self, Request, Response};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::Client;
use thiserror::Error;
use url::{Host, Url};

/// For a whole request: somebody waits in front of a browser.
const TIMEOUT: Duration = Duration::from_secs(10);
/// 1 MiB: a set of keys has some kilobytes, a page of groups some hundred.
const MOST_BYTES: usize = 1 << 20;

/// Why a request did not bring an answer.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The address would show tokens to whoever listens.
    #[error(
        "`{0}` is no address that begins with `https://`; `http://` is only for this very machine"
    )]
    Insecure(String),
    /// The library refuses its own defaults.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The client could not be made.
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
    /// There was no answer, or it broke off.
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    /// The answer is larger than any that makes sense.
    #[error("the answer has more than {MOST_BYTES} bytes")]
    TooLarge,
    /// The answer is none of HTTP.
    #[error("the answer cannot be read")]
    Answer(#[source] http::Error),
}

/// Whether what is sent there stays between us and them.
pub(crate) fn is_private(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

/// Parses an address that is private.
pub(crate) fn private_url(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).ok().filter(is_private);
    url.ok_or_else(|| FetchError::Insecure(text.to_owned()))
}

/// Sends requests.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    client: Client,
}

impl Fetch {
    pub(crate) fn new() -> Result<Self, FetchError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .no_proxy()
            // Credentials go to the address that was asked for, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self { client })
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(crate) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, FetchError> {
        private_url(&request.uri().to_string())?;
        // Errors come without the address: its query may hold what is secret.
        let failed = |error: reqwest::Error| FetchError::Request(error.without_url());
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let mut answer = self.client.execute(request).await.map_err(failed)?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        response.body(body).map_err(FetchError::Answer)
    }
}

/// TLS with the roots of the system.
fn tls_config() -> Result<rustls::ClientConfig, FetchError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(FetchError::Tls)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, answer};

    fn get(url: &str) -> Request<Vec<u8>> {
        Request::get(url).body(Vec::new()).unwrap()
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for good in [
            "https://accounts.google.com/x",
            "http://127.0.0.1:9/x",
            "http://[::1]/",
            "http://localhost:9",
        ] {
            assert!(private_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://accounts.google.com",
            "http://localhost.evil.org",
            "http://127.0.0.1.evil.org",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "",
        ] {
            assert!(private_url(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn nobody_leads_a_request_elsewhere() {
        let fake = Fake::start(|_| "HTTP/1.1 302 Found\r\nlocation: /other\r\n\r\n".into());
        let response = Fetch::new().unwrap().send(get(&fake.url)).await.unwrap();
        assert_eq!(response.status(), 302);
        assert_eq!(fake.requests().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_not_read() {
        let fake = Fake::start(|_| answer(&"x".repeat(MOST_BYTES + 1)));
        let error = Fetch::new().unwrap().send(get(&fake.url)).await;
        assert!(matches!(error, Err(FetchError::TooLarge)), "{error:?}");
    }

    #[tokio::test]
    async fn what_was_asked_for_is_not_in_the_error() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = unused.local_addr().unwrap();
        drop(unused);
        let url = format!("http://{address}/?code=secret");
        let error = Fetch::new().unwrap().send(get(&url)).await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
