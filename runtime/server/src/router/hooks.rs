//! Where senders deliver, and where admins see what waits.

use axum::extract::DefaultBodyLimit;
use tower_http::limit::RequestBodyLimitLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::hooks;
use crate::app::AppState;

/// For senders, whom nobody knows before their whole body was heard: so it is capped.
pub(super) fn deliveries(max_body: usize) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(hooks::take_delivery))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(max_body))
}

/// For admins.
pub(super) fn inbox() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(hooks::get_inbox))
        .routes(routes!(hooks::retry_letter))
        .routes(routes!(hooks::drop_letter))
}
