//! The whole URL map, and what stands around it.

mod clients;
mod desk;
mod hooks;
mod results;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_response_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    bootstrap, catalog, connectors, credentials, events, grants, groups, health, invitations,
    knowledge, lifecycle, me, metric_definitions, metrics, packages, publishers, reading, rebuild,
    registry, runs, schedules, sessions, shapes, signin, sources, sync, tokens, upkeep, users,
};
use crate::app::AppState;
use crate::auth::guard;
use crate::config;
use crate::middleware::security_headers::{self, IsHttps};
use crate::middleware::{
    access_log, client_address, compression, cors, measure, problems, request_id, small_bodies,
};
use crate::web;

/// The most bytes of a request that is no upload: settings and SQL are small.
const MAX_JSON: usize = 2 << 20;

/// The head of the OpenAPI document; the rest comes from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sluice API",
        description = "Connectors, sources, runs, and the tables that they bring.\n\nRequests carry \
            `Authorization: Bearer TOKEN`; claiming the server gives the first token. Errors are \
            problem details (RFC 9457) whose `detail` says what was wrong."
    ),
    components(schemas(shapes::Problem)),
    security(("bearer" = []))
)]
struct Head;

/// Requests that are answered from the state, the catalogue or a query.
fn quick_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_version))
        .routes(routes!(health::get_details))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(bootstrap::claim_server))
        .routes(routes!(
            publishers::list_publishers,
            publishers::create_publisher
        ))
        .routes(routes!(publishers::delete_publisher))
        .routes(routes!(connectors::list_connectors))
        .routes(routes!(connectors::collect_connectors))
        .routes(routes!(connectors::get_connector))
        .routes(routes!(
            connectors::trust_connector,
            connectors::revoke_connector
        ))
        .routes(routes!(sources::plan_source))
        .routes(routes!(sources::list_sources, sources::create_source))
        .routes(routes!(sources::get_source, sources::delete_source))
        .routes(routes!(credentials::list_credentials))
        .routes(routes!(
            credentials::put_credential,
            credentials::delete_credential
        ))
        .routes(routes!(
            lifecycle::get_source_grant,
            lifecycle::grant_source
        ))
        .routes(routes!(
            lifecycle::upgrade_source,
            lifecycle::refuse_upgrade
        ))
        .routes(routes!(lifecycle::rollback_source))
        .routes(routes!(lifecycle::list_pins))
        .routes(routes!(upkeep::get_policy, upkeep::put_policy))
        .routes(routes!(upkeep::list_comparisons, upkeep::create_comparison))
        .routes(routes!(upkeep::get_comparison))
        .routes(routes!(lifecycle::enable_source))
        .routes(routes!(lifecycle::disable_source))
        .routes(routes!(schedules::get_schedule, schedules::put_schedule))
        .routes(routes!(schedules::pause_source))
        .routes(routes!(schedules::resume_source))
        .routes(routes!(reading::refresh_source))
        .routes(routes!(reading::reset_cursor))
        .routes(routes!(reading::get_schema_history))
        .routes(routes!(runs::start_run))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(runs::get_run_log))
        .routes(routes!(runs::get_run_egress))
        .routes(routes!(runs::get_run_series))
        .routes(routes!(sync::trigger_sync))
        .routes(routes!(sync::get_manifest))
        .routes(routes!(catalog::list_tables))
        .routes(routes!(rebuild::rebuild))
}

/// Who may come in, and what they may do.
fn access_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(me::get_me))
        .routes(routes!(grants::effective::my_access))
        .routes(routes!(signin::get_session))
        .routes(routes!(signin::sign_in))
        .routes(routes!(signin::set_first_password))
        .routes(routes!(signin::send_link))
        .routes(routes!(signin::verify_link))
        .routes(routes!(tokens::logout))
        .routes(routes!(
            sessions::list_sessions,
            sessions::end_other_sessions
        ))
        .routes(routes!(sessions::end_session))
        .routes(routes!(sessions::change_password))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::get_token, tokens::revoke_token))
        .routes(routes!(tokens::desktop_token))
        .routes(routes!(tokens::list_all_tokens))
        .routes(routes!(tokens::revoke_any_token))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(
            users::get_user,
            users::update_user,
            users::delete_user
        ))
        .routes(routes!(users::deactivate_user))
        .routes(routes!(users::activate_user))
        .routes(routes!(invitations::forget_identities))
        .routes(routes!(invitations::reset_password))
        .routes(routes!(invitations::set_password))
        .routes(routes!(groups::list_groups, groups::create_group))
        .routes(routes!(
            groups::get_group,
            groups::update_group,
            groups::delete_group
        ))
        .routes(routes!(groups::list_members, groups::add_member))
        .routes(routes!(groups::remove_member))
        .routes(routes!(grants::list_resource_types))
        .routes(routes!(grants::list_grants, grants::create_grant))
        .routes(routes!(grants::delete_grant))
        .routes(routes!(grants::list_memberships, grants::add_membership))
        .routes(routes!(grants::remove_membership))
        .routes(routes!(grants::effective::effective_access))
        .routes(routes!(packages::list_packages))
        .routes(routes!(packages::put_package, packages::delete_package))
}

/// What admins and people say about tables.
fn knowledge_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(registry::list_registry))
        .routes(routes!(registry::register_table))
        .routes(routes!(
            registry::update_registered,
            registry::unregister_table
        ))
        .routes(routes!(registry::list_syncs))
        .routes(routes!(metric_definitions::list_definitions))
        .routes(routes!(metric_definitions::get_definition))
        .routes(routes!(metric_definitions::put_definition))
        .routes(routes!(metric_definitions::delete_definition))
        .routes(routes!(metric_definitions::import_definitions))
        .routes(routes!(knowledge::list_items, knowledge::create_item))
        .routes(routes!(knowledge::get_stats))
        .routes(routes!(knowledge::my_votes))
        .routes(routes!(knowledge::my_contributions))
        .routes(routes!(knowledge::vote_item))
        .routes(routes!(knowledge::told::get_bundle))
        .routes(routes!(knowledge::told::flag_item))
        .routes(routes!(knowledge::told::get_provenance))
        .routes(routes!(knowledge::told::back_item))
        .routes(routes!(knowledge::desk::list_pending))
        .routes(routes!(knowledge::desk::list_audit))
        .routes(routes!(
            knowledge::desk::list_contradictions,
            knowledge::desk::create_contradiction
        ))
        .routes(routes!(knowledge::desk::resolve_contradiction))
        .routes(routes!(knowledge::review::review_item))
        .routes(routes!(knowledge::review::edit_item))
        .routes(routes!(knowledge::review::review_batch))
}

/// Requests that take as long as their body.
fn slow_routes(max_upload: usize) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(connectors::upload_connector))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(max_upload))
        .routes(routes!(events::follow_run))
}

/// All routes of the API, and the document that describes them.
pub(crate) fn api(
    http: &config::Http,
    webhooks: &config::Webhooks,
) -> (Router<AppState>, serde_json::Value) {
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, http.request_timeout());
    let (router, mut document) = OpenApiRouter::with_openapi(Head::openapi())
        .merge(
            quick_routes()
                .merge(access_routes())
                .merge(knowledge_routes())
                .merge(desk::routes())
                .merge(hooks::inbox())
                // Refuses by the length that is declared, before anything is read.
                .layer(RequestBodyLimitLayer::new(MAX_JSON))
                .layer(timeout),
        )
        .merge(slow_routes(http.max_upload_bytes()))
        .merge(results::routes(MAX_JSON).layer(timeout))
        .merge(results::files())
        .merge(clients::routes())
        .merge(hooks::deliveries(webhooks.max_body_bytes).layer(timeout))
        .split_for_parts();
    if let Some(components) = document.components.as_mut() {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
    }
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    describe_errors(&mut document);
    (router, document)
}

/// Every error has the same body, so it is described once for all; a status says what it means.
fn describe_errors(document: &mut serde_json::Value) {
    let problem = serde_json::json!({"application/problem+json":
        {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    for (_, operation) in operations {
        let Some(responses) = operation["responses"].as_object_mut() else {
            continue;
        };
        for (status, response) in responses.iter_mut() {
            if is_error(status) {
                response["content"] = problem.clone();
            }
            if response["description"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
            {
                let status = StatusCode::from_bytes(status.as_bytes()).ok();
                let reason = status.and_then(|status| status.canonical_reason());
                response["description"] = reason.unwrap_or_default().into();
            }
        }
        responses.insert(
            "default".into(),
            serde_json::json!({"description": "Any other error", "content": problem}),
        );
    }
}

fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5'])
}

/// Everything that the server answers.
pub(crate) fn router(api: Router<AppState>, app: AppState) -> Router {
    let http = &app.config.http;
    let headers = IsHttps(http.is_https());
    let body_timeout = RequestBodyTimeoutLayer::new(http.body_read_timeout());
    let cors = cors::layer(&http.cors_origins);
    let (hops, metrics) = (http.trusted_proxy_hops, app.metrics.clone());
    let everything = api
        .merge(web::routes())
        // Before routes only: what is no route is not found.
        .route_layer(from_fn_with_state(app.clone(), guard::guard))
        .with_state(app);
    // From the inside out.
    let explained = everything
        .layer(from_fn(small_bodies::read))
        .layer(body_timeout)
        .layer(CatchPanicLayer::custom(problems::panicked))
        .layer(from_fn(problems::explain));
    let explained = match cors {
        Some(cors) => explained.layer(cors),
        None => explained,
    };
    explained
        .layer(map_response_with_state(headers, security_headers::add))
        .layer(from_fn(compression::mark))
        .layer(compression::layer())
        .layer(from_fn_with_state(metrics, measure::measure))
        .layer(from_fn(access_log::log))
        .layer(from_fn(request_id::set))
        .layer(from_fn_with_state(hops, client_address::set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::by::SignedIn;
    use crate::auth::rules;

    #[test]
    fn every_operation_has_a_summary_a_tag_and_an_error() {
        let (_, document) = api(&config::Http::default(), &config::Webhooks::default());
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() > 15, "{}", paths.len());
        for (path, item) in paths {
            for (method, operation) in item.as_object().unwrap() {
                let what = format!("{method} {path}");
                assert!(operation["summary"].is_string(), "{what}");
                assert!(operation["tags"][0].is_string(), "{what}");
                let error = &operation["responses"]["default"]["content"];
                assert!(error["application/problem+json"].is_object(), "{what}");
            }
        }
    }

    #[test]
    fn every_operation_has_a_rule_and_every_rule_is_a_route() {
        let (_, document) = api(&config::Http::default(), &config::Webhooks::default());
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.push((method.to_uppercase(), path.clone()));
            }
        }
        let rules = rules::Rules::new();
        for (method, path) in &described {
            let method = method.parse().unwrap();
            assert!(
                rules.demand(&method, path).is_some(),
                "{method} {path} has no rule"
            );
        }
        for (method, path) in rules::known() {
            // Pages are not in the document.
            let known = (method.to_owned(), path.to_owned());
            let is_api = path.starts_with("/api/");
            assert!(
                !is_api || described.contains(&known),
                "{known:?} is no route"
            );
        }
    }

    #[test]
    fn only_health_version_webhooks_and_ways_to_sign_in_are_open() {
        let (_, document) = api(&config::Http::default(), &config::Webhooks::default());
        assert_eq!(document["security"], serde_json::json!([{"bearer": []}]));
        let mut open = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                if operation["security"].is_array() {
                    open.push(path.as_str());
                }
            }
        }
        open.retain(|path| !path.starts_with("/auth/") && !path.starts_with("/cli/"));
        open.sort();
        // A webhook's sender proves itself by its signature.
        let hook = "/api/hooks/{source}";
        assert_eq!(open, ["/api/health", hook, "/api/version"]);
    }

    #[test]
    fn every_reference_of_the_document_has_its_schema() {
        let (_, document) = api(&config::Http::default(), &config::Webhooks::default());
        let text = document.to_string();
        for rest in text.split("\"#/components/schemas/").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
    }

    #[test]
    fn the_reference_page_shows_every_operation() {
        let (_, document) = api(&config::Http::default(), &config::Webhooks::default());
        let pages = web::Pages::new(&document).unwrap();
        for path in document["paths"].as_object().unwrap().keys() {
            let shown = path.replace('/', "&#x2f;");
            assert!(pages.reference(SignedIn(false)).contains(&shown), "{path}");
        }
    }
}
