//! `da diagnose`: which part of the way from this folder to the server's tables does not work, and what helps.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::skills;
use crate::config::{Config, claims};
use crate::error::Error;
use crate::http::Api;
use crate::workspace::Workspace;
use crate::{local, output, sync};

/// One thing that was looked at.
struct Check {
    name: String,
    /// `ok`, `warning` or `error`.
    status: &'static str,
    said: Value,
    /// What helps.
    action: Option<String>,
}

impl Check {
    fn ok(name: &str, said: Value) -> Self {
        Self {
            name: name.to_owned(),
            status: "ok",
            said,
            action: None,
        }
    }

    fn bad(name: &str, status: &'static str, said: &str, action: &str) -> Self {
        Self {
            name: name.to_owned(),
            status,
            said: json!({"detail": said}),
            action: Some(action.to_owned()),
        }
    }

    fn json(&self) -> Value {
        let mut check = self.said.clone();
        check["name"] = self.name.as_str().into();
        check["status"] = self.status.into();
        check
    }
}

/// Looks at everything, or at one part.
pub(super) fn run(
    config: &Config,
    api: &Api,
    symptom: Option<&str>,
    component: Option<&str>,
    as_json: bool,
) -> Result<(), Error> {
    let mut checks = vec![server(api), token(config)];
    checks.extend(services(api));
    checks.push(folder());
    if let Some(component) = component {
        checks.retain(|check| check.name == component);
        if checks.is_empty() {
            return Err(Error::Exit {
                code: 2,
                message: format!("nothing here is called `{component}`; `da diagnose` lists all"),
            });
        }
    }
    let has = |status| checks.iter().any(|check| check.status == status);
    let overall = match (has("error"), has("warning")) {
        (true, _) => "unhealthy",
        (false, true) => "degraded",
        (false, false) => "healthy",
    };
    let mut actions: Vec<String> = checks.iter().filter_map(|c| c.action.clone()).collect();
    actions.extend(symptom.into_iter().flat_map(skills::remedies));
    tell(&checks, overall, &actions, as_json);
    match overall {
        "unhealthy" => Err(Error::Said("something does not work; see above".into())),
        _ => Ok(()),
    }
}

fn tell(checks: &[Check], overall: &str, actions: &[String], as_json: bool) {
    if as_json {
        let checks: Vec<Value> = checks.iter().map(Check::json).collect();
        output::json(&json!({"overall": overall, "checks": checks, "suggested_actions": actions}));
        return;
    }
    output::line(&format!("Overall: {overall}"));
    for check in checks {
        let detail = output::plain(&check.said["detail"]);
        output::line(format!("  [{}] {} {detail}", check.status, check.name).trim_end());
    }
    for action in actions {
        output::line(&format!("-> {action}"));
    }
}

fn server(api: &Api) -> Check {
    let began = Instant::now();
    match api.get("/api/health") {
        Ok(health) if health["status"] == "ok" => {
            let latency = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Check::ok("api", json!({"latency_ms": latency}))
        }
        Ok(health) => Check::bad(
            "api",
            "error",
            &format!(
                "{} says it is {}",
                api.server,
                output::plain(&health["status"])
            ),
            "Tell an admin: the server's log says why, and `sluice doctor` checks its machine.",
        ),
        Err(error) => Check::bad(
            "api",
            "error",
            &error.to_string(),
            "Check the address (DA_SERVER, or `da setup init --server URL`), VPN and proxy.",
        ),
    }
}

fn token(config: &Config) -> Check {
    let Some(token) = config.token() else {
        return Check::bad("token", "error", "nobody is logged in", "Run: da login");
    };
    let Some(claims) = claims(&token) else {
        let said = "it is no token of a server";
        return Check::bad("token", "error", said, "Copy it whole, or run: da login");
    };
    let ends = claims["exp"].as_i64();
    if ends.is_some_and(|ends| ends <= Timestamp::now().as_second()) {
        return Check::bad("token", "error", "it has ended", "Run: da login");
    }
    Check::ok("token", json!({"expires_at_unix": ends}))
}

/// What the server says of its parts, to those who are logged in.
fn services(api: &Api) -> Vec<Check> {
    let detailed = match api.get("/api/health/detailed") {
        Ok(detailed) => detailed,
        Err(Error::Api {
            status: 401,
            detail,
            ..
        }) => {
            let action = "Run: da login";
            return vec![Check::bad("login", "error", &detail, action)];
        }
        // That it cannot be reached was said.
        Err(_) => return Vec::new(),
    };
    let services = detailed["services"].as_object().into_iter().flatten();
    services
        .map(|(name, service)| part(name, service))
        .collect()
}

fn part(name: &str, service: &Value) -> Check {
    let said = service["status"].as_str().or(service["db_schema"].as_str());
    let status = match said {
        Some("ok") => "ok",
        Some("warning") => "warning",
        _ => "error",
    };
    let stale = service["stale_tables"].as_array().map_or(0, Vec::len);
    let action = match (status, stale) {
        ("ok", 0) => None,
        (_, 0) => Some(format!(
            "Tell an admin about `{name}`; `sluice doctor` checks the machine."
        )),
        (_, n) => Some(format!(
            "{n} tables are older than a day: an admin sees why with `sluice runs`, and starts a sync with `da setup first-sync`."
        )),
    };
    Check {
        name: name.to_owned(),
        status,
        said: service.clone(),
        action,
    }
}

/// Whether what was synced here can be queried.
fn folder() -> Check {
    let looked = Workspace::open().and_then(|workspace| {
        let held = sync::State::held(&workspace)?;
        let tables = held.as_ref().map_or(0, |held| held.tables.len());
        if held.is_some() {
            local::read(&workspace)?;
        }
        Ok((tables, held.map(|held| held.last_sync)))
    });
    match looked {
        Ok((tables, Some(last))) => {
            Check::ok("local", json!({"tables": tables, "last_sync": last}))
        }
        Ok((_, None)) => Check::bad(
            "local",
            "warning",
            "nothing was synced into this folder",
            "Run: da sync (or name the folder with DA_LOCAL_DIR)",
        ),
        Err(error) => Check::bad(
            "local",
            "error",
            &error.to_string(),
            "Close what else has the database open, then run: da sync",
        ),
    }
}
