//! What is forgotten in time: sessions and links that ended, and audit entries past their retention.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::app::{App, AppState, blocking};
use crate::error::{ApiResult, chain};

/// Often enough that nothing piles up.
const PERIOD: Duration = Duration::from_secs(3600);

/// Goes on until the server ends.
pub(super) async fn keep(app: AppState) {
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        ticks.tick().await;
        let app = app.clone();
        if let Err(error) = blocking(move || forget(&app)).await {
            let cause = error.cause.as_deref().map(|cause| chain(cause));
            tracing::warn!(cause, "what has ended could not be forgotten");
        }
    }
}

fn forget(app: &App) -> ApiResult<()> {
    let now = Timestamp::now();
    app.state().forget_expired(now)?;
    let days = i64::from(app.config.audit.retention_days);
    let before = now.saturating_sub(SignedDuration::from_hours(24 * days));
    if let Ok(before) = before {
        app.state().expire_audit(before)?;
    }
    Ok(())
}
