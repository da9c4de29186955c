//! The conversation with one runner: it calls, the broker answers, until it says how it ended.
//!
//! The runner is taken for an enemy. What does not fit the protocol ends the run; what fits and is
//! not allowed gets a failure as its answer.

use std::io::{BufReader, Read, Write};

use domain::Failure;
use domain::ports::{Delivery, Ended, Outcome};
use domain::protocol::{
    Call, End, Frame, FrameError, FromRunner, Reply, Start, ToRunner, read_frame, write_frame,
};
use domain::run::{Level, Operation};
use domain::wall::{MissingWall, Wall};
use thiserror::Error;

use crate::journal::{Journal, clean_failure};
use crate::stop::Stop;

mod cursors;
mod requests;
#[cfg(test)]
mod tests;
mod writing;

pub(crate) use cursors::CursorBook;
pub(crate) use requests::Requests;
pub(crate) use writing::Writing;

/// How a conversation ended without an outcome.
#[derive(Debug, Error)]
pub(crate) enum SessionError {
    /// The run ended, and it is said why.
    #[error("the run ended")]
    Ended(Ended),
    /// The socket broke; how the process ended says more.
    #[error("the runner was lost")]
    Lost(#[source] FrameError),
    /// The runner did what a runner never does.
    #[error("the runner broke the protocol: {0}")]
    Violation(&'static str),
}

impl From<Failure> for SessionError {
    fn from(failure: Failure) -> Self {
        Self::Ended(Ended::Failed(failure))
    }
}

impl From<FrameError> for SessionError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Closed | FrameError::Io(_) => Self::Lost(error),
            FrameError::TooLarge { .. } => Self::Violation("a frame is too large"),
            FrameError::Malformed(_) => Self::Violation("a frame is not a message"),
        }
    }
}

/// Everything that a conversation works on.
pub(crate) struct Session {
    pub(crate) start: Start,
    /// What the component is to handle; only in `receive`.
    pub(crate) deliveries: Vec<Delivery>,
    /// The walls without which the runner gets nothing to do.
    pub(crate) required_walls: Vec<Wall>,
    pub(crate) requests: Requests,
    pub(crate) cursors: CursorBook,
    /// Only in `sync` and `receive`.
    pub(crate) writing: Option<Writing>,
    pub(crate) journal: Journal,
    pub(crate) stop: Stop,
}

/// What answers a call: a reply and its payload.
type Answered = Result<(Reply, Vec<u8>), Failure>;

fn done() -> Answered {
    Ok((Reply::Done, Vec::new()))
}

impl Session {
    /// Talks to the runner until the run ends; publishes what `sync` wrote.
    pub(crate) fn drive(
        self,
        reader: impl Read,
        writer: impl Write,
    ) -> Result<Outcome, SessionError> {
        let mut reader = BufReader::new(reader);
        self.greet(&mut reader)?;
        self.converse(&mut reader, writer)
    }

    /// Hears that a new runner is ready, and which walls it lacks.
    pub(crate) fn greet(&self, reader: &mut impl Read) -> Result<(), SessionError> {
        let FromRunner::Ready { missing } = read_frame(reader)?.message else {
            return Err(SessionError::Violation("it did not say that it is ready"));
        };
        if let Some(warning) = confinement(&missing, &self.required_walls)? {
            self.journal.log(Level::Warn, &warning);
        }
        Ok(())
    }

    /// Gives a runner that is ready its work, and talks to it until the run ends.
    pub(crate) fn converse(
        mut self,
        reader: &mut impl Read,
        mut writer: impl Write,
    ) -> Result<Outcome, SessionError> {
        write_frame(&mut writer, &ToRunner::Run(self.start.clone()), &[])?;
        self.hand_over(&mut writer)?;
        loop {
            let Frame { message, payload } = read_frame(reader)?;
            if let Some(reason) = self.stop.reason() {
                return Err(SessionError::Ended(reason));
            }
            match message {
                FromRunner::Call(call) => {
                    let (reply, payload) = self.answer(call, payload)?;
                    send_reply(&mut writer, reply, &payload)?;
                }
                FromRunner::End(end) if payload.is_empty() => return self.end(end),
                _ => return Err(SessionError::Violation("a message out of order")),
            }
        }
    }

    fn hand_over(&mut self, writer: &mut impl Write) -> Result<(), SessionError> {
        let mut deliveries = std::mem::take(&mut self.deliveries).into_iter().peekable();
        while let Some(Delivery { id, headers, body }) = deliveries.next() {
            let last = deliveries.peek().is_none();
            let message = ToRunner::Delivery { id, headers, last };
            write_frame(writer, &message, &body)?;
        }
        Ok(())
    }

    fn answer(&mut self, call: Call, payload: Vec<u8>) -> Result<(Reply, Vec<u8>), SessionError> {
        if !payload.is_empty() && !takes_payload(&call) {
            return Err(SessionError::Violation("a payload where none belongs"));
        }
        Ok(self.dispatch(call, payload).unwrap_or_else(|failure| {
            let failure = clean_failure(self.journal.redactor(), failure);
            (Reply::Failed(failure), Vec::new())
        }))
    }

    fn dispatch(&mut self, call: Call, payload: Vec<u8>) -> Answered {
        match call {
            Call::Send {
                method,
                url,
                headers,
                has_body,
                timeout_ms,
            } => {
                let body = has_body.then_some(payload);
                self.requests.send(&method, url, headers, body, timeout_ms)
            }
            Call::Read {
                response,
                max_bytes,
            } => self.requests.read(response, max_bytes),
            Call::Close { response } => self.requests.close(response),
            Call::GetCursor { table } => self.cursors.get(&table),
            Call::Log { level, message } => {
                self.journal.log(level, &message);
                done()
            }
            Call::Report {
                message,
                done: parts,
                total,
            } => {
                self.journal.report(&message, parts, total);
                done()
            }
            call => self.write(call, &payload),
        }
    }

    fn write(&mut self, call: Call, payload: &[u8]) -> Answered {
        // A response that is handed over is gone in every case.
        let body = match &call {
            Call::AppendBody { response, .. } => Some(self.requests.take(*response)),
            _ => None,
        };
        let writing = self.writing.as_mut().ok_or_else(|| {
            Failure::bug("tables, cursors and checkpoints can be written in `sync` only, tables and cursors in `receive` too")
        })?;
        match call {
            Call::OpenTable(spec) => writing.open(&spec),
            Call::CloseTable { table } => writing.close(&table),
            Call::AppendBody { table, format, .. } => match body {
                Some(body) => writing.append_body(&table, &format, body?),
                None => Err(Failure::bug("the response is missing")),
            },
            Call::AppendJson { table } => writing.append_json(&table, payload),
            Call::AppendArrow { table } => writing.append_arrow(&table, payload),
            Call::SetCursor { table } => self.cursors.set(&table, payload),
            // The place up to which deliveries were taken is published too, and stands behind the last one.
            Call::Checkpoint if self.start.operation == Operation::Receive => Err(Failure::bug(
                "there is no checkpoint in `receive`: a batch is published as a whole",
            )),
            Call::Checkpoint => writing.publish(self.cursors.all()).and_then(|()| done()),
            Call::Attach(attachment) => writing.attach(&attachment),
            Call::Expose(table) => writing.expose(&table),
            _ => Err(Failure::bug("this call does not write")),
        }
    }

    fn end(mut self, end: End) -> Result<Outcome, SessionError> {
        // What broke first is why the run failed, whatever the component made of it.
        if let Some(failure) = self.writing.as_ref().and_then(Writing::broken) {
            return Err(clean_failure(self.journal.redactor(), failure).into());
        }
        match (self.start.operation, end) {
            (_, End::Failed(failure)) => {
                Err(clean_failure(self.journal.redactor(), failure).into())
            }
            (Operation::Check, End::Done) => Ok(Outcome::Checked),
            (Operation::Discover, End::Discovered { tables }) => Ok(Outcome::Discovered(tables)),
            (Operation::Sync | Operation::Receive, End::Done) => self.publish(),
            (operation, _) => Err(Failure::bug(format!(
                "the component ended `{}` with the result of another operation",
                operation.as_str()
            ))
            .into()),
        }
    }

    fn publish(&mut self) -> Result<Outcome, SessionError> {
        let Some(writing) = self.writing.as_mut() else {
            return Err(Failure::bug("a run that writes has no stage").into());
        };
        match writing.publish(self.cursors.all()) {
            Ok(()) => Ok(Outcome::Synced(writing.published())),
            Err(failure) => Err(clean_failure(self.journal.redactor(), failure).into()),
        }
    }
}

fn takes_payload(call: &Call) -> bool {
    matches!(
        call,
        Call::Send { has_body: true, .. }
            | Call::AppendJson { .. }
            | Call::AppendArrow { .. }
            | Call::SetCursor { .. }
    )
}

fn send_reply(writer: &mut impl Write, reply: Reply, payload: &[u8]) -> Result<(), FrameError> {
    match write_frame(writer, &ToRunner::Reply(reply), payload) {
        // Nothing was written yet, so another answer may take its place.
        Err(FrameError::TooLarge { head, .. }) => {
            let failure = Failure::limit(format!(
                "the answer has {head} bytes, more than can be handed over"
            ));
            write_frame(writer, &ToRunner::Reply(Reply::Failed(failure)), &[])
        }
        result => result,
    }
}

/// What to say where a wall around the runner is missing; a failure where it is required.
pub(crate) fn confinement(
    missing: &[MissingWall],
    required: &[Wall],
) -> Result<Option<String>, Failure> {
    let list = |walls: &mut dyn Iterator<Item = &MissingWall>| {
        let walls: Vec<_> = walls.map(ToString::to_string).collect();
        walls.join("; ")
    };
    let lacking = list(&mut missing.iter().filter(|m| required.contains(&m.wall)));
    if !lacking.is_empty() {
        return Err(Failure::limit(format!(
            "this system cannot confine runners as required: {lacking}. Use a kernel that has this, or take it out of `sandbox.require` to accept the risk"
        )));
    }
    let lacking = list(&mut missing.iter());
    Ok((!lacking.is_empty())
        .then(|| format!("this system cannot confine runners fully: {lacking}")))
}
