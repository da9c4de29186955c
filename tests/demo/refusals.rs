//! What Sluice refuses: a component that nobody vouches for, and requests that nobody granted.

use std::fmt::Write as _;

use integration_tests::App;
use serde_json::Value;

use crate::acts::Play;
use crate::stage::Expect::{Refusal, Success};
use crate::stage::Failed;

/// An unsigned connector.
pub fn unsigned(play: &Play<'_>) -> Result<(), Failed> {
    play.stage.heading("An unsigned connector is refused");
    play.run(
        &["connector", "push", &play.path("unsigned.wasm"), "--trust"],
        Refusal,
    )?;
    play.stage.verdict("Refused: nobody vouches for its bytes.");
    Ok(())
}

/// Links to places outside of the grant, and what is published afterwards.
pub fn egress(play: &Play<'_>) -> Result<(), Failed> {
    play.stage
        .heading("The service turns hostile: its next page is somewhere else");
    let before = play.app.get("/api/sync/manifest").ok();
    for (url, what) in [
        (
            "http://169.254.169.254/latest/meta-data/iam/",
            "where a cloud keeps its credentials",
        ),
        (
            "https://collector.example.org/flights?page=3",
            "a host that nobody granted",
        ),
    ] {
        play.stage
            .say(&format!("  Page 2 now names as page 3 {what}:\n  {url}\n"));
        play.world.detour(url);
        play.run(&["run", "flights"], Refusal)?;
        play.stage.below(&audit(&play.app)?);
        play.stage
            .verdict("Refused before a packet left, and the refusal is on record.");
        play.stage.say("");
    }
    if play.app.get("/api/sync/manifest").ok()["tables"] != before["tables"] {
        return Err("a failed run changed what was published".into());
    }
    play.run(
        &["query", "SELECT count(*) AS flights FROM flights"],
        Success,
    )?;
    play.stage
        .verdict("The published data is what it was, byte for byte.");
    Ok(())
}

/// What the egress gate decided last in the newest run, which must have been a refusal.
fn audit(app: &App) -> Result<String, Failed> {
    let runs = app.get("/api/runs?source=flights&limit=1").ok();
    let run = runs["runs"][0]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let egress = app.get(&format!("/api/runs/{run}/egress")).ok();
    let rows = egress["rows"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let last = rows.last().ok_or("the egress audit has no row")?;
    if !last["status"].is_null() {
        return Err(Failed(format!("a forbidden request was answered: {last}")));
    }
    let mut text = format!("GET /api/runs/{run}/egress\n");
    for row in rows.iter().rev().take(3).rev() {
        let field = |name: &str| match &row[name] {
            Value::String(text) => text.clone(),
            Value::Null => "-".into(),
            other => other.to_string(),
        };
        let [method, host, path, status] = ["method", "host", "path", "status"].map(field);
        let _ = writeln!(
            text,
            "{method} {host}{path}  {status}  {}",
            field("decision")
        );
    }
    Ok(text)
}
