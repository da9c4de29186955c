//! What runner and broker say to each other over their one socket.
//!
//! The runner is not trusted: every length has a limit, every message has a type, and a message that
//! does not fit ends the run. One call is under way at a time; the answer follows before the next.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::format::{Appended, BodyFormat};
use crate::names::TableName;
use crate::run::{Level, Operation};
use crate::table::{Attachment, RemoteTable, TableInfo, TableSpec};
use crate::wall::MissingWall;

pub mod frame;

pub use frame::{Frame, FrameError, read_frame, write_frame};

/// The most bytes that cross in one payload: `list<u8>` arguments of the connector interface.
pub const MAX_PAYLOAD: usize = 4 << 20;

/// The most bytes of a message without its payload.
pub const MAX_HEAD: usize = 4 << 20;

/// The most bytes of a cursor.
pub const MAX_CURSOR: usize = 1 << 20;

/// What the broker sends. The payload belongs to the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToRunner {
    /// Run the component whose compiled form is on the inherited descriptor. A runner that has taken
    /// deliveries and ended well takes this again, with a new instance of the same component.
    Run(Start),
    /// A delivery for the component, its body as payload; `Run` with [`Operation::Receive`] is followed
    /// by at least one.
    Delivery {
        /// Names it within its source.
        id: String,
        /// Header lines, names in lower case.
        headers: Vec<(String, String)>,
        /// Whether it is the last of the batch.
        last: bool,
    },
    /// Compile: the component follows in pieces of `Piece`.
    Compile,
    /// A piece of the component to compile, as payload.
    Piece {
        /// Whether it is the last.
        last: bool,
    },
    /// The answer to the call before.
    Reply(Reply),
}

/// How to run a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The version of the connector interface.
    pub wit: String,
    /// The export to call.
    pub operation: Operation,
    /// The settings as JSON text.
    pub settings: String,
    /// The tables to bring.
    pub tables: Vec<TableName>,
    /// Bytes of all linear memories together.
    pub memory_bytes: u64,
    /// Seconds until the component is interrupted.
    pub wall_seconds: u64,
    /// Seconds of processor time until the runner is killed.
    pub cpu_seconds: u64,
    /// What its random numbers follow from.
    pub random_seed: [u8; 32],
    /// What its wall clock shows first, in milliseconds since 1970, each look being a little later: in a replay. Otherwise
    /// it shows the time.
    pub clock_from: Option<u64>,
}

/// What the runner sends. The payload belongs to the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromRunner {
    /// It is confined and ready; nothing of the component was touched yet.
    Ready {
        /// What could not be confined on this kernel; empty when everything could.
        missing: Vec<MissingWall>,
    },
    /// The component calls the host.
    Call(Call),
    /// The component returned, or could not be run.
    End(End),
    /// A piece of the compiled form, as payload.
    Piece {
        /// Whether it is the last.
        last: bool,
    },
}

/// A host function that the component called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// `http.send`; the payload is the request's body where `has_body`.
    Send {
        /// The method in upper case.
        method: String,
        /// The URL.
        url: String,
        /// Header lines.
        headers: Vec<(String, String)>,
        /// Whether there is a body.
        has_body: bool,
        /// Milliseconds until the headers must be there.
        timeout_ms: Option<u32>,
    },
    /// `http.response.read`; answered by `Body`.
    Read {
        /// The response.
        response: u32,
        /// The most bytes to return.
        max_bytes: u32,
    },
    /// A response was dropped.
    Close {
        /// The response.
        response: u32,
    },
    /// `tables.table.open`.
    OpenTable(TableSpec),
    /// A table was dropped.
    CloseTable {
        /// The table.
        table: TableName,
    },
    /// `tables.table.append-body`; answered by `Appended`.
    AppendBody {
        /// The table.
        table: TableName,
        /// The response, which is consumed.
        response: u32,
        /// How to read it.
        format: BodyFormat,
    },
    /// `tables.table.append-json`; the payload is the records; answered by `Rows`.
    AppendJson {
        /// The table.
        table: TableName,
    },
    /// `tables.table.append-arrow`; the payload is the stream; answered by `Rows`.
    AppendArrow {
        /// The table.
        table: TableName,
    },
    /// `cursors.get`; answered by `Cursor`.
    GetCursor {
        /// The table, unchecked.
        table: String,
    },
    /// `cursors.set`; the payload is the cursor.
    SetCursor {
        /// The table, unchecked.
        table: String,
    },
    /// `run.log`, and what the component prints.
    Log {
        /// How much it matters.
        level: Level,
        /// What it says.
        message: String,
    },
    /// `run.report`.
    Report {
        /// What is going on.
        message: String,
        /// Parts that are done.
        done: u64,
        /// Parts in all.
        total: Option<u64>,
    },
    /// `run.checkpoint`.
    Checkpoint,
    /// `remote.attach`.
    Attach(Attachment),
    /// `remote.expose`.
    Expose(RemoteTable),
}

/// The broker's answer to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Done.
    Done,
    /// A response's head.
    Response {
        /// Names it in later calls.
        response: u32,
        /// The status code.
        status: u16,
        /// Header lines, names in lower case.
        headers: Vec<(String, String)>,
    },
    /// A part of a body, as payload.
    Body {
        /// Whether the body ended before this; then the payload is empty.
        end: bool,
    },
    /// A body was appended.
    Appended(Appended),
    /// Records were appended.
    Rows {
        /// How many.
        rows: u64,
    },
    /// A cursor, as payload.
    Cursor {
        /// Whether there is one.
        found: bool,
    },
    /// It did not work.
    Failed(Failure),
}

/// How a component ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// `check`, `sync` or `handle` returned without failure.
    Done,
    /// `discover` returned.
    Discovered {
        /// What it listed.
        tables: Vec<TableInfo>,
    },
    /// It returned a failure, trapped, ran into a limit, or could not be loaded.
    Failed(Failure),
}
