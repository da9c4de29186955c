//! Says when the server has a newer client. A command never waits for that: it reads what was found out before, and where
//! that is old it leaves a process behind that looks.

use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::http::Api;
use crate::output;

/// The hidden command of that process.
pub(crate) const COMMAND: &str = "update-check";
const INSTALLED: &str = env!("CARGO_PKG_VERSION");
/// How long an answer holds, in seconds: a day, and five minutes for none.
const FOUND: i64 = 86_400;
const NOTHING: i64 = 300;
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found out.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    installed: String,
    server_url: String,
    latest: Option<String>,
    download_url: Option<String>,
    /// Seconds since 1970.
    checked_at: i64,
}

impl Known {
    fn is_fresh(&self, server: &str, now: i64) -> bool {
        let lasts = if self.latest.is_some() {
            FOUND
        } else {
            NOTHING
        };
        // A clock that was set back must not keep an answer for ever.
        let age = now.saturating_sub(self.checked_at);
        self.installed == INSTALLED && self.server_url == server && (0..lasts).contains(&age)
    }

    /// What a person is told; nothing where the client is new enough.
    fn advice(&self) -> Option<String> {
        let latest = self.latest.as_deref()?;
        (numbers(latest)? > numbers(INSTALLED)?).then(|| {
            format!(
                "[update] da {INSTALLED} is out of date — this server has {latest}. Upgrade: curl -fsSL {}/cli/install.sh | sh",
                self.server_url
            )
        })
    }
}

/// The numbers of a version. Anything else is no version, since it is shown in a terminal.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let parts = version.split('.').map(|part| part.parse().ok());
    parts.collect::<Option<Vec<u64>>>().filter(|n| n.len() <= 4)
}

fn is_off() -> bool {
    let said = std::env::var("DA_NO_UPDATE_CHECK").unwrap_or_default();
    ["1", "true", "yes"].contains(&said.to_lowercase().as_str())
}

/// Tells what is known, on stderr, and has it looked after. Whatever goes wrong here is of no interest.
pub(crate) fn mention(config: &Config) {
    if is_off() || !config.has_server() {
        return;
    }
    let (server, now) = (config.server(), Timestamp::now().as_second());
    let known = config.cached(FILE);
    let known = known.and_then(|text| serde_json::from_str::<Known>(&text).ok());
    match known.filter(|known| known.is_fresh(&server, now)) {
        Some(known) => {
            if let Some(advice) = known.advice() {
                output::note(&advice);
            }
        }
        None => look_later(config, &server, now),
    }
}

const FILE: &str = "update_check.json";

/// Leaves a process that looks. Others do not until it has, or five minutes are over.
fn look_later(config: &Config, server: &str, now: i64) {
    remember(config, server, now, None, None);
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut process = Command::new(program);
    process.args([COMMAND, "--server", server]);
    process.stdin(Stdio::null()).stdout(Stdio::null());
    process.stderr(Stdio::null()).spawn().ok();
}

fn remember(
    config: &Config,
    server: &str,
    now: i64,
    latest: Option<String>,
    download_url: Option<String>,
) {
    let known = Known {
        installed: INSTALLED.to_owned(),
        server_url: server.to_owned(),
        latest,
        download_url,
        checked_at: now,
    };
    if let Ok(text) = serde_json::to_string_pretty(&known) {
        config.cache(FILE, &text).ok();
    }
}

/// Asks the server, without a token: anybody may.
pub(crate) fn look(config: &Config) {
    let server = config.server();
    let api = Api::patient(server.clone(), PATIENCE);
    let Ok(found) = api.get("/cli/latest") else {
        return;
    };
    let said = |field: &str| found[field].as_str().map(str::to_owned);
    let latest = said("version").filter(|version| numbers(version).is_some());
    let now = Timestamp::now().as_second();
    remember(config, &server, now, latest, said("download_url_path"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(latest: Option<&str>, checked_at: i64) -> Known {
        Known {
            installed: INSTALLED.into(),
            server_url: "https://a".into(),
            latest: latest.map(str::to_owned),
            download_url: None,
            checked_at,
        }
    }

    #[test]
    fn an_answer_holds_for_a_day_and_none_for_five_minutes() {
        let found = known(Some("1.0.0"), 1_000);
        assert!(found.is_fresh("https://a", 87_399) && !found.is_fresh("https://a", 87_400));
        assert!(!found.is_fresh("https://b", 1_000), "another server");
        assert!(
            !found.is_fresh("https://a", 999),
            "a clock that was set back"
        );
        let none = known(None, 1_000);
        assert!(none.is_fresh("https://a", 1_299) && !none.is_fresh("https://a", 1_300));
    }

    #[test]
    fn versions_are_compared_by_number_and_odd_ones_are_not_shown() {
        assert!(numbers("0.10.0") > numbers("0.9.9"));
        assert!(known(Some("99.0"), 0).advice().is_some());
        for silent in [INSTALLED, "0.0.0", "99\u{1b}[2J", "", "latest"] {
            assert_eq!(known(Some(silent), 0).advice(), None, "{silent}");
        }
    }
}
