//! Webhooks, from a delivery that was verified to its rows: an inbox and, while deliveries come, a thread
//! a source.
//!
//! The order is that of every publish: the delivery is on the disk before the sender has its answer; rows
//! and the place up to which deliveries are done become visible in one act; only then does the inbox let
//! go of them.

mod batch;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ports::{Delivery, Receivers};
use domain::{Failure, SourceName};
use thiserror::Error;

use crate::Ingest;
use crate::inbox::{Inbox, InboxError, InboxLimits, Standing, Taken};

/// How deliveries are received.
#[derive(Debug, Clone)]
pub struct ReceiveConfig {
    /// Where the inboxes are.
    pub folder: PathBuf,
    /// What each takes.
    pub limits: InboxLimits,
    /// The most deliveries that a component gets at once.
    pub batch_deliveries: usize,
    /// And their bytes; one that is larger comes alone.
    pub batch_bytes: u64,
    /// How long the first waits for more.
    pub window: Duration,
    /// How long a runner stays without deliveries.
    pub idle: Duration,
    /// How long is waited after a failure; twice as long after each further one.
    pub pause: Duration,
}

/// Why a delivery was not taken, or an inbox not found.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The server is about to stop.
    #[error("the server is stopping; nothing is taken any more")]
    Stopping,
    /// A port failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<std::io::Error> for ReceiveError {
    fn from(error: std::io::Error) -> Self {
        Self::Inbox(error.into())
    }
}

#[derive(Debug, Default)]
struct Desks {
    closed: bool,
    inboxes: BTreeMap<SourceName, Arc<Inbox>>,
    /// Sources that have a thread.
    working: BTreeSet<SourceName>,
}

/// Takes deliveries and sees to it that they become rows.
pub struct Receiving {
    ingest: Arc<Ingest>,
    receivers: Arc<dyn Receivers>,
    config: ReceiveConfig,
    desks: Mutex<Desks>,
    left: Condvar,
}

impl std::fmt::Debug for Receiving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiving")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Receiving {
    /// Over what starts runs and what runs components.
    pub fn new(
        ingest: Arc<Ingest>,
        receivers: Arc<dyn Receivers>,
        config: ReceiveConfig,
    ) -> Arc<Self> {
        Arc::new(Self {
            ingest,
            receivers,
            config,
            desks: Mutex::default(),
            left: Condvar::new(),
        })
    }

    fn desks(&self) -> MutexGuard<'_, Desks> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with what waited when the last server ended.
    pub fn start(self: &Arc<Self>) {
        let Ok(folders) = std::fs::read_dir(&self.config.folder) else {
            return;
        };
        for folder in folders.flatten() {
            let name = folder.file_name();
            let Some(source) = name.to_str().and_then(|name| SourceName::parse(name).ok()) else {
                continue;
            };
            let known = self.ingest.ports.store.source(&source);
            if !matches!(known, Ok(Some(_))) {
                tracing::warn!(%source, "the inbox of `{source}` belongs to no source and stays where it is");
                continue;
            }
            match self.inbox(&source) {
                Ok(inbox) if inbox.standing().waiting > 0 => self.attend(&source, &inbox),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%source, %error, "the inbox of `{source}` cannot be opened");
                }
            }
        }
    }

    /// Takes a delivery of a source, named as it was added. It is on the disk when this returns. With
    /// `known` one whose id came before is not taken again.
    pub fn take(
        self: &Arc<Self>,
        source: &SourceName,
        delivery: Delivery,
        known: bool,
    ) -> Result<Taken, ReceiveError> {
        let inbox = self.inbox(source)?;
        let taken = inbox.take(delivery, known)?;
        self.attend(source, &inbox);
        Ok(taken)
    }

    /// How the inbox of a source stands.
    pub fn standing(&self, source: &SourceName) -> Result<Standing, ReceiveError> {
        Ok(self.inbox(source)?.standing())
    }

    /// Has a dead letter come again.
    pub fn retry(self: &Arc<Self>, source: &SourceName, sequence: u64) -> Result<(), ReceiveError> {
        let inbox = self.inbox(source)?;
        inbox.retry(sequence)?;
        self.attend(source, &inbox);
        Ok(())
    }

    /// Removes a dead letter for good.
    pub fn drop_letter(&self, source: &SourceName, sequence: u64) -> Result<(), ReceiveError> {
        Ok(self.inbox(source)?.drop_letter(sequence)?)
    }

    /// Removes the inbox of a source that is gone.
    pub fn forget(&self, source: &SourceName) -> Result<(), ReceiveError> {
        let mut desks = self.desks();
        if let Some(inbox) = desks.inboxes.remove(source) {
            inbox.close();
        }
        while desks.working.contains(source) {
            desks = self
                .left
                .wait(desks)
                .unwrap_or_else(PoisonError::into_inner);
        }
        match std::fs::remove_dir_all(self.config.folder.join(source.as_str())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Takes nothing any more, and begins no batch.
    pub fn stop(&self) {
        let mut desks = self.desks();
        desks.closed = true;
        desks.inboxes.values().for_each(|inbox| inbox.close());
    }

    /// The same, and waits until the last batch has ended.
    pub fn close(&self) {
        self.stop();
        let mut desks = self.desks();
        while !desks.working.is_empty() {
            desks = self
                .left
                .wait(desks)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn inbox(&self, source: &SourceName) -> Result<Arc<Inbox>, ReceiveError> {
        let mut desks = self.desks();
        if desks.closed {
            return Err(ReceiveError::Stopping);
        }
        if let Some(inbox) = desks.inboxes.get(source) {
            return Ok(inbox.clone());
        }
        let position = batch::position(&self.ingest.ports.extracts.cursors(source)?)?;
        let folder = self.config.folder.join(source.as_str());
        std::fs::create_dir_all(&self.config.folder)?;
        let inbox = Arc::new(Inbox::open(folder, self.config.limits, position)?);
        desks.inboxes.insert(source.clone(), inbox.clone());
        Ok(inbox)
    }

    /// Sees to it that somebody works on an inbox.
    fn attend(self: &Arc<Self>, source: &SourceName, inbox: &Arc<Inbox>) {
        let mut desks = self.desks();
        if desks.closed || !desks.working.insert(source.clone()) {
            return;
        }
        let (receiving, inbox) = (self.clone(), inbox.clone());
        let (name, own) = (source.clone(), source.clone());
        let started = std::thread::Builder::new()
            .name(format!("receive {source}"))
            .spawn(move || {
                let _leaving = Leaving(&receiving, &own);
                worker::work(&receiving, &name, &inbox);
            });
        if let Err(error) = started {
            desks.working.remove(source);
            tracing::error!(%source, %error, "there is no thread for the deliveries of `{source}`; the next one tries again");
        }
    }

    /// Whether the thread of a source may end: nothing waits. From here on the next delivery starts one.
    fn leave(&self, source: &SourceName, inbox: &Inbox) -> bool {
        let mut desks = self.desks();
        let leaves = inbox.is_closed() || inbox.standing().waiting == 0;
        if leaves {
            desks.working.remove(source);
            self.left.notify_all();
        }
        leaves
    }
}

/// Says that a thread has ended, however it did.
struct Leaving<'a>(&'a Receiving, &'a SourceName);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.desks().working.remove(self.1);
            self.0.left.notify_all();
        }
    }
}
