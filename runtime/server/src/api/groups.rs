//! `/api/admin/groups`: groups of users, and who is in them. All for admins.

use std::collections::HashSet;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::people::ADMINS;
use domain::{Group, Membership, Origin, User};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use warehouse::StateError;

use super::users::{self, last_admin, membership};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

const MAX_NAME: usize = 200;

/// A group.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupView {
    #[schema(value_type = String)]
    id: Uuid,
    name: String,
    /// What it is for.
    description: String,
    /// Whether it is always there.
    is_system: bool,
    /// `system`, `admin`, or `google_sync` for those of an identity provider.
    origin: &'static str,
    created_at: String,
    created_by: Option<String>,
    /// How many are in it.
    member_count: usize,
    /// How many grants it has.
    grant_count: usize,
}

impl GroupView {
    fn of(app: &App, group: Group) -> ApiResult<Self> {
        let members = app.state().members(group.id)?;
        let members: HashSet<Uuid> = members.iter().map(|m| m.user).collect();
        let member_count = match group.id == domain::people::EVERYONE {
            true => app.state().users()?.len(),
            false => members.len(),
        };
        let grants = app.state().grants()?;
        Ok(Self {
            id: group.id,
            is_system: group.is_system(),
            origin: if group.is_system() {
                "system"
            } else {
                group.origin.as_str()
            },
            name: group.name,
            description: group.description,
            created_at: group.created_at.to_string(),
            created_by: group.created_by.map(|id| id.to_string()),
            member_count,
            grant_count: grants.iter().filter(|g| g.group == group.id).count(),
        })
    }
}

/// The group with this id, or the error that says that there is none.
pub(crate) fn find(app: &App, id: Uuid) -> ApiResult<Group> {
    let mut groups = app.state().groups()?.into_iter();
    groups
        .find(|group| group.id == id)
        .ok_or_else(|| ApiError::not_found("group-not-found", "Group not found"))
}

/// Lists the groups by name.
#[utoipa::path(get, path = "/api/admin/groups", tag = "access",
    responses((status = 200, body = Vec<GroupView>)))]
pub(crate) async fn list_groups(app: AppState) -> ApiResult<Json<Vec<GroupView>>> {
    blocking(move || {
        let groups = app.state().groups()?.into_iter();
        let views = groups.map(|group| GroupView::of(&app, group));
        Ok(Json(views.collect::<ApiResult<_>>()?))
    })
    .await
}

/// Shows a group.
#[utoipa::path(get, path = "/api/admin/groups/{id}", tag = "access",
    params(("id" = String, Path, description = "The group")),
    responses((status = 200, body = GroupView), (status = 404)))]
pub(crate) async fn get_group(app: AppState, Path(id): Path<Uuid>) -> ApiResult<Json<GroupView>> {
    blocking(move || Ok(Json(GroupView::of(&app, find(&app, id)?)?))).await
}

/// What a group is called.
#[derive(Deserialize, ToSchema)]
pub(crate) struct GroupWords {
    name: Option<String>,
    description: Option<String>,
}

/// Adds a group.
#[utoipa::path(post, path = "/api/admin/groups", tag = "access", request_body = GroupWords,
    responses((status = 201, body = GroupView), (status = 400), (status = 409)))]
pub(crate) async fn create_group(
    by: By,
    app: AppState,
    Json(words): Json<GroupWords>,
) -> ApiResult<(StatusCode, Json<GroupView>)> {
    let group = Group {
        id: Uuid::now_v7(),
        name: checked_name(&words.name.unwrap_or_default())?,
        description: words.description.unwrap_or_default(),
        origin: Origin::Manual,
        created_at: Timestamp::now(),
        created_by: Some(by.user),
    };
    blocking(move || {
        let entry = by.entry("user_group.created", on(group.id));
        let added = app.state().insert_group(&group, &entry);
        added.map_err(|error| taken(error, &group.name))?;
        Ok((StatusCode::CREATED, Json(GroupView::of(&app, group)?)))
    })
    .await
}

/// Renames or describes a group.
#[utoipa::path(patch, path = "/api/admin/groups/{id}", tag = "access", request_body = GroupWords,
    params(("id" = String, Path, description = "The group")),
    responses((status = 200, body = GroupView), (status = 404), (status = 409)))]
pub(crate) async fn update_group(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(words): Json<GroupWords>,
) -> ApiResult<Json<GroupView>> {
    blocking(move || {
        let mut group = find(&app, id)?;
        if let Some(name) = &words.name {
            let name = checked_name(name)?;
            if group.is_system() && name != group.name {
                return Err(ApiError::conflict(
                    "system-group",
                    "System groups cannot be renamed",
                ));
            }
            group.name = name;
        }
        group.description = words.description.unwrap_or(group.description);
        let changed = app
            .state()
            .change_group(&group, &by.entry("user_group.updated", on(id)));
        changed.map_err(|error| taken(error, &group.name))?;
        Ok(Json(GroupView::of(&app, group)?))
    })
    .await
}

/// Removes a group with its memberships and grants.
#[utoipa::path(delete, path = "/api/admin/groups/{id}", tag = "access",
    params(("id" = String, Path, description = "The group")),
    responses((status = 204), (status = 404), (status = 409, description = "It is always there")))]
pub(crate) async fn delete_group(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        if find(&app, id)?.is_system() {
            return Err(ApiError::conflict(
                "system-group",
                "Cannot delete a system group",
            ));
        }
        app.state()
            .delete_group(id, &by.entry("user_group.deleted", on(id)))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// A user in a group.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemberView {
    #[schema(value_type = String)]
    user_id: Uuid,
    email: String,
    name: String,
    active: bool,
    /// Where the membership comes from: `admin`, `google_sync`, `system_seed` or `cli_break_glass`.
    source: &'static str,
    added_at: String,
    added_by: Option<String>,
}

impl MemberView {
    fn of(user: &User, membership: &Membership) -> Self {
        Self {
            user_id: user.id,
            email: user.email.clone(),
            name: user.name.clone(),
            active: user.active,
            source: membership.origin.as_str(),
            added_at: membership.added_at.to_string(),
            added_by: membership.added_by.map(|id| id.to_string()),
        }
    }
}

/// Lists who is in a group, and by whose word.
#[utoipa::path(get, path = "/api/admin/groups/{id}/members", tag = "access",
    params(("id" = String, Path, description = "The group")),
    responses((status = 200, body = Vec<MemberView>), (status = 404)))]
pub(crate) async fn list_members(
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<Vec<MemberView>>> {
    blocking(move || {
        find(&app, id)?;
        let mut views = Vec::new();
        for membership in app.state().members(id)? {
            if let Some(user) = app.state().user(membership.user)? {
                views.push(MemberView::of(&user, &membership));
            }
        }
        Ok(Json(views))
    })
    .await
}

/// Whom to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewMember {
    email: String,
}

/// Puts a user into a group.
#[utoipa::path(post, path = "/api/admin/groups/{id}/members", tag = "access", request_body = NewMember,
    params(("id" = String, Path, description = "The group")),
    responses((status = 201, body = MemberView), (status = 404), (status = 409)))]
pub(crate) async fn add_member(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(new): Json<NewMember>,
) -> ApiResult<(StatusCode, Json<MemberView>)> {
    blocking(move || {
        find(&app, id)?;
        let user = app.state().user_by_email(new.email.trim())?;
        let user = user.ok_or_else(|| {
            ApiError::not_found(
                "user-not-found",
                format!("User '{}' not found", new.email.trim()),
            )
        })?;
        let view = join(&app, &by, &user, id, "User already a member")?;
        Ok((StatusCode::CREATED, Json(view)))
    })
    .await
}

/// Puts a user into a group by this admin's word.
pub(crate) fn join(
    app: &App,
    by: &By,
    user: &User,
    group: Uuid,
    already: &'static str,
) -> ApiResult<MemberView> {
    let held = app.state().members(group)?;
    if held.iter().any(|m| m.user == user.id) {
        return Err(ApiError::conflict("already-exists", already));
    }
    let membership = membership(by, user.id, group);
    let entry = by.entry_with(
        "user_group.member_added",
        on(group),
        serde_json::json!({"user": user.id}),
    );
    app.state().insert_member(&membership, &entry)?;
    Ok(MemberView::of(user, &membership))
}

/// Takes a user out of a group, as far as an admin has put the user there.
#[utoipa::path(delete, path = "/api/admin/groups/{id}/members/{user_id}", tag = "access",
    params(("id" = String, Path, description = "The group"), ("user_id" = String, Path, description = "The user")),
    responses((status = 204), (status = 404), (status = 409, description = "It is the last admin")))]
pub(crate) async fn remove_member(
    by: By,
    app: AppState,
    Path((id, user)): Path<(Uuid, Uuid)>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        find(&app, id)?;
        leave(&app, &by, user, id)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Takes back what an admin gave. In the group of admins also what the first start gave: otherwise
/// nobody could ever take that back.
pub(crate) fn leave(app: &App, by: &By, user: Uuid, group: Uuid) -> ApiResult<()> {
    let held = app.state().members(group)?.into_iter();
    let mut taken_back = 0;
    for membership in held.filter(|m| m.user == user && m.origin != Origin::Oidc) {
        let entry = by.entry_with(
            "user_group.member_removed",
            on(group),
            serde_json::json!({"user": user}),
        );
        let gone = app
            .state()
            .delete_member(group, user, membership.origin, &entry);
        gone.map_err(|error| last_admin(error, words(by, user, group)))?;
        taken_back += 1;
    }
    match taken_back {
        0 => Err(ApiError::not_found(
            "membership-not-found",
            "No admin-managed membership for this user in this group",
        )),
        _ => Ok(()),
    }
}

fn words(by: &By, user: Uuid, group: Uuid) -> &'static str {
    match by.user == user && group == ADMINS {
        true => "Cannot remove yourself from Admin — you are the last admin",
        false => "Cannot remove the last active admin",
    }
}

fn checked_name(name: &str) -> ApiResult<String> {
    let name = name.trim();
    if name.is_empty() {
        return Err(ApiError::bad_request(
            "name-missing",
            "Group name is required",
        ));
    }
    if name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "name-invalid",
            format!("Group names have no line breaks and at most {MAX_NAME} bytes"),
        ));
    }
    Ok(name.to_owned())
}

fn taken(error: StateError, name: &str) -> ApiError {
    match error {
        StateError::AlreadyExists { .. } => {
            ApiError::conflict("already-exists", format!("Group '{name}' already exists"))
        }
        error => error.into(),
    }
}

fn on(group: Uuid) -> String {
    format!("group:{group}")
}

/// The user's memberships by group, for the pages about one user.
pub(crate) fn of_user(app: &App, user: Uuid) -> ApiResult<Vec<(Group, Membership)>> {
    users::find(app, user)?;
    let groups = app.state().groups()?;
    let held = app.state().memberships()?.into_iter();
    let mine = held.filter(|membership| membership.user == user);
    let pairs = mine.filter_map(|membership| {
        let group = groups.iter().find(|group| group.id == membership.group)?;
        Some((group.clone(), membership))
    });
    Ok(pairs.collect())
}
