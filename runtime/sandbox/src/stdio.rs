//! A component's standard output and error: lines in the run's log.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use domain::protocol::Call;
use domain::run::Level;
use tokio::io::{AsyncWrite, sink};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::link::Link;

/// The most bytes of a line, as for `run.log`.
pub(crate) const MAX_LINE: usize = 4 << 10;

/// The most bytes of output in a run; what follows is dropped.
const MAX_OUTPUT: usize = 256 << 10;

/// How much a component may write at once.
const CHUNK: usize = 64 << 10;

/// Where a component prints to. Clones share the line that was begun.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    link: Link,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    line: Vec<u8>,
    taken: usize,
}

impl Lines {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            state: Arc::default(),
        }
    }

    fn take(&self, bytes: &[u8]) -> StreamResult<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if *byte == b'\n' || state.line.len() >= MAX_LINE {
                self.send(&std::mem::take(&mut state.line))?;
            }
            if *byte != b'\n' && state.taken < MAX_OUTPUT {
                state.taken += 1;
                state.line.push(*byte);
            }
        }
        Ok(())
    }

    fn send(&self, line: &[u8]) -> StreamResult<()> {
        if line.is_empty() {
            return Ok(());
        }
        let call = Call::Log {
            level: Level::Debug,
            message: String::from_utf8_lossy(line).into_owned(),
        };
        let sent = self.link.call(call, &[]);
        sent.map(drop)
            .map_err(|error| StreamError::Trap(error.into()))
    }

    /// Sends a last line that was not ended.
    pub(crate) fn finish(&self) {
        let line = std::mem::take(
            &mut self
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .line,
        );
        // The socket's failure shows again where the run's end is sent.
        drop(self.send(&line));
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // WASI 0.2 takes `p2_stream` only.
        Box::new(sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl Pollable for Lines {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::poll_fn(|_: &mut Context<'_>| Poll::Ready(())))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use domain::protocol::{Frame, FromRunner, Reply, ToRunner, read_frame, write_frame};

    use super::*;

    /// The lines that reach the broker when a component prints these texts.
    fn printed(texts: &[&[u8]]) -> Vec<String> {
        let (near, mut far) = UnixStream::pair().unwrap();
        let broker = thread::spawn(move || {
            let mut lines = Vec::new();
            while let Ok(Frame {
                message: FromRunner::Call(Call::Log { message, .. }),
                ..
            }) = read_frame(&mut far)
            {
                lines.push(message);
                write_frame(&mut far, &ToRunner::Reply(Reply::Done), &[]).unwrap();
            }
            lines
        });
        let mut lines = Lines::new(Link::new(near));
        for text in texts {
            lines.write(Bytes::copy_from_slice(text)).unwrap();
        }
        lines.finish();
        drop(lines);
        broker.join().unwrap()
    }

    #[test]
    fn output_becomes_lines_wherever_it_was_cut() {
        assert_eq!(
            printed(&[b"one\ntw", b"o\n\n", b"three"]),
            ["one", "two", "three"]
        );
    }

    #[test]
    fn long_lines_are_split_and_endless_output_ends() {
        let lines = printed(&[&vec![b'x'; 2 * MAX_OUTPUT]]);
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), MAX_OUTPUT);
    }
}
