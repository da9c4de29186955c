//! `/api/users`: who may come in. All for admins.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::access::role;
use domain::people::{ADMINS, EVERYONE, is_email};
use domain::{Group, Membership, Origin, User};
use identity::link::Purpose;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use warehouse::{StateError, UserChange};

use super::invitations;
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// Longer than any name that people go by.
const MAX_NAME: usize = 200;

/// A group of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupOfUser {
    #[schema(value_type = String)]
    id: Uuid,
    name: String,
    is_system: bool,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserView {
    /// Names the user for ever.
    #[schema(value_type = String)]
    pub(crate) id: Uuid,
    /// The address with which the user signs in.
    email: String,
    /// As people call the user.
    name: String,
    /// `admin` or `user`.
    role: &'static str,
    /// Whether the user is in the group of admins.
    is_admin: bool,
    /// The user's groups, those that are always there first.
    groups: Vec<GroupOfUser>,
    /// Whether the user may come in.
    active: bool,
    /// When the user was added.
    created_at: String,
    /// When the user was deactivated.
    deactivated_at: Option<String>,
    /// The link with which the user sets a password, when one was made.
    invite_url: Option<String>,
    /// Whether that was sent by mail.
    invite_email_sent: Option<bool>,
}

/// Users with the groups that they are in.
pub(crate) struct Roll {
    groups: Vec<Group>,
    memberships: HashMap<Uuid, BTreeSet<Uuid>>,
}

impl Roll {
    pub(crate) fn read(app: &App) -> ApiResult<Self> {
        let mut memberships: HashMap<_, BTreeSet<_>> = HashMap::new();
        for membership in app.state().memberships()? {
            memberships
                .entry(membership.user)
                .or_default()
                .insert(membership.group);
        }
        let mut groups = app.state().groups()?;
        groups.sort_by_key(|group| !group.is_system());
        Ok(Self {
            groups,
            memberships,
        })
    }

    pub(crate) fn view(&self, user: User) -> UserView {
        let mine = self.memberships.get(&user.id);
        let is_in = |group: &Group| {
            group.id == EVERYONE || mine.is_some_and(|mine| mine.contains(&group.id))
        };
        let groups = self.groups.iter().filter(|group| is_in(group));
        let is_admin = mine.is_some_and(|mine| mine.contains(&ADMINS));
        UserView {
            groups: groups
                .map(|group| GroupOfUser {
                    id: group.id,
                    name: group.name.clone(),
                    is_system: group.is_system(),
                })
                .collect(),
            id: user.id,
            email: user.email,
            name: user.name,
            role: role(is_admin),
            is_admin,
            active: user.active,
            created_at: user.created_at.to_string(),
            deactivated_at: user.deactivated_at.map(|at| at.to_string()),
            invite_url: None,
            invite_email_sent: None,
        }
    }
}

/// Lists the users by address.
#[utoipa::path(get, path = "/api/users", tag = "users",
    responses((status = 200, body = Vec<UserView>)))]
pub(crate) async fn list_users(app: AppState) -> ApiResult<Json<Vec<UserView>>> {
    blocking(move || {
        let roll = Roll::read(&app)?;
        let users = app.state().users()?.into_iter();
        Ok(Json(users.map(|user| roll.view(user)).collect()))
    })
    .await
}

/// Shows a user.
#[utoipa::path(get, path = "/api/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The user")),
    responses((status = 200, body = UserView), (status = 404)))]
pub(crate) async fn get_user(app: AppState, Path(id): Path<Uuid>) -> ApiResult<Json<UserView>> {
    blocking(move || shown(&app, id)).await
}

fn shown(app: &App, id: Uuid) -> ApiResult<Json<UserView>> {
    let user = find(app, id)?;
    Ok(Json(Roll::read(app)?.view(user)))
}

/// The user with this id, or the error that says that there is none.
pub(crate) fn find(app: &App, id: Uuid) -> ApiResult<User> {
    let user = app.state().user(id)?;
    user.ok_or_else(|| ApiError::not_found("user-not-found", "User not found"))
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewUser {
    /// The address with which the user will sign in.
    email: String,
    /// As people call the user.
    #[serde(default)]
    name: String,
    /// `admin` puts the user into the group of admins.
    role: Option<String>,
    /// Whether to make a link with which the user sets a password, and to mail it.
    #[serde(default)]
    send_invite: bool,
}

/// Adds a user.
#[utoipa::path(post, path = "/api/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = UserView), (status = 409), (status = 422, description = "It is no address")))]
pub(crate) async fn create_user(
    by: By,
    app: AppState,
    Json(new): Json<NewUser>,
) -> ApiResult<(StatusCode, Json<UserView>)> {
    let email = new.email.trim();
    check_email(email)?;
    check_name(&new.name)?;
    let user = User::new(email, new.name.trim());
    let admin = is_admin_role(new.role.as_deref());
    let view = blocking(move || {
        let entry = by.entry_with("user.create", on(user.id), json!({"admin": admin}));
        app.state()
            .insert_user(&user, &entry)
            .map_err(|error| match error {
                StateError::AlreadyExists { .. } => {
                    ApiError::conflict("already-exists", "User with this email already exists")
                }
                error => error.into(),
            })?;
        if admin {
            set_admin(&app, &by, user.id, true)?;
        }
        let mut view = Roll::read(&app)?.view(user.clone());
        if new.send_invite {
            let made = invitations::link(&app, &by, &user, Purpose::SetUp, "user.invite")?;
            (view.invite_url, view.invite_email_sent) = (Some(made.0), Some(made.1));
        }
        Ok(view)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// What is to be changed.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UserPatch {
    /// As people call the user.
    name: Option<String>,
    /// `admin` puts the user into the group of admins, anything else takes the user out.
    role: Option<String>,
    /// Whether the user may come in.
    active: Option<bool>,
}

/// Changes a user.
#[utoipa::path(patch, path = "/api/users/{id}", tag = "users", request_body = UserPatch,
    params(("id" = String, Path, description = "The user")),
    responses((status = 200, body = UserView), (status = 404), (status = 409, description = "It would shut you or all admins out")))]
pub(crate) async fn update_user(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
    Json(patch): Json<UserPatch>,
) -> ApiResult<Json<UserView>> {
    check_name(patch.name.as_deref().unwrap_or_default())?;
    blocking(move || {
        find(&app, id)?;
        if let Some(role) = &patch.role {
            set_admin(&app, &by, id, is_admin_role(Some(role)))?;
        }
        change(&app, &by, id, patch.name, patch.active)
    })
    .await
}

/// Lets a user come in no more: tokens and sessions end at once.
#[utoipa::path(post, path = "/api/users/{id}/deactivate", tag = "users",
    params(("id" = String, Path, description = "The user")),
    responses((status = 200, body = UserView), (status = 404), (status = 409)))]
pub(crate) async fn deactivate_user(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<UserView>> {
    blocking(move || change(&app, &by, id, None, Some(false))).await
}

/// Lets a user come in again.
#[utoipa::path(post, path = "/api/users/{id}/activate", tag = "users",
    params(("id" = String, Path, description = "The user")),
    responses((status = 200, body = UserView), (status = 404)))]
pub(crate) async fn activate_user(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<Json<UserView>> {
    blocking(move || change(&app, &by, id, None, Some(true))).await
}

fn change(
    app: &App,
    by: &By,
    id: Uuid,
    name: Option<String>,
    active: Option<bool>,
) -> ApiResult<Json<UserView>> {
    find(app, id)?;
    if active == Some(false) && id == by.user {
        return Err(ApiError::conflict("yourself", "Cannot deactivate yourself"));
    }
    if name.is_some() || active.is_some() {
        let entry = by.entry_with("user.update", on(id), json!({"active": active}));
        let change = UserChange {
            name: name.map(|name| name.trim().to_owned()),
            active,
            password_hash: None,
        };
        let changed = app.state().change_user(id, &change, &entry);
        changed.map_err(|error| last_admin(error, "Cannot deactivate the last active admin"))?;
    }
    shown(app, id)
}

/// Removes a user with tokens, sessions and memberships.
#[utoipa::path(delete, path = "/api/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The user")),
    responses((status = 204), (status = 404), (status = 409, description = "It is yourself, or the last admin")))]
pub(crate) async fn delete_user(
    by: By,
    app: AppState,
    Path(id): Path<Uuid>,
) -> ApiResult<StatusCode> {
    blocking(move || {
        find(&app, id)?;
        if id == by.user {
            return Err(ApiError::conflict("yourself", "Cannot delete yourself"));
        }
        let deleted = app
            .state()
            .delete_user(id, &by.entry("user.delete", on(id)));
        deleted.map_err(|error| last_admin(error, "Cannot delete the last active admin"))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Puts a user into the group of admins, or takes back every membership in it.
fn set_admin(app: &App, by: &By, id: Uuid, admin: bool) -> ApiResult<()> {
    let held: Vec<Membership> = app.state().members(ADMINS)?;
    let mut held = held.into_iter().filter(|m| m.user == id).peekable();
    if admin && held.peek().is_none() {
        let entry = by.entry("user_group.member_added", format!("group:{ADMINS}"));
        let membership = membership(by, id, ADMINS);
        return Ok(app.state().insert_member(&membership, &entry)?);
    }
    if !admin {
        for membership in held {
            let entry = by.entry("user_group.member_removed", format!("group:{ADMINS}"));
            let gone = app
                .state()
                .delete_member(ADMINS, id, membership.origin, &entry);
            gone.map_err(|error| last_admin(error, "Cannot demote the last active admin"))?;
        }
    }
    Ok(())
}

/// A membership that this admin gives.
pub(crate) fn membership(by: &By, user: Uuid, group: Uuid) -> Membership {
    Membership {
        user,
        group,
        origin: Origin::Manual,
        added_at: Timestamp::now(),
        added_by: Some(by.user),
    }
}

/// The words of the predecessor for what the state refuses.
pub(crate) fn last_admin(error: StateError, words: &'static str) -> ApiError {
    match error {
        StateError::LastAdmin => ApiError::conflict("last-admin", words),
        error => error.into(),
    }
}

fn is_admin_role(role: Option<&str>) -> bool {
    role.is_some_and(|role| role.eq_ignore_ascii_case("admin"))
}

fn on(user: Uuid) -> String {
    format!("user:{user}")
}

pub(crate) fn check_email(email: &str) -> ApiResult<()> {
    match is_email(email) {
        true => Ok(()),
        false => Err(ApiError::invalid(
            "email-invalid",
            "`email` is not an e-mail address such as `ada@example.com`",
        )),
    }
}

fn check_name(name: &str) -> ApiResult<()> {
    match name.len() <= MAX_NAME && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(ApiError::invalid(
            "name-invalid",
            format!("`name` holds a line break or more than {MAX_NAME} bytes"),
        )),
    }
}
