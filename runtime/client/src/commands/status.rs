//! Whether the server is well, and how the company computes its numbers.

use serde_json::Value;

use crate::args::MetricsCommand;
use crate::error::Error;
use crate::http::{Api, part};
use crate::output;

/// Shows the server's health; the details need a login.
pub(super) fn status(api: &Api, as_json: bool) -> Result<(), Error> {
    let health = api.get("/api/health")?;
    let detailed = api
        .get("/api/health/detailed")
        .unwrap_or_else(|_| health.clone());
    if as_json {
        output::json(&detailed);
    } else {
        output::line(&format!("Server: {}", api.server));
        output::line(&format!("Status: {}", output::plain(&detailed["status"])));
        for (name, service) in detailed["services"].as_object().into_iter().flatten() {
            output::line(&format!("  {name}: {}", output::plain(&service["status"])));
        }
    }
    if health["status"] == "ok" {
        return Ok(());
    }
    Err(Error::Said(format!(
        "{} is not well. Its log says why.",
        api.server
    )))
}

/// Starts every source on the server.
pub(super) fn first_sync(api: &Api, as_json: bool) -> Result<(), Error> {
    let answer = api.ask(ureq::http::Method::POST, "/api/sync/trigger", None)?;
    if as_json {
        output::json(&answer);
    } else {
        output::line(&output::plain(&answer["message"]));
    }
    Ok(())
}

/// Lists metrics or shows one.
pub(super) fn metrics(api: &Api, command: &MetricsCommand, as_json: bool) -> Result<(), Error> {
    match command {
        MetricsCommand::List { category } => {
            let query = category.as_ref().map(|c| format!("?category={}", part(c)));
            let found = api.get(&format!("/api/metrics{}", query.unwrap_or_default()))?;
            if as_json {
                output::json(&found);
                return Ok(());
            }
            let rows: Vec<Value> = found["metrics"].as_array().cloned().unwrap_or_default();
            output::objects(
                &rows,
                &[("ID", "id"), ("NAME", "display_name"), ("UNIT", "unit")],
            );
        }
        MetricsCommand::Show { id } => {
            let path: Vec<String> = id.split('/').map(part).collect();
            let found = api.get(&format!("/api/metrics/{}", path.join("/")));
            let found = found.map_err(|error| match error {
                Error::Api { status: 404, .. } => Error::Said(format!(
                    "Metric not found: {id}. `da metrics list` shows all."
                )),
                other => other,
            })?;
            if as_json {
                output::json(&found);
                return Ok(());
            }
            for (name, value) in found.as_object().into_iter().flatten() {
                if !value.is_null() {
                    output::line(&format!("{name}: {}", output::plain(value)));
                }
            }
        }
    }
    Ok(())
}
