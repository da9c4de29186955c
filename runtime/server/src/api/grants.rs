//! `/api/admin/grants` and what belongs to it: who was granted what, and by which group. For admins,
//! and for users about themselves.

pub(crate) mod effective;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use domain::access::{RESOURCE_TYPES, ResourceType, TABLE};
use domain::restriction::{Mask, Restriction};
use domain::{Grant, Group};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use warehouse::StateError;

use super::{groups, users};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

const MAX_ID: usize = 300;

/// A kind of thing that grants are on.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResourceTypeView {
    key: &'static str,
    display_name: &'static str,
    description: &'static str,
    id_format: &'static str,
    /// What can be granted on it, the usual one first.
    permissions: Vec<&'static str>,
}

/// Lists the kinds of things that grants are on.
#[utoipa::path(get, path = "/api/admin/resource-types", tag = "access",
    responses((status = 200, body = Vec<ResourceTypeView>)))]
pub(crate) async fn list_resource_types() -> Json<Vec<ResourceTypeView>> {
    let types = RESOURCE_TYPES.iter().map(|kind| ResourceTypeView {
        key: kind.key,
        display_name: kind.title,
        description: kind.description,
        id_format: kind.id_format,
        permissions: kind.permissions.iter().map(|p| p.as_str()).collect(),
    });
    Json(types.collect())
}

/// What a grant leaves out; empty where it leaves out nothing.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestrictionView {
    /// Only rows that meet this condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    row_filter: Option<String>,
    /// What stands in place of columns' values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    column_masks: BTreeMap<String, Mask>,
}

impl From<Option<Restriction>> for RestrictionView {
    fn from(restriction: Option<Restriction>) -> Self {
        let Restriction {
            row_filter,
            column_masks,
        } = restriction.unwrap_or_default();
        Self {
            row_filter,
            column_masks,
        }
    }
}

/// A grant.
#[derive(Serialize, ToSchema)]
pub(crate) struct GrantView {
    #[schema(value_type = String)]
    id: Uuid,
    #[schema(value_type = String)]
    group_id: Uuid,
    group_name: String,
    /// `read`, `run` or `use`.
    permission: &'static str,
    resource_type: String,
    resource_id: String,
    #[serde(flatten)]
    restriction: RestrictionView,
    assigned_at: String,
    assigned_by: Option<String>,
}

impl GrantView {
    fn of(grant: Grant, group: &Group) -> Self {
        Self {
            id: grant.id,
            group_id: grant.group,
            group_name: group.name.clone(),
            permission: grant.permission.as_str(),
            resource_type: grant.resource_type,
            resource_id: grant.resource_id,
            restriction: grant.restriction.into(),
            assigned_at: grant.granted_at.to_string(),
            assigned_by: grant.granted_by.map(|id| id.to_string()),
        }
    }
}

/// Which grants to list.
#[derive(Deserialize, IntoParams)]
pub(crate) struct GrantFilter {
    /// Only on this kind of thing.
    resource_type: Option<String>,
    /// Only of this group.
    #[param(value_type = Option<String>)]
    group_id: Option<Uuid>,
}

/// Lists grants by group, kind and id.
#[utoipa::path(get, path = "/api/admin/grants", tag = "access", params(GrantFilter),
    responses((status = 200, body = Vec<GrantView>), (status = 400)))]
pub(crate) async fn list_grants(
    app: AppState,
    Query(filter): Query<GrantFilter>,
) -> ApiResult<Json<Vec<GrantView>>> {
    let kind = filter.resource_type.as_deref().map(known_type);
    let kind = kind.transpose()?;
    blocking(move || {
        let groups = app.state().groups()?;
        let grants = app.state().grants()?.into_iter().filter(|grant| {
            kind.is_none_or(|kind| grant.resource_type == kind.key)
                && filter.group_id.is_none_or(|group| grant.group == group)
        });
        let mut views: Vec<_> = grants
            .filter_map(|grant| {
                let group = groups.iter().find(|group| group.id == grant.group)?;
                Some(GrantView::of(grant, group))
            })
            .collect();
        views.sort_by(|a, b| a.group_name.cmp(&b.group_name));
        Ok(Json(views))
    })
    .await
}

/// What to grant.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewGrant {
    #[schema(value_type = String)]
    group_id: Uuid,
    resource_type: String,
    resource_id: String,
    /// The usual one of the kind by default.
    permission: Option<String>,
    /// Only rows that meet this condition over the table's own columns, such as `country = 'CZ'`. Only on tables.
    row_filter: Option<String>,
    /// What stands in place of columns' values: `null`, `hash`, or `{"constant": …}`. Only on tables.
    #[serde(default)]
    #[schema(value_type = Object)]
    column_masks: BTreeMap<String, Mask>,
}

/// Grants a permission on a resource to a group.
#[utoipa::path(post, path = "/api/admin/grants", tag = "access", request_body = NewGrant,
    responses((status = 201, body = GrantView), (status = 400), (status = 404), (status = 409)))]
pub(crate) async fn create_grant(
    by: By,
    app: AppState,
    Json(new): Json<NewGrant>,
) -> ApiResult<(StatusCode, Json<GrantView>)> {
    let grant = checked(&by, new)?;
    blocking(move || {
        let group = groups::find(&app, grant.group)?;
        fits(&app, &grant)?;
        let what = json!({"group": grant.group, "permission": grant.permission.as_str(),
            "restriction": grant.restriction});
        let on = format!("{}:{}", grant.resource_type, grant.resource_id);
        let added = app
            .state()
            .insert_grant(&grant, &by.entry_with("resource_grant.created", on, what));
        added.map_err(|error| match error {
            StateError::AlreadyExists { .. } => ApiError::conflict(
                "already-exists",
                "Grant already exists for this group/resource_type/resource_id",
            ),
            error => error.into(),
        })?;
        Ok((StatusCode::CREATED, Json(GrantView::of(grant, &group))))
    })
    .await
}

fn checked(by: &By, new: NewGrant) -> ApiResult<Grant> {
    let kind = known_type(&new.resource_type)?;
    let permission = kind.permission(new.permission.as_deref()).ok_or_else(|| {
        let known: Vec<_> = kind.permissions.iter().map(|p| p.as_str()).collect();
        ApiError::bad_request(
            "permission-unknown",
            format!("On a {} can be granted: {}", kind.key, known.join(", ")),
        )
    })?;
    let id = new.resource_id.trim();
    if id.is_empty() {
        return Err(ApiError::bad_request(
            "resource-missing",
            "resource_id is required",
        ));
    }
    if id.len() > MAX_ID || id.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "resource-invalid",
            format!("resource_id has a line break or more than {MAX_ID} bytes"),
        ));
    }
    Ok(Grant {
        id: Uuid::now_v7(),
        group: new.group_id,
        permission,
        resource_type: kind.key.to_owned(),
        resource_id: id.to_owned(),
        restriction: Restriction::new(new.row_filter, new.column_masks)
            .map_err(|error| unfit(&error))?,
        granted_at: Timestamp::now(),
        granted_by: Some(by.user),
    })
}

/// A restriction is one on a table that is there, so that it can be tried.
fn fits(app: &App, grant: &Grant) -> ApiResult<()> {
    let Some(restriction) = &grant.restriction else {
        return Ok(());
    };
    if grant.resource_type != TABLE {
        return Err(unfit(
            &"row_filter and column_masks are for grants on a table",
        ));
    }
    let catalog = app.catalog();
    let table = catalog.table(&grant.resource_id).ok_or_else(|| {
        unfit(&"there is no such table yet, so that row_filter and column_masks cannot be tried; run its source first")
    })?;
    let judged = app.warehouse.queries.judge(table, restriction);
    judged.map_err(|error| unfit(&error))
}

fn unfit(reason: &impl ToString) -> ApiError {
    ApiError::bad_request("restriction-unfit", reason.to_string())
}

fn known_type(key: &str) -> ApiResult<&'static ResourceType> {
    ResourceType::find(key).ok_or_else(|| {
        let known: Vec<_> = RESOURCE_TYPES
            .iter()
            .map(|kind| format!("'{}'", kind.key))
            .collect();
        let known = known.join(", ");
        ApiError::bad_request(
            "resource-type-unknown",
            format!("Unknown resource_type '{key}'. Known types: [{known}]"),
        )
    })
}

/// Takes a grant back.
#[utoipa::path(delete, path = "/api/admin/grants/{id}", tag = "access",
    params(("id" = String, Path, description = "The grant")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn delete_grant(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        let entry = by.entry("resource_grant.deleted", format!("grant:{id}"));
        let gone = app.state().delete_grant(id, &entry);
        gone.map_err(|error| match error {
            StateError::NotFound { .. } => {
                ApiError::not_found("grant-not-found", "Grant not found")
            }
            error => error.into(),
        })?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// A membership of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct MembershipView {
    #[schema(value_type = String)]
    group_id: Uuid,
    group_name: String,
    is_system: bool,
    source: &'static str,
    added_at: String,
    added_by: Option<String>,
}

/// Lists the groups of a user, and by whose word.
#[utoipa::path(get, path = "/api/admin/users/{id}/memberships", tag = "access",
    params(("id" = String, Path, description = "The user")),
    responses((status = 200, body = Vec<MembershipView>), (status = 404)))]
pub(crate) async fn list_memberships(
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<Vec<MembershipView>>> {
    blocking(move || {
        let pairs = groups::of_user(&app, id)?.into_iter();
        let views = pairs.map(|(group, membership)| MembershipView {
            group_id: group.id,
            is_system: group.is_system(),
            group_name: group.name,
            source: membership.origin.as_str(),
            added_at: membership.added_at.to_string(),
            added_by: membership.added_by.map(|id| id.to_string()),
        });
        Ok(Json(views.collect()))
    })
    .await
}

/// Which group to join.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewMembership {
    #[schema(value_type = String)]
    group_id: Uuid,
}

/// Puts a user into a group.
#[utoipa::path(post, path = "/api/admin/users/{id}/memberships", tag = "access", request_body = NewMembership,
    params(("id" = String, Path, description = "The user")),
    responses((status = 201, body = groups::MemberView), (status = 404), (status = 409)))]
pub(crate) async fn add_membership(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(new): Json<NewMembership>,
) -> ApiResult<(StatusCode, Json<groups::MemberView>)> {
    blocking(move || {
        let user = users::find(&app, id)?;
        groups::find(&app, new.group_id)?;
        let view = groups::join(&app, &by, &user, new.group_id, "Already a member")?;
        Ok((StatusCode::CREATED, Json(view)))
    })
    .await
}

/// Takes a user out of a group.
#[utoipa::path(delete, path = "/api/admin/users/{id}/memberships/{group_id}", tag = "access",
    params(("id" = String, Path, description = "The user"), ("group_id" = String, Path, description = "The group")),
    responses((status = 204), (status = 404), (status = 409)))]
pub(crate) async fn remove_membership(
    by: By,
    app: AppState,
    Path((id, group)): Path<(Uuid, Uuid)>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        users::find(&app, id)?;
        groups::leave(&app, &by, id, group)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
