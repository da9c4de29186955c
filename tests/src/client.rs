//! A client of the REST API that reads like what people do.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Method;

use crate::leaks::Leaks;

/// An answer of the server.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| {
            panic!(
                "{error}: {} {}",
                self.status,
                String::from_utf8_lossy(&self.bytes)
            )
        })
    }

    /// The body as JSON, and it is an error if the status is one.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        if self.bytes.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The status and what people are told.
    #[track_caller]
    pub fn detail(&self) -> String {
        format!(
            "{} {}",
            self.status,
            self.json()["detail"].as_str().unwrap_or("(no detail)")
        )
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// How a run ended, in a line: its state, and of a failure the kind and the words.
pub fn outcome(run: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let state = text(&run["state"]);
    match &run["failure"] {
        Value::Null => state,
        failure => format!(
            "{state} ({}): {}",
            text(&failure["kind"]),
            text(&failure["message"])
        ),
    }
}

/// Speaks to one server, with or without a token.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    /// Where the server is.
    pub url: String,
    /// What is sent as bearer token.
    pub token: Option<String>,
    /// The credentials that were entered, and what was answered since.
    pub leaks: Leaks,
}

impl Client {
    /// Of a server.
    pub fn new(url: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            token,
            leaks: Leaks::default(),
        }
    }

    /// The same, whose answers are searched for other credentials.
    pub fn watched_by(mut self, leaks: &Leaks) -> Self {
        self.leaks = leaks.clone();
        self
    }

    /// Sends any request.
    #[track_caller]
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sends a request to a server that may be gone.
    pub fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, ureq::Error> {
        self.leaks.entering(path, body);
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = self.agent.run(request.body(body)?)?;
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_vec()?;
        self.leaks.answered(path, &bytes);
        Ok(Response {
            status: answer.status().as_u16(),
            headers,
            bytes,
        })
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, &[], &[])
    }

    /// POST of JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// PUT of JSON.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Response {
        self.send(
            Method::PUT,
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// DELETE.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Response {
        self.send(Method::DELETE, path, &[], &[])
    }

    /// Uploads a component.
    #[track_caller]
    pub fn upload(&self, component: &[u8]) -> Response {
        self.send(
            Method::POST,
            "/api/connectors",
            &[("content-type", "application/wasm")],
            component,
        )
    }

    /// Runs SQL.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Response {
        self.post("/api/query", &json!({ "sql": sql }))
    }

    /// The rows of a query that works.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Value {
        self.query(sql).ok()["rows"].take()
    }

    /// Adds a source, granting all that it asks for and these inner addresses.
    #[track_caller]
    pub fn add_source(
        &self,
        name: &str,
        connector: &str,
        settings: &Value,
        private: &[&str],
    ) -> Value {
        let plan = self
            .post(
                "/api/sources/plan",
                &json!({"connector": connector, "settings": settings}),
            )
            .ok();
        let mut grant = plan["requested"].clone();
        grant["private_addresses"] = json!(private);
        let body =
            json!({"name": name, "connector": connector, "settings": settings, "grant": grant});
        self.post("/api/sources", &body).ok()
    }

    /// Starts a run of a source and returns its id.
    #[track_caller]
    pub fn start(&self, source: &str) -> String {
        self.start_as(source, &json!({}))
    }

    /// Starts a run of a source with this request and returns its id.
    #[track_caller]
    pub fn start_as(&self, source: &str, request: &Value) -> String {
        let run = self.post(&format!("/api/sources/{source}/runs"), request);
        let run = run.ok();
        run["id"].as_str().expect("a run has an id").to_owned()
    }

    /// Runs a source and waits for its end.
    #[track_caller]
    pub fn run(&self, source: &str) -> Value {
        let id = self.start(source);
        self.wait(&id)
    }

    /// Waits for the end of a run by its events, and returns the run.
    #[track_caller]
    pub fn wait(&self, run: &str) -> Value {
        self.events(run, |_, _| true);
        self.get(&format!("/api/runs/{run}")).ok()
    }

    /// Reads a run's events until it has ended, or until `more` says no.
    #[track_caller]
    pub fn events(&self, run: &str, mut more: impl FnMut(&str, &Value) -> bool) {
        let token = self.token.as_deref().unwrap_or_default();
        let request = self
            .agent
            .get(format!("{}/api/runs/{run}/events", self.url))
            .header("authorization", format!("Bearer {token}"));
        let answer = request.call().expect("the events are there");
        assert_eq!(answer.status(), 200);
        let mut name = String::new();
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let Ok(line) = line else { return };
            self.leaks.answered("the events of a run", line.as_bytes());
            if let Some(event) = line.strip_prefix("event:") {
                name = event.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data:") {
                let data = serde_json::from_str(data).expect("events carry JSON");
                if !more(&name, &data) {
                    return;
                }
            }
        }
    }

    /// The log of a run as text, a line each.
    #[track_caller]
    pub fn log(&self, run: &str) -> String {
        let lines = self.get(&format!("/api/runs/{run}/log")).ok();
        let lines = lines["lines"].as_array().expect("lines").iter();
        lines
            .map(|l| {
                format!(
                    "{} {}\n",
                    l["level"].as_str().unwrap_or("?"),
                    l["message"].as_str().unwrap_or("?")
                )
            })
            .collect()
    }
}
