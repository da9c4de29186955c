//! The runner's end of the socket: one call, then its answer.

use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use domain::Failure;
use domain::protocol::{
    Call, Frame, FrameError, FromRunner, Reply, ToRunner, read_frame, write_frame,
};
use thiserror::Error;

/// The socket does not work, so there is nobody to run for. Ends the process.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    /// A frame could not be read or written.
    #[error("the socket to the broker failed")]
    Frame(#[from] FrameError),
    /// The broker answered with something else than the call asks for.
    #[error("the broker answered out of order: {0}")]
    Order(String),
}

/// The socket to the broker. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Link(Arc<Mutex<BufReader<UnixStream>>>);

impl Link {
    /// The socket that this process was started with.
    pub(crate) fn inherited() -> io::Result<Self> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self::new(UnixStream::from(socket)))
    }

    pub(crate) fn new(socket: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(BufReader::new(socket))))
    }

    pub(crate) fn send(&self, message: &FromRunner, payload: &[u8]) -> Result<(), FrameError> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write_frame(socket.get_mut(), message, payload)
    }

    pub(crate) fn receive(&self) -> Result<Frame<ToRunner>, FrameError> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read_frame(&mut *socket)
    }

    /// Calls the broker. A call that is too large for a frame fails as a limit of the guest.
    pub(crate) fn call(&self, call: Call, payload: &[u8]) -> Result<(Reply, Vec<u8>), Broken> {
        match self.send(&FromRunner::Call(call), payload) {
            Ok(()) => {}
            Err(error @ FrameError::TooLarge { .. }) => {
                let failure =
                    Failure::limit(format!("the connector passed too much at once: {error}"));
                return Ok((Reply::Failed(failure), Vec::new()));
            }
            Err(error) => return Err(error.into()),
        }
        let frame = self.receive()?;
        match frame.message {
            ToRunner::Reply(reply) => Ok((reply, frame.payload)),
            other => Err(Broken::Order(
                format!("{other:?}").chars().take(200).collect(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::protocol::MAX_PAYLOAD;

    #[test]
    fn a_payload_over_the_limit_fails_the_call_and_not_the_process() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (reply, _) = Link::new(near)
            .call(Call::Checkpoint, &vec![0; MAX_PAYLOAD + 1])
            .unwrap();
        assert!(
            matches!(reply, Reply::Failed(failure) if failure.kind == domain::FailureKind::Limit)
        );
    }

    #[test]
    fn an_answer_out_of_order_ends_the_process() {
        let (near, mut far) = UnixStream::pair().unwrap();
        write_frame(&mut far, &ToRunner::Compile, &[]).unwrap();
        assert!(matches!(
            Link::new(near).call(Call::Checkpoint, &[]),
            Err(Broken::Order(_))
        ));
    }
}
