//! The checks of the acceptance suite, one function each.

use std::collections::BTreeSet;

use broker::tape::Fault;
use domain::ports::Ended;
use domain::{Cancel, FailureKind, Operation};
use serde_json::{Value, json};

use super::acceptance::{Finding, First, Suite};
use super::{Place, Ran};
use crate::cli::output::{CliResult, counted};

/// Why there is nothing to compare with.
const NO_FIRST: &str = "the first sync failed";

/// Every attempt of a run.
const ALWAYS: u32 = u32::MAX;

pub(super) fn check(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let ran = suite.run(suite.trial(Operation::Check))?;
    Ok(went_well(&ran).map(|()| format!("{} sent", counted(ran.asked.len() as u64, "request"))))
}

pub(super) fn discover(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let ran = suite.run(suite.trial(Operation::Discover))?;
    if let Err(reason) = went_well(&ran) {
        return Ok(Err(reason));
    }
    if let Ok(outcome) = &ran.result {
        suite.remember_tables(outcome);
    }
    Ok(match suite.listed.len() {
        0 => Err("it lists no table".into()),
        count => Ok(counted(count as u64, "table")),
    })
}

pub(super) fn sync(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let ran = suite.run(suite.trial(Operation::Sync))?;
    if let Err(reason) = went_well(&ran) {
        return Ok(Err(reason));
    }
    let contents = suite.main.contents()?;
    let unlisted = contents
        .iter()
        .map(|(table, _)| table)
        .find(|table| !lists(suite, table));
    let finding = match unlisted {
        Some(table) => Err(format!("table `{table}` is not in what `discover` lists")),
        None if contents.is_empty() => Err("it brought no table".into()),
        None => duplicates(suite, &suite.main)?.map(|()| summary(&contents)),
    };
    if finding.is_ok() {
        suite.first = Some(First { ran, contents });
    }
    Ok(finding)
}

pub(super) fn sync_again(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let Some(first) = &suite.first else {
        return Ok(Err(NO_FIRST.into()));
    };
    let cursors = suite.main.cursors()?;
    let mut trial = suite.trial(Operation::Sync);
    trial.cursors = None;
    let ran = suite.run(trial)?;
    if let Err(reason) = went_well(&ran) {
        return Ok(Err(reason));
    }
    if let Err(reason) = duplicates(suite, &suite.main)? {
        return Ok(Err(reason));
    }
    let contents = suite.main.contents()?;
    Ok(if cursors.is_empty() {
        if contents == first.contents {
            Ok("the same rows; it keeps no cursor".into())
        } else {
            Err(format!(
                "it keeps no cursor, but the same answers brought {} after {}",
                summary(&contents),
                summary(&first.contents)
            ))
        }
    } else if ran.asked == first.ran.asked && !ran.asked.is_empty() {
        Err("it set a cursor, and then asked for the same again".into())
    } else {
        Ok(format!("cursor honoured, then {}", summary(&contents)))
    })
}

pub(super) fn replay(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let Some(first) = &suite.first else {
        return Ok(Err(NO_FIRST.into()));
    };
    let place = suite.workshop.place()?;
    let ran = place.run(suite.workshop, suite.trial(Operation::Sync))?;
    if let Err(reason) = went_well(&ran) {
        return Ok(Err(reason));
    }
    Ok(if place.contents()? == first.contents {
        Ok("the same rows from the same answers".into())
    } else {
        Err("the same answers brought other rows".into())
    })
}

/// Settings that the manifest's schema refuses, each with one thing wrong.
fn broken_settings(suite: &Suite<'_>) -> Option<Value> {
    let manifest = &suite.workshop.manifest;
    let mut broken = vec![];
    let fields = suite.settings.as_object().cloned().unwrap_or_default();
    for name in fields.keys() {
        for wrong in [json!(17), json!({"wrong": []}), json!("wrong")] {
            let mut settings = suite.settings.clone();
            settings.as_object_mut()?.insert(name.clone(), wrong);
            broken.push(settings);
        }
    }
    broken.push(json!({}));
    broken
        .into_iter()
        .find(|settings| ingest::plan(manifest, settings).is_err())
}

pub(super) fn bad_settings(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let Some(settings) = broken_settings(suite) else {
        return Ok(
            if suite.settings.as_object().is_some_and(|s| !s.is_empty()) {
                Err("the manifest's schema refuses nothing: give its settings types".into())
            } else {
                Ok("there are no settings to get wrong".into())
            },
        );
    };
    // The host would not let them through; a component must not rely on it.
    let mut trial = suite.trial(Operation::Check);
    trial.settings = settings;
    let ran = suite.run(trial)?;
    Ok(failed_as(&ran, FailureKind::Config))
}

pub(super) fn denied_host(suite: &mut Suite<'_>) -> CliResult<Finding> {
    if suite.first.is_none() {
        return Ok(Err(NO_FIRST.into()));
    }
    let mut trial = suite.trial(Operation::Sync);
    trial.capabilities.egress.clear();
    let ran = suite.run(trial)?;
    if ran.asked.is_empty() {
        return Ok(Ok("it asks for nothing".into()));
    }
    Ok(match ran.result {
        Ok(_) => Err("it succeeded although every request was refused".into()),
        Err(_) => failed_as(&ran, FailureKind::Limit),
    })
}

pub(super) fn one_server_error(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let Some(first) = &suite.first else {
        return Ok(Err(NO_FIRST.into()));
    };
    let place = suite.workshop.place()?;
    let mut trial = suite.trial(Operation::Sync);
    let fault = Fault {
        status: 500,
        attempts: 1,
    };
    trial.player = trial.player.with_fault(fault);
    let ran = place.run(suite.workshop, trial)?;
    if ran.result.is_err() {
        // What must not be sent twice is not: then the failure is the right one.
        return Ok(failed_as(&ran, FailureKind::Upstream));
    }
    Ok(if place.contents()? == first.contents {
        Ok("tried again, and all rows came".into())
    } else {
        Err("it succeeded with other rows".into())
    })
}

pub(super) fn server_errors(suite: &mut Suite<'_>) -> CliResult<Finding> {
    always(suite, 500, FailureKind::Upstream)
}

pub(super) fn rate_limits(suite: &mut Suite<'_>) -> CliResult<Finding> {
    always(suite, 429, FailureKind::RateLimited)
}

pub(super) fn refused_credential(suite: &mut Suite<'_>) -> CliResult<Finding> {
    always(suite, 401, FailureKind::Auth)
}

/// A service that answers nothing else: the run fails as this, and what was published stays.
fn always(suite: &Suite<'_>, status: u16, kind: FailureKind) -> CliResult<Finding> {
    if suite.first.is_none() {
        return Ok(Err(NO_FIRST.into()));
    }
    let before = suite.main.contents()?;
    let mut trial = suite.trial(Operation::Sync);
    let attempts = ALWAYS;
    trial.player = trial.player.with_fault(Fault { status, attempts });
    let ran = suite.run(trial)?;
    if ran.asked.is_empty() {
        return Ok(Ok("it asks for nothing".into()));
    }
    Ok(failed_as(&ran, kind).and_then(|reason| kept(&before, &suite.main, &reason)))
}

pub(super) fn cancelled(suite: &mut Suite<'_>) -> CliResult<Finding> {
    let Some(first) = &suite.first else {
        return Ok(Err(NO_FIRST.into()));
    };
    if first.ran.attempts == 0 {
        return Ok(Ok("it asks for nothing".into()));
    }
    let before = suite.main.contents()?;
    let mut trial = suite.trial(Operation::Sync);
    trial.cancel = Cancel::new();
    let half = first.ran.attempts / 2 + 1;
    trial.player = trial.player.cancelling(half, trial.cancel.clone());
    let ran = suite.run(trial)?;
    Ok(match ran.result {
        Err(Ended::Cancelled) => {
            let reason = format!("stopped at request {half} of {}", first.ran.attempts);
            kept(&before, &suite.main, &reason)
        }
        Ok(_) => Err("it succeeded although it was cancelled".into()),
        Err(_) => Err(ran.trouble().unwrap_or_default()),
    })
}

/// The reason, where a place still holds what it held.
fn kept(before: &[(String, Vec<String>)], place: &Place, reason: &str) -> Finding {
    match place.contents() {
        Ok(after) if after == before => Ok(format!("{reason}; the extract is intact")),
        Ok(_) => Err(format!(
            "{reason}, but it changed what was published before"
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn went_well(ran: &Ran) -> Result<(), String> {
    if let Some(trouble) = ran.trouble() {
        return Err(match ran.log.last() {
            Some(line) => format!("{trouble} (its last line: {line})"),
            None => trouble,
        });
    }
    match ran.missing.first() {
        Some(request) => Err(format!("the recording has no answer to `{request}`")),
        None => Ok(()),
    }
}

fn failed_as(ran: &Ran, kind: FailureKind) -> Finding {
    match &ran.result {
        Err(Ended::Failed(failure)) if failure.kind == kind => {
            Ok(format!("failed as `{}`", kind.as_str()))
        }
        Err(Ended::Failed(failure)) => Err(format!(
            "it failed as `{}` instead of `{}`: {}",
            failure.kind.as_str(),
            kind.as_str(),
            failure.message
        )),
        Err(Ended::Cancelled) => Err("it was cancelled".into()),
        Ok(_) => Err(format!(
            "it succeeded instead of failing as `{}`",
            kind.as_str()
        )),
    }
}

fn lists(suite: &Suite<'_>, table: &str) -> bool {
    let mut listed = suite.listed.iter();
    listed.any(|info| info.name.as_str().eq_ignore_ascii_case(table))
}

/// Fails where two rows of a table have the same primary key.
fn duplicates(suite: &Suite<'_>, place: &Place) -> CliResult<Result<(), String>> {
    for (table, _) in place.schema() {
        let key = suite.primary_key(&table);
        if key.is_empty() {
            continue;
        }
        let result = place.rows(&table)?;
        let named = |column: &String| key.iter().any(|key| key.eq_ignore_ascii_case(column));
        let places: Vec<usize> = (0..result.columns.len())
            .filter(|at| result.columns.get(*at).is_some_and(named))
            .collect();
        if places.len() < key.len() {
            let message = format!("table `{table}` lacks a column of its primary key");
            return Ok(Err(message));
        }
        let mut seen = BTreeSet::new();
        for row in &result.rows {
            let values: Vec<_> = places.iter().filter_map(|at| row.get(*at)).collect();
            let text = json!(values).to_string();
            if !seen.insert(text.clone()) {
                let message = format!("table `{table}` has more than one row with the key {text}");
                return Ok(Err(message));
            }
        }
    }
    Ok(Ok(()))
}

fn summary(contents: &[(String, Vec<String>)]) -> String {
    let rows: usize = contents.iter().map(|(_, rows)| rows.len()).sum();
    let tables = counted(contents.len() as u64, "table");
    format!("{} in {tables}", counted(rows as u64, "row"))
}
