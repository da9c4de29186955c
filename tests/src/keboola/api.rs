//! The calls of the Storage API.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::lend::Lent;
use super::{Job, State, TOKEN, page, refusal};
use crate::internet::Seen;

pub(super) fn answer(state: &mut State, seen: &Seen, endpoint: &str) -> Response {
    if seen.header("x-storageapi-token") != Some(TOKEN) {
        return refusal(401, "storage.tokenInvalid", "Invalid access token");
    }
    let path = seen.path().trim_start_matches("/v2/storage/");
    let steps: Vec<_> = path.split('/').collect();
    match (seen.method.as_str(), steps.as_slice()) {
        ("GET", ["tokens", "verify"]) => {
            page(&json!({"id": "1", "isMasterToken": true, "owner": {"id": 7, "name": "p"}}))
        }
        ("GET", ["buckets"]) => page(&buckets(state)),
        ("GET", ["buckets", bucket]) => found(
            buckets(state)
                .as_array()
                .and_then(|all| all.iter().find(|known| known["id"] == *bucket).cloned()),
        ),
        ("GET", ["buckets", bucket, "tables"]) => {
            let inside = state
                .tables
                .iter()
                .filter(|(id, _)| id.starts_with(&format!("{bucket}.")));
            page(&inside.map(|(id, table)| table.detail(id)).collect())
        }
        ("GET", ["tables", id]) => found(state.tables.get(*id).map(|table| table.detail(id))),
        ("POST", ["tables", id, "export-async"]) => export(state, id, seen.body()),
        ("GET", ["jobs", id]) => job(state, id.parse().unwrap_or_default()),
        ("GET", ["files", id]) => file(state, id.parse().unwrap_or_default(), seen, endpoint),
        _ => refusal(404, "storage.notFound", "Not found"),
    }
}

fn found(detail: Option<Value>) -> Response {
    detail.map_or_else(
        || refusal(404, "storage.notFound", "Not found"),
        |detail| page(&detail),
    )
}

fn buckets(state: &State) -> Value {
    let mut ids: Vec<_> = state
        .tables
        .keys()
        .filter_map(|id| id.rsplit_once('.'))
        .map(|(bucket, _)| bucket)
        .collect();
    ids.dedup();
    ids.iter()
        .map(|id| json!({"id": id, "stage": id.split('.').next()}))
        .collect()
}

/// 429 as long as the service is in that mood.
fn busy(state: &mut State) -> Option<Response> {
    state.mood.busy = state.mood.busy.checked_sub(1)?;
    let body = refusal(429, "storage.maxRequests", "Too many requests");
    Some(([("retry-after", "1")], body).into_response())
}

fn export(state: &mut State, id: &str, form: &str) -> Response {
    if let Some(busy) = busy(state) {
        return busy;
    }
    let Some(table) = state.tables.get(id) else {
        return refusal(404, "storage.tables.notFound", "The table was not found");
    };
    match table.export(form) {
        Err(reason) => refusal(400, "storage.tables.validation", &reason),
        Ok(slices) => {
            state.files.push(slices);
            let polls = state.mood.polls;
            let file = state.files.len();
            state.jobs.push(Job {
                table: id.to_owned(),
                file,
                polls,
            });
            let body = json!({"id": state.jobs.len(), "status": "waiting", "operationName": "tableExport", "results": null});
            (StatusCode::ACCEPTED, page(&body)).into_response()
        }
    }
}

fn job(state: &mut State, id: usize) -> Response {
    if let Some(busy) = busy(state) {
        return busy;
    }
    let (mood, Some(job)) = (state.mood.clone(), state.jobs.get_mut(id.wrapping_sub(1))) else {
        return refusal(404, "storage.jobs.notFound", "The job was not found");
    };
    if job.polls > 0 || mood.stuck.as_ref() == Some(&job.table) {
        job.polls = job.polls.saturating_sub(1);
        return page(&json!({"id": id, "status": "processing", "results": null}));
    }
    if let Some(message) = mood.job_error {
        let error =
            json!({"code": "storage.backend", "message": message, "exceptionId": "keboola-1"});
        return page(&json!({"id": id, "status": "error", "results": null, "error": error}));
    }
    page(&json!({"id": id, "status": "success", "results": {"file": {"id": job.file}}}))
}

/// "File Detail": what it takes to fetch the file is lent with it.
fn file(state: &mut State, id: usize, seen: &Seen, endpoint: &str) -> Response {
    if id == 0 || id > state.files.len() || !seen.target.ends_with("?federationToken=1") {
        return refusal(404, "storage.files.notFound", "The file was not found");
    }
    let lent = Lent::new(state.cloud, &state.mood, state.lent.len(), id);
    let mut detail = json!({"id": id, "name": "export", "isSliced": true, "region": "eu-central-1", "sizeBytes": 1});
    let fields = lent.fields(endpoint);
    for (name, value) in fields.as_object().into_iter().flatten() {
        detail[name] = value.clone();
    }
    state.lent.push(lent);
    page(&detail)
}
