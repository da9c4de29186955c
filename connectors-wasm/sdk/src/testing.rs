//! A host for native tests: it answers requests from a script and keeps what the connector wrote.
//!
//! ```
//! use connector_sdk::testing::{FakeHost, Reply};
//! # use connector_sdk::{Connector, Failure, Format, Table, TableInfo, TableSpec, http};
//! # #[derive(serde::Deserialize)]
//! # struct Hello { url: String }
//! # impl Connector for Hello {
//! #     type Settings = Self;
//! #     fn new(settings: Self) -> Result<Self, Failure> { Ok(settings) }
//! #     fn check(&self) -> Result<(), Failure> { Ok(()) }
//! #     fn discover(&self) -> Result<Vec<TableInfo>, Failure> { Ok(vec![]) }
//! #     fn sync(&self, _: &[String]) -> Result<(), Failure> {
//! #         let page = http::get(&self.url).send()?;
//! #         Table::open(&TableSpec::new("greetings"))?.append_body(page, &Format::json()).map(drop)
//! #     }
//! # }
//! let host = FakeHost::new().reply("https://a.org/hi", Reply::text(r#"[{"text": "hello"}]"#));
//! host.sync::<Hello>(r#"{"url": "https://a.org/hi"}"#, &[]).unwrap();
//! assert_eq!(host.rows("greetings")[0]["text"], "hello");
//! ```

pub(crate) mod calls;
mod decode;

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::http::Request;
use crate::log::Level;
use crate::remote::{Attachment, RemoteTable};
use crate::{Connector, Delivery, Failure, Receiver, TableInfo, TableSpec};

/// A scripted response, or a scripted failure to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(Result<Answer, Failure>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Status 200 with this body.
    pub fn text(body: impl Into<String>) -> Self {
        Self(Ok(Answer {
            status: 200,
            headers: Vec::new(),
            body: body.into().into_bytes(),
        }))
    }

    /// This status with an empty body.
    pub fn status(status: u16) -> Self {
        Self(Ok(Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }))
    }

    /// No response: `send` fails.
    pub fn failure(failure: Failure) -> Self {
        Self(Err(failure))
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(answer) = &mut self.0 {
            answer
                .headers
                .push((name.to_ascii_lowercase(), value.to_owned()));
        }
        self
    }
}

/// A request that the connector sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The method, such as `GET`.
    pub method: &'static str,
    /// The URL.
    pub url: String,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) replies: BTreeMap<String, VecDeque<Reply>>,
    pub(crate) tables: BTreeMap<String, Written>,
    pub(crate) cursors: BTreeMap<String, Vec<u8>>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) progress: Vec<String>,
    pub(crate) checkpoints: usize,
    pub(crate) waits: Vec<Duration>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) exposed: Vec<RemoteTable>,
    pub(crate) writable: bool,
    pub(crate) unusable: bool,
}

#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) spec: TableSpec,
    pub(crate) rows: Vec<Value>,
    pub(crate) open: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<World>>>> = const { RefCell::new(None) };
}

/// A host that answers from a script. It keeps the rules of the connector interface: what the real host refuses as a
/// bug, this one refuses too. It decodes CSV without quotes, JSON and NDJSON; of other formats it keeps no rows.
#[derive(Debug, Default)]
pub struct FakeHost {
    world: Rc<RefCell<World>>,
}

impl FakeHost {
    /// A host that knows no URL yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Scripts the answer of a URL, whatever the method. Several for one URL are given in order, the last one again and
    /// again. Other URLs are refused like a host that is not in the grant.
    #[must_use]
    pub fn reply(self, url: &str, reply: Reply) -> Self {
        let mut world = self.world.borrow_mut();
        world
            .replies
            .entry(url.to_owned())
            .or_default()
            .push_back(reply);
        drop(world);
        self
    }

    /// Sets the cursor that an earlier run left.
    #[must_use]
    pub fn with_cursor(self, table: &str, cursor: &[u8]) -> Self {
        let mut world = self.world.borrow_mut();
        world
            .cursors
            .insert(table.to_ascii_lowercase(), cursor.to_vec());
        drop(world);
        self
    }

    /// Runs `check` with settings in JSON.
    pub fn check<C: Connector>(&self, settings: &str) -> Result<(), Failure> {
        self.enter(false, || connector::<C>(settings)?.check())
    }

    /// Runs `discover` with settings in JSON.
    pub fn discover<C: Connector>(&self, settings: &str) -> Result<Vec<TableInfo>, Failure> {
        self.enter(false, || connector::<C>(settings)?.discover())
    }

    /// Runs `sync` with settings in JSON.
    pub fn sync<C: Connector>(&self, settings: &str, tables: &[&str]) -> Result<(), Failure> {
        let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
        self.enter(true, || connector::<C>(settings)?.sync(&tables))
    }

    /// Hands a batch of deliveries over, with settings in JSON.
    pub fn receive<C: Receiver>(
        &self,
        settings: &str,
        deliveries: Vec<Delivery>,
    ) -> Result<(), Failure> {
        self.enter(true, || connector::<C>(settings)?.receive(deliveries))
    }

    /// Runs any code as if it were a part of `sync`.
    pub fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        self.enter(true, code)
    }

    fn enter<T>(&self, writable: bool, code: impl FnOnce() -> T) -> T {
        self.world.borrow_mut().writable = writable;
        let before = CURRENT.replace(Some(Rc::clone(&self.world)));
        let result = code();
        CURRENT.set(before);
        result
    }

    /// The rows of a table, in the order in which they were written.
    pub fn rows(&self, table: &str) -> Vec<Value> {
        let world = self.world.borrow();
        let written = world.tables.get(&table.to_ascii_lowercase());
        written.map_or_else(Vec::new, |written| written.rows.clone())
    }

    /// The specification with which a table was opened.
    pub fn spec(&self, table: &str) -> Option<TableSpec> {
        let world = self.world.borrow();
        let written = world.tables.get(&table.to_ascii_lowercase())?;
        Some(written.spec.clone())
    }

    /// The cursor of a table as it is now.
    pub fn cursor(&self, table: &str) -> Option<Vec<u8>> {
        self.world
            .borrow()
            .cursors
            .get(&table.to_ascii_lowercase())
            .cloned()
    }

    /// The requests that were sent.
    pub fn sent(&self) -> Ref<'_, [Sent]> {
        Ref::map(self.world.borrow(), |world| world.sent.as_slice())
    }

    /// The lines that were logged.
    pub fn log(&self) -> Ref<'_, [(Level, String)]> {
        Ref::map(self.world.borrow(), |world| world.log.as_slice())
    }

    /// The messages of the progress reports.
    pub fn progress(&self) -> Ref<'_, [String]> {
        Ref::map(self.world.borrow(), |world| world.progress.as_slice())
    }

    /// The remote tables that were exposed.
    pub fn exposed(&self) -> Ref<'_, [RemoteTable]> {
        Ref::map(self.world.borrow(), |world| world.exposed.as_slice())
    }

    /// How long the connector waited, each time that it did.
    pub fn waits(&self) -> Ref<'_, [Duration]> {
        Ref::map(self.world.borrow(), |world| world.waits.as_slice())
    }

    /// How many checkpoints were made.
    pub fn checkpoints(&self) -> usize {
        self.world.borrow().checkpoints
    }
}

fn connector<C: Connector>(settings: &str) -> Result<C, Failure> {
    C::new(crate::run::parse_settings(settings)?)
}

impl World {
    /// The next scripted answer, as the request is noted.
    fn answer(&mut self, request: Request) -> Result<Answer, Failure> {
        let reply = match self.replies.get_mut(&request.url) {
            Some(replies) if replies.len() > 1 => replies.pop_front(),
            Some(replies) => replies.front().cloned(),
            None => None,
        };
        let url = crate::http::without_query(&request.url);
        self.sent.push(Sent {
            method: request.method.as_str(),
            url: request.url,
            headers: request.headers,
            body: request.body,
        });
        let refused = || Failure::Limit(format!("{url} is not in the grant of this source"));
        reply.ok_or_else(refused)?.0
    }
}
