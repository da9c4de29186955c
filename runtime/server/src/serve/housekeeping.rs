//! What is forgotten in time: sessions and links that ended, and audit entries past their retention; what is
//! no table any more; and small files of tables that are put together.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Mark;
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
        let forgetful = app.clone();
        if let Err(error) = blocking(move || forget(&forgetful)).await {
            let cause = error.cause.as_deref().map(|cause| chain(cause));
            tracing::warn!(cause, "what has ended could not be forgotten");
        }
        let app = app.clone();
        if let Err(error) = blocking(move || compact(&app)).await {
            let cause = error.cause.as_deref().map(|cause| chain(cause));
            tracing::warn!(cause, "small files could not be put together");
        }
    }
}

fn forget(app: &App) -> ApiResult<()> {
    let now = Timestamp::now();
    app.state().forget_expired(now)?;
    app.warehouse.wholes.tidy(&app.catalog());
    let days = i64::from(app.config.audit.retention_days);
    let before = now.saturating_sub(SignedDuration::from_hours(24 * days));
    if let Ok(before) = before {
        app.state().expire_audit(before)?;
    }
    Ok(())
}

/// Runs go on while the files are written. A source is held only for the moment in which they take the
/// place of the old ones; one that is running then has its turn the next time.
fn compact(app: &App) -> ApiResult<()> {
    // The catalog is in memory: an extract is opened only where there is something to do.
    let catalog = app.warehouse.orchestrator.catalog();
    let tables = catalog.tables.iter();
    let worth = tables.filter(|table| warehouse::has_small_files(&table.files));
    let sources: BTreeSet<_> = worth.map(|table| &table.source).collect();
    for name in sources {
        let marks = || -> ApiResult<Vec<Mark>> {
            let pins = app.state().pins(name)?.into_iter();
            Ok(pins.map(|pin| pin.mark).collect())
        };
        let compaction = match app.warehouse.extracts.compact(name, &marks()?) {
            Ok(Some(compaction)) => compaction,
            Ok(None) => continue,
            Err(failure) => {
                tracing::warn!(source = %name, %failure, "the files of source {name} could not be put together");
                continue;
            }
        };
        let Ok(_hold) = app.ingest.hold(name) else {
            continue;
        };
        // A mark may have been made while the files were written.
        match compaction.publish(&marks()?) {
            Ok(fewer) => tracing::info!(source = %name, fewer, "source {name} has fewer files"),
            Err(failure) => {
                tracing::warn!(source = %name, %failure, "the files of source {name} could not be put together");
            }
        }
    }
    Ok(())
}
