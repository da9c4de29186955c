//! Whether the server is well, and what was synced here.

use serde_json::json;

use crate::error::Error;
use crate::http::Api;
use crate::workspace::Workspace;
use crate::{output, sync};

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

/// Shows what this folder holds.
pub(super) fn local(as_json: bool) -> Result<(), Error> {
    let workspace = Workspace::open()?;
    let held = sync::State::held(&workspace)?;
    if as_json {
        output::json(&json!(held));
        return Ok(());
    }
    let Some(held) = held else {
        output::line("Nothing was synced here. Run: da sync");
        return Ok(());
    };
    output::line(&format!("Server:    {}", held.server));
    output::line(&format!("Last sync: {}", held.last_sync));
    output::line(&format!("Tables:    {}", held.tables.len()));
    for (name, entry) in &held.tables {
        let rows = entry.rows.map_or_else(|| "?".into(), |n| n.to_string());
        output::line(&format!("  {name}: {rows} rows"));
    }
    Ok(())
}
