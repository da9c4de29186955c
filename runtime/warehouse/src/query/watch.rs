//! Stops a query that takes too long, or whose asker went away.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use duckdb::InterruptHandle;

use super::QueryOptions;

/// Why a query was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Timeout,
    Cancelled,
}

enum Message {
    Done,
    Cancel,
}

/// Watches one query until `stop`.
pub(crate) struct Watch {
    sender: Sender<Message>,
    stopped: Arc<Mutex<Option<Stopped>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(handle: Arc<InterruptHandle>, options: &QueryOptions) -> Self {
        let (sender, receiver) = channel();
        let stopped = Arc::new(Mutex::new(None));
        let cancel = sender.clone();
        options.cancel.on_cancel(move || {
            // A query that has ended has no receiver any more, which is fine.
            drop(cancel.send(Message::Cancel));
        });
        let timeout = options.timeout;
        let note = Arc::clone(&stopped);
        let watch = move || watch(&receiver, timeout, &handle, &note);
        // Without a thread there is no timeout; memory and row limits still hold.
        let thread = std::thread::Builder::new()
            .name("query-watch".to_owned())
            .spawn(watch);
        Self {
            sender,
            stopped,
            thread: thread.ok(),
        }
    }

    /// Ends the watch; says whether it had to stop the query.
    pub(crate) fn stop(mut self) -> Option<Stopped> {
        drop(self.sender.send(Message::Done));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watch(
    receiver: &Receiver<Message>,
    timeout: Duration,
    handle: &InterruptHandle,
    note: &Mutex<Option<Stopped>>,
) {
    let reason = match receiver.recv_timeout(timeout) {
        Ok(Message::Done) | Err(RecvTimeoutError::Disconnected) => return,
        Ok(Message::Cancel) => Stopped::Cancelled,
        Err(RecvTimeoutError::Timeout) => Stopped::Timeout,
    };
    *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    loop {
        // Again and again: an interrupt that comes before the work starts is forgotten.
        handle.interrupt();
        match receiver.recv_timeout(Duration::from_millis(5)) {
            Ok(Message::Done) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Message::Cancel) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
