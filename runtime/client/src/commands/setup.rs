//! First steps with a server: which one, its first admin, and whether all is there.

use serde_json::{Value, json};

use super::status;
use crate::args::{Bootstrap, SetupCommand};
use crate::config::Config;
use crate::error::Error;
use crate::http::Api;
use crate::output;

/// Runs `da setup …`.
pub(super) fn run(
    config: &Config,
    api: &Api,
    command: &SetupCommand,
    as_json: bool,
) -> Result<(), Error> {
    match command {
        SetupCommand::Init => {
            config.save_server(&config.server())?;
            output::note(&format!("Saved {}. Next: da login", config.server()));
            Ok(())
        }
        SetupCommand::Bootstrap(first) => bootstrap(config, api, first, as_json),
        SetupCommand::TestConnection => status::status(api, as_json),
        SetupCommand::FirstSync => status::first_sync(api, as_json),
        SetupCommand::Verify => verify(api, as_json),
    }
}

fn bootstrap(config: &Config, api: &Api, first: &Bootstrap, as_json: bool) -> Result<(), Error> {
    let claim = json!({"email": first.email, "name": first.name, "password": first.password, "code": first.code});
    let claimed = match api.post("/auth/bootstrap", &claim) {
        // Scripts run this each time; that somebody came first is no failure of theirs.
        Err(Error::Api {
            status: 403,
            detail,
            ..
        }) if first.code.is_empty() => {
            output::note(&format!(
                "{detail}. Say the code with --code, or log in with `da login` if there is an admin."
            ));
            if as_json {
                output::json(&json!({"claimed": false}));
            }
            return Ok(());
        }
        claimed => claimed?,
    };
    let said = |field: &str| claimed[field].as_str().unwrap_or_default();
    config.save_server(&api.server)?;
    config.save_token(said("access_token"), said("email"), said("role"))?;
    let report = json!({"claimed": true, "email": said("email"), "role": said("role")});
    let text = format!("{} is the first admin of {}.", said("email"), api.server);
    output::done(&report, &text, as_json);
    output::note("Logged in. Next: da setup verify");
    Ok(())
}

/// One thing that an analyst needs: `pass`, `warn` or `fail`.
fn check(name: &str, status: &str, detail: impl Into<String>) -> Value {
    json!({"name": name, "status": status, "detail": detail.into()})
}

fn verify(api: &Api, as_json: bool) -> Result<(), Error> {
    let checks = [
        reached(api),
        logged_in(api),
        data(api),
        users(api),
        page(api, "web_ui", "/login"),
        page(api, "api_docs", "/docs"),
    ];
    let has = |status: &str| checks.iter().any(|check| check["status"] == status);
    let overall = match (has("fail"), has("warn")) {
        (true, _) => "fail",
        (false, true) => "warn",
        (false, false) => "pass",
    };
    if as_json {
        output::json(&json!({"overall": overall, "checks": checks}));
    } else {
        let fields = [("", "status"), ("CHECK", "name"), ("", "detail")];
        output::objects(&checks, &fields);
    }
    match overall {
        "fail" => Err(Error::Said("something is missing; see above".into())),
        _ => Ok(()),
    }
}

fn reached(api: &Api) -> Value {
    match api.get("/api/health") {
        Ok(health) if health["status"] == "ok" => check("server", "pass", api.server.clone()),
        Ok(health) => check("server", "fail", output::plain(&health["status"])),
        Err(error) => check("server", "fail", error.to_string()),
    }
}

fn logged_in(api: &Api) -> Value {
    match api.get("/api/health/detailed") {
        Ok(_) => check("auth", "pass", "logged in"),
        Err(error) => check("auth", "fail", error.to_string()),
    }
}

fn data(api: &Api) -> Value {
    match api.get("/api/sync/manifest") {
        Ok(manifest) => match manifest["tables"]
            .as_object()
            .map_or(0, serde_json::Map::len)
        {
            0 => check(
                "data",
                "warn",
                "no tables for you yet. An admin adds sources and grants; `da setup first-sync` starts them.",
            ),
            n => check("data", "pass", format!("{n} tables")),
        },
        Err(error) => check("data", "fail", error.to_string()),
    }
}

fn users(api: &Api) -> Value {
    match api.get("/api/users") {
        Ok(users) => {
            let count = users.as_array().map_or(0, Vec::len);
            check("users", "pass", format!("{count} users"))
        }
        // Only admins see them, and analysts need not.
        Err(Error::Api { status: 403, .. }) => check("users", "pass", "not for you to see"),
        Err(error) => check("users", "fail", error.to_string()),
    }
}

fn page(api: &Api, name: &str, path: &str) -> Value {
    match api.open(ureq::http::Method::GET, path, None, &[]) {
        Ok(_) => check(name, "pass", path),
        Err(error) => check(name, "fail", error.to_string()),
    }
}
