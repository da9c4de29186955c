//! Looks at remote databases beside everything else: no rebuild waits for a network.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::orchestrator::Orchestrator;

/// Wakes the thread that looks at them. Its end is the orchestrator's.
#[derive(Debug, Default)]
pub(crate) struct Prober(Arc<Bell>);

#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until somebody rings, or the time is over.
    fn wait(&self, time: Option<Duration>) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            rung = match time {
                None => self
                    .changed
                    .wait(rung)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let waited = self.changed.wait_timeout(rung, time);
                    let (mut rung, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    *rung |= timeout.timed_out();
                    rung
                }
            };
        }
        *rung = false;
    }
}

impl Prober {
    /// Looks at what is due, and again whenever something is.
    pub(crate) fn start(&self, orchestrator: &Arc<Orchestrator>) -> std::io::Result<()> {
        let (bell, orchestrator) = (Arc::clone(&self.0), Arc::downgrade(orchestrator));
        let thread = std::thread::Builder::new().name("remote-databases".into());
        thread.spawn(move || watch(&bell, &orchestrator)).map(drop)
    }

    /// Something may be due.
    pub(crate) fn wake(&self) {
        self.0.ring();
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.0.ring();
    }
}

fn watch(bell: &Bell, orchestrator: &Weak<Orchestrator>) {
    loop {
        let Some(held) = orchestrator.upgrade() else {
            return;
        };
        let next = held.probe();
        drop(held);
        bell.wait(next);
    }
}
