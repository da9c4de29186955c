//! Extracts that other programs write: looked at now and then, since nobody tells when they change.

use std::time::Duration;

use crate::app::{AppState, blocking};
use crate::error::{ApiError, chain};

/// Costs a look at each file's entry in its folder; nothing is read that has not changed.
const PERIOD: Duration = Duration::from_secs(30);

/// Goes on until the server ends.
pub(super) async fn watch(app: AppState) {
    let mut ticks = tokio::time::interval(PERIOD);
    // The first is at once, and the start has just looked.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let app = app.clone();
        let rebuilt = blocking(move || {
            let rebuilt = app.warehouse.orchestrator.rebuild();
            rebuilt.map(drop).map_err(ApiError::internal)
        });
        if let Err(error) = rebuilt.await {
            let cause = error.cause.as_deref().map(|cause| chain(cause));
            tracing::warn!(cause, "the extracts could not be looked at");
        }
    }
}
