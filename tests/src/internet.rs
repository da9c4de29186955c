//! A small web server on loopback that plays the outside world.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

/// The longest that a test waits for a request before it gives up; requests come far sooner.
const PATIENCE: Duration = Duration::from_secs(60);

/// In the place of a path: all that have no page.
const OTHERS: &str = "*";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    /// The path without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The body as text, no more of it than tests send.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

type Handler = Arc<dyn Fn(&Seen) -> Response + Send + Sync>;

#[derive(Default)]
struct Shared {
    pages: Mutex<HashMap<String, Handler>>,
    seen: Mutex<Vec<Seen>>,
    arrival: Condvar,
}

/// Holds the ends of bodies back.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets one body come to its end.
    pub fn let_one_through(&self) {
        self.0.add_permits(1);
    }
}

/// Serves pages by their path; everything else is 404.
pub struct Internet {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let seen = Seen {
        body,
        method: method.to_string(),
        target: uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
    };
    // Looked up before the request counts as seen: whoever waits for it may change the page then.
    let handler = shared.pages.lock().expect("not poisoned");
    let handler = handler
        .get(uri.path())
        .or_else(|| handler.get(OTHERS))
        .cloned();
    shared.seen.lock().expect("not poisoned").push(seen.clone());
    shared.arrival.notify_all();
    match handler {
        Some(handler) => handler(&seen),
        None => (StatusCode::NOT_FOUND, "there is no such page").into_response(),
    }
}

impl Internet {
    /// On a free port.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            shared,
            _runtime: runtime,
        }
    }

    /// Serves a body at a path.
    pub fn page(&self, path: &str, content_type: &'static str, body: impl Into<Vec<u8>>) {
        let body: Vec<u8> = body.into();
        self.handle(path, move |_| {
            ([("content-type", content_type)], body.clone()).into_response()
        });
    }

    /// Serves a status at a path.
    pub fn status(&self, path: &str, status: u16) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.handle(path, move |_| {
            (status, "an error, says the service").into_response()
        });
    }

    /// Serves a body that never ends, in pieces of this.
    pub fn endless(
        &self,
        path: &str,
        content_type: &'static str,
        head: &'static str,
        piece: &'static str,
    ) {
        self.handle(path, move |_| {
            let mut first = true;
            let stream = body_of(move || {
                let text = if std::mem::take(&mut first) {
                    head.to_owned()
                } else {
                    piece.repeat(512)
                };
                Some(text)
            });
            ([("content-type", content_type)], stream).into_response()
        });
    }

    /// Serves the beginning of a body and then holds the connection open without a word.
    pub fn held(&self, path: &str, content_type: &'static str, head: &'static str) {
        self.handle(path, move |_| {
            let body = stream::iter([Ok::<_, std::io::Error>(head)]).chain(stream::pending());
            ([("content-type", content_type)], Body::from_stream(body)).into_response()
        });
    }

    /// Serves a body whose end waits, for each request anew, until the gate lets one through.
    pub fn gated(
        &self,
        path: &str,
        content_type: &'static str,
        head: &'static str,
        tail: &'static str,
    ) -> Gate {
        let gate = Gate::default();
        let opened = gate.0.clone();
        self.handle(path, move |_| {
            let opened = opened.clone();
            let tail = stream::once(async move {
                let place = opened.acquire_owned().await;
                place.expect("a gate is never closed").forget();
                Ok::<_, std::io::Error>(tail)
            });
            let body = stream::iter([Ok(head)]).chain(tail);
            ([("content-type", content_type)], Body::from_stream(body)).into_response()
        });
        gate
    }

    /// Answers a path by a function.
    pub fn handle(&self, path: &str, handler: impl Fn(&Seen) -> Response + Send + Sync + 'static) {
        self.shared
            .pages
            .lock()
            .expect("not poisoned")
            .insert(path.to_owned(), Arc::new(handler));
    }

    /// Answers every path that nothing else answers.
    pub fn handle_others(&self, handler: impl Fn(&Seen) -> Response + Send + Sync + 'static) {
        self.handle(OTHERS, handler);
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The address as an exception of the egress gate.
    pub fn exception(&self) -> String {
        self.address.to_string()
    }

    /// How many requests came so far.
    pub fn asked(&self) -> u64 {
        self.shared.seen.lock().expect("not poisoned").len() as u64
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("not poisoned").clone()
    }

    /// The requests to a path so far.
    pub fn seen_at(&self, path: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|request| request.path() == path);
        seen
    }

    /// Waits until a path was asked for so many times in all.
    #[track_caller]
    pub fn wait_for(&self, path: &str, times: usize) {
        let count = |seen: &[Seen]| seen.iter().filter(|s| s.path() == path).count();
        let seen = self.shared.seen.lock().expect("not poisoned");
        let (seen, late) = self
            .shared
            .arrival
            .wait_timeout_while(seen, PATIENCE, |seen| count(seen) < times)
            .expect("not poisoned");
        assert!(!late.timed_out(), "{path} was not asked for: {seen:?}");
    }

    /// A text in which this address is called `internet`, so that it is the same in every run.
    pub fn named(&self, text: &str) -> String {
        text.replace(&self.address.to_string(), "internet")
    }
}

/// A body made of what a function gives until it gives nothing.
fn body_of(mut next: impl FnMut() -> Option<String> + Send + 'static) -> Body {
    Body::from_stream(stream::iter(std::iter::from_fn(move || {
        next().map(Ok::<_, std::io::Error>)
    })))
}
