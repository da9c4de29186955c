//! What is written where: results to stdout, all that is said beside them to stderr.

use std::io::{BufRead, IsTerminal, Write};

use serde_json::Value;

use crate::error::Error;

/// A line of the result. A reader that went away (`| head`) is no error.
pub(crate) fn line(text: &str) {
    writeln!(std::io::stdout().lock(), "{text}").ok();
}

/// A line for the person who waits.
pub(crate) fn note(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// A whole result as JSON.
pub(crate) fn json(value: &Value) {
    line(&format!("{value:#}"));
}

/// JSON where it was asked for, else a line.
pub(crate) fn done(answer: &Value, text: &str, as_json: bool) {
    if as_json {
        json(answer);
    } else {
        line(text);
    }
}

/// Whether a person at a terminal says yes; nobody there is a no.
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    note(question);
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    read.map_err(|source| Error::Io {
        what: "cannot read stdin".into(),
        source,
    })?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Bytes in the largest unit that leaves a number before it.
pub(crate) fn bytes(count: u64) -> String {
    let units = [
        (1_u64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    let fits = units.into_iter().find(|(unit, _)| count >= *unit);
    fits.map_or_else(
        || format!("{count} B"),
        |(unit, name)| {
            // Tenths, without a detour over a rounded number.
            let tenths = count / (unit / 10).max(1);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        },
    )
}

/// A value as a person reads it, without anything that would steer a terminal.
pub(crate) fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

/// These fields of every object as columns.
pub(crate) fn objects(rows: &[Value], fields: &[(&str, &str)]) {
    let names: Vec<String> = fields
        .iter()
        .map(|(heading, _)| (*heading).to_owned())
        .collect();
    let cells = |row: &Value| fields.iter().map(|(_, field)| row[field].clone()).collect();
    table(&names, &rows.iter().map(cells).collect::<Vec<Vec<Value>>>());
}

/// Aligned columns.
pub(crate) fn table(names: &[String], rows: &[Vec<Value>]) {
    let heading = names
        .iter()
        .map(|n| plain(&Value::from(n.as_str())))
        .collect();
    let mut cells: Vec<Vec<String>> = vec![heading];
    cells.extend(rows.iter().map(|row| row.iter().map(plain).collect()));
    let width = |i: usize| {
        let of = |row: &Vec<String>| row.get(i).map_or(0, |c| c.chars().count());
        cells.iter().map(of).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    for row in &cells {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// RFC 4180.
fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        if cell.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    });
    quoted.collect::<Vec<_>>().join(",")
}

fn csv_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Rows in the format that was asked for.
pub(crate) fn rows(format: &str, names: &[String], rows: &[Vec<Value>]) -> Result<(), Error> {
    match format {
        "json" => {
            let object = |row: &Vec<Value>| {
                let fields = names.iter().cloned().zip(row.iter().cloned());
                Value::Object(fields.collect())
            };
            json(&Value::Array(rows.iter().map(object).collect()));
        }
        "csv" => {
            line(&csv_line(names.iter().cloned()));
            for row in rows {
                line(&csv_line(row.iter().map(csv_cell)));
            }
        }
        "table" => table(names, rows),
        other => {
            return Err(Error::Exit {
                code: 2,
                message: format!("there is no format `{other}`. Use table, json or csv."),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_with_commas_and_quotes_stays_one_cell() {
        let cells = ["a,b", "say \"x\"", "plain"].map(str::to_owned);
        assert_eq!(
            csv_line(cells.into_iter()),
            "\"a,b\",\"say \"\"x\"\"\",plain"
        );
    }

    #[test]
    fn a_servers_text_does_not_steer_the_terminal() {
        assert_eq!(plain(&Value::from("a\u{1b}[2Jb")), "a [2Jb");
    }
}
