//! Why a run must end before its component is done: somebody cancelled, or its time is up. Wakes
//! whoever waits for the network, and stays set.

use std::sync::Arc;

use domain::ports::Ended;
use domain::{Cancel, Failure};
use tokio::sync::watch;

/// Shared by its clones. The first reason stays.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<watch::Sender<Option<Ended>>>);

impl Stop {
    /// Set as soon as `cancel` is.
    pub(crate) fn new(cancel: &Cancel) -> Self {
        let stop = Self(Arc::new(watch::Sender::new(None)));
        // The token may outlive the run by far; it shall not keep the run's parts alive.
        let weak = Arc::downgrade(&stop.0);
        cancel.on_cancel(move || {
            if let Some(sender) = weak.upgrade() {
                Self(sender).set(Ended::Cancelled);
            }
        });
        stop
    }

    /// Sets the reason, unless there is one.
    pub(crate) fn set(&self, why: Ended) {
        self.0.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(why);
            }
            first
        });
    }

    /// The reason, where there is one.
    pub(crate) fn reason(&self) -> Option<Ended> {
        self.0.borrow().clone()
    }

    /// Waits until there is a reason. What is given back is for calls that are under way.
    pub(crate) async fn stopped(&self) -> Failure {
        let mut receiver = self.0.subscribe();
        let reason = receiver.wait_for(Option::is_some).await;
        match reason.ok().and_then(|reason| reason.clone()) {
            Some(Ended::Failed(failure)) => failure,
            Some(Ended::Cancelled) | None => Failure::limit("the run was cancelled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let cancel = Cancel::new();
        let stop = Stop::new(&cancel);
        assert_eq!(stop.reason(), None);
        stop.set(Ended::Failed(Failure::limit("time is up")));
        cancel.cancel();
        assert_eq!(
            stop.reason(),
            Some(Ended::Failed(Failure::limit("time is up")))
        );
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_a_cancel() {
        let cancel = Cancel::new();
        let stop = Stop::new(&cancel);
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.stopped().await }
        });
        tokio::task::yield_now().await;
        cancel.cancel();
        assert_eq!(
            waiting.await.unwrap(),
            Failure::limit("the run was cancelled")
        );
        assert_eq!(
            stop.stopped().await,
            Failure::limit("the run was cancelled")
        );
    }
}
