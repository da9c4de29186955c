//! `/api/me`: who the server takes you for.

use axum::Json;
use domain::access::Means;
use serde::Serialize;
use utoipa::ToSchema;

use super::users::{self, Roll, UserView};
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::ApiResult;

/// You.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    #[serde(flatten)]
    user: UserView,
    /// How you came in: `session`, `token` or `desktop`.
    means: &'static str,
}

/// Shows who you are here.
#[utoipa::path(get, path = "/api/me", tag = "auth", responses((status = 200, body = Me)))]
pub(crate) async fn get_me(by: By, app: AppState) -> ApiResult<Json<Me>> {
    blocking(move || {
        let user = users::find(&app, by.user)?;
        Ok(Json(Me {
            user: Roll::read(&app)?.view(user),
            means: match by.means {
                Means::Session => "session",
                Means::Token => "token",
                Means::Desktop => "desktop",
            },
        }))
    })
    .await
}
