//! Drives the schedules: asks what is due, sleeps until the next moment, and is woken when something changes.

use std::time::Duration;

use jiff::Timestamp;

use crate::app::{AppState, blocking};
use crate::error::chain;

/// However soon the next moment is: whatever goes wrong, a processor is not kept busy with it.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);
/// After a look that failed as a whole.
const AGAIN: Duration = Duration::from_secs(10);

/// Goes on until the server ends.
pub(super) async fn keep(app: AppState) {
    loop {
        let looking = app.clone();
        let pause = match blocking(move || Ok(looking.ingest.tick())).await {
            Ok(next) => until(next),
            Err(error) => {
                let cause = error.cause.as_deref().map(|cause| chain(cause));
                tracing::error!(cause, "the schedules could not be looked at");
                AGAIN
            }
        };
        tokio::time::sleep(SHORTEST_SLEEP).await;
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(SHORTEST_SLEEP)) => {}
            () = app.ingest.changed().notified() => {}
        }
    }
}

fn until(next: Timestamp) -> Duration {
    let pause = next.duration_since(Timestamp::now());
    Duration::try_from(pause).unwrap_or_default()
}
