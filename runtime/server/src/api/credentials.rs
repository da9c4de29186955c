//! `/api/sources/{name}/credentials`: what fills the slots of a source. Values go in and never come out.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::credential::{self, Filled, Filling};
use domain::manifest::{Scheme, Slot};
use domain::{Secret, SlotName, Source, SourceName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::sources::{find, on};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// More than any key or token has, and little enough to keep thousands.
const MAX_CREDENTIAL: usize = 64 << 10;

/// A slot and what fills it, without the value.
#[derive(Serialize, ToSchema)]
pub(crate) struct SlotView {
    /// The slot.
    #[schema(value_type = String)]
    slot: SlotName,
    /// What to enter.
    title: String,
    /// How the host presents the value.
    scheme: &'static str,
    /// Whether runs need it.
    required: bool,
    /// `entered`, `variable`, `service` where the service fills it in each run, or nothing while it is empty.
    filled: Option<&'static str>,
    /// The variable of the server's environment, where one fills it.
    variable: Option<String>,
    /// When it was filled.
    #[schema(value_type = Option<String>)]
    entered_at: Option<Timestamp>,
    /// The id of the user who filled it.
    entered_by: Option<String>,
    /// The address of that user, who may be gone.
    entered_by_email: Option<String>,
}

/// The slots of a source.
#[derive(Serialize, ToSchema)]
pub(crate) struct Slots {
    credentials: Vec<SlotView>,
}

/// Lists the credential slots of a source, and what fills them; never a value.
#[utoipa::path(get, path = "/api/sources/{name}/credentials", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = Slots), (status = 404)))]
pub(crate) async fn list_credentials(
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<Slots>> {
    blocking(move || {
        let source = find(&app, &name)?;
        let mut filled = app.state().credentials(&source.name)?;
        let credentials = slots(&app, &source)?
            .into_iter()
            .map(|slot| {
                let filled = filled.remove(&slot.name);
                view(&app, slot, filled)
            })
            .collect::<ApiResult<_>>()?;
        Ok(Json(Slots { credentials }))
    })
    .await
}

fn view(app: &App, slot: Slot, filled: Option<Filled>) -> ApiResult<SlotView> {
    let (how, variable) = match filled.as_ref().map(|filled| &filled.filling) {
        None if matches!(slot.scheme, Scheme::Derived(_)) => (Some("service"), None),
        None => (None, None),
        Some(Filling::Sealed(_)) => (Some("entered"), None),
        Some(Filling::Variable(name)) => (Some("variable"), Some(name.clone())),
    };
    let by = filled.as_ref().and_then(|filled| filled.entered_by);
    let user = by.map(|id| app.state().user(id)).transpose()?.flatten();
    Ok(SlotView {
        slot: slot.name,
        title: slot.title,
        scheme: slot.scheme.as_str(),
        required: slot.required,
        filled: how,
        variable,
        entered_at: filled.and_then(|filled| filled.entered_at),
        entered_by: by.map(|id| id.to_string()),
        entered_by_email: user.map(|user| user.email),
    })
}

/// What fills a slot: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCredential {
    /// The value, in the form that the slot's scheme takes; it is stored encrypted and shown never again.
    value: Option<String>,
    /// The name of a variable in the server's environment that is read whenever a run begins.
    env: Option<String>,
}

/// Fills a slot, in the place of what filled it before.
#[utoipa::path(put, path = "/api/sources/{name}/credentials/{slot}", tag = "sources",
    params(("name" = String, Path, description = "The source"),
        ("slot" = String, Path, description = "A slot of the connector's manifest")),
    request_body = NewCredential,
    responses((status = 204), (status = 404),
        (status = 422, description = "The value does not fit the slot's scheme, or the variable must not be used")))]
pub(crate) async fn put_credential(
    by: By,
    app: AppState,
    Path((name, slot)): Path<(SourceName, SlotName)>,
    Json(body): Json<NewCredential>,
) -> ApiResult<StatusCode> {
    // Before anything is looked up: it is wrong for every source.
    let new = New::of(body)?;
    tracing::info!(source = %name, %slot, user = %by.user, "a credential is being entered");
    blocking(move || {
        let source = find(&app, &name)?;
        let scheme = find_slot(&app, &source, &slot)?.scheme;
        let entry = |what| by.entry_with("source.credential", on(&name), what);
        match new {
            New::Value(value) => {
                check(&scheme, "value", &value)?;
                let entry = entry(json!({"slot": slot}));
                app.credentials
                    .put(&source.name, &slot, &value, by.user, &entry)?;
            }
            New::Variable(variable) => {
                check_variable(&app, &scheme, &variable)?;
                let entry = entry(json!({"slot": slot, "variable": variable}));
                app.credentials
                    .bind(&source.name, &slot, &variable, by.user, &entry)?;
            }
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Empties a slot.
#[utoipa::path(delete, path = "/api/sources/{name}/credentials/{slot}", tag = "sources",
    params(("name" = String, Path, description = "The source"),
        ("slot" = String, Path, description = "The slot")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn delete_credential(
    by: By,
    app: AppState,
    Path((name, slot)): Path<(SourceName, SlotName)>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let source = find(&app, &name)?;
        let what = json!({"slot": slot});
        let entry = by.entry_with("source.credential_removed", on(&name), what);
        app.state().delete_credential(&source.name, &slot, &entry)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

enum New {
    Value(Secret),
    Variable(String),
}

impl New {
    fn of(body: NewCredential) -> ApiResult<Self> {
        let wrong = |detail: String| Err(ApiError::invalid("credential-invalid", detail));
        match (body.value.map(Secret::new), body.env) {
            (Some(value), None) if value.expose().len() > MAX_CREDENTIAL => {
                wrong(format!("`value` is larger than {MAX_CREDENTIAL} bytes"))
            }
            (Some(value), None) => Ok(Self::Value(value)),
            (None, Some(variable)) => Ok(Self::Variable(variable)),
            _ => wrong("give either `value` or `env`".into()),
        }
    }
}

fn check(scheme: &Scheme, what: &str, value: &Secret) -> ApiResult<()> {
    credential::check(scheme, value).map_err(|error| {
        let detail = format!(
            "`{what}` does not fit the scheme `{}`: {error}",
            scheme.as_str()
        );
        ApiError::invalid("credential-invalid", detail)
    })
}

fn check_variable(app: &App, scheme: &Scheme, variable: &str) -> ApiResult<()> {
    let wrong = |detail: String| ApiError::invalid("variable-invalid", detail);
    if matches!(scheme, Scheme::Oauth2Refresh(_)) {
        return Err(wrong(
            "a refresh token cannot stay in a variable: the service may replace it at each use; enter it".into(),
        ));
    }
    let value = app.credentials.variable(variable).map_err(wrong)?;
    check(scheme, variable, &value)
}

fn slots(app: &App, source: &Source) -> ApiResult<Vec<Slot>> {
    let version = app.state().version(&source.version)?;
    Ok(version
        .map(|version| version.manifest.credentials)
        .unwrap_or_default())
}

fn find_slot(app: &App, source: &Source, slot: &SlotName) -> ApiResult<Slot> {
    let slots = slots(app, source)?;
    let names: Vec<_> = slots.iter().map(|slot| slot.name.to_string()).collect();
    slots
        .into_iter()
        .find(|known| known.name == *slot)
        .ok_or_else(|| {
            let has = match names.is_empty() {
                true => "none".into(),
                false => names.join(", "),
            };
            let detail = format!(
                "Connector `{}` has no credential slot `{slot}`; it has: {has}",
                source.connector
            );
            ApiError::not_found("slot-not-found", detail)
        })
}
