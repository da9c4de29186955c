//! What an admin fills in, and the rules that the manifest's schema cannot express.

use std::collections::{BTreeMap, HashSet};

use connector_sdk::{Column, ColumnType, Compression, Csv, Failure, Format, Json, TableSpec};
use serde::Deserialize;

/// The settings of a source.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub(crate) tables: Vec<TableSettings>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

/// A table and where its files are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSettings {
    pub(crate) name: String,
    #[serde(default)]
    description: String,
    url: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
    format: Kind,
    #[serde(default)]
    gzip: Gzip,
    delimiter: Option<char>,
    #[serde(default = "yes")]
    header: bool,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    records: String,
    pub(crate) next: Option<String>,
    #[serde(default)]
    columns: Vec<ColumnSettings>,
    #[serde(default)]
    primary_key: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnSettings {
    name: String,
    #[serde(rename = "type")]
    column_type: String,
    description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Csv,
    Json,
    Ndjson,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Gzip {
    #[default]
    Auto,
    Always,
    Never,
}

fn yes() -> bool {
    true
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<(), Failure> {
        if self.tables.is_empty() {
            return Err(Failure::config("`tables` is empty: name at least one"));
        }
        let mut names = HashSet::new();
        for table in &self.tables {
            if !names.insert(table.name.to_ascii_lowercase()) {
                return Err(Failure::config(format!(
                    "two tables are named `{}`",
                    table.name
                )));
            }
            table
                .validate()
                .map_err(|message| Failure::config(format!("table `{}`: {message}", table.name)))?;
        }
        Ok(())
    }
}

impl TableSettings {
    fn validate(&self) -> Result<(), String> {
        if self.url.is_some() != self.urls.is_empty() {
            return Err("give it either `url` or `urls`".into());
        }
        let web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        if let Some(url) = self.urls().iter().find(|url| !web(url)) {
            return Err(format!(
                "`{}` must start with https:// or http://",
                url.escape_debug()
            ));
        }
        if !self.header && self.names.is_empty() {
            return Err("without a header line it needs `names`".into());
        }
        if self
            .delimiter
            .is_some_and(|delimiter| !delimiter.is_ascii())
        {
            return Err("`delimiter` must be one ASCII character".into());
        }
        if self.format != Kind::Json && (self.next.is_some() || !self.records.is_empty()) {
            return Err("`records` and `next` are for the format json".into());
        }
        self.columns
            .iter()
            .try_for_each(|column| column_type(&column.column_type).map(drop))
    }

    /// Where its files are, in order.
    pub(crate) fn urls(&self) -> &[String] {
        self.url.as_ref().map_or(&self.urls, std::slice::from_ref)
    }

    pub(crate) fn format(&self) -> Format {
        let compression = match self.gzip {
            Gzip::Auto => Compression::Auto,
            Gzip::Always => Compression::Gzip,
            Gzip::Never => Compression::None,
        };
        match self.format {
            Kind::Csv => Format::Csv(Csv {
                delimiter: self.delimiter,
                quote: None,
                header: self.header,
                names: self.names.clone(),
                compression,
            }),
            Kind::Json => Format::Json(Json {
                records: self.records.clone(),
                values: self.next.iter().cloned().collect(),
                compression,
            }),
            Kind::Ndjson => Format::Ndjson(compression),
        }
    }

    pub(crate) fn spec(&self) -> Result<TableSpec, Failure> {
        let mut columns = Vec::new();
        for column in &self.columns {
            columns.push(Column {
                name: column.name.clone(),
                column_type: column_type(&column.column_type).map_err(Failure::Config)?,
                description: column.description.clone(),
            });
        }
        let spec = TableSpec::new(&self.name).description(&self.description);
        Ok(TableSpec {
            columns,
            primary_key: self.primary_key.clone(),
            ..spec
        })
    }
}

fn column_type(text: &str) -> Result<ColumnType, String> {
    Ok(match text {
        "boolean" => ColumnType::Boolean,
        "bigint" => ColumnType::Bigint,
        "double" => ColumnType::Double,
        "varchar" => ColumnType::Varchar,
        "date" => ColumnType::Date,
        "timestamp" => ColumnType::Timestamp,
        "json" => ColumnType::Json,
        _ => decimal(text).ok_or_else(|| {
            format!(
                "`{}` is not a type: use boolean, bigint, double, decimal(18,2), varchar, date, timestamp or json",
                text.escape_debug()
            )
        })?,
    })
}

fn decimal(text: &str) -> Option<ColumnType> {
    let (precision, scale) = text
        .strip_prefix("decimal(")?
        .strip_suffix(')')?
        .split_once(',')?;
    let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
    ((1..=38).contains(&precision) && scale <= precision)
        .then_some(ColumnType::Decimal { precision, scale })
}
