//! Places among the runners, given in turn to the sources that wait: one that has many runs waiting does not keep the
//! others from theirs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::SourceName;
use tokio::sync::oneshot;

/// The places of a broker. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    /// The sources that wait, next one first; each once.
    turns: VecDeque<SourceName>,
    /// Their runs, oldest first.
    waiting: BTreeMap<SourceName, VecDeque<oneshot::Sender<Place>>>,
}

/// A place that is taken. Dropping it passes it on.
#[derive(Debug)]
pub(crate) struct Place(Option<Places>);

/// What comes of asking for a place.
#[derive(Debug)]
pub(crate) enum Turn {
    /// There is one.
    Now(Place),
    /// There will be. Dropping this leaves the queue.
    Later(oneshot::Receiver<Place>),
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: count,
            turns: VecDeque::new(),
            waiting: BTreeMap::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, source: &SourceName) -> Turn {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return Turn::Now(Place(Some(self.clone())));
        }
        let (sender, receiver) = oneshot::channel();
        let queue = state.waiting.entry(source.clone()).or_default();
        queue.push_back(sender);
        if queue.len() == 1 {
            state.turns.push_back(source.clone());
        }
        Turn::Later(receiver)
    }

    /// The places that nobody has.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.state().free
    }

    /// Gives a place to the next who still waits.
    fn pass_on(&self) {
        loop {
            let next = {
                let mut state = self.state();
                let next = state.next();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Place(Some(self.clone()))) {
                Ok(()) => return,
                // Whoever waited there has left; the place is still in our hands.
                Err(mut place) => drop(place.0.take()),
            }
        }
    }
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let source = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&source)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        next
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(turn: Turn) -> Place {
        match turn {
            Turn::Now(place) => place,
            Turn::Later(_) => panic!("there is a place"),
        }
    }

    /// Has sources ask, in this order, while the one place is taken; the order in which they get it.
    fn served(asking: &[&str], leaving: &[usize]) -> Vec<String> {
        let places = Places::new(1);
        let mut held = Some(now(places.take(&"first".parse().unwrap())));
        let waiting = asking.iter().enumerate().filter_map(|(index, name)| {
            match places.take(&name.parse().unwrap()) {
                Turn::Later(waiting) if !leaving.contains(&index) => {
                    Some((format!("{name}{index}"), waiting))
                }
                Turn::Later(_) => None,
                Turn::Now(_) => panic!("the place is taken"),
            }
        });
        let mut waiting: Vec<_> = waiting.collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(held.take());
            let ready = |(_, turn): &mut (String, oneshot::Receiver<Place>)| turn.try_recv().ok();
            let (index, place) = waiting
                .iter_mut()
                .enumerate()
                .find_map(|(index, waiting)| Some((index, ready(waiting)?)))
                .expect("somebody has the place");
            held = Some(place);
            order.push(waiting.remove(index).0);
        }
        drop(held);
        drop(now(places.take(&"last".parse().unwrap())));
        order
    }

    #[test]
    fn a_source_with_many_runs_waiting_lets_others_in_between() {
        let order = served(&["a", "a", "a", "b", "c", "b"], &[]);
        assert_eq!(order, ["a0", "b3", "c4", "a1", "b5", "a2"]);
    }

    #[test]
    fn who_leaves_the_queue_is_passed_over() {
        assert_eq!(served(&["a", "b", "a", "c"], &[0, 1]), ["c3", "a2"]);
        assert!(served(&["a", "b"], &[0, 1]).is_empty());
    }

    #[test]
    fn no_more_places_are_given_than_there_are() {
        let places = Places::new(2);
        let source = "a".parse().unwrap();
        let held = [now(places.take(&source)), now(places.take(&source))];
        let Turn::Later(mut waiting) = places.take(&source) else {
            panic!("two are the most");
        };
        assert!(waiting.try_recv().is_err());
        drop(held);
        assert!(waiting.try_recv().is_ok());
    }
}
