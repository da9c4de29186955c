//! The acceptance suite: what any component must do, tried against a recording.

use std::path::Path;

use broker::tape::{Player, Recording};
use domain::ports::Outcome;
use domain::{Cancel, Capabilities, Operation, TableInfo};
use serde::Serialize;
use serde_json::Value;

use super::{Place, Ran, Trial, Workshop, trials};
use crate::cli::output::{CliResult, counted};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of the result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

/// What a check found: why it passed, or why it failed.
pub(super) type Finding = Result<String, String>;

/// What the checks work on.
pub(super) struct Suite<'a> {
    pub(super) workshop: &'a Workshop,
    pub(super) recording: &'a Recording,
    pub(super) settings: Value,
    pub(super) capabilities: Capabilities,
    /// Where the second of two syncs has ended.
    pub(super) main: Place,
    pub(super) listed: Vec<TableInfo>,
    /// What the first sync asked for, and what it brought.
    pub(super) first: Option<First>,
}

/// What the first sync did.
pub(super) struct First {
    pub(super) ran: Ran,
    pub(super) contents: Vec<(String, Vec<String>)>,
}

/// Tries a component file against a recording.
pub(crate) fn run(file: &Path, recording: &Recording, settings: Value) -> CliResult<Vec<Check>> {
    let workshop = Workshop::open(file)?;
    let manifest = &workshop.manifest;
    let mut checks = Vec::new();
    let capabilities = workshop.capabilities(&settings);
    let finding = match &capabilities {
        Ok(asked) => Ok(format!(
            "{} {}, {}",
            manifest.name,
            manifest.version,
            counted(asked.egress.len() as u64, "egress rule")
        )),
        Err(error) => Err(format!("the settings do not fit it: {error}")),
    };
    note(&mut checks, "manifest", finding);
    let Ok(capabilities) = capabilities else {
        skip(&mut checks, "settings that fit are needed");
        return Ok(checks);
    };
    let mut suite = Suite {
        main: workshop.place()?,
        workshop: &workshop,
        recording,
        settings,
        capabilities,
        listed: Vec::new(),
        first: None,
    };
    for (name, check) in CHECKS {
        let finding = check(&mut suite)?;
        note(&mut checks, name, finding);
    }
    Ok(checks)
}

type Checking = fn(&mut Suite<'_>) -> CliResult<Finding>;

/// In this order: later ones stand on what earlier ones brought.
const CHECKS: &[(&str, Checking)] = &[
    ("check", trials::check),
    ("discover", trials::discover),
    ("sync", trials::sync),
    ("sync again", trials::sync_again),
    ("replay", trials::replay),
    ("bad settings", trials::bad_settings),
    ("denied host", trials::denied_host),
    ("one 500", trials::one_server_error),
    ("only 500s", trials::server_errors),
    ("only 429s", trials::rate_limits),
    ("only 401s", trials::refused_credential),
    ("cancelled", trials::cancelled),
];

fn note(checks: &mut Vec<Check>, name: &'static str, finding: Finding) {
    let (verdict, reason) = match finding {
        Ok(reason) => (Verdict::Passed, reason),
        Err(reason) => (Verdict::Failed, reason),
    };
    checks.push(Check {
        name,
        verdict,
        reason,
    });
}

fn skip(checks: &mut Vec<Check>, reason: &str) {
    checks.extend(CHECKS.iter().map(|(name, _)| Check {
        name,
        verdict: Verdict::Skipped,
        reason: reason.to_owned(),
    }));
}

impl Suite<'_> {
    /// A trial with all that was granted, from the recording's beginning.
    pub(super) fn trial(&self, operation: Operation) -> Trial {
        Trial {
            operation,
            settings: self.settings.clone(),
            capabilities: self.capabilities.clone(),
            tables: self.recording.head.tables.clone(),
            cursors: Some(self.recording.head.cursors()),
            player: Player::new(self.recording),
            cancel: Cancel::new(),
        }
    }

    pub(super) fn run(&self, trial: Trial) -> CliResult<Ran> {
        self.main.run(self.workshop, trial)
    }

    /// A table's columns that name a row, as `discover` lists them.
    pub(super) fn primary_key(&self, table: &str) -> &[String] {
        let listed = self.listed.iter();
        let mut found = listed.filter(|info| info.name.as_str().eq_ignore_ascii_case(table));
        found.next().map_or(&[], |info| &info.primary_key)
    }

    pub(super) fn remember_tables(&mut self, outcome: &Outcome) {
        if let Outcome::Discovered(tables) = outcome {
            self.listed.clone_from(tables);
        }
    }
}
