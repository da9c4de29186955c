//! Replays recorded runs on two versions of a connector, and tells where they differ.

use std::collections::{BTreeMap, BTreeSet};

use broker::tape::{Player, Recording};
use domain::run::Counts;
use domain::{Cancel, ComparedRun, Played};

use super::{Place, Ran, Trial, Workshop};
use crate::cli::output::{CliError, CliResult};

/// The most rows of a difference that are shown.
const MOST_SHOWN: usize = 5;
/// The most requests that are shown as gone, and as new.
const MOST_REQUESTS: usize = 20;
/// How much of a line is shown.
const MOST_SHOWN_CHARACTERS: usize = 500;

/// The outcome of a run that brought what it should.
const SUCCEEDED: &str = "succeeded";

/// What a version did with a recorded run.
struct Seen {
    played: Played,
    requests: Vec<String>,
    schema: Vec<(String, Vec<(String, String)>)>,
    contents: Vec<(String, Vec<String>)>,
}

/// Replays each recording on both.
pub(crate) fn run(
    old: &Workshop,
    new: &Workshop,
    recordings: impl IntoIterator<Item = CliResult<(String, Recording)>>,
    cancel: &Cancel,
) -> CliResult<Vec<ComparedRun>> {
    let compared = recordings.into_iter().map(|recording| {
        let (name, recording) = recording?;
        let (old, new) = (
            play(old, &recording, cancel)?,
            play(new, &recording, cancel)?,
        );
        // What was cut off looks the same on both.
        if cancel.is_cancelled() {
            return Err(CliError::new("it was cancelled"));
        }
        Ok(ComparedRun {
            recording: name,
            differences: differences(&old, &new),
            old: old.played,
            new: new.played,
        })
    });
    compared.collect()
}

fn play(workshop: &Workshop, recording: &Recording, cancel: &Cancel) -> CliResult<Seen> {
    let head = &recording.head;
    let place = workshop.place()?;
    let capabilities = match workshop.capabilities(&head.settings) {
        Ok(capabilities) => capabilities,
        Err(error) => return Ok(Seen::refused(&error)),
    };
    let trial = Trial {
        operation: head.operation,
        settings: head.settings.clone(),
        capabilities,
        tables: head.tables.clone(),
        cursors: Some(head.cursors()),
        player: Player::new(recording),
        cancel: cancel.clone(),
    };
    let ran = place.run(workshop, trial)?;
    Seen::of(&place, ran)
}

impl Seen {
    fn of(place: &Place, ran: Ran) -> CliResult<Self> {
        Ok(Self {
            played: Played {
                outcome: ran.trouble().unwrap_or_else(|| SUCCEEDED.into()),
                counts: ran.counts,
            },
            requests: ran.asked,
            schema: place.schema(),
            contents: place.contents()?,
        })
    }

    fn refused(error: &str) -> Self {
        Self {
            played: Played {
                outcome: format!("the settings do not fit its manifest: {error}"),
                counts: Counts::default(),
            },
            requests: Vec::new(),
            schema: Vec::new(),
            contents: Vec::new(),
        }
    }
}

fn differences(old: &Seen, new: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    let (before, after) = (&old.played, &new.played);
    if before.outcome != after.outcome {
        lines.push(format!("outcome: {} → {}", before.outcome, after.outcome));
    } else if before.outcome != SUCCEEDED {
        // Two that fail alike may differ in all that follows.
        lines.push(format!("outcome: neither gets through: {}", before.outcome));
    }
    schemas(old, new, &mut lines);
    rows(old, new, &mut lines);
    let both = [&old.requests, &new.requests].map(|all| all.iter().collect::<BTreeSet<_>>());
    let [asked, asks] = &both;
    let gone = asked.difference(asks).take(MOST_REQUESTS);
    lines.extend(gone.map(|request| format!("request gone: {request}")));
    let added = asks.difference(asked).take(MOST_REQUESTS);
    lines.extend(added.map(|request| format!("request new: {request}")));
    for (what, cost, later) in [
        ("requests", before.counts.requests, after.counts.requests),
        (
            "bytes received",
            before.counts.bytes_in,
            after.counts.bytes_in,
        ),
    ] {
        if cost != later {
            lines.push(format!("cost: {cost} → {later} {what}"));
        }
    }
    lines.iter().map(|line| short(line)).collect()
}

/// A row may be as long as a connector likes.
fn short(line: &str) -> String {
    match line.char_indices().nth(MOST_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

fn schemas(old: &Seen, new: &Seen, lines: &mut Vec<String>) {
    let columns = |seen: &Seen| -> BTreeMap<(String, String), String> {
        let tables = seen.schema.iter().flat_map(|(table, columns)| {
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

fn rows(old: &Seen, new: &Seen, lines: &mut Vec<String>) {
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
