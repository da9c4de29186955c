//! All runs that wait or are under way: at most one of a source works at a time, the others wait for it in the
//! order in which they were accepted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use domain::{Order, RunId, RunState, SourceName, TableInfo};

use crate::error::IngestError;
use crate::live::{Live, lock};

/// Results of `discover` that are kept for whoever asked.
const DISCOVERED_KEPT: usize = 32;

/// How many runs may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Of all sources together.
    pub in_all: usize,
    /// Of one source.
    pub of_source: usize,
}

#[derive(Default)]
struct Registry {
    closed: bool,
    /// Those that wait for their source as well.
    live: BTreeMap<RunId, Arc<Live>>,
    /// Those that wait for their source, oldest first.
    queue: VecDeque<Arc<Live>>,
    /// The run that each source is at.
    active: BTreeMap<SourceName, Arc<Live>>,
    /// Sources that are being changed and start no run meanwhile.
    held: BTreeSet<SourceName>,
    discovered: VecDeque<(RunId, Vec<TableInfo>)>,
}

impl Registry {
    /// The run that a source is at. One that has ended stays here for a moment, and is in nobody's way.
    fn working(&self, source: &SourceName) -> Option<RunId> {
        let run = self.active.get(source)?.run();
        (!run.state.is_final()).then_some(run.id)
    }

    fn waiting<'a>(&'a self, source: &'a SourceName) -> impl Iterator<Item = &'a Arc<Live>> {
        let queue = self.queue.iter();
        queue.filter(move |live| live.run().source == *source)
    }

    /// Whether a source is neither run nor changed at the moment.
    fn is_free(&self, source: &SourceName) -> Result<(), IngestError> {
        if self.held.contains(source) {
            return Err(IngestError::Moving(source.clone()));
        }
        match self.working(source) {
            None => Ok(()),
            Some(run) => Err(IngestError::AlreadyRunning {
                source_name: source.clone(),
                run,
            }),
        }
    }

    fn keep_discovered(&mut self, id: RunId, tables: Vec<TableInfo>) {
        self.discovered.push_back((id, tables));
        if self.discovered.len() > DISCOVERED_KEPT {
            self.discovered.pop_front();
        }
    }
}

/// All runs that wait or are under way.
#[derive(Default)]
pub(crate) struct LiveRuns {
    registry: Mutex<Registry>,
    ended: Condvar,
}

impl LiveRuns {
    /// A run that waits already and does what this order wants.
    pub(crate) fn covering(&self, source: &SourceName, order: &Order) -> Option<Arc<Live>> {
        let registry = lock(&self.registry);
        let mut waiting = registry.waiting(source);
        waiting.find(|live| live.order.covers(order)).cloned()
    }

    /// Whether one more may wait.
    pub(crate) fn has_room(&self, source: &SourceName, room: Room) -> Result<(), IngestError> {
        let registry = lock(&self.registry);
        if registry.closed {
            return Err(IngestError::Stopping);
        }
        let of_source = registry.waiting(source).count();
        if of_source >= room.of_source || registry.queue.len() >= room.in_all {
            return Err(IngestError::TooManyWaiting {
                source_name: source.clone(),
                of_source,
                in_all: registry.queue.len(),
            });
        }
        Ok(())
    }

    /// Whether nothing of a source works, waits, or changes it.
    pub(crate) fn is_idle(&self, source: &SourceName) -> Result<(), IngestError> {
        let registry = lock(&self.registry);
        registry.is_free(source)?;
        match registry.waiting(source).next() {
            None => Ok(()),
            Some(live) => Err(IngestError::AlreadyRunning {
                source_name: source.clone(),
                run: live.run().id,
            }),
        }
    }

    /// Has an accepted run wait for its turn; returns the run that works before it, if one does. Once the server is about
    /// to end, the next one takes it up.
    pub(crate) fn push(&self, live: Arc<Live>) -> Option<RunId> {
        let run = live.run();
        let mut registry = lock(&self.registry);
        if registry.closed {
            return None;
        }
        registry.live.insert(run.id, live.clone());
        registry.queue.push_back(live);
        registry.working(&run.source)
    }

    /// Takes a run whose source is free, past those that wait; the source is at it from now on.
    pub(crate) fn take_over(&self, live: &Arc<Live>) -> Result<(), IngestError> {
        let run = live.run();
        let mut registry = lock(&self.registry);
        if registry.closed {
            return Err(IngestError::Stopping);
        }
        registry.is_free(&run.source)?;
        registry.live.insert(run.id, live.clone());
        registry.active.insert(run.source, live.clone());
        Ok(())
    }

    /// Takes the next run whose source is free, which it is at from now on.
    pub(crate) fn next_ready(&self) -> Option<Arc<Live>> {
        let mut registry = lock(&self.registry);
        let ready = |live: &Arc<Live>| registry.is_free(&live.run().source).is_ok();
        let place = registry.queue.iter().position(ready)?;
        let live = registry.queue.remove(place)?;
        registry.active.insert(live.run().source, live.clone());
        Some(live)
    }

    /// Takes a run out of the queue, if it still waits there.
    pub(crate) fn withdraw(&self, id: RunId) -> Option<Arc<Live>> {
        let mut registry = lock(&self.registry);
        let place = registry.queue.iter().position(|live| live.run().id == id)?;
        registry.queue.remove(place)
    }

    /// The runs of a source that wait.
    pub(crate) fn waiting(&self, source: &SourceName) -> Vec<RunId> {
        let registry = lock(&self.registry);
        registry.waiting(source).map(|live| live.run().id).collect()
    }

    /// Keeps runs of a source from starting until it is released.
    pub(crate) fn hold(&self, source: &SourceName) -> Result<(), IngestError> {
        let mut registry = lock(&self.registry);
        registry.is_free(source)?;
        registry.held.insert(source.clone());
        Ok(())
    }

    pub(crate) fn release(&self, source: &SourceName) {
        lock(&self.registry).held.remove(source);
    }

    pub(crate) fn get(&self, id: RunId) -> Option<Arc<Live>> {
        lock(&self.registry).live.get(&id).cloned()
    }

    pub(crate) fn discovered(&self, id: RunId) -> Option<Vec<TableInfo>> {
        let registry = lock(&self.registry);
        if let Some(live) = registry.live.get(&id) {
            return live.listed();
        }
        let mut kept = registry.discovered.iter();
        kept.find(|(run, _)| *run == id)
            .map(|(_, tables)| tables.clone())
    }

    /// A run has ended, and is nobody's turn any more.
    pub(crate) fn finished(&self, live: &Live) {
        let run = live.run();
        let mut registry = lock(&self.registry);
        if let Some(tables) = live.take_discovered() {
            registry.keep_discovered(run.id, tables);
        }
        registry.live.remove(&run.id);
        let active = registry.active.get(&run.source);
        if active.is_some_and(|active| active.run().id == run.id) {
            registry.active.remove(&run.source);
        }
        self.ended.notify_all();
    }

    /// Cancels every run that works, refuses new ones, and waits for the end of the last. Those that wait stay
    /// as they are, for the next server.
    pub(crate) fn close(&self) {
        let running: Vec<_> = {
            let mut registry = lock(&self.registry);
            registry.closed = true;
            for waiting in std::mem::take(&mut registry.queue) {
                registry.live.remove(&waiting.run().id);
            }
            registry.live.values().cloned().collect()
        };
        // Outside of the lock: what a cancel sets off may end a run, which takes the lock.
        for live in running {
            live.stop();
            live.cancel.cancel();
        }
        let mut registry = lock(&self.registry);
        while !registry.live.is_empty() {
            registry = self
                .ended
                .wait(registry)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl std::fmt::Debug for LiveRuns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(lock(&self.registry).live.keys())
            .finish()
    }
}

/// Whether a run that was stopped never began, and so goes on with the next server.
pub(crate) fn goes_on(live: &Live) -> bool {
    live.is_stopped() && live.run().state == RunState::Queued
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use domain::connector::Version;
    use domain::ports::Store;
    use domain::run::{EgressRow, LogLine};
    use domain::{Digest, Failure, Operation, Run, Source};
    use jiff::Timestamp;

    use super::*;

    /// Notes what watchers could see at the moment in which a state was stored.
    #[derive(Default)]
    struct Witness {
        live: OnceLock<Arc<Live>>,
        seen: Mutex<Vec<(RunState, RunState)>>,
    }

    impl Store for Witness {
        fn source(&self, _: &SourceName) -> Result<Option<Source>, Failure> {
            Ok(None)
        }
        fn version(&self, _: &Digest) -> Result<Option<Version>, Failure> {
            Ok(None)
        }
        fn save_run(&self, run: &Run) -> Result<(), Failure> {
            let shown = self.live.get().unwrap().run().state;
            lock(&self.seen).push((run.state, shown));
            Ok(())
        }
        fn append_log(&self, _: RunId, _: &[LogLine]) -> Result<(), Failure> {
            Ok(())
        }
        fn append_egress(&self, _: RunId, _: &[EgressRow]) -> Result<(), Failure> {
            Ok(())
        }
        fn record_sync(&self, _: &domain::SyncReport) -> Result<(), Failure> {
            Ok(())
        }
        fn save_series(&self, _: RunId, _: &[domain::series::Point]) -> Result<(), Failure> {
            Ok(())
        }
    }

    fn queued(witness: &Arc<Witness>) -> Arc<Live> {
        let run = Run::queued(
            SourceName::parse("shop").unwrap(),
            Digest::of(b""),
            Operation::Discover,
            Timestamp::now(),
        );
        let order = Order::of_person(run.operation, Vec::new());
        Arc::new(Live::new(run, order, witness.clone()))
    }

    #[test]
    fn whoever_sees_the_end_of_a_run_finds_it_ended_everywhere() {
        let witness = Arc::new(Witness::default());
        let runs = LiveRuns::default();
        assert_eq!(runs.push(queued(&witness)), None);
        let live = runs.next_ready().unwrap();
        let id = live.run().id;
        assert!(witness.live.set(live.clone()).is_ok());
        assert_eq!(runs.push(queued(&witness)), Some(id));
        assert!(runs.next_ready().is_none());

        live.set_discovered(Vec::new());
        live.update(|run| run.state = RunState::Succeeded);
        let stored_first = (RunState::Succeeded, RunState::Queued);
        assert_eq!(*lock(&witness.seen), [stored_first]);
        assert_eq!(runs.discovered(id), Some(Vec::new()));
        let next = runs.next_ready().expect("the one before has ended");
        runs.finished(&live);
        let held = runs.hold(&next.run().source);
        assert!(matches!(held, Err(IngestError::AlreadyRunning { .. })));
        assert_eq!(runs.discovered(id), Some(Vec::new()));
    }
}
