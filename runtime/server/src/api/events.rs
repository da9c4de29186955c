//! `/api/runs/{id}/events`: a run as it happens, as server-sent events.

use std::convert::Infallible;

use axum::extract::Path;
use axum::response::sse::{Event, KeepAlive, Sse};
use domain::run::RunEvent;
use domain::{Run, RunId};
use futures_util::stream::{self, Stream, StreamExt as _};
use ingest::Watch;
use tokio::sync::broadcast::error::RecvError;

use super::runs;
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;

/// Follows a run.
///
/// The first event is the run's present state. Each event is named `state`, `progress` or `log`, and
/// its data is JSON: `{"event": "state", "run": …}`, `{"event": "progress", "progress": …}` or
/// `{"event": "log", "line": …}`. The stream ends after a final state.
#[utoipa::path(get, path = "/api/runs/{id}/events", tag = "runs",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 404)))]
pub(crate) async fn follow_run(
    by: By,
    app: AppState,
    Path(id): Path<RunId>,
) -> ApiResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let watched = app.clone();
    // Watched before the state is read, so that no change falls between the two.
    let watch = app.ingest.watch(id);
    let run = blocking(move || runs::find(&watched, &by, id)).await?;
    let events = match watch {
        Some(watch) => live(watch).left_stream(),
        None => ended(run).right_stream(),
    };
    let events = events.filter_map(async |event| encode(&event).map(Ok));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn ended(run: Run) -> impl Stream<Item = RunEvent> {
    stream::iter([RunEvent::State { run }])
}

/// The present state and progress, then what happens until the final state.
fn live(watch: Watch) -> impl Stream<Item = RunEvent> {
    let is_final = watch.run.state.is_final();
    let first = [
        RunEvent::State { run: watch.run },
        RunEvent::Progress {
            progress: watch.progress,
        },
    ];
    let receiver = (!is_final).then_some(watch.events);
    let later = stream::unfold(receiver, async |receiver| {
        let mut receiver = receiver?;
        loop {
            match receiver.recv().await {
                Ok(event) => {
                    let ends = matches!(&event, RunEvent::State { run } if run.state.is_final());
                    return Some((event, (!ends).then_some(receiver)));
                }
                // A slow reader misses lines of the log, which it can read afterwards.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    stream::iter(first).chain(later)
}

fn encode(event: &RunEvent) -> Option<Event> {
    let name = match event {
        RunEvent::State { .. } => "state",
        RunEvent::Progress { .. } => "progress",
        RunEvent::Log { .. } => "log",
    };
    let data = serde_json::to_string(event).ok()?;
    Some(Event::default().event(name).data(data))
}
