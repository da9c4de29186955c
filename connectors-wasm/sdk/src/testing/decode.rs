//! What the fake host makes of bodies: enough to see which rows a connector brought, not the real host's decoders.

use serde_json::{Map, Value};

use crate::{Csv, Failure, Format, Json};

#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Value>,
    pub(crate) values: Vec<Option<String>>,
}

pub(crate) fn body(bytes: &[u8], format: &Format) -> Result<Rows, Failure> {
    let text =
        || std::str::from_utf8(bytes).map_err(|_| Failure::upstream("the body is not UTF-8"));
    match format {
        Format::Csv(options) => csv(text()?, options),
        Format::Json(options) => json(text()?, options),
        Format::Ndjson(_) => lines(text()?).map_err(Failure::Upstream),
        Format::Parquet | Format::Arrow => Ok(Rows::default()),
    }
}

pub(crate) fn records(bytes: &[u8]) -> Result<Rows, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::bug("the records are not UTF-8"))?;
    if text.trim_start().starts_with('[') {
        json(text, &Json::default()).map_err(|failure| Failure::bug(failure.message()))
    } else {
        lines(text).map_err(Failure::Bug)
    }
}

fn lines(text: &str) -> Result<Rows, String> {
    let mut rows = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        match serde_json::from_str(line) {
            Ok(row @ Value::Object(_)) => rows.push(row),
            _ => return Err(format!("line {} is not a JSON object", number + 1)),
        }
    }
    Ok(Rows {
        rows,
        values: Vec::new(),
    })
}

fn json(text: &str, options: &Json) -> Result<Rows, Failure> {
    let document: Value =
        serde_json::from_str(text).map_err(|_| Failure::upstream("the body is not JSON"))?;
    let rows = match document.pointer(&options.records) {
        Some(Value::Array(rows)) => rows.clone(),
        Some(row @ Value::Object(_)) => vec![row.clone()],
        _ => {
            let pointer = &options.records;
            return Err(Failure::upstream(format!(
                "there are no records at `{pointer}`"
            )));
        }
    };
    if let Some(number) = rows.iter().position(|row| !row.is_object()) {
        return Err(Failure::upstream(format!(
            "row {} is not an object",
            number + 1
        )));
    }
    let value = |pointer: &String| document.pointer(pointer).map(Value::to_string);
    Ok(Rows {
        rows,
        values: options.values.iter().map(value).collect(),
    })
}

fn csv(text: &str, options: &Csv) -> Result<Rows, Failure> {
    let delimiter = options.delimiter.unwrap_or(',');
    let mut lines = text.lines();
    let header = if options.header { lines.next() } else { None };
    let names: Vec<String> = match header {
        Some(line) if options.names.is_empty() => {
            line.split(delimiter).map(str::to_owned).collect()
        }
        _ => options.names.clone(),
    };
    let mut rows = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(delimiter).collect();
        if fields.len() != names.len() {
            let (row, found, wanted) = (rows.len() + 1, fields.len(), names.len());
            let message = format!("row {row} has {found} fields, not {wanted}");
            return Err(Failure::upstream(message));
        }
        let row: Map<String, Value> = names
            .iter()
            .cloned()
            .zip(fields.into_iter().map(Value::from))
            .collect();
        rows.push(Value::Object(row));
    }
    Ok(Rows {
        rows,
        values: Vec::new(),
    })
}
