//! Speaks to a server's REST API and turns its problem details into errors with hints.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::output::{CliError, CliResult};

/// To find out that nobody listens.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server and a token.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(server: &str, token: Option<&str>) -> CliResult<Self> {
        let valid =
            url::Url::parse(server).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !valid {
            return Err(
                CliError::new(format!("`{server}` is not the URL of a server"))
                    .hint("write it like http://127.0.0.1:8000"),
            );
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // A token must not follow a redirect to somewhere else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| CliError::new(format!("no HTTP client could be made: {error}")))?;
        Ok(Self {
            http,
            server: server.trim_end_matches('/').to_owned(),
            token: token.map(str::to_owned).filter(|token| !token.is_empty()),
        })
    }

    /// A server on this machine, by its socket.
    pub(crate) fn local(socket: &Path) -> CliResult<Self> {
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            .no_proxy()
            .build()
            .map_err(|error| CliError::new(format!("no HTTP client could be made: {error}")))?;
        Ok(Self {
            http,
            // Only the socket counts.
            server: "http://localhost".to_owned(),
            token: None,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> CliResult<Value> {
        json(self.send(self.request(Method::GET, path)).await?).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> CliResult<Value> {
        json(
            self.send(self.request(Method::POST, path).json(body))
                .await?,
        )
        .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> CliResult<Value> {
        json(
            self.send(self.request(Method::PUT, path).json(body))
                .await?,
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str) -> CliResult<Value> {
        json(self.send(self.request(Method::DELETE, path)).await?).await
    }

    /// Uploads a component.
    pub(crate) async fn upload(&self, path: &str, component: Vec<u8>) -> CliResult<Value> {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/wasm")
            .body(component);
        json(self.send(request).await?).await
    }

    /// An answer that is read piece by piece.
    pub(crate) async fn stream(&self, path: &str) -> CliResult<Response> {
        self.send(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.server));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> CliResult<Response> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        Err(refused(status, &text, self.token.is_some()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let server = &self.server;
        if error.is_connect() {
            CliError::new(format!("no server answers at {server}"))
                .hint("start one with `sluice serve`, or name it with --server or SLUICE_SERVER")
        } else {
            CliError::new(format!("the connection to {server} failed: {error}"))
        }
    }
}

async fn json(response: Response) -> CliResult<Value> {
    let broken = |error: &dyn std::fmt::Display| {
        CliError::new(format!("the server's answer cannot be read: {error}"))
            .hint("is this the URL of a Sluice server?")
    };
    let bytes = response.bytes().await.map_err(|error| broken(&error))?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|error| broken(&error))
}

/// What a server said when it refused.
fn refused(status: StatusCode, text: &str, with_token: bool) -> CliError {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let detail = problem["detail"]
        .as_str()
        .map_or_else(|| format!("the server answered {status}"), str::to_owned);
    let error = CliError::new(detail);
    match (status, with_token) {
        (StatusCode::UNAUTHORIZED, false) => error.hint(
            "set SLUICE_TOKEN to the token that setting up the server gave you, or pass --token",
        ),
        (StatusCode::UNAUTHORIZED, true) => {
            error.hint("SLUICE_TOKEN or --token does not hold a token of this server")
        }
        (status, _) if status.is_server_error() => match problem["request_id"].as_str() {
            Some(id) => error.hint(format!("search the server's log for {id}")),
            None => error,
        },
        _ => error,
    }
}

/// One segment of a path, so that a name cannot become another path.
pub(crate) fn segment(name: &str) -> String {
    let mut url = match url::Url::parse("http://x/") {
        Ok(url) => url,
        Err(_) => return String::new(),
    };
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop().push(name);
    }
    url.path().trim_start_matches('/').to_owned()
}

/// A text in an answer of the server; empty where it is not.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A list in an answer of the server; empty where it is not.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let problem = r#"{"detail": "There is no source `x`", "request_id": "id-1"}"#;
        let error = refused(StatusCode::NOT_FOUND, problem, true);
        assert_eq!(
            (error.message.as_str(), error.hint),
            ("There is no source `x`", None)
        );
        let error = refused(StatusCode::INTERNAL_SERVER_ERROR, problem, true);
        assert!(error.hint.unwrap().contains("id-1"));
        let error = refused(StatusCode::BAD_GATEWAY, "<html>", true);
        assert!(error.message.contains("502"), "{}", error.message);
    }

    #[test]
    fn whoever_has_no_token_is_told_where_it_comes_from() {
        let error = refused(StatusCode::UNAUTHORIZED, "{}", false);
        assert!(error.hint.unwrap().contains("SLUICE_TOKEN"));
    }

    #[test]
    fn a_name_stays_one_segment_of_a_path() {
        assert_eq!(segment("orders"), "orders");
        assert_eq!(segment("a/b?c#d"), "a%2Fb%3Fc%23d");
        assert!(!segment("..").contains(".."));
    }

    #[test]
    fn what_is_not_a_url_is_refused_with_an_example() {
        let error = Client::new("localhost:8000", None).unwrap_err();
        assert!(error.hint.unwrap().contains("http://"));
    }
}
