//! The near end of a stream: what is written becomes pieces, which wait until the client takes them.

use std::io::{self, Write};
use std::time::Instant;

use axum::body::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use warehouse::{Exported, QueryError};

use super::Message;

/// Large enough that handing one over costs nothing beside its content.
const PIECE: usize = 256 << 10;

/// Used on a thread that may block.
pub(super) struct Pipe {
    sender: Sender<Message>,
    runtime: Handle,
    deadline: Instant,
    buffer: Vec<u8>,
    passed: u64,
}

impl Pipe {
    pub(super) fn new(sender: Sender<Message>, runtime: Handle, deadline: Instant) -> Self {
        Self {
            sender,
            runtime,
            deadline,
            buffer: Vec::new(),
            passed: 0,
        }
    }

    /// How many bytes were written.
    pub(super) fn bytes(&self) -> u64 {
        self.passed + self.buffer.len() as u64
    }

    /// Hands over the rest, and how it went.
    pub(super) fn end(mut self, result: Result<Exported, QueryError>) {
        let rest = std::mem::take(&mut self.buffer);
        // Whoever is gone needs no end; who is not sees from its lack that this was none.
        drop(self.send(Message::End(rest.into(), result)));
    }

    fn send(&self, message: Message) -> io::Result<()> {
        // The clock is looked at inside: there is none on this thread.
        let sent = async {
            let sending = self.sender.send(message);
            tokio::time::timeout_at(self.deadline.into(), sending).await
        };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.passed += self.buffer.len() as u64;
            let piece = Bytes::from(std::mem::take(&mut self.buffer));
            self.send(Message::Piece(piece))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
