//! A response's body on its way from the network to whoever reads it on a thread that blocks.
//!
//! A task fetches ahead through a bounded channel, so that fetching and decoding overlap, and counts,
//! undoes gzip and blanks credentials as the bytes come.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use domain::Failure;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::egress::client::words;
use crate::egress::pace::Turns;
use crate::journal::Journal;
use crate::redact::StreamRedactor;
use crate::stop::Stop;
use crate::tape::BodyCopy;

mod inflate;
pub(crate) mod whole;

use inflate::Inflate;

/// Pieces that are fetched ahead; the largest has about half a MiB.
const AHEAD: usize = 8;

/// How a body is coded on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As it is.
    Identity,
    /// By gzip, which is all that the host asks for.
    Gzip,
}

impl Coding {
    /// What a response's headers say.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            for token in value.as_bytes().split(|byte| *byte == b',') {
                coding = match (coding, token.trim_ascii().to_ascii_lowercase().as_slice()) {
                    (coding, b"" | b"identity") => coding,
                    (Self::Identity, b"gzip" | b"x-gzip") => Self::Gzip,
                    _ => {
                        let shown = String::from_utf8_lossy(value.as_bytes());
                        return Err(Failure::upstream(format!(
                            "the service sent the coding `{}`, which was not asked for",
                            shown.escape_debug()
                        )));
                    }
                };
            }
        }
        Ok(coding)
    }
}

/// How bodies flow in a run.
#[derive(Debug)]
pub(crate) struct Flow {
    /// The longest silence.
    pub(crate) idle: Duration,
    /// The run's limit over all bodies.
    pub(crate) bytes_in: u64,
    pub(crate) journal: Journal,
    pub(crate) stop: Stop,
    /// Held until the body is at its end or nobody reads it any more.
    pub(crate) _turns: Turns,
    /// Where a recorder listens.
    pub(crate) copy: Option<BodyCopy>,
}

impl Flow {
    /// Lets a response's body flow. Must be called within the runtime.
    pub(crate) fn start(self, response: Response, coding: Coding) -> BodyReader {
        let (pieces, receiver) = mpsc::channel(AHEAD);
        let pump = Pump {
            redactor: self.journal.redactor().stream(),
            inflate: (coding == Coding::Gzip).then(Inflate::default),
            pieces,
            flow: self,
        };
        tokio::spawn(pump.run(response));
        BodyReader {
            receiver,
            current: Bytes::new(),
            end: None,
        }
    }
}

/// What the task sends. Only `End` is the end of a body; a channel that closes without it is not.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End,
    Broken(Failure),
}

/// Why the task ends before the body does.
enum Halt {
    Failed(Failure),
    NobodyReads,
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

struct Pump {
    flow: Flow,
    redactor: StreamRedactor,
    inflate: Option<Inflate>,
    pieces: Sender<Piece>,
}

impl Pump {
    async fn run(mut self, response: Response) {
        let last = match self.pump(response).await {
            Ok(()) => Piece::End,
            Err(Halt::Failed(failure)) => Piece::Broken(failure),
            Err(Halt::NobodyReads) => return,
        };
        // Nobody reads any more where this fails, so nobody misses it.
        let _ = self.pieces.send(last).await;
    }

    async fn pump(&mut self, mut response: Response) -> Result<(), Halt> {
        let stop = self.flow.stop.clone();
        let mut stopped = pin!(stop.stopped());
        let pieces = self.pieces.clone();
        let mut fetched = 0_u64;
        loop {
            let chunk = tokio::select! {
                biased;
                failure = &mut stopped => return Err(failure.into()),
                () = pieces.closed() => return Err(Halt::NobodyReads),
                chunk = tokio::time::timeout(self.flow.idle, response.chunk()) => chunk,
            };
            match chunk {
                Ok(Ok(Some(bytes))) => {
                    fetched += bytes.len() as u64;
                    self.take(bytes).await?;
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(broke(fetched, &error).into()),
                Err(_) => return Err(silent(fetched, self.flow.idle).into()),
            }
        }
        if let Some(inflate) = &mut self.inflate {
            let rest = inflate.finish()?;
            self.emit(rest).await?;
        }
        let rest = self.redactor.finish();
        self.send(rest).await?;
        if let Some(copy) = &self.flow.copy {
            copy.end();
        }
        Ok(())
    }

    async fn take(&mut self, bytes: Bytes) -> Result<(), Halt> {
        if self.inflate.is_none() {
            return self.emit(bytes).await;
        }
        for part in bytes.chunks(inflate::STEP) {
            if let Some(full) = self
                .inflate
                .as_mut()
                .map(|inflate| inflate.push(part))
                .transpose()?
            {
                self.emit(full).await?;
            }
        }
        Ok(())
    }

    async fn emit(&mut self, bytes: Bytes) -> Result<(), Halt> {
        let limit = self.flow.bytes_in;
        if self.flow.journal.add_bytes_in(bytes.len() as u64) > limit {
            let message =
                format!("the run received more than {limit} bytes, which is its limit `bytes_in`");
            return Err(Failure::limit(message).into());
        }
        let clean = self.redactor.push(bytes);
        self.send(clean).await
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), Halt> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(copy) = &self.flow.copy {
            copy.push(&bytes);
        }
        self.pieces
            .send(Piece::Bytes(bytes))
            .await
            .map_err(|_| Halt::NobodyReads)
    }
}

fn broke(fetched: u64, error: &reqwest::Error) -> Failure {
    Failure::upstream(format!(
        "the connection broke after {fetched} bytes of the body: {}",
        words(error)
    ))
}

fn silent(fetched: u64, idle: Duration) -> Failure {
    Failure::upstream(format!(
        "the service sent {fetched} bytes of the body and then nothing for {} s",
        idle.as_secs_f32()
    ))
}

/// Reads a body on a thread that may block. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct BodyReader {
    receiver: Receiver<Piece>,
    current: Bytes,
    end: Option<Result<(), Failure>>,
}

impl BodyReader {
    /// The next bytes, at least one and at most `most`; nothing at the end, however often it is asked.
    pub(crate) fn next(&mut self, most: usize) -> Result<Option<Vec<u8>>, Failure> {
        if !self.fill()? {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        loop {
            let part = self.current.len().min(most - bytes.len());
            bytes.extend_from_slice(&self.current.split_to(part));
            if bytes.len() >= most || !self.fill_at_once() {
                return Ok(Some(bytes));
            }
        }
    }

    /// Waits for bytes; false at the end.
    fn fill(&mut self) -> Result<bool, Failure> {
        while self.current.is_empty() && self.end.is_none() {
            let piece = self.receiver.blocking_recv();
            self.put(piece);
        }
        match &self.end {
            Some(Err(failure)) if self.current.is_empty() => Err(failure.clone()),
            _ => Ok(!self.current.is_empty()),
        }
    }

    /// Whether there are more bytes without waiting.
    fn fill_at_once(&mut self) -> bool {
        if self.current.is_empty() && self.end.is_none() {
            match self.receiver.try_recv() {
                Ok(piece) => self.put(Some(piece)),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.put(None),
            }
        }
        !self.current.is_empty()
    }

    fn put(&mut self, piece: Option<Piece>) {
        match piece {
            Some(Piece::Bytes(bytes)) => self.current = bytes,
            Some(Piece::End) => self.end = Some(Ok(())),
            Some(Piece::Broken(failure)) => self.end = Some(Err(failure)),
            None => {
                let failure = Failure::bug("the body's task ended without reaching its end");
                self.end = Some(Err(failure));
            }
        }
    }
}

/// An error carries the `Failure` that ended the body: `error.get_ref()` downcasts to it.
impl io::Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || !self.fill().map_err(io::Error::other)? {
            return Ok(0);
        }
        let part = self.current.split_to(self.current.len().min(buffer.len()));
        if let Some(target) = buffer.get_mut(..part.len()) {
            target.copy_from_slice(&part);
        }
        Ok(part.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn only_the_coding_that_was_asked_for_is_undone() {
        let coding = |values: &[&str]| {
            let lines = values
                .iter()
                .map(|v| (CONTENT_ENCODING, HeaderValue::from_str(v).unwrap()));
            Coding::of(&lines.collect()).ok()
        };
        assert_eq!(coding(&[]), Some(Coding::Identity));
        assert_eq!(coding(&["identity"]), Some(Coding::Identity));
        assert_eq!(coding(&["GZip"]), Some(Coding::Gzip));
        assert_eq!(coding(&["identity, x-gzip"]), Some(Coding::Gzip));
        for other in [
            &["br"][..],
            &["gzip, gzip"],
            &["gzip", "gzip"],
            &["deflate, gzip"],
            &["zstd"],
        ] {
            assert_eq!(coding(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_channel_that_closes_early_is_not_the_end_of_a_body() {
        let (sender, receiver) = mpsc::channel(1);
        sender
            .try_send(Piece::Bytes(Bytes::from_static(b"half")))
            .unwrap();
        drop(sender);
        let mut reader = BodyReader {
            receiver,
            current: Bytes::new(),
            end: None,
        };
        assert_eq!(reader.next(100).unwrap().unwrap(), b"half");
        assert!(reader.next(100).is_err());
        assert!(io::Read::read(&mut reader, &mut [0; 9]).is_err());
    }

    #[test]
    fn a_reader_gives_at_most_what_was_asked_and_the_end_again_and_again() {
        let (sender, receiver) = mpsc::channel(3);
        for piece in [
            Piece::Bytes("abc".into()),
            Piece::Bytes("def".into()),
            Piece::End,
        ] {
            sender.try_send(piece).unwrap();
        }
        let mut reader = BodyReader {
            receiver,
            current: Bytes::new(),
            end: None,
        };
        assert_eq!(reader.next(4).unwrap().unwrap(), b"abcd");
        assert_eq!(reader.next(4).unwrap().unwrap(), b"ef");
        assert_eq!(reader.next(4).unwrap(), None);
        assert_eq!(reader.next(4).unwrap(), None);
    }

    #[test]
    fn a_read_error_carries_the_failure_that_caused_it() {
        let (sender, receiver) = mpsc::channel(1);
        sender
            .try_send(Piece::Broken(Failure::limit("too much")))
            .unwrap();
        let mut reader = BodyReader {
            receiver,
            current: Bytes::new(),
            end: None,
        };
        let error = io::Read::read(&mut reader, &mut [0; 9]).unwrap_err();
        let failure = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Failure>());
        assert_eq!(failure, Some(&Failure::limit("too much")));
    }
}
