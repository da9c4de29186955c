//! What people's own machines send and fetch: files that take as long as they take. Each has its own limits.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{client, uploads};
use crate::app::AppState;

/// All of them.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(uploads::upload_session))
        .routes(routes!(uploads::upload_artifact))
        .routes(routes!(client::get_latest))
        .routes(routes!(client::download_client))
        .routes(routes!(client::get_installer))
}
