//! Listens to a run's requests. What it hears has passed the redactor already, bodies included.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Failure;
use domain::ports::Job;
use serde_json::Value;

use super::chance::Chance;
use super::format::{Answered, Content, Exchange, Head, Recording};
use super::matching::digest;
use crate::redact::Redactor;

/// The most bytes of a body that are kept.
const MAX_BODY: usize = 8 << 20;
/// The most bytes of all bodies and cursors of a run that are kept.
const MAX_BODIES: usize = 64 << 20;
/// The most requests of a run that are kept.
const MAX_EXCHANGES: usize = 10_000;

/// Shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    head: Option<Head>,
    exchanges: Vec<(Exchange, Kept)>,
    kept: usize,
    left_out: bool,
}

/// What is kept of a body.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    is_too_large: bool,
    has_ended: bool,
}

impl Recorder {
    /// One that has heard nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it heard; nothing where no run began, or where the run was too large to be kept as a whole.
    pub fn finish(&self) -> Option<Recording> {
        let mut heard = self.heard();
        let head = heard.head.take().filter(|_| !heard.left_out)?;
        let exchanges = std::mem::take(&mut heard.exchanges);
        let exchanges = exchanges.into_iter().map(|(mut exchange, kept)| {
            if let Answered::Response { body, cut, .. } = &mut exchange.answer {
                *cut = kept.is_too_large || !kept.has_ended;
                *body = Content::of(kept.bytes);
            }
            exchange
        });
        Some(Recording {
            head,
            exchanges: exchanges.collect(),
        })
    }

    pub(crate) fn begin(&self, job: &Job, chance: &Chance, redactor: &Redactor) {
        let settings = redactor.text(&job.settings.to_string()).into_owned();
        let cursors = job.cursors.iter();
        let cursors = cursors.map(|(table, cursor)| (table.clone(), Content::of(cursor.clone())));
        let head = Head {
            tables: job.tables.clone(),
            cursors: cursors.collect(),
            recorded_at: Some(jiff::Timestamp::now()),
            random_seed: Some(hex::encode(chance.random_seed)),
            ..Head::new(
                job.operation,
                serde_json::from_str(&settings).unwrap_or(Value::Null),
            )
        };
        self.starts(head);
    }

    pub(crate) fn starts(&self, head: Head) {
        self.heard().head = Some(head);
    }

    /// Begins an entry for a request.
    pub(crate) fn asked(&self, request: &crate::egress::Request, redactor: &Redactor) -> Entry {
        Entry {
            recorder: self.clone(),
            method: request.method.to_string(),
            url: redactor.text(&request.url).into_owned(),
            body_sha256: digest(request.body.as_deref(), redactor),
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Entry {
    recorder: Recorder,
    method: String,
    url: String,
    body_sha256: Option<String>,
}

impl Entry {
    /// It was answered so; the body follows.
    pub(crate) fn answered(self, status: u16, headers: &[(String, String)]) -> BodyCopy {
        let recorder = self.recorder.clone();
        let index = self.keep(Answered::Response {
            status,
            headers: headers.to_vec(),
            body: Content::default(),
            // Until its end has been seen.
            cut: true,
        });
        BodyCopy { recorder, index }
    }

    /// It was not answered.
    pub(crate) fn failed(self, redactor: &Redactor, failure: &Failure) {
        let failure = redactor.failure(failure.clone());
        self.keep(Answered::Failed { failure });
    }

    fn keep(self, answer: Answered) -> usize {
        let mut heard = self.recorder.heard();
        if heard.exchanges.len() >= MAX_EXCHANGES {
            heard.left_out = true;
            return usize::MAX;
        }
        let exchange = Exchange {
            method: self.method,
            url: self.url,
            body_sha256: self.body_sha256,
            answer,
        };
        heard.exchanges.push((exchange, Kept::default()));
        heard.exchanges.len() - 1
    }
}

/// Where a body is copied to on its way.
#[derive(Debug)]
pub(crate) struct BodyCopy {
    recorder: Recorder,
    index: usize,
}

impl BodyCopy {
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut heard = self.recorder.heard();
        let room = MAX_BODIES.saturating_sub(heard.kept);
        let Some((_, kept)) = heard.exchanges.get_mut(self.index) else {
            return;
        };
        let room = room.min(MAX_BODY.saturating_sub(kept.bytes.len()));
        let part = bytes.get(..room).unwrap_or(bytes);
        kept.bytes.extend_from_slice(part);
        kept.is_too_large |= part.len() < bytes.len();
        heard.kept += part.len();
    }

    /// There was no more. A body that its reader left, or that broke, has no end.
    pub(crate) fn end(&self) {
        if let Some((_, kept)) = self.recorder.heard().exchanges.get_mut(self.index) {
            kept.has_ended = true;
        }
    }
}
