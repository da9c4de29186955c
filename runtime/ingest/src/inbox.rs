//! What arrived and is not published yet: an inbox a source, on the disk before the sender has an answer.
//!
//! `$DATA_DIR/inbox/{source}/` holds segments (`{first sequence}.log`), the digests of ids that came
//! (`seen`), and dead letters (`dead/`). Each delivery has a sequence number. The extract holds up to
//! which one its rows are, so that a crash at any point neither loses a delivery nor doubles its rows.

mod dead;
mod record;
mod seen;
mod segment;
mod state;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::Failure;
use domain::ports::Delivery;
use jiff::Timestamp;
use thiserror::Error;

pub use record::Head;

pub(crate) use record::Record;

use segment::Place;
use state::State;

/// What an inbox takes at most.
#[derive(Debug, Clone, Copy)]
pub struct InboxLimits {
    /// Deliveries that wait.
    pub deliveries: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a delivery was not taken.
#[derive(Debug, Error)]
pub enum InboxError {
    /// It is full.
    #[error("{0} deliveries wait already, which is as much as the inbox takes")]
    Full(usize),
    /// Something could not be made durable, so nothing is promised any more.
    #[error("the inbox met an error of the disk and takes nothing until the server was restarted")]
    Broken,
    /// The disk.
    #[error("the inbox cannot be read or written")]
    Disk(#[from] io::Error),
    /// There is no such dead letter.
    #[error("there is no dead letter {0}")]
    NoLetter(u64),
}

/// What came of a delivery that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is kept.
    New,
    /// It came before.
    Again,
}

/// How an inbox stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Deliveries that wait.
    pub waiting: usize,
    /// Their bytes, with what is kept beside the bodies.
    pub bytes: u64,
    /// When the oldest of them arrived.
    pub oldest: Option<Timestamp>,
    /// When the last delivery arrived, since the server started or of those that wait.
    pub last: Option<Timestamp>,
    /// Deliveries that were set aside, oldest first.
    pub dead: Vec<Head>,
}

/// The inbox of a source.
#[derive(Debug)]
pub(crate) struct Inbox {
    folder: PathBuf,
    limits: InboxLimits,
    state: Mutex<State>,
    /// Held while a file is made durable: whoever waits here finds that somebody did it for both.
    syncing: Mutex<()>,
    news: Condvar,
}

impl Inbox {
    /// Opens an inbox whose deliveries up to `position` are published.
    pub(crate) fn open(folder: PathBuf, limits: InboxLimits, position: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        let mut state = State::open(&folder, position)?;
        state.trim(&folder, position)?;
        Ok(Self {
            folder,
            limits,
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            news: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a delivery. It is on the disk when this returns. With `known` one whose id came before is not
    /// taken again.
    pub(crate) fn take(&self, delivery: Delivery, known: bool) -> Result<Taken, InboxError> {
        let (sequence, taken) = {
            let mut state = self.state();
            if known && state.seen.knows(&delivery.id) {
                // Perhaps it is not on the disk yet.
                (state.next - 1, Taken::Again)
            } else {
                let record = Record {
                    head: Head {
                        sequence: state.next,
                        id: delivery.id,
                        at: Timestamp::now(),
                        headers: delivery.headers,
                        again: None,
                        failure: None,
                    },
                    body: delivery.body,
                };
                (self.append(&mut state, &record)?, Taken::New)
            }
        };
        self.make_durable(sequence)?;
        Ok(taken)
    }

    fn append(&self, state: &mut State, record: &Record) -> Result<u64, InboxError> {
        let count = state.waiting.len();
        let bytes = record.encode()?;
        if state.broken {
            return Err(InboxError::Broken);
        }
        if count >= self.limits.deliveries || state.bytes + bytes.len() as u64 > self.limits.bytes {
            return Err(InboxError::Full(count));
        }
        state.write(&self.folder, record, &bytes)?;
        Ok(record.head.sequence)
    }

    /// Waits until a delivery is on the disk; many that wait are served by one write.
    fn make_durable(&self, sequence: u64) -> Result<(), InboxError> {
        let _turn = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, upto) = {
            let state = self.state();
            if state.durable >= sequence {
                return Ok(());
            }
            if state.broken {
                return Err(InboxError::Broken);
            }
            (state.file.clone(), state.next - 1)
        };
        let synced = file.sync_data();
        let mut state = self.state();
        match synced {
            Ok(()) => {
                state.durable = state.durable.max(upto);
                self.news.notify_all();
                Ok(())
            }
            Err(error) => {
                // What the kernel could not write it may have forgotten: trying again would prove nothing.
                state.broken = true;
                Err(error.into())
            }
        }
    }

    /// Waits for deliveries; whether there are any.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        self.wait_until(Instant::now() + patience, |state| state.ready() > 0)
    }

    /// Waits a little for more to come with the first: whether it is time is decided by the clock, by the
    /// count or by the bytes.
    pub(crate) fn gather(&self, window: Duration, count: usize, bytes: u64) {
        self.wait_until(Instant::now() + window, |state| {
            state.ready() >= count || state.bytes >= bytes
        });
    }

    /// Waits without looking for deliveries; ends early when the inbox is closed.
    pub(crate) fn pause(&self, time: Duration) {
        self.wait_until(Instant::now() + time, |_| false);
    }

    fn wait_until(&self, end: Instant, done: impl Fn(&State) -> bool) -> bool {
        let mut state = self.state();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let is_done = done(&state);
            if is_done || state.closed || left.is_zero() {
                return is_done;
            }
            let waited = self.news.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whoever waits here waits no longer.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.news.notify_all();
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// The oldest deliveries, at most so many and so many bytes, and one in any case.
    pub(crate) fn batch(&self, count: usize, bytes: u64) -> io::Result<Vec<Record>> {
        let places: Vec<Place> = {
            let state = self.state();
            let mut left = bytes;
            let fits = |place: &&Place| {
                let fits = place.length <= left;
                left = left.saturating_sub(place.length);
                fits
            };
            let ready = state.waiting.iter().take(state.ready().min(count));
            let more: Vec<Place> = ready.clone().take_while(fits).cloned().collect();
            match more.is_empty() {
                true => ready.take(1).cloned().collect(),
                false => more,
            }
        };
        places.iter().map(Place::read).collect()
    }

    /// Everything up to here is published: it goes, and so do dead letters that were published after all.
    pub(crate) fn done(&self, published: &[u64], position: u64) -> io::Result<()> {
        let mut state = self.state();
        for sequence in published {
            state.dead.remove(*sequence)?;
        }
        state.trim(&self.folder, position)
    }

    /// Keeps a delivery as a dead letter. It still waits until [`Inbox::done`] is told that it is done with.
    pub(crate) fn set_aside(&self, mut record: Record, failure: Failure) -> io::Result<()> {
        record.head.failure = Some(failure);
        self.state().dead.put(&record)
    }

    /// Whether no more dead letters are kept.
    pub(crate) fn is_full_of_dead(&self) -> bool {
        self.state().dead.is_full()
    }

    /// Has a dead letter come again, as the newest delivery.
    pub(crate) fn retry(&self, sequence: u64) -> Result<(), InboxError> {
        let mut state = self.state();
        if !state.dead.has(sequence) {
            return Err(InboxError::NoLetter(sequence));
        }
        let mut record = state.dead.read(sequence)?;
        record.head.failure = None;
        record.head.again = Some(sequence);
        record.head.sequence = state.next;
        let again = self.append(&mut state, &record)?;
        drop(state);
        self.make_durable(again)?;
        // A crash before this finds `again` at the next start, and does it then.
        Ok(self.state().dead.remove(sequence)?)
    }

    /// Removes a dead letter for good.
    pub(crate) fn drop_letter(&self, sequence: u64) -> Result<(), InboxError> {
        let mut state = self.state();
        if !state.dead.has(sequence) {
            return Err(InboxError::NoLetter(sequence));
        }
        Ok(state.dead.remove(sequence)?)
    }

    /// How it stands.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        Standing {
            waiting: state.waiting.len(),
            bytes: state.bytes,
            oldest: state.waiting.front().map(|place| place.head.at),
            last: state.last,
            dead: state.dead.heads().cloned().collect(),
        }
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
