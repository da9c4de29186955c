//! What each route demands, on one page, for whoever reviews it. A route that is not here is refused
//! to everybody, and a test finds it.

use std::collections::HashMap;

use axum::http::Method;
use domain::access::{Demand, Scope};

/// Anybody.
const PUBLIC: Demand<'static> = Demand::Public;
/// Users; what they get depends on their grants on tables and sources.
const DATA: Demand<'static> = Demand::SignedIn(Scope::Data);
/// Users; what they get depends on their grants to run sources.
const RUNS: Demand<'static> = Demand::SignedIn(Scope::Runs);
/// Users, about themselves.
const ACCOUNT: Demand<'static> = Demand::SignedIn(Scope::Account);
/// People who have signed in, about themselves.
const SESSION: Demand<'static> = Demand::Session;
/// Admins.
const ADMIN: Demand<'static> = Demand::Admin;

/// Method, path, demand.
const RULES: &[(&str, &str, Demand<'static>)] = &[
    ("GET", "/", PUBLIC),
    ("GET", "/docs", PUBLIC),
    ("GET", "/openapi.json", PUBLIC),
    ("GET", "/setup", PUBLIC),
    ("POST", "/setup", PUBLIC),
    ("GET", "/static/app.css", PUBLIC),
    ("GET", "/static/icon.svg", PUBLIC),
    // By the session of a browser, whose owner lets a program in; the program then shows its code.
    ("GET", "/cli/login", SESSION),
    ("POST", "/cli/login", SESSION),
    ("POST", "/auth/cli/token", PUBLIC),
    ("GET", "/cli/latest", PUBLIC),
    ("GET", "/cli/download", PUBLIC),
    ("GET", "/cli/install.sh", PUBLIC),
    ("GET", "/api/health", PUBLIC),
    ("GET", "/api/health/detailed", DATA),
    ("GET", "/api/version", PUBLIC),
    // A sender proves itself by its signature.
    ("POST", "/api/hooks/{source}", PUBLIC),
    // Also for the token of `http.metrics_token`.
    ("GET", "/metrics", ADMIN),
    ("POST", "/auth/bootstrap", PUBLIC),
    ("POST", "/auth/token", PUBLIC),
    ("POST", "/auth/password/login", PUBLIC),
    ("POST", "/auth/password/login/web", PUBLIC),
    ("GET", "/auth/password/setup", PUBLIC),
    ("POST", "/auth/password/setup", PUBLIC),
    ("POST", "/auth/password/setup/request", PUBLIC),
    ("POST", "/auth/password/setup/confirm", PUBLIC),
    ("GET", "/auth/password/reset", PUBLIC),
    ("POST", "/auth/password/reset", PUBLIC),
    ("POST", "/auth/password/reset/confirm", PUBLIC),
    ("POST", "/auth/email/send-link", PUBLIC),
    ("POST", "/auth/email/send-link/web", PUBLIC),
    ("GET", "/auth/email/verify", PUBLIC),
    ("POST", "/auth/email/verify", PUBLIC),
    ("POST", "/auth/email/verify/web", PUBLIC),
    ("GET", "/auth/oidc/{name}/login", PUBLIC),
    ("GET", "/auth/oidc/{name}/callback", PUBLIC),
    ("GET", "/auth/google/login", PUBLIC),
    ("GET", "/auth/google/callback", PUBLIC),
    ("GET", "/login", PUBLIC),
    ("POST", "/logout", ACCOUNT),
    ("POST", "/auth/logout", ACCOUNT),
    ("GET", "/account", ACCOUNT),
    ("POST", "/account/password", SESSION),
    ("POST", "/account/sessions/end", ACCOUNT),
    ("POST", "/account/sessions/end-others", ACCOUNT),
    ("POST", "/account/tokens/revoke", ACCOUNT),
    ("GET", "/auth/sessions", ACCOUNT),
    ("DELETE", "/auth/sessions", ACCOUNT),
    ("DELETE", "/auth/sessions/{id}", ACCOUNT),
    ("POST", "/auth/password/change", SESSION),
    ("POST", "/auth/tokens", SESSION),
    ("GET", "/auth/tokens", ACCOUNT),
    ("GET", "/auth/tokens/{id}", ACCOUNT),
    ("DELETE", "/auth/tokens/{id}", ACCOUNT),
    ("POST", "/auth/desktop", SESSION),
    ("GET", "/auth/admin/tokens", ADMIN),
    ("DELETE", "/auth/admin/tokens/{id}", ADMIN),
    ("GET", "/api/me", ACCOUNT),
    ("GET", "/api/me/effective-access", ACCOUNT),
    ("GET", "/api/users", ADMIN),
    ("POST", "/api/users", ADMIN),
    ("GET", "/api/users/{id}", ADMIN),
    ("PATCH", "/api/users/{id}", ADMIN),
    ("DELETE", "/api/users/{id}", ADMIN),
    ("POST", "/api/users/{id}/deactivate", ADMIN),
    ("POST", "/api/users/{id}/activate", ADMIN),
    ("DELETE", "/api/users/{id}/identities", ADMIN),
    ("POST", "/api/users/{id}/reset-password", ADMIN),
    ("POST", "/api/users/{id}/set-password", ADMIN),
    ("GET", "/api/admin/resource-types", ADMIN),
    ("GET", "/api/admin/groups", ADMIN),
    ("POST", "/api/admin/groups", ADMIN),
    ("GET", "/api/admin/groups/{id}", ADMIN),
    ("PATCH", "/api/admin/groups/{id}", ADMIN),
    ("DELETE", "/api/admin/groups/{id}", ADMIN),
    ("GET", "/api/admin/groups/{id}/members", ADMIN),
    ("POST", "/api/admin/groups/{id}/members", ADMIN),
    ("DELETE", "/api/admin/groups/{id}/members/{user_id}", ADMIN),
    ("GET", "/api/admin/grants", ADMIN),
    ("POST", "/api/admin/grants", ADMIN),
    ("DELETE", "/api/admin/grants/{id}", ADMIN),
    ("GET", "/api/admin/users/{id}/memberships", ADMIN),
    ("POST", "/api/admin/users/{id}/memberships", ADMIN),
    (
        "DELETE",
        "/api/admin/users/{id}/memberships/{group_id}",
        ADMIN,
    ),
    ("GET", "/api/admin/users/{id}/effective-access", ADMIN),
    ("GET", "/api/admin/data-packages", ADMIN),
    ("PUT", "/api/admin/data-packages/{name}", ADMIN),
    ("DELETE", "/api/admin/data-packages/{name}", ADMIN),
    ("POST", "/api/admin/rebuild", ADMIN),
    ("GET", "/api/admin/registry", ADMIN),
    ("PUT", "/api/admin/registry/{id}", ADMIN),
    ("DELETE", "/api/admin/registry/{id}", ADMIN),
    ("GET", "/api/admin/registry/{id}/history", ADMIN),
    ("POST", "/api/admin/register-table", ADMIN),
    ("GET", "/api/metrics", DATA),
    ("GET", "/api/metrics/{category}/{name}", DATA),
    ("POST", "/api/admin/metrics", ADMIN),
    ("DELETE", "/api/admin/metrics/{category}/{name}", ADMIN),
    ("POST", "/api/admin/metrics/import", ADMIN),
    ("GET", "/api/memory", DATA),
    ("POST", "/api/memory", DATA),
    ("GET", "/api/memory/stats", DATA),
    ("GET", "/api/memory/my-votes", DATA),
    ("GET", "/api/memory/my-contributions", DATA),
    ("GET", "/api/memory/bundle", DATA),
    ("POST", "/api/memory/{id}/vote", DATA),
    ("POST", "/api/memory/{id}/personal", DATA),
    ("POST", "/api/memory/{id}/evidence", DATA),
    ("GET", "/api/memory/{id}/provenance", DATA),
    ("GET", "/api/memory/admin/pending", ADMIN),
    ("GET", "/api/memory/admin/audit", ADMIN),
    ("GET", "/api/memory/admin/contradictions", ADMIN),
    ("POST", "/api/memory/admin/contradictions", ADMIN),
    (
        "POST",
        "/api/memory/admin/contradictions/{id}/resolve",
        ADMIN,
    ),
    ("POST", "/api/memory/admin/{review}", ADMIN),
    ("POST", "/api/memory/admin/edit", ADMIN),
    ("POST", "/api/memory/admin/batch", ADMIN),
    ("POST", "/api/access-requests", DATA),
    ("GET", "/api/access-requests/my", DATA),
    ("GET", "/api/access-requests/pending", ADMIN),
    ("POST", "/api/access-requests/{id}/approve", ADMIN),
    ("POST", "/api/access-requests/{id}/deny", ADMIN),
    ("GET", "/api/sync/settings", DATA),
    ("POST", "/api/sync/settings", DATA),
    ("GET", "/api/sync/table-subscriptions", DATA),
    ("POST", "/api/sync/table-subscriptions", DATA),
    ("GET", "/api/settings", DATA),
    ("PUT", "/api/settings/dataset", DATA),
    ("POST", "/api/upload/sessions", DATA),
    ("POST", "/api/upload/artifacts", DATA),
    ("POST", "/api/upload/local-md", DATA),
    ("GET", "/api/admin/metadata/{table}", ADMIN),
    ("POST", "/api/admin/metadata/{table}", ADMIN),
    ("POST", "/api/admin/metadata/{table}/push", ADMIN),
    ("GET", "/api/catalog/profile/{table}", DATA),
    ("POST", "/api/catalog/profile/{table}/refresh", DATA),
    ("GET", "/api/marketplaces", ADMIN),
    ("POST", "/api/marketplaces", ADMIN),
    ("PATCH", "/api/marketplaces/{id}", ADMIN),
    ("DELETE", "/api/marketplaces/{id}", ADMIN),
    ("GET", "/api/marketplaces/{id}/plugins", ADMIN),
    ("PUT", "/api/marketplaces/{id}/plugins", ADMIN),
    ("POST", "/api/telegram/verify", ACCOUNT),
    ("POST", "/api/telegram/unlink", ACCOUNT),
    ("GET", "/api/telegram/status", ACCOUNT),
    ("GET", "/api/scripts", ADMIN),
    ("POST", "/api/scripts/deploy", ADMIN),
    ("DELETE", "/api/scripts/{id}", ADMIN),
    ("GET", "/api/publishers", ADMIN),
    ("POST", "/api/publishers", ADMIN),
    ("DELETE", "/api/publishers/{name}", ADMIN),
    ("GET", "/api/connectors", ADMIN),
    ("POST", "/api/connectors", ADMIN),
    ("POST", "/api/connectors/gc", ADMIN),
    ("GET", "/api/connectors/{digest}", ADMIN),
    ("POST", "/api/connectors/{digest}/trust", ADMIN),
    ("DELETE", "/api/connectors/{digest}/trust", ADMIN),
    ("POST", "/api/sources/plan", ADMIN),
    ("GET", "/api/sources", RUNS),
    ("POST", "/api/sources", ADMIN),
    ("GET", "/api/sources/{name}", RUNS),
    ("DELETE", "/api/sources/{name}", ADMIN),
    ("GET", "/api/sources/{name}/credentials", ADMIN),
    ("PUT", "/api/sources/{name}/credentials/{slot}", ADMIN),
    ("DELETE", "/api/sources/{name}/credentials/{slot}", ADMIN),
    ("GET", "/api/sources/{name}/grant", ADMIN),
    ("POST", "/api/sources/{name}/grant", ADMIN),
    ("POST", "/api/sources/{name}/upgrade", ADMIN),
    ("DELETE", "/api/sources/{name}/upgrade", ADMIN),
    ("POST", "/api/sources/{name}/rollback", ADMIN),
    ("GET", "/api/sources/{name}/pins", ADMIN),
    ("GET", "/api/sources/{name}/policy", ADMIN),
    ("PUT", "/api/sources/{name}/policy", ADMIN),
    ("GET", "/api/sources/{name}/comparisons", ADMIN),
    ("POST", "/api/sources/{name}/comparisons", ADMIN),
    ("GET", "/api/sources/{name}/comparisons/{id}", ADMIN),
    ("POST", "/api/sources/{name}/enable", ADMIN),
    ("POST", "/api/sources/{name}/disable", ADMIN),
    ("GET", "/api/sources/{name}/schedule", RUNS),
    ("PUT", "/api/sources/{name}/schedule", ADMIN),
    ("POST", "/api/sources/{name}/pause", RUNS),
    ("POST", "/api/sources/{name}/resume", RUNS),
    ("POST", "/api/sources/{name}/refresh", ADMIN),
    ("POST", "/api/sources/{name}/reset-cursor", ADMIN),
    ("GET", "/api/sources/{name}/schema-history", RUNS),
    ("GET", "/api/sources/{name}/inbox", ADMIN),
    ("POST", "/api/sources/{name}/inbox/{id}/retry", ADMIN),
    ("DELETE", "/api/sources/{name}/inbox/{id}", ADMIN),
    ("POST", "/api/sources/{name}/runs", RUNS),
    ("GET", "/api/runs", RUNS),
    ("GET", "/api/runs/{id}", RUNS),
    ("POST", "/api/runs/{id}/cancel", RUNS),
    ("GET", "/api/runs/{id}/log", RUNS),
    ("GET", "/api/runs/{id}/egress", RUNS),
    ("GET", "/api/runs/{id}/events", RUNS),
    ("GET", "/api/runs/{id}/series", RUNS),
    ("POST", "/api/sync/trigger", RUNS),
    ("GET", "/api/sync/manifest", DATA),
    ("GET", "/api/catalog/tables", DATA),
    ("POST", "/api/query", DATA),
    ("POST", "/api/query/hybrid", ADMIN),
    ("GET", "/api/data/{table}/download", DATA),
    ("GET", "/api/data/{table}/parts", DATA),
    ("GET", "/api/data/{table}/parts/{n}/download", DATA),
    ("GET", "/api/v2/catalog", DATA),
    ("GET", "/api/v2/schema/{id}", DATA),
    ("GET", "/api/v2/sample/{id}", DATA),
    ("POST", "/api/v2/scan/estimate", DATA),
    ("POST", "/api/v2/scan", DATA),
];

/// The table, to be looked into.
#[derive(Debug)]
pub(crate) struct Rules(HashMap<&'static str, Vec<(Method, Demand<'static>)>>);

impl Rules {
    pub(crate) fn new() -> Self {
        let mut rules: HashMap<_, Vec<_>> = HashMap::new();
        for (method, path, demand) in RULES {
            // The words above are methods; another one would be refused like a route without a rule.
            if let Ok(method) = Method::from_bytes(method.as_bytes()) {
                rules.entry(*path).or_default().push((method, *demand));
            }
        }
        Self(rules)
    }

    /// Whether there are rules for a path, whatever the method.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// What a route demands; nothing for a route that has no rule.
    pub(crate) fn demand(&self, method: &Method, path: &str) -> Option<Demand<'static>> {
        // Where GET is allowed, so is HEAD: it is the same without the body.
        let method = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        let rules = self.0.get(path)?.iter();
        rules
            .filter(|(known, _)| known == method)
            .map(|(_, demand)| *demand)
            .next()
    }
}

/// All paths with their methods, for the test that compares them with the router.
#[cfg(test)]
pub(crate) fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|(method, path, _)| (*method, *path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_route_has_one_rule() {
        let all: BTreeSet<_> = known().collect();
        assert_eq!(all.len(), RULES.len());
    }

    #[test]
    fn what_has_no_rule_has_no_demand_that_could_be_met() {
        let rules = Rules::new();
        assert_eq!(rules.demand(&Method::GET, "/api/health"), Some(PUBLIC));
        assert_eq!(rules.demand(&Method::HEAD, "/api/health"), Some(PUBLIC));
        assert_eq!(rules.demand(&Method::DELETE, "/api/health"), None);
        assert_eq!(rules.demand(&Method::GET, "/api/nothing"), None);
    }
}
