//! `/api/access-requests`: users ask to read a table, admins say yes or no.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::{AccessRequest, RequestState, TableName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use warehouse::StateError;

use crate::app::{App, AppState, blocking};
use crate::auth::{By, may_read};
use crate::error::{ApiError, ApiResult};

const MAX_REASON: usize = 2000;
/// More than anybody needs to wait for, so that nobody fills the admins' list.
const MAX_WAITING: usize = 50;

/// What to ask for.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewAccessRequest {
    /// The table, by name.
    table_id: String,
    /// Why you need it.
    #[serde(default)]
    reason: String,
}

/// What was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Asked {
    #[schema(value_type = String)]
    id: Uuid,
    /// `pending`.
    status: &'static str,
    table_id: String,
}

/// Asks to read a table.
///
/// Whether there is such a table is not told: that is for those who may read it.
#[utoipa::path(post, path = "/api/access-requests", tag = "access", request_body = NewAccessRequest,
    responses((status = 201, body = Asked), (status = 409), (status = 422)))]
pub(crate) async fn create_access_request(
    by: By,
    app: AppState,
    Json(new): Json<NewAccessRequest>,
) -> ApiResult<(StatusCode, Json<Asked>)> {
    let request = checked(&by, new)?;
    blocking(move || {
        let catalog = app.catalog();
        let found = catalog.table(&request.table);
        if by.is_admin || found.is_some_and(|table| may_read(&by, table)) {
            return Err(ApiError::conflict(
                "access-held",
                "You may read this table already",
            ));
        }
        let waiting = app.state().access_requests_of(by.user)?.into_iter();
        let waiting = waiting.filter(|request| request.state == RequestState::Pending);
        if waiting.count() >= MAX_WAITING {
            return Err(ApiError::conflict(
                "too-many-requests",
                format!("You have {MAX_WAITING} pending requests; wait until some are decided"),
            ));
        }
        add(&app, &by, &request)?;
        let asked = Asked {
            id: request.id,
            status: request.state.as_str(),
            table_id: request.table,
        };
        Ok((StatusCode::CREATED, Json(asked)))
    })
    .await
}

fn checked(by: &By, new: NewAccessRequest) -> ApiResult<AccessRequest> {
    let table = TableName::parse(new.table_id.trim());
    let table = table.map_err(|error| ApiError::invalid("table-invalid", error.to_string()))?;
    if new.reason.len() > MAX_REASON {
        return Err(ApiError::invalid(
            "reason-too-long",
            format!("reason has more than {MAX_REASON} bytes"),
        ));
    }
    Ok(AccessRequest {
        id: Uuid::now_v7(),
        user: by.user,
        table: table.to_string(),
        reason: new.reason,
        state: RequestState::Pending,
        reviewed_by: None,
        reviewed_at: None,
        created_at: Timestamp::now(),
    })
}

fn add(app: &App, by: &By, request: &AccessRequest) -> ApiResult<()> {
    let entry = by.entry_with(
        "access_request.created",
        on(request.id),
        json!({"table": request.table}),
    );
    let added = app.state().insert_access_request(request, &entry);
    added.map_err(|error| match error {
        StateError::AlreadyExists { .. } => ApiError::conflict(
            "already-exists",
            "You already have a pending request for this table",
        ),
        error => error.into(),
    })
}

/// A request.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccessRequestView {
    #[schema(value_type = String)]
    id: Uuid,
    #[schema(value_type = String)]
    user_id: Uuid,
    /// The address of who asks.
    user_email: String,
    table_id: String,
    reason: String,
    /// `pending`, `approved` or `denied`.
    status: &'static str,
    /// The id of who decided.
    reviewed_by: Option<String>,
    reviewed_at: Option<String>,
    created_at: String,
}

impl AccessRequestView {
    fn of(request: AccessRequest, email: String) -> Self {
        Self {
            id: request.id,
            user_id: request.user,
            user_email: email,
            table_id: request.table,
            reason: request.reason,
            status: request.state.as_str(),
            reviewed_by: request.reviewed_by.map(|id| id.to_string()),
            reviewed_at: request.reviewed_at.map(|at| at.to_string()),
            created_at: request.created_at.to_string(),
        }
    }
}

/// Your requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct MyAccessRequests {
    requests: Vec<AccessRequestView>,
}

/// Lists your requests, newest first.
#[utoipa::path(get, path = "/api/access-requests/my", tag = "access",
    responses((status = 200, body = MyAccessRequests)))]
pub(crate) async fn my_access_requests(by: By, app: AppState) -> ApiResult<Json<MyAccessRequests>> {
    blocking(move || {
        let requests = app.state().access_requests_of(by.user)?.into_iter();
        let views = requests.map(|request| AccessRequestView::of(request, by.email.clone()));
        let requests = views.collect();
        Ok(Json(MyAccessRequests { requests }))
    })
    .await
}

/// Requests that wait.
#[derive(Serialize, ToSchema)]
pub(crate) struct PendingAccessRequests {
    requests: Vec<AccessRequestView>,
    count: usize,
}

/// Lists the requests that wait for an admin, oldest first.
#[utoipa::path(get, path = "/api/access-requests/pending", tag = "access",
    responses((status = 200, body = PendingAccessRequests)))]
pub(crate) async fn pending_access_requests(
    app: AppState,
) -> ApiResult<Json<PendingAccessRequests>> {
    blocking(move || {
        let mut requests = Vec::new();
        for request in app.state().pending_access_requests()? {
            if let Some(person) = app.directory.person(request.user)? {
                requests.push(AccessRequestView::of(request, person.user.email.clone()));
            }
        }
        let count = requests.len();
        Ok(Json(PendingAccessRequests { requests, count }))
    })
    .await
}

/// What was decided.
#[derive(Serialize, ToSchema)]
pub(crate) struct Decided {
    /// `approved` or `denied`.
    status: &'static str,
    #[schema(value_type = String)]
    id: Uuid,
}

/// Approves a request: who asked joins the group `access:TABLE`, which may read the table.
#[utoipa::path(post, path = "/api/access-requests/{id}/approve", tag = "access",
    params(("id" = String, Path, description = "The request")),
    responses((status = 200, body = Decided), (status = 404), (status = 409)))]
pub(crate) async fn approve_access_request(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<Decided>> {
    decide(by, app, id, RequestState::Approved).await
}

/// Denies a request.
#[utoipa::path(post, path = "/api/access-requests/{id}/deny", tag = "access",
    params(("id" = String, Path, description = "The request")),
    responses((status = 200, body = Decided), (status = 404)))]
pub(crate) async fn deny_access_request(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<Decided>> {
    decide(by, app, id, RequestState::Denied).await
}

async fn decide(by: By, app: AppState, id: Uuid, wanted: RequestState) -> ApiResult<Json<Decided>> {
    blocking(move || {
        let request = app.state().access_request(id)?;
        let request = request.filter(|request| request.state == RequestState::Pending);
        let request = request.ok_or_else(processed)?;
        let what = json!({"user": request.user, "table": request.table});
        let now = Timestamp::now();
        let decided = match wanted {
            RequestState::Approved => {
                must_exist(&app, &request.table)?;
                let entry = by.entry_with("access_request.approved", on(id), what);
                app.state().approve_access_request(id, by.user, now, &entry)
            }
            _ => {
                let entry = by.entry_with("access_request.denied", on(id), what);
                app.state().deny_access_request(id, by.user, now, &entry)
            }
        };
        decided.map_err(|error| match error {
            StateError::NotFound { .. } => processed(),
            error => error.into(),
        })?;
        let status = wanted.as_str();
        Ok(Json(Decided { status, id }))
    })
    .await
}

/// A grant on a name that somebody made up would open whatever is published under it one day.
fn must_exist(app: &App, table: &str) -> ApiResult<()> {
    match app.catalog().table(table) {
        Some(_) => Ok(()),
        None => Err(ApiError::conflict(
            "table-unknown",
            format!("There is no table '{table}'; deny the request, or wait until it is published"),
        )),
    }
}

fn processed() -> ApiError {
    ApiError::not_found(
        "request-not-found",
        "Request not found or already processed",
    )
}

fn on(request: Uuid) -> String {
    format!("access_request:{request}")
}
