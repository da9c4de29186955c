//! Replays recorded runs on two versions of a connector, and tells where they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use broker::tape::{Player, Recording};
use domain::Cancel;
use domain::run::Counts;
use serde::Serialize;

use super::{Place, Ran, Trial, Workshop};
use crate::cli::output::CliResult;

/// The most rows of a difference that are shown.
const MOST_SHOWN: usize = 5;

/// What a version did with a recorded run.
#[derive(Debug, Serialize)]
pub(crate) struct Played {
    pub(crate) outcome: String,
    pub(crate) counts: Counts,
    #[serde(skip)]
    requests: Vec<String>,
    #[serde(skip)]
    schema: Vec<(String, Vec<(String, String)>)>,
    #[serde(skip)]
    contents: Vec<(String, Vec<String>)>,
}

/// A recorded run on both.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) recording: String,
    pub(crate) old: Played,
    pub(crate) new: Played,
    /// A line for each difference; empty where they agree.
    pub(crate) differences: Vec<String>,
}

/// Replays each recording on both.
pub(crate) fn run(
    old: &Path,
    new: &Path,
    recordings: &[(String, Recording)],
) -> CliResult<Vec<Comparison>> {
    let (old, new) = (Workshop::open(old)?, Workshop::open(new)?);
    let compared = recordings.iter().map(|(name, recording)| {
        let (old, new) = (play(&old, recording)?, play(&new, recording)?);
        Ok(Comparison {
            recording: name.clone(),
            differences: differences(&old, &new),
            old,
            new,
        })
    });
    compared.collect()
}

fn play(workshop: &Workshop, recording: &Recording) -> CliResult<Played> {
    let head = &recording.head;
    let place = workshop.place()?;
    let capabilities = match workshop.capabilities(&head.settings) {
        Ok(capabilities) => capabilities,
        Err(error) => return Ok(Played::refused(&error)),
    };
    let trial = Trial {
        operation: head.operation,
        settings: head.settings.clone(),
        capabilities,
        tables: head.tables.clone(),
        cursors: Some(head.cursors()),
        player: Player::new(recording),
        cancel: Cancel::new(),
    };
    let ran = place.run(workshop, trial)?;
    Played::of(&place, ran)
}

impl Played {
    fn of(place: &Place, ran: Ran) -> CliResult<Self> {
        Ok(Self {
            outcome: ran.trouble().unwrap_or_else(|| "succeeded".into()),
            counts: ran.counts,
            requests: ran.asked,
            schema: place.schema(),
            contents: place.contents()?,
        })
    }

    fn refused(error: &str) -> Self {
        Self {
            outcome: format!("the settings do not fit its manifest: {error}"),
            counts: Counts::default(),
            requests: Vec::new(),
            schema: Vec::new(),
            contents: Vec::new(),
        }
    }
}

fn differences(old: &Played, new: &Played) -> Vec<String> {
    let mut lines = Vec::new();
    if old.outcome != new.outcome {
        lines.push(format!("outcome: {} → {}", old.outcome, new.outcome));
    }
    schemas(old, new, &mut lines);
    rows(old, new, &mut lines);
    let both = [&old.requests, &new.requests].map(|all| all.iter().collect::<BTreeSet<_>>());
    let [before, after] = &both;
    lines.extend(
        before
            .difference(after)
            .map(|r| format!("request gone: {r}")),
    );
    lines.extend(
        after
            .difference(before)
            .map(|r| format!("request new: {r}")),
    );
    for (what, before, after) in [
        ("requests", old.counts.requests, new.counts.requests),
        ("bytes received", old.counts.bytes_in, new.counts.bytes_in),
    ] {
        if before != after {
            lines.push(format!("cost: {before} → {after} {what}"));
        }
    }
    lines
}

fn schemas(old: &Played, new: &Played, lines: &mut Vec<String>) {
    let columns = |played: &Played| -> BTreeMap<(String, String), String> {
        let tables = played.schema.iter().flat_map(|(table, columns)| {
            let columns = columns.iter();
            columns.map(|(name, data_type)| ((table.clone(), name.clone()), data_type.clone()))
        });
        tables.collect()
    };
    let (before, after) = (columns(old), columns(new));
    for ((table, column), data_type) in &before {
        match after.get(&(table.clone(), column.clone())) {
            None => lines.push(format!("schema: {table}.{column} is gone")),
            Some(other) if other != data_type => {
                lines.push(format!("schema: {table}.{column}: {data_type} → {other}"));
            }
            Some(_) => {}
        }
    }
    let added = after.keys().filter(|column| !before.contains_key(*column));
    lines.extend(added.map(|(table, column)| format!("schema: {table}.{column} is new")));
}

fn rows(old: &Played, new: &Played, lines: &mut Vec<String>) {
    let before: BTreeMap<_, _> = old.contents.iter().cloned().collect();
    let after: BTreeMap<_, _> = new.contents.iter().cloned().collect();
    let tables: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for table in tables {
        let nothing = Vec::new();
        let before = before.get(table).unwrap_or(&nothing);
        let after = after.get(table).unwrap_or(&nothing);
        let gone = without(before, after);
        let added = without(after, before);
        if gone.is_empty() && added.is_empty() {
            continue;
        }
        lines.push(format!(
            "rows: {table}: {} gone, {} new",
            gone.len(),
            added.len()
        ));
        let shown = |sign, rows: &[&String]| -> Vec<String> {
            let rows = rows.iter().take(MOST_SHOWN);
            rows.map(|row| format!("  {sign} {row}")).collect()
        };
        lines.extend(shown('-', &gone));
        lines.extend(shown('+', &added));
    }
}

/// The rows that `others` has not, or has fewer of. Both are sorted.
fn without<'a>(rows: &'a [String], others: &[String]) -> Vec<&'a String> {
    let mut left: BTreeMap<&String, usize> = BTreeMap::new();
    for row in others {
        *left.entry(row).or_default() += 1;
    }
    let missing = rows.iter().filter(|row| match left.get_mut(row) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_there_twice_differs_from_one_that_is_there_once() {
        let rows = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (once, twice) = (rows(&["a", "b"]), rows(&["a", "a", "c"]));
        assert_eq!(without(&twice, &once), ["a", "c"]);
        assert_eq!(without(&once, &twice), ["b"]);
    }
}
