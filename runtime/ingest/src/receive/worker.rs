//! The thread of a source's deliveries: batch after batch, and what to do with one that fails.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::{Ended, Receiver};
use domain::{Failure, FailureKind, SourceName};

use super::batch::{self, Unhandled};
use super::{ReceiveConfig, Receiving};
use crate::Ingest;
use crate::error::IngestError;
use crate::inbox::{Inbox, Record};

/// How often deliveries are tried that may work without anybody doing anything.
const ATTEMPTS: u32 = 5;
/// The longest time between two attempts.
const LONGEST: Duration = Duration::from_secs(300);
/// How long is waited for a sync of the same source to end, before it is looked again.
const BUSY: Duration = Duration::from_millis(250);

/// Works until nothing came for a while, or the inbox is closed.
pub(super) fn work(receiving: &Receiving, source: &SourceName, inbox: &Inbox) {
    let config = &receiving.config;
    let mut worker = Worker {
        ingest: &receiving.ingest,
        receiver: receiving.receivers.receiver(),
        config,
        source,
        inbox,
        failures: 0,
        most: config.batch_deliveries,
    };
    loop {
        if inbox.wait(config.idle) && !inbox.is_closed() {
            worker.step();
            continue;
        }
        // Nothing of the component stays, and none of its memory.
        worker.receiver.rest();
        if receiving.leave(source, inbox) {
            return;
        }
    }
}

struct Worker<'a> {
    ingest: &'a Arc<Ingest>,
    receiver: Box<dyn Receiver + 'a>,
    config: &'a ReceiveConfig,
    source: &'a SourceName,
    inbox: &'a Inbox,
    /// Failures since something worked.
    failures: u32,
    /// The most deliveries of the next batch: fewer while one is looked for that cannot be handled.
    most: usize,
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The same again, later.
    Again(Duration),
    /// Half of them at once.
    Fewer,
    /// The one that is left is a dead letter.
    SetAside,
}

impl Worker<'_> {
    fn step(&mut self) {
        let (count, bytes) = (self.config.batch_deliveries, self.config.batch_bytes);
        if self.most == count {
            self.inbox.gather(self.config.window, count, bytes);
        }
        let batch = match self.inbox.batch(self.most, bytes) {
            Ok(batch) => batch,
            Err(error) => return self.stumble(&error),
        };
        let Some(last) = batch.last().map(|record| record.head.sequence) else {
            return;
        };
        match batch::run(self.ingest, &mut *self.receiver, self.source, &batch) {
            Ok(()) => {
                let published: Vec<u64> = batch.iter().map(|record| record.head.sequence).collect();
                self.finish(&published, last);
            }
            Err(Unhandled::NotNow(error)) => self.wait_for(&error),
            Err(Unhandled::Ended(Ended::Cancelled)) => self.inbox.pause(self.pause()),
            Err(Unhandled::Ended(Ended::Failed(failure))) => self.failed(batch, failure),
        }
    }

    /// The batch is published, or its only delivery set aside.
    fn finish(&mut self, published: &[u64], position: u64) {
        self.failures = 0;
        self.most = self
            .most
            .saturating_mul(2)
            .min(self.config.batch_deliveries);
        if let Err(error) = self.inbox.done(published, position) {
            self.stumble(&error);
        }
    }

    fn failed(&mut self, mut batch: Vec<Record>, failure: Failure) {
        self.failures += 1;
        match self.next(&failure, batch.len()) {
            Next::Again(time) => self.inbox.pause(time),
            Next::Fewer => {
                self.failures = 0;
                self.most = (batch.len() / 2).max(1);
            }
            Next::SetAside => {
                if let Some(record) = batch.pop() {
                    self.set_aside(record, failure);
                }
            }
        }
    }

    fn next(&self, failure: &Failure, count: usize) -> Next {
        let named = failure
            .retry_after_seconds
            .map(|s| Duration::from_secs(s.into()));
        let again = Next::Again(named.unwrap_or_else(|| self.pause()).min(LONGEST));
        match failure.kind {
            // No delivery is to blame for these, so none is set aside.
            FailureKind::Config | FailureKind::Auth => again,
            FailureKind::RateLimited | FailureKind::Upstream | FailureKind::Limit
                if self.failures < ATTEMPTS =>
            {
                again
            }
            _ if count > 1 => Next::Fewer,
            _ if self.inbox.is_full_of_dead() => again,
            _ => Next::SetAside,
        }
    }

    fn set_aside(&mut self, record: Record, failure: Failure) {
        let (source, sequence) = (self.source, record.head.sequence);
        tracing::warn!(%source, sequence, kind = failure.kind.as_str(), "delivery {sequence} of `{source}` is set aside");
        if let Err(error) = self.inbox.set_aside(record, failure) {
            return self.stumble(&error);
        }
        match batch::pass(self.ingest, source, sequence) {
            Ok(()) => self.finish(&[], sequence),
            // It is tried once more then, and set aside again.
            Err(error) => self.wait_for(&error),
        }
    }

    /// Waits for what keeps the batch from being run.
    fn wait_for(&mut self, error: &IngestError) {
        match error {
            IngestError::AlreadyRunning { .. } | IngestError::Moving(_) => self.inbox.pause(BUSY),
            IngestError::Stopping => self.inbox.pause(LONGEST),
            error => {
                // Whatever the runner was started with, it may be something else when it goes on.
                self.receiver.rest();
                self.failures += 1;
                let source = self.source;
                tracing::warn!(%source, %error, "the deliveries of `{source}` wait: {error}");
                self.inbox.pause(self.pause());
            }
        }
    }

    fn stumble(&mut self, error: &std::io::Error) {
        self.failures += 1;
        let source = self.source;
        tracing::error!(%source, %error, "the inbox of `{source}` cannot be worked on");
        self.inbox.pause(self.pause());
    }

    fn pause(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));
        self.config.pause.saturating_mul(doubled).min(LONGEST)
    }
}
