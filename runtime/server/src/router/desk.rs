//! The routes of what people ask for, choose and say about tables, of marketplaces and notifications.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    access_requests, descriptions, handover, marketplaces, preferences, profiles, scripts,
    telegram, uploads,
};
use crate::app::AppState;

/// All of them.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(access_requests::create_access_request))
        .routes(routes!(access_requests::my_access_requests))
        .routes(routes!(access_requests::pending_access_requests))
        .routes(routes!(access_requests::approve_access_request))
        .routes(routes!(access_requests::deny_access_request))
        .routes(routes!(
            preferences::get_sync_settings,
            preferences::put_sync_settings
        ))
        .routes(routes!(
            preferences::get_subscriptions,
            preferences::put_subscriptions
        ))
        .routes(routes!(preferences::get_settings))
        .routes(routes!(preferences::put_dataset))
        .routes(routes!(
            descriptions::get_column_notes,
            descriptions::put_column_notes
        ))
        .routes(routes!(descriptions::push_column_notes))
        .routes(routes!(handover::exchange_code))
        .routes(routes!(uploads::upload_notes))
        .routes(routes!(profiles::get_profile))
        .routes(routes!(profiles::refresh_profile))
        .routes(routes!(
            marketplaces::list_marketplaces,
            marketplaces::create_marketplace
        ))
        .routes(routes!(
            marketplaces::update_marketplace,
            marketplaces::delete_marketplace
        ))
        .routes(routes!(
            marketplaces::list_plugins,
            marketplaces::replace_plugins
        ))
        .routes(routes!(telegram::verify_telegram))
        .routes(routes!(telegram::unlink_telegram))
        .routes(routes!(telegram::get_telegram_status))
        .routes(routes!(scripts::list_scripts))
        .routes(routes!(scripts::deploy_script))
        .routes(routes!(scripts::undeploy_script))
}
