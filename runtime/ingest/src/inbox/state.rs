//! What is known of an inbox while it is open, and the steps by which its files follow.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::dead::Dead;
use super::record::Record;
use super::seen::Seen;
use super::segment::{Place, Segment};
use super::sync_folder;

/// Beyond this a new segment is begun.
const SEGMENT_BYTES: u64 = 8 << 20;

/// What is known of an inbox while it is open.
#[derive(Debug)]
pub(super) struct State {
    pub(super) segments: VecDeque<Segment>,
    pub(super) file: Arc<File>,
    /// The sequence of the next delivery.
    pub(super) next: u64,
    /// Up to here everything is on the disk.
    pub(super) durable: u64,
    pub(super) waiting: VecDeque<Place>,
    pub(super) bytes: u64,
    /// Ids of what is published, in segments that are still there.
    pub(super) leaving: Vec<String>,
    pub(super) seen: Seen,
    pub(super) dead: Dead,
    pub(super) last: Option<Timestamp>,
    pub(super) broken: bool,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn open(folder: &Path, position: u64) -> io::Result<Self> {
        let mut seen = Seen::open(folder.join("seen"))?;
        let mut dead = Dead::open(folder)?;
        let mut segments = VecDeque::from(Segment::all(folder)?);
        let mut places = VecDeque::new();
        for segment in &mut segments {
            places.extend(segment.scan()?);
        }
        for place in &places {
            seen.add(&place.head.id);
            if let Some(again) = place.head.again {
                dead.remove(again)?;
            }
        }
        let last = places.back().map_or(0, |place: &Place| place.head.sequence);
        let begun = segments
            .back()
            .map_or(0, |segment| segment.first.saturating_sub(1));
        let next = last.max(begun).max(position) + 1;
        // Never goes on with a file of before: what a dead server wrote last may not be on the disk, and is
        // made durable here once.
        let (segment, file) = Segment::create(folder, next)?;
        segments.retain(|known| known.first != segment.first);
        for old in &segments {
            File::open(&old.path)?.sync_all()?;
        }
        segments.push_back(segment);
        Ok(Self {
            segments,
            file: Arc::new(file),
            next,
            durable: next - 1,
            bytes: places.iter().map(|place| place.length).sum(),
            last: places.back().map(|place| place.head.at),
            waiting: places,
            leaving: Vec::new(),
            seen,
            dead,
            broken: false,
            closed: false,
        })
    }

    /// How many of those that wait are on the disk.
    pub(super) fn ready(&self) -> usize {
        let durable = self.durable;
        self.waiting
            .partition_point(|place| place.head.sequence <= durable)
    }

    pub(super) fn write(&mut self, folder: &Path, record: &Record, bytes: &[u8]) -> io::Result<()> {
        if self
            .segments
            .back()
            .is_some_and(|last| last.length > SEGMENT_BYTES)
        {
            self.begin_segment(folder)?;
        }
        let Some(segment) = self.segments.back_mut() else {
            return Err(io::Error::other("the inbox has no file"));
        };
        if let Err(error) = (&*self.file).write_all(bytes) {
            // What was written of it goes; where even that fails, nothing may follow it.
            self.broken = self.file.set_len(segment.length).is_err();
            return Err(error);
        }
        let mut head = record.head.clone();
        // They are read with the body, when it is their turn.
        head.headers.clear();
        self.last = Some(head.at);
        self.seen.add(&head.id);
        self.waiting.push_back(Place {
            head,
            path: segment.path.clone(),
            offset: segment.length,
            length: bytes.len() as u64,
        });
        segment.length += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        self.next += 1;
        Ok(())
    }

    /// Begins a new file, after everything in the last one is on the disk.
    pub(super) fn begin_segment(&mut self, folder: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        self.durable = self.next - 1;
        let (segment, file) = Segment::create(folder, self.next)?;
        self.segments.push_back(segment);
        self.file = Arc::new(file);
        Ok(())
    }

    /// Removes what is published, file by file.
    pub(super) fn trim(&mut self, folder: &Path, position: u64) -> io::Result<()> {
        while let Some(first) = self
            .waiting
            .pop_front_if(|place| place.head.sequence <= position)
        {
            self.bytes = self.bytes.saturating_sub(first.length);
            self.leaving.push(first.head.id);
        }
        let last_has_bytes = self.segments.back().is_some_and(|last| last.length > 0);
        if self.waiting.is_empty() && last_has_bytes {
            self.begin_segment(folder)?;
        }
        let first_needed = self
            .waiting
            .front()
            .map_or(self.next, |place| place.head.sequence);
        let is_done =
            |second: Option<&Segment>| second.is_some_and(|next| next.first <= first_needed);
        if !is_done(self.segments.get(1)) {
            return Ok(());
        }
        // Before their segment goes, their ids are kept elsewhere.
        self.seen.keep(&self.leaving)?;
        self.leaving.clear();
        while is_done(self.segments.get(1)) {
            if let Some(segment) = self.segments.pop_front() {
                fs::remove_file(&segment.path)?;
            }
        }
        sync_folder(folder)
    }
}
