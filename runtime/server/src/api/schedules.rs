//! `/api/sources/{name}/schedule`: when a source runs by itself, and how that goes.

use axum::Json;
use axum::extract::Path;
use domain::agenda::Choice;
use domain::{Agenda, Schedule, Source, SourceName, Zone};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::sources::{find, find_runnable, on};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// How many of the next moments are shown.
const SHOWN: usize = 5;
/// A day; more would be another schedule.
const MOST_JITTER: u32 = 86_400;
/// A year.
const MOST_HOURS: u32 = 8_784;

/// When a source is to run by itself. What is left out gets its default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSchedule {
    /// `every 15m`, `daily 07:00,13:00`, `weekly mon 03:00`, `monthly 1 03:00`, the five fields of cron; `default` for what the
    /// connector proposes, `none` for nothing.
    schedule: String,
    /// The time zone in which that is meant, such as `Europe/Prague`; by default the server's.
    zone: Option<String>,
    /// By how many seconds at most a run is late, so that not all sources begin in one moment; by default as configured.
    jitter_seconds: Option<u32>,
    /// After how many hours without a sync that worked people are told; by default as configured.
    stale_after_hours: Option<u32>,
    /// Whether the schedule stands still.
    #[serde(default)]
    paused: bool,
}

/// When a source runs by itself, and how that goes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScheduleView {
    /// As it was decided: a schedule, `default` or `none`.
    schedule: String,
    /// The time zone that was decided for it, if any.
    zone: Option<String>,
    /// The seconds that were decided for it, if any.
    jitter_seconds: Option<u32>,
    /// The hours that were decided for it, if any.
    stale_after_hours: Option<u32>,
    /// Whether it stands still.
    paused: bool,
    /// The schedule that the connector proposes.
    proposed: Option<String>,
    /// The schedule that holds in the end.
    follows: Option<String>,
    /// The time zone that holds in the end.
    follows_zone: String,
    /// When it runs next; empty while it stands still or is switched off.
    #[schema(value_type = Vec<String>)]
    next: Vec<Timestamp>,
    /// When the last failure is tried again.
    #[schema(value_type = Option<String>)]
    retry_at: Option<Timestamp>,
    /// How often it has failed in a row, as long as it is tried again.
    failures: u32,
    /// Whether the last sync failed and nothing more is tried.
    failing: bool,
    /// Whether its rows are older than they may be.
    stale: bool,
    /// When a sync worked last; before the first, when the source was added.
    #[schema(value_type = String)]
    fresh_at: Timestamp,
}

/// Shows when a source runs by itself, with the next moments, and how it is.
#[utoipa::path(get, path = "/api/sources/{name}/schedule", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = ScheduleView), (status = 404)))]
pub(crate) async fn get_schedule(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<ScheduleView>> {
    blocking(move || {
        let source = find_runnable(&app, &by, &name)?;
        view(&app, &source).map(Json)
    })
    .await
}

/// Decides when a source runs by itself.
#[utoipa::path(put, path = "/api/sources/{name}/schedule", tag = "sources",
    params(("name" = String, Path, description = "The source")), request_body = NewSchedule,
    responses((status = 200, body = ScheduleView), (status = 404),
        (status = 422, description = "There is no such schedule or time zone, or a number is out of range")))]
pub(crate) async fn put_schedule(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    Json(new): Json<NewSchedule>,
) -> ApiResult<Json<ScheduleView>> {
    tracing::info!(source = %name, user = %by.user, "the schedule of source {name} is being changed");
    blocking(move || {
        let source = find(&app, &name)?;
        let agenda = new.checked()?;
        set(&app, &by, &source, "source.schedule", &agenda).map(Json)
    })
    .await
}

/// Lets the schedule of a source stand still. Runs that were accepted go on, and anybody who may can start more.
#[utoipa::path(post, path = "/api/sources/{name}/pause", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = ScheduleView), (status = 404)))]
pub(crate) async fn pause_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<ScheduleView>> {
    set_paused(by, app, name, true).await
}

/// Lets the schedule of a source go on, from now: what it missed is not made up for.
#[utoipa::path(post, path = "/api/sources/{name}/resume", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = ScheduleView), (status = 404)))]
pub(crate) async fn resume_source(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<ScheduleView>> {
    set_paused(by, app, name, false).await
}

async fn set_paused(
    by: By,
    app: AppState,
    name: SourceName,
    paused: bool,
) -> ApiResult<Json<ScheduleView>> {
    tracing::info!(source = %name, paused, user = %by.user, "the schedule of source {name} is being switched");
    blocking(move || {
        let source = find_runnable(&app, &by, &name)?;
        let agenda = Agenda {
            paused,
            ..app.state().agenda(&source.name)?
        };
        let action = match paused {
            true => "source.pause",
            false => "source.resume",
        };
        set(&app, &by, &source, action, &agenda).map(Json)
    })
    .await
}

fn set(
    app: &App,
    by: &By,
    source: &Source,
    action: &'static str,
    agenda: &Agenda,
) -> ApiResult<ScheduleView> {
    let what = json!({
        "schedule": String::from(agenda.choice.clone()),
        "zone": agenda.zone.as_ref().map(Zone::name),
        "jitter_seconds": agenda.jitter_seconds,
        "stale_after_hours": agenda.stale_after_hours,
        "paused": agenda.paused,
    });
    let entry = by.entry_with(action, on(&source.name), what);
    app.state().set_agenda(&source.name, agenda, &entry)?;
    app.ingest.look_again();
    view(app, source)
}

impl NewSchedule {
    fn checked(self) -> ApiResult<Agenda> {
        let refused = |error: String| ApiError::invalid("schedule-invalid", error);
        let choice = Choice::try_from(self.schedule).map_err(|error| refused(error.to_string()))?;
        let zone = self.zone.as_deref().map(Zone::parse).transpose();
        if self.jitter_seconds.is_some_and(|n| n > MOST_JITTER) {
            return Err(refused(format!(
                "`jitter_seconds` is at most {MOST_JITTER}"
            )));
        }
        if self
            .stale_after_hours
            .is_some_and(|n| !(1..=MOST_HOURS).contains(&n))
        {
            return Err(refused(format!(
                "`stale_after_hours` is from 1 to {MOST_HOURS}"
            )));
        }
        Ok(Agenda {
            choice,
            zone: zone.map_err(|error| refused(error.to_string()))?,
            jitter_seconds: self.jitter_seconds,
            stale_after_hours: self.stale_after_hours,
            paused: self.paused,
        })
    }
}

fn view(app: &App, source: &Source) -> ApiResult<ScheduleView> {
    let agenda = app.state().agenda(&source.name)?;
    let version = app.state().version(&source.version)?;
    let proposed = version.and_then(|version| version.manifest.schedule);
    let outlook = app.ingest.outlook(&source.name, SHOWN)?;
    let outlook = outlook.ok_or_else(|| ingest::IngestError::UnknownSource(source.name.clone()))?;
    let (standing, health) = (outlook.entry.standing, outlook.entry.health);
    let follows = match &agenda.choice {
        Choice::Default => proposed
            .as_deref()
            .and_then(|text| Schedule::parse(text).ok()),
        Choice::Never => None,
        Choice::Own(schedule) => Some(schedule.clone()),
    };
    Ok(ScheduleView {
        schedule: agenda.choice.into(),
        zone: agenda.zone.map(|zone| zone.name().to_owned()),
        jitter_seconds: agenda.jitter_seconds,
        stale_after_hours: agenda.stale_after_hours,
        paused: agenda.paused,
        proposed,
        follows: follows.map(|schedule| schedule.to_string()),
        follows_zone: outlook.entry.plan.zone.name().to_owned(),
        next: match source.enabled {
            true => outlook.coming,
            false => Vec::new(),
        },
        retry_at: standing.retry_at,
        failures: standing.failures,
        failing: health.failing,
        stale: health.stale,
        fresh_at: health.fresh_at,
    })
}
