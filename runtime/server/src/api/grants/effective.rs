//! What users may do, and through which groups.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use domain::people::EVERYONE;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::RestrictionView;
use super::groups;
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;

/// What a user may do, and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct EffectiveAccess {
    /// Admins may do everything, and nothing is listed.
    is_admin: bool,
    items: Vec<AccessItem>,
}

/// One thing that a user may do.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccessItem {
    permission: &'static str,
    resource_type: String,
    resource_id: String,
    /// The groups through which.
    via_groups: Vec<Via>,
}

/// A group through which a user may do something.
#[derive(Serialize, ToSchema)]
pub(crate) struct Via {
    #[schema(value_type = String)]
    group_id: Uuid,
    group_name: String,
    /// What the group's grant leaves out.
    #[serde(flatten)]
    restriction: RestrictionView,
}

/// Shows what a user may do, and through which groups.
#[utoipa::path(get, path = "/api/admin/users/{id}/effective-access", tag = "access",
    params(("id" = String, Path, description = "The user")),
    responses((status = 200, body = EffectiveAccess), (status = 404)))]
pub(crate) async fn effective_access(
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<EffectiveAccess>> {
    blocking(move || access_of(&app, id)).await
}

/// Shows what you may do, and through which groups.
#[utoipa::path(get, path = "/api/me/effective-access", tag = "access",
    responses((status = 200, body = EffectiveAccess)))]
pub(crate) async fn my_access(by: By, app: AppState) -> ApiResult<Json<EffectiveAccess>> {
    blocking(move || access_of(&app, by.user)).await
}

fn access_of(app: &App, user: Uuid) -> ApiResult<Json<EffectiveAccess>> {
    let person = app.directory.person(user)?;
    if person.is_some_and(|person| person.is_admin) {
        let items = Vec::new();
        return Ok(Json(EffectiveAccess {
            is_admin: true,
            items,
        }));
    }
    let mut mine: BTreeMap<Uuid, String> = groups::of_user(app, user)?
        .into_iter()
        .map(|(group, _)| (group.id, group.name))
        .collect();
    mine.insert(EVERYONE, "Everyone".to_owned());
    let mut items: BTreeMap<(String, String, &str), Vec<Via>> = BTreeMap::new();
    for grant in app.state().grants()? {
        if let Some(name) = mine.get(&grant.group) {
            let key = (
                grant.resource_type,
                grant.resource_id,
                grant.permission.as_str(),
            );
            items.entry(key).or_default().push(Via {
                group_id: grant.group,
                group_name: name.clone(),
                restriction: grant.restriction.into(),
            });
        }
    }
    let items = items
        .into_iter()
        .map(
            |((resource_type, resource_id, permission), via_groups)| AccessItem {
                permission,
                resource_type,
                resource_id,
                via_groups,
            },
        );
    Ok(Json(EffectiveAccess {
        is_admin: false,
        items: items.collect(),
    }))
}
