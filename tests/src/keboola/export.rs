//! What Storage keeps of a table, and what an export makes of it.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// A column and its base type.
pub type Column = (&'static str, &'static str);

/// The most rows of a slice.
const ROWS: usize = 2;

/// A table.
#[derive(Debug)]
pub(crate) struct Stored {
    columns: Vec<Column>,
    rows: Vec<(Vec<String>, String)>,
    imported: Option<String>,
    changed: Option<String>,
}

impl Stored {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            imported: None,
            changed: None,
        }
    }

    pub(crate) fn import(&mut self, rows: &[&[&str]], at: &str) {
        for row in rows {
            self.rows.retain(|(known, _)| known[0] != row[0]);
            let row = row.iter().map(ToString::to_string).collect();
            self.rows.push((row, at.to_owned()));
        }
        self.imported = Some(at.to_owned());
        self.changed = Some(at.to_owned());
    }

    pub(crate) fn delete(&mut self, key: &str, at: &str) {
        self.rows.retain(|(row, _)| row[0] != key);
        self.changed = Some(at.to_owned());
    }

    /// "Table Detail".
    pub(crate) fn detail(&self, id: &str) -> Value {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| name).collect();
        let note = |kind: &str| {
            json!([{"id": "1", "key": "KBC.datatype.basetype", "value": kind, "provider": "storage",
                "timestamp": "2026-01-01T00:00:00+0100"}])
        };
        let notes: BTreeMap<_, _> = self
            .columns
            .iter()
            .map(|(name, kind)| (name, note(kind)))
            .collect();
        let name = id.rsplit('.').next().unwrap_or_default();
        json!({
            "id": id, "name": name, "displayName": name, "columns": names, "primaryKey": [names[0]],
            "isAlias": false, "isTyped": false, "rowsCount": self.rows.len(), "lastImportDate": self.imported,
            "lastChangeDate": self.changed, "metadata": [], "columnMetadata": notes
        })
    }

    /// The slices of an export with this form: gzip CSV without a header line. Else what is wrong with the form.
    pub(crate) fn export(&self, form: &str) -> Result<Vec<Vec<u8>>, String> {
        let form = Form::read(form)?;
        let place = |name: &str| {
            let place = self.columns.iter().position(|(known, _)| *known == name);
            place.ok_or_else(|| format!("there is no column {name}"))
        };
        let columns: Vec<_> = form
            .columns
            .iter()
            .map(|name| place(name))
            .collect::<Result<_, _>>()?;
        let mut rows: Vec<&Vec<String>> = Vec::new();
        for (row, at) in &self.rows {
            let mut fits = form.since.as_ref().is_none_or(|since| at >= since);
            for (column, operator, values) in form.filters.values() {
                let value = &row[place(column)?];
                fits &= match operator.as_str() {
                    "eq" => values.contains(value),
                    "ne" => !values.contains(value),
                    other => return Err(format!("there is no operator {other} here")),
                };
            }
            if fits {
                rows.push(row);
            }
        }
        let line = |row: &&Vec<String>| {
            let fields = columns
                .iter()
                .map(|at| format!("\"{}\"", row[*at].replace('"', "\"\"")));
            fields.collect::<Vec<_>>().join(",") + "\n"
        };
        let slices = rows.chunks(ROWS);
        Ok(slices
            .map(|rows| gzip(&rows.iter().map(line).collect::<String>()))
            .collect())
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("it fits");
    encoder.finish().expect("it fits")
}

/// What an export was asked for.
#[derive(Default)]
struct Form {
    columns: Vec<String>,
    since: Option<String>,
    filters: BTreeMap<String, (String, String, Vec<String>)>,
}

impl Form {
    fn read(text: &str) -> Result<Self, String> {
        let mut form = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').ok_or("a field has no value")?;
            let (name, value) = (super::undo(name), super::undo(value));
            let parts: Vec<_> = name
                .split(['[', ']'])
                .filter(|part| !part.is_empty())
                .collect();
            match parts.as_slice() {
                ["format"] if value == "rfc" => {}
                ["gzip"] if value == "1" => {}
                ["columns", _] => form.columns.push(value),
                ["changedSince"] => form.since = Some(value),
                ["whereFilters", at, field, ..] => {
                    let filter = form.filters.entry((*at).to_owned()).or_default();
                    match *field {
                        "column" => filter.0 = value,
                        "operator" => filter.1 = value,
                        "values" => filter.2.push(value),
                        other => return Err(format!("a filter has no {other}")),
                    }
                }
                _ => return Err(format!("there is no field {name}")),
            }
        }
        Ok(form)
    }
}
