//! `da analyst`: a folder in which an analyst and their agents can begin. Its tables lie where `da sync` keeps them.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::auth;
use crate::args::{AnalystSetup, LoginArgs, SyncArgs};
use crate::config::Config;
use crate::error::{Error, io};
use crate::http::Api;
use crate::workspace::{Workspace, replace};
use crate::{output, sync};

/// By which a folder that was made ready is known.
const MARK: &str = "AI Data Analyst";
const CLAUDE_MD: &str = include_str!("analyst/CLAUDE.md");
/// How old tables may be that are called fresh, in seconds: a day.
const FRESH: u64 = 86_400;

/// Makes a folder ready.
pub(super) fn setup(config: &Config, asked: &AnalystSetup, as_json: bool) -> Result<(), Error> {
    let workspace = Workspace::named(asked.workspace.as_deref())?;
    let claude = workspace.root.join("CLAUDE.md");
    if is_ready(&claude) && !asked.force {
        let text = format!(
            "{} was made ready before. `da sync` refreshes its tables; --force writes its instructions anew.",
            workspace.root.display()
        );
        return Err(Error::Said(text));
    }
    let api = reach(config)?;
    for folder in ["user/artifacts", "user/sessions", "data/metadata"] {
        let folder = workspace.root.join(folder);
        fs::create_dir_all(&folder).map_err(io("cannot create", &folder))?;
    }
    let report = sync::bring(&api, &workspace, &SyncArgs::everything())?;
    describe(&api, &workspace)?;
    instruct(&workspace, &claude, &api.server, &asked.sync_interval)?;
    let failed = report.errors.len();
    output::done(
        &json!({"workspace": workspace.root, "server": api.server, "downloaded": report.downloaded, "errors": report.errors}),
        &format!(
            "{} is ready: {} tables. Next: cd there, and da query",
            workspace.root.display(),
            report.downloaded.len()
        ),
        as_json,
    );
    match failed {
        0 => Ok(()),
        n => Err(Error::Said(format!(
            "{n} tables failed; the folder is ready but for them. Run `da sync` there."
        ))),
    }
}

/// The server, after a login where there was none.
fn reach(config: &Config) -> Result<Api, Error> {
    let api = Api::new(config);
    api.get("/api/health")?;
    if config.token().is_none() {
        auth::login(config, &api, &LoginArgs::default())?;
    }
    config.save_server(&config.server())?;
    Ok(Api::new(config))
}

fn is_ready(claude: &Path) -> bool {
    fs::read_to_string(claude).is_ok_and(|text| text.contains(MARK))
}

/// What agents read before they ask: the tables and metrics there are.
fn describe(api: &Api, workspace: &Workspace) -> Result<(), Error> {
    for (name, path) in [
        ("schema", "/api/catalog/tables"),
        ("metrics", "/api/metrics"),
    ] {
        let place = workspace.root.join(format!("data/metadata/{name}.json"));
        replace(&place, format!("{:#}\n", api.get(path)?).as_bytes())?;
    }
    Ok(())
}

/// Instructions for agents. What the analyst wrote beside them is left alone.
fn instruct(
    workspace: &Workspace,
    claude: &Path,
    server: &str,
    interval: &str,
) -> Result<(), Error> {
    let host = url::Url::parse(server).ok();
    let host = host.as_ref().and_then(url::Url::host_str).unwrap_or(server);
    let text = CLAUDE_MD
        .replace("{instance_name}", host)
        .replace("{server_url}", server)
        .replace("{sync_interval}", interval);
    replace(claude, text.as_bytes())?;
    let settings =
        json!({"model": "sonnet", "permissions": {"allow": ["Read", "Bash", "Grep", "Glob"]}});
    let own = "# Your own notes\n\nAgents read this file. `da sync --upload-only` sends it to the server.\n";
    for (name, text) in [
        ("settings.json", format!("{settings:#}\n")),
        ("CLAUDE.local.md", own.to_owned()),
    ] {
        let place = workspace.root.join(".claude").join(name);
        if !place.exists() {
            replace(&place, text.as_bytes())?;
        }
    }
    Ok(())
}

/// Says what a folder holds, and how fresh that is.
pub(super) fn status(folder: Option<&Path>, as_json: bool) -> Result<(), Error> {
    let workspace = Workspace::named(folder)?;
    let held = sync::State::held(&workspace)?;
    let last = held.as_ref().map(|held| held.last_sync.clone());
    let freshness = freshness(last.as_deref());
    let tables = held.map_or(0, |held| held.tables.len());
    let initialized = is_ready(&workspace.root.join("CLAUDE.md"));
    if as_json {
        output::json(
            &json!({"workspace": workspace.root, "initialized": initialized, "freshness": freshness,
            "parquet_tables": tables, "last_sync": last}),
        );
        return Ok(());
    }
    let ready = if initialized {
        "yes"
    } else {
        "no. Run: da analyst setup"
    };
    output::line(&format!("Workspace: {}", workspace.root.display()));
    output::line(&format!("Ready:     {ready}"));
    output::line(&format!("Tables:    {tables}"));
    let last = output::plain(&Value::from(last.unwrap_or_else(|| "never".into())));
    output::line(&format!("Last sync: {last} ({freshness})"));
    Ok(())
}

fn freshness(last: Option<&str>) -> &'static str {
    let last: Option<Timestamp> = last.and_then(|last| last.parse().ok());
    let age = last.map(|at| Timestamp::now().duration_since(at).unsigned_abs().as_secs());
    match age {
        None => "missing",
        Some(age) if age > FRESH => "stale",
        Some(_) => "fresh",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_of_the_day_before_yesterday_is_stale() {
        assert_eq!(freshness(None), "missing");
        assert_eq!(freshness(Some("2020-01-01T00:00:00Z")), "stale");
        assert_eq!(freshness(Some(&Timestamp::now().to_string())), "fresh");
    }

    #[test]
    fn the_instructions_carry_the_mark_by_which_the_folder_is_known() {
        assert!(CLAUDE_MD.contains(MARK));
    }
}
