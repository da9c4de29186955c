//! A request to stop, seen by everyone who works on the same run.

use std::sync::{Arc, Mutex, PoisonError};

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Inner {
    cancelled: bool,
    hooks: Vec<Hook>,
}

/// Shared by its clones: once cancelled it stays cancelled.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<Inner>>);

impl Cancel {
    /// Not cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels, and runs what `on_cancel` was given.
    pub fn cancel(&self) {
        let hooks = {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.cancelled = true;
            std::mem::take(&mut inner.hooks)
        };
        for hook in hooks {
            hook();
        }
    }

    /// Whether somebody cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancelled
    }

    /// Runs `hook` when somebody cancels; at once if that has happened.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.cancelled {
            drop(inner);
            hook();
        } else {
            inner.hooks.push(Box::new(hook));
        }
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cancel({})", self.is_cancelled())
    }
}
